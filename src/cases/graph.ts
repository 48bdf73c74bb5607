// The neighbourhood of an entity: which others share a terminal, a device, an address with it, two hops, a bounded number of nodes.

/** One transaction, by the values of the columns that link; null: it has none there. */
export interface LinkRow {
  readonly id: string;
  readonly values: readonly (string | null)[];
}

export interface LinkNode {
  /** Column and value, as one text. */
  readonly id: string;
  readonly column: string;
  readonly value: string;
  /** 0: the entity that was asked for. */
  readonly hop: number;
  /** Transactions that have the value. */
  readonly transactions: number;
  /** Of those, confirmed frauds. */
  readonly frauds: number;
}

export interface LinkEdge {
  readonly from: string;
  readonly to: string;
  /** Transactions that have both values. */
  readonly transactions: number;
}

export const LINK_NODES_MAX = 60;
/** Half of the nodes are kept for the second hop, where the others are. */
const FIRST_HOP_MAX = LINK_NODES_MAX / 2;
const HOPS = 2;

/**
 * Nodes and edges around a value. Values that share most transactions come first; `left` says how many others there were. A value that a
 * large part of all transactions has (a wholesaler's address) links nothing: it is shown, and what lies behind it is not.
 */
export function neighbourhood(
  rows: readonly LinkRow[],
  of: {
    readonly columns: readonly string[];
    readonly column: number;
    readonly value: string;
    readonly isFraud: (transaction: string) => boolean;
  },
): { readonly nodes: readonly LinkNode[]; readonly edges: readonly LinkEdge[]; readonly left: number } {
  const { columns, isFraud } = of;
  const keyOf = (column: number, value: string): string => `${columns[column]}:${value}`;
  const start = { column: of.column, value: of.value };
  const hops = new Map<string, { readonly column: number; readonly value: string; readonly hop: number }>([
    [keyOf(start.column, start.value), { ...start, hop: 0 }],
  ]);
  let left = 0;
  for (let hop = 1; hop <= HOPS; hop++) {
    const room = (hop === 1 ? FIRST_HOP_MAX : LINK_NODES_MAX) - hops.size;
    const counts = new Map<string, { readonly column: number; readonly value: string; count: number }>();
    const totals = countsOf(rows, { keyOf });
    for (const { values } of rows) {
      const reached = values.some((value, column) => {
        if (value === null) return false;
        const key = keyOf(column, value);
        return hops.get(key)?.hop === hop - 1 && (hop === 1 || !isHub(totals.get(key) ?? 0, rows.length));
      });
      if (!reached) continue;
      for (const [column, value] of values.entries()) {
        if (value === null) continue;
        const key = keyOf(column, value);
        if (hops.has(key)) continue;
        const known = counts.get(key);
        if (known === undefined) counts.set(key, { column, value, count: 1 });
        else known.count++;
      }
    }
    const found = [...counts].sort(([a, x], [b, y]) => y.count - x.count || (a < b ? -1 : 1));
    left += Math.max(0, found.length - room);
    for (const [key, { column, value }] of found.slice(0, Math.max(0, room))) hops.set(key, { column, value, hop });
  }
  return { ...drawn(rows, { hops, columns, keyOf, isFraud }), left };
}

/** A value that one in twenty transactions has, where there are enough to say so. */
function isHub(count: number, rows: number): boolean {
  return count > 50 && count * 20 > rows;
}

function countsOf(
  rows: readonly LinkRow[],
  { keyOf }: { readonly keyOf: (column: number, value: string) => string },
): ReadonlyMap<string, number> {
  const totals = new Map<string, number>();
  for (const { values } of rows) {
    for (const [column, value] of values.entries()) {
      if (value === null) continue;
      const key = keyOf(column, value);
      totals.set(key, (totals.get(key) ?? 0) + 1);
    }
  }
  return totals;
}

function drawn(
  rows: readonly LinkRow[],
  of: {
    readonly hops: ReadonlyMap<string, { readonly column: number; readonly value: string; readonly hop: number }>;
    readonly columns: readonly string[];
    readonly keyOf: (column: number, value: string) => string;
    readonly isFraud: (transaction: string) => boolean;
  },
): { readonly nodes: readonly LinkNode[]; readonly edges: readonly LinkEdge[] } {
  const { hops, columns, keyOf, isFraud } = of;
  const tally = new Map<string, { transactions: number; frauds: number }>();
  const edges = new Map<string, { readonly from: string; readonly to: string; transactions: number }>();
  for (const { id, values } of rows) {
    const here = values.flatMap((value, column) => {
      const key = value === null ? null : keyOf(column, value);
      return key !== null && hops.has(key) ? [key] : [];
    });
    const fraud = isFraud(id);
    for (const [place, key] of here.entries()) {
      const sum = tally.get(key) ?? { transactions: 0, frauds: 0 };
      tally.set(key, { transactions: sum.transactions + 1, frauds: sum.frauds + (fraud ? 1 : 0) });
      for (const other of here.slice(place + 1)) {
        // Only from one hop to the next: values of one hop stand beside each other in thousands of ways.
        if (Math.abs(hops.get(key)!.hop - hops.get(other)!.hop) !== 1) continue;
        const [from, to] = hops.get(key)!.hop < hops.get(other)!.hop ? [key, other] : [other, key];
        const edge = edges.get(`${from}\n${to}`);
        if (edge === undefined) edges.set(`${from}\n${to}`, { from, to, transactions: 1 });
        else edge.transactions++;
      }
    }
  }
  const nodes = [...hops].map(([id, { column, value, hop }]): LinkNode => {
    const { transactions, frauds } = tally.get(id) ?? { transactions: 0, frauds: 0 };
    return { id, column: columns[column], value, hop, transactions, frauds };
  });
  return { nodes, edges: [...edges.values()] };
}
