// A table of transactions and forty copies of it, each with one fault of a kind that data has: what Great Expectations and Sentinel are both asked about.
import type { Cell, ColumnSource } from "../tables.ts";

export type Columns = Readonly<Record<string, ColumnSource>>;

const ROWS = 240;
const START = Date.UTC(2024, 1, 20);
const CHANNELS = ["web", "pos", "app", "pos", "web", "pos"];
const COUNTRIES = ["DE", "FR", "IT", "DE", "ES"];
const WRITTEN = [
  (date: Date) => date.toISOString().slice(0, 10),
  (date: Date) => `${MONTHS[date.getUTCMonth()]} ${date.getUTCDate()}, ${date.getUTCFullYear()}`,
  (date: Date) => `${date.getUTCDate()}.${date.getUTCMonth() + 1}.${date.getUTCFullYear()} 14:05`,
  (date: Date) => `${date.toISOString().slice(0, 19)}Z`,
];
const MONTHS = ["Jan", "Feb", "Mar", "April", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Numbers that look drawn and are the same in every run (a linear congruential generator, Numerical Recipes). */
function draws(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 0x100000000;
  };
}

/** What a payment of somebody's table says: the columns that every such table has. */
export interface Payment {
  /** Epoch milliseconds. */
  readonly time: number;
  readonly amount: number;
  readonly customer: number;
  readonly terminal: number;
  readonly fraud: boolean;
}

/** The table; with `payments` their values stand in the columns that they have, in as many rows. */
function soundTable(payments?: readonly Payment[]): Record<string, ColumnSource> {
  const draw = draws(7);
  const rows = Array.from({ length: payments?.length ?? ROWS }, (_, i) => {
    const time = START + i * 2_700_000 + Math.floor(draw() * 900_000);
    const amount = Math.round(Math.exp(3 + 1.2 * (draw() + draw() + draw() - 1.5)) * 100) / 100;
    const share = 10 + Math.floor(draw() * 40);
    const other = 10 + Math.floor(draw() * 40);
    const [u, v] = [draw(), draw()];
    const drawn = { customer: 1000 + Math.floor(60 * u), terminal: Math.floor(30 * v), fraud: u * v > 0.72 };
    return { i, time, amount, share, other, u, v, ...drawn, ...payments?.[i] };
  });
  const column = (kind: ColumnSource["kind"], cell: (row: (typeof rows)[number]) => Cell): ColumnSource => ({
    kind,
    values: rows.map(cell),
  });
  const iso = (ms: number): string => new Date(ms).toISOString().slice(0, 19);
  return {
    transaction_id: column("text", ({ i }) => `T${String(i).padStart(6, "0")}`),
    time: column("time", ({ time }) => iso(time)),
    amount: column("float", ({ amount }) => amount),
    limit: column("float", ({ amount, u }) => Math.round((amount + 20 + 100 * u) * 100) / 100),
    balance: column("float", ({ v, u }) => (u < 0.1 ? null : Math.round(5000 * v) / 10)),
    customer_id: column("int", ({ customer }) => customer),
    visit: column("int", ({ i }) => Math.floor(i / 60)),
    terminal_id: column("text", ({ terminal }) => `t-${terminal}`),
    channel: column("text", ({ i }) => CHANNELS[i % CHANNELS.length]),
    country: column("text", ({ i }) => COUNTRIES[i % COUNTRIES.length]),
    billing: column("text", ({ i, u }) => (u < 0.05 ? null : COUNTRIES[i % COUNTRIES.length])),
    email: column("text", ({ i }) => `user${i}@example.org`),
    day: column("text", ({ time }) => iso(time).slice(0, 10)),
    written: column("text", ({ i, time }) => WRITTEN[i % WRITTEN.length](new Date(time))),
    payload: column("text", ({ i, v }) => JSON.stringify({ items: 1 + (i % 4), device: v < 0.5 ? "ios" : "android" })),
    part_a: column("int", ({ share }) => share),
    part_b: column("int", ({ other }) => other),
    part_c: column("int", ({ share, other }) => 100 - share - other),
    is_fraud: column("int", ({ fraud }) => (fraud ? 1 : 0)),
  };
}

type Change = (table: Record<string, ColumnSource>) => Columns;

/** The cells of one column, changed. */
function cells(name: string, change: (cell: Cell, row: number) => Cell, kind?: ColumnSource["kind"]): Change {
  return (table) => ({
    ...table,
    [name]: { kind: kind ?? table[name].kind, values: table[name].values.map(change) },
  });
}

/** The rows, by the numbers of those to take. */
function rows(pick: (count: number) => readonly number[]): Change {
  return (table) => {
    const taken = pick(table.time.values.length);
    return mapColumns(table, ({ kind, values }) => ({ kind, values: taken.map((row) => values[row]) }));
  };
}

function mapColumns(table: Columns, change: (column: ColumnSource) => ColumnSource): Columns {
  return Object.fromEntries(Object.entries(table).map(([name, column]) => [name, change(column)]));
}

const all = (count: number): number[] => Array.from({ length: count }, (_, row) => row);
const every =
  (n: number, then: Cell, from = 0) =>
  (cell: Cell, row: number) =>
    row % n === from ? then : cell;
const scaled = (by: number) => (cell: Cell) => (typeof cell === "number" ? Math.round(cell * by * 100) / 100 : cell);
const DAY_TEXT = (cell: Cell, days: number): string =>
  new Date(Date.parse(`${String(cell)}Z`) + days * 86_400_000).toISOString().slice(0, 19);

const CHANGES: Readonly<Record<string, Change>> = {
  "nulls: a few amounts": cells("amount", every(17, null)),
  "nulls: half of the amounts": cells("amount", every(2, null)),
  "nulls: all balances": cells("balance", () => null),
  "nulls: all channels": cells("channel", () => null),
  "nulls: a few ids": cells("transaction_id", every(50, null)),
  "nulls: a few times": cells("time", every(31, null)),
  "nulls: customers, so that whole numbers become floats": cells("customer_id", every(40, null), "float"),
  "nulls: one part of three": cells("part_b", every(23, null), "float"),
  "nulls: payloads and emails": (table) =>
    cells("payload", every(9, null))({ ...cells("email", every(4, null))(table) }),
  "ranges: negative amounts": cells("amount", every(12, -5)),
  "ranges: one huge amount": cells("amount", (cell, row) => (row === 100 ? 1e9 : cell)),
  "ranges: infinite amounts": cells("amount", every(80, "inf")),
  "ranges: visits out of range": cells("visit", every(33, 99)),
  "ranges: amounts beyond their limits": cells("limit", every(11, 1)),
  "ranges: labels of 2": cells("is_fraud", every(60, 2)),
  "types: amounts as text": cells("amount", (cell) => String(cell), "text"),
  "types: customers with fractions": cells("customer_id", every(19, 1000.5), "float"),
  "types: labels as text": cells("is_fraud", (cell) => String(cell), "text"),
  "types: times as text": cells("time", (cell) => cell, "text"),
  "types: channels as numbers": cells("channel", (_cell, row) => row % 3, "int"),
  "duplicates: one id twice": cells("transaction_id", (cell, row) => (row === 77 ? "T000003" : cell)),
  "duplicates: every third id": cells("transaction_id", every(3, "T000000")),
  "duplicates: whole rows": rows((count) => [...all(count), 5, 5, 9]),
  "duplicates: customer, terminal, visit": (table) =>
    cells("visit", () => 1)({ ...cells("customer_id", every(2, 1001))(table) }),
  "drift: amounts three times as high": cells("amount", scaled(3)),
  "drift: amounts all the same": cells("amount", () => 20),
  "drift: another mix of channels": cells("channel", every(2, "app")),
  "drift: a new channel": cells("channel", every(25, "phone")),
  "drift: a channel that is gone": cells("channel", (cell) => (cell === "app" ? "web" : cell)),
  "drift: billed elsewhere": cells("billing", every(6, "XX")),
  "drift: texts in another case, and with spaces": (table) =>
    cells("channel", every(7, " WEB "))({ ...cells("email", every(5, "Jürgen@exämple.de"))(table) }),
  "late rows: the last come first": rows((count) => [...all(count).slice(-30), ...all(count).slice(0, -30)]),
  "late rows: single ones, days too old": cells("time", (cell, row) => (row % 29 === 5 ? DAY_TEXT(cell, -9) : cell)),
  "late rows: from next year": cells("time", (cell, row) => (row > 235 ? DAY_TEXT(cell, 365) : cell)),
  "late rows: in falling order": rows((count) => all(count).reverse()),
  "texts: dates that do not exist": cells("day", (cell, row) =>
    row % 10 === 0 ? "2023-02-29" : row % 10 === 1 ? "2024-3-1" : row % 10 === 2 ? "01.03.2024" : cell,
  ),
  "texts: what is no date": cells("written", (cell, row) =>
    row % 12 === 0 ? "yesterday" : row % 12 === 1 ? "2024-13-45" : row % 12 === 2 ? "" : cell,
  ),
  "texts: terminals renumbered": cells("terminal_id", every(3, "t-99")),
  "texts: payloads of another schema": cells("payload", every(8, '{"items": "many"}')),
  "texts: payloads cut short": cells("payload", every(16, '{"items": 1, "dev')),
  "shape: columns gone, new and in another order": ({ amount, time, ...rest }) => {
    const { country: _gone, ...kept } = rest;
    return { time, amount, ...kept, newcomer: rest.visit };
  },
  "shape: two columns gone": ({ written: _one, email: _other, ...rest }) => rest,
  "shape: one row": rows(() => [4]),
  "shape: no rows": rows(() => []),
};

/** The table and its copies, by name. */
export const PARITY_TABLES: Readonly<Record<string, Columns>> = copiesOf(() => soundTable());

/** The same of somebody's payments. */
export function parityTablesOf(payments: readonly Payment[]): Readonly<Record<string, Columns>> {
  return copiesOf(() => soundTable(payments));
}

function copiesOf(table: () => Record<string, ColumnSource>): Readonly<Record<string, Columns>> {
  const copies = Object.entries(CHANGES).map(([name, change]) => [name, change(table())] as const);
  return { "as it should be": table(), ...Object.fromEntries(copies) };
}
