// Selective labels: what was blocked has no outcome. Which rows may be compared, what each of them stands for, and what cannot be known.

/** How rows got, or did not get, an outcome; columns of equal length. */
export interface Outcomes {
  /** 1 where the answer was to block. */
  readonly blocked: Uint8Array;
  /** The chance with which the row, which the answering model blocks, was let through; NaN where nothing was drawn. */
  readonly propensity: Float64Array;
  /** 1 fraud, 0 genuine, 2 nobody knows. */
  readonly label: Uint8Array;
  /** 1 where somebody reported the label; 0 where silence counts as one. */
  readonly reported: Uint8Array;
  /** 1 for the rows that are asked about. */
  readonly asked: Uint8Array;
}

/** Counts of the rows asked about. */
export interface Selection {
  /** That the answering model would block, drawn or not. */
  readonly blocked: number;
  /** Of them let through by chance: they have an outcome and stand for others. */
  readonly letThrough: number;
  /** Of them blocked after a draw: those that were let through stand for them. */
  readonly represented: number;
  /** Of them blocked without a draw, whose outcome became known all the same. */
  readonly reported: number;
  /** Of them blocked, without any outcome: nothing is known of them, and nothing stands for them. */
  readonly unknown: number;
  /** Rows whose weight was cut to {@link WEIGHT_MAX}. */
  readonly clipped: number;
  /** The largest weight in use. */
  readonly weightMax: number;
  /** What the weighted rows and frauds are worth in rows of equal weight: (Σw)² / Σw² (Kish 1965). */
  readonly effectiveRows: number;
  readonly effectiveFrauds: number;
}

/** A weight beyond this would let one transaction speak for a whole table; cutting it trades a small bias for a steady figure. */
export const WEIGHT_MAX = 50;

/**
 * Inverse propensity weights (Horvitz & Thompson 1952), 0 for a row that must not be compared. A blocked row that took part in a draw is
 * left out even where its outcome became known later: the rows let through stand for it, and counting both would count it twice.
 */
export function selectRows(rows: Outcomes): { readonly weights: Float64Array; readonly selection: Selection } {
  const weights = new Float64Array(rows.label.length);
  const counts = { blocked: 0, letThrough: 0, represented: 0, reported: 0, unknown: 0, clipped: 0 };
  for (let row = 0; row < weights.length; row++) {
    if (rows.asked[row] === 0) continue;
    const known = rows.label[row] !== UNKNOWN;
    const drawn = !Number.isNaN(rows.propensity[row]);
    if (!drawn && rows.blocked[row] === 0) {
      if (known) weights[row] = 1;
      continue;
    }
    counts.blocked++;
    if (drawn && rows.blocked[row] === 0) {
      counts.letThrough++;
      if (!known) continue;
      const weight = 1 / rows.propensity[row];
      if (weight > WEIGHT_MAX) counts.clipped++;
      weights[row] = Math.min(weight, WEIGHT_MAX);
    } else if (drawn) counts.represented++;
    // Silence about what was blocked says nothing: nobody misses money that was never taken.
    else if (known && rows.reported[row] === 1) {
      counts.reported++;
      weights[row] = 1;
    } else counts.unknown++;
  }
  return { weights, selection: { ...counts, ...worthOf(weights, rows.label) } };
}

const UNKNOWN = 2;

function worthOf(
  weights: Float64Array,
  label: Uint8Array,
): Pick<Selection, "weightMax" | "effectiveRows" | "effectiveFrauds"> {
  const all = { sum: 0, squares: 0 };
  const frauds = { sum: 0, squares: 0 };
  let weightMax = 0;
  for (const [row, weight] of weights.entries()) {
    weightMax = Math.max(weightMax, weight);
    all.sum += weight;
    all.squares += weight * weight;
    if (label[row] !== 1) continue;
    frauds.sum += weight;
    frauds.squares += weight * weight;
  }
  const worth = ({ sum, squares }: typeof all): number => (squares > 0 ? (sum * sum) / squares : 0);
  return { weightMax, effectiveRows: worth(all), effectiveFrauds: worth(frauds) };
}

/** What the evidence knows of blocked traffic, in a sentence or two. */
export function selectionWords(selection: Selection): string {
  const { blocked, letThrough, represented, reported, unknown, clipped, weightMax, effectiveFrauds } = selection;
  if (blocked === 0) return "nothing was blocked, so every outcome could be seen";
  const parts: string[] = [];
  if (letThrough > 0) {
    const cut = clipped > 0 ? `, ${clipped} of them cut to ${WEIGHT_MAX}` : "";
    parts.push(
      `${letThrough} of ${letThrough + represented} transactions that would have been blocked were let through by chance and stand for the others (weights up to ${round(weightMax)}${cut}; all frauds together are worth ${Math.floor(effectiveFrauds)} of equal weight)`,
    );
  } else if (represented > 0) {
    parts.push(`of ${represented} blocked transactions that took part in a draw none was let through yet`);
  }
  if (reported > 0) parts.push(`${reported} blocked transactions have a reported outcome and count as they are`);
  if (unknown > 0) {
    parts.push(
      `${unknown} blocked transactions have no outcome: whether the candidate would be right about them cannot be known, and they are left out (\`decisions.explore\` lets a share through by chance)`,
    );
  }
  return parts.join("; ");
}

/** Share of what would have been blocked of which nothing is known and for which nothing stands; 0 where nothing was blocked. */
export function unknownShare({ blocked, unknown, represented, letThrough }: Selection): number {
  const silent = unknown + (letThrough === 0 ? represented : 0);
  return blocked === 0 ? 0 : silent / blocked;
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
