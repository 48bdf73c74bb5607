// A plan replayed key by key over partitions of the rows gives the bits of one replay of them all.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeFrame, encodeFrame, frameColumnsOf } from "../../src/core/frame.ts";
import { type Column, type Table, takeRows, textAt } from "../../src/core/table.ts";
import {
  ID_COLUMN,
  type KeyPass,
  KNOWN_COLUMN,
  keyPasses,
  LABEL_COLUMN,
  PartitionReplay,
  ROW_COLUMN,
  TIME_COLUMN,
} from "../../src/features/by-key.ts";
import { hashId } from "../../src/features/labels.ts";
import { carriedColumn, compileSpec, type FeaturePlan } from "../../src/features/plan.ts";
import { replay } from "../../src/features/replay.ts";
import { checkSpec } from "../../src/features/spec.ts";
import { joinKey } from "../../src/features/state.ts";
import { numberColumn, textColumn, timeColumn } from "./columns.ts";
import { labelArbitrary, ownKeysArbitrary, PROTO, streamArbitrary } from "./streams.ts";

const NUMBERS = [PROTO, "amount", "terminal"];
const AMPLE = { stateBytesMax: 2 ** 30 };
function values(table: Table, name: string): Float64Array {
  const column = table.columns.get(name);
  if (column === undefined || column.kind === "text") throw new Error(`${name} holds numbers`);
  return column.values;
}

/** All passes, each over `partitions` parts that are cut into frames, as an engine would run them: the vectors by row. */
function byKey(
  plan: FeaturePlan,
  table: Table,
  how: {
    readonly partitions: number;
    readonly frameRows: number;
    readonly limits?: { readonly stateBytesMax: number };
  },
): Float32Array {
  const rows = new Map(table.columns);
  const out = new Float32Array(plan.width * table.rows);
  for (const pass of keyPasses(plan)) {
    const names = Array.from(pass.finds, (feature) => carriedColumn(plan.names[feature]));
    const found = names.map(() => new Float64Array(table.rows));
    const partOf = Int32Array.from({ length: table.rows }, (_, row) =>
      partition(table, pass, { row, of: how.partitions }),
    );
    for (let part = 0; part < how.partitions; part++) {
      const own = Array.from(partOf.keys()).filter((row) => partOf[row] === part);
      const times = values(table, TIME_COLUMN);
      own.sort((a, b) => times[a] - times[b] || a - b);
      const pick = new PartitionReplay(pass, how.limits ?? AMPLE);
      for (let from = 0; from < own.length; from += how.frameRows) {
        const some = Int32Array.from(own.slice(from, from + how.frameRows));
        const frame = takeRows({ rows: table.rows, columns: rows }, some);
        const columns = frameColumnsOf(frame);
        const got = names.map(() => new Float64Array(some.length));
        pick.next(decodeFrame(encodeFrame(frame, columns), columns), got);
        some.forEach((row, i) => {
          for (let f = 0; f < got.length; f++) found[f][row] = got[f][i];
        });
      }
      pick.end();
    }
    names.forEach((name, f) => {
      rows.set(name, { kind: "number", values: found[f] });
    });
    if (pass.isLast) for (const [f, column] of found.entries()) out.set(column, pass.finds[f] * table.rows);
  }
  return out;
}

function partition(table: Table, { key }: KeyPass, { row, of }: { readonly row: number; readonly of: number }): number {
  const text = key === null ? null : joinKey(key.map((name) => textAt(table.columns.get(name)!, row)));
  return hashId(text ?? String(row)) % of;
}

test("partitions of random specs and streams, with ties and late labels, give the bits of one replay", () => {
  let fraudsSeen = 0;
  let keysMost = 0;
  fc.assert(
    fc.property(
      ownKeysArbitrary,
      streamArbitrary,
      fc.array(labelArbitrary, { minLength: 80, maxLength: 80 }),
      fc.constantFrom(1, 2, 7),
      fc.constantFrom(1, 3, 1000),
      (spec, events, labels, partitions, frameRows) => {
        const transactions = events.filter((event) => event.kind === "transaction").map((event) => event.transaction);
        const plan = compileSpec(spec);
        keysMost = Math.max(keysMost, plan.series.length);
        const times = transactions.map(({ time }) => Math.floor(time));
        const frauds = transactions.map((_, row) => labels[row].fraud);
        const known = frauds.map((fraud, row) => (Number.isNaN(fraud) ? Number.NaN : times[row] + labels[row].after));
        fraudsSeen += frauds.filter((fraud) => fraud === 1).length;
        const number = (name: string): Column =>
          numberColumn(
            transactions.map(({ fields }) => (typeof fields[name] === "number" ? fields[name] : Number.NaN)),
          );
        const ids = textColumn(transactions.map((_, row) => `t${row}`));
        const own = new Map<string, Column>([
          ["customer", textColumn(transactions.map(({ fields }) => fields.customer as string | null))],
          ...NUMBERS.map((name) => [name, number(name)] as const),
        ]);
        const rows = transactions.length;
        const whole = replay({
          spec: plan,
          table: {
            rows,
            columns: new Map([
              ...own,
              ["id", ids],
              ["when", timeColumn(times)],
              ["fraud", numberColumn(frauds)],
              ["known", timeColumn(known)],
            ]),
          },
          columns: { id: "id", time: "when", label: "fraud", labelKnownAt: "known" },
          labelDelayMs: 0,
        });
        const cut = byKey(
          plan,
          {
            rows,
            columns: new Map([
              ...own,
              [ROW_COLUMN, numberColumn(times.keys())],
              [TIME_COLUMN, timeColumn(times)],
              [ID_COLUMN, ids],
              [LABEL_COLUMN, numberColumn(frauds)],
              [KNOWN_COLUMN, timeColumn(known)],
            ]),
          },
          { partitions, frameRows },
        );
        expect(new Int32Array(cut.buffer)).toEqual(new Int32Array(whole.values.buffer));
      },
    ),
    { numRuns: 120 },
  );
  expect(fraudsSeen).toBeGreaterThan(100);
  expect(keysMost).toBeGreaterThan(1);
});

const PAIRS = checkSpec({
  name: "pairs",
  version: 1,
  features: [
    { kind: "window", name: "n", key: ["customer"], over: "transactions", window: "30d" },
    { kind: "window", name: "sum", key: ["customer"], over: "amount", aggregate: "sum", window: "30d" },
    { kind: "window", name: "m", key: ["terminal"], over: "transactions", window: "30d" },
    { kind: "ratio", name: "share", numerator: "sum", denominator: "m" },
  ],
});

function busy(rows: number, keys: number): Table {
  const number = (of: (row: number) => number): Column =>
    numberColumn(Array.from({ length: rows }, (_, row) => of(row)));
  return {
    rows,
    columns: new Map<string, Column>([
      ["customer", number((row) => (row % 10 === 0 ? 0 : 1 + (row % keys)))],
      ["terminal", number((row) => row % 3)],
      ["amount", number((row) => (row === 5 ? 1e308 : row === 15 ? 1.7e308 : row / 7))],
      [ROW_COLUMN, number((row) => row)],
      [TIME_COLUMN, timeColumn(Array.from({ length: rows }, (_, row) => 1000 * row))],
      [ID_COLUMN, number((row) => row)],
      [LABEL_COLUMN, number(() => 0)],
      [KNOWN_COLUMN, timeColumn(Array.from({ length: rows }, (_, row) => 1000 * row + 5))],
    ]),
  };
}

test("a sum beyond the largest number goes into a ratio of the last pass as it was found", () => {
  const plan = compileSpec(PAIRS);
  const table = busy(40, 5);
  const whole = replay({
    spec: plan,
    table: { ...table, columns: new Map([...table.columns, ["id", table.columns.get(ID_COLUMN)!]]) },
    columns: { id: "id", time: TIME_COLUMN, label: LABEL_COLUMN },
    labelDelayMs: 5,
  });
  const share = whole.values.subarray(3 * 40);
  expect(Math.max(...share)).toBeGreaterThan(3e38);
  const cut = byKey(plan, table, { partitions: 2, frameRows: 7 });
  expect(new Int32Array(cut.buffer)).toEqual(new Int32Array(whole.values.buffer));
});

test("a state that takes more than it may is an error that names the largest key", () => {
  const plan = compileSpec(PAIRS);
  const run = (stateBytesMax: number): unknown =>
    byKey(plan, busy(20_000, 1000), { partitions: 1, frameRows: 1000, limits: { stateBytesMax } });
  expect(() => run(300_000)).toThrow(/one partition of the key customer holds .* its largest is "0" with/);
  expect(() => run(2 ** 30)).not.toThrow();
});

test("rows that come out of order are a bug, not another result", () => {
  const [pass] = keyPasses(compileSpec(PAIRS));
  const found = Array.from(pass.finds, () => new Float64Array(3));
  const table = takeRows(busy(3, 2), Int32Array.of(0, 2, 1));
  expect(() => new PartitionReplay(pass, AMPLE).next(table, found)).toThrow(/data row 2 came after data row 3/);
});

test("a feature that looks for its key among the values of another column is refused", () => {
  const window = { kind: "window", over: "transactions", window: "1d" };
  const features = [{ ...window, name: "sent", key: ["terminal"], history: ["customer"] }];
  const plan = compileSpec(checkSpec({ name: "roles", version: 1, features }));
  expect(() => keyPasses(plan)).toThrow(/feature sent looks for its key among the values of other columns/);
});
