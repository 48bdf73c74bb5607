// Open specs: what is refused, which columns and values a table gives, and that replay and encode agree on the result.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Column, Table } from "../../src/core/table.ts";
import { emptyFields } from "../../src/core/transaction.ts";
import { declareColumns } from "../../src/features/builder.ts";
import { EXCEPT_MAX, LEARNED_VALUES_MAX, type LearnedCategory } from "../../src/features/definition.ts";
import { encodeAndLearn } from "../../src/features/encode.ts";
import { checkOpenSpec, closeSpec, isOpen, learnValues, nameColumns, unlearned } from "../../src/features/open.ts";
import { compileSpec, layoutOf } from "../../src/features/plan.ts";
import { replay } from "../../src/features/replay.ts";
import { checkSpec } from "../../src/features/spec.ts";
import { FeatureState } from "../../src/features/state.ts";
import { textColumn } from "./columns.ts";

const f = declareColumns({ amount: "number", shop: "text", card: "key", mcc: "text" });
const learned: LearnedCategory = { kind: "category", name: "shop", column: "shop", values: "learned", rowsMin: 1 };

function open(...features: readonly unknown[]): ReturnType<typeof checkOpenSpec> {
  return checkOpenSpec({ name: "s", version: 1, features });
}

const numeric = (...names: readonly string[]) => names.map((name) => ({ name, numeric: true }));

test("a spec that leaves nothing open is what it was, bytes included; one that does is never a bundle's", () => {
  const plain = f.spec({ name: "s", version: 1, features: [f.column("amount"), f.category("shop", ["a", "b"])] });
  expect(isOpen(plain)).toBe(false);
  expect(JSON.stringify(unlearned(plain))).toBe(JSON.stringify(checkSpec(plain)));
  const spec = f.spec({ name: "s", version: 1, features: [f.category("shop", { values: "learned", max: 3 })] });
  expect(spec.features).toEqual([{ kind: "category", name: "shop", column: "shop", values: "learned", max: 3 }]);
  expect(isOpen(spec)).toBe(true);
  expect(() => checkSpec(spec)).toThrow(/unknown field max/);
  expect(() => checkSpec({ name: "s", version: 1, features: [{ kind: "columns", all: "numeric" }] })).toThrow(
    /name of/,
  );
});

test.each([
  [{ ...learned, max: 0 }, /max is 0/],
  [{ ...learned, max: LEARNED_VALUES_MAX + 1 }, /max is 254/],
  [{ ...learned, rowsMin: 1.5 }, /rowsMin is 1.5/],
  [{ ...learned, top: 5 }, /unknown field top/],
  [{ ...learned, values: "learnt" }, /values is "learnt"/],
  [{ ...learned, name: "9" }, /name of feature/],
  [{ kind: "columns", all: "text" }, /all is "text"/],
  [{ kind: "columns", all: "numeric", except: "step" }, /except is no list/],
  [{ kind: "columns", all: "numeric", except: Array.from({ length: EXCEPT_MAX + 1 }, String) }, /except is no list/],
  [{ kind: "columns", all: "numeric", name: "x" }, /unknown field name/],
])("a fault is told by its field, case %#", (feature, message) => {
  expect(() => open(feature)).toThrow(message);
});

test("columns twice and a column that nobody declared are refused", () => {
  const all = f.columns({ all: "numeric" });
  expect(() => f.spec({ name: "s", version: 1, features: [all, all] })).toThrow(/columns twice/);
  const features = [{ ...learned, column: "chop" }];
  expect(() => checkOpenSpec({ name: "s", version: 1, features }, { columns: ["shop"] })).toThrow(/no column/);
});

test("all numeric columns: by name, without roles, exceptions, keys, texts and what has a feature already", () => {
  const spec = f.spec({
    name: "s",
    version: 1,
    features: [
      f.column("amount"),
      f.category("mcc", { values: "learned" }),
      f.window("n", { key: "card", over: "transactions", window: "1d" }),
      f.columns({ all: "numeric", except: ["step"] }),
      f.time("hour_of_day", "hour"),
    ],
  });
  const columns = [
    ...numeric("V10", "V9", "amount", "card", "mcc", "step", "time", "1st (%)"),
    { name: "shop", numeric: false },
  ];
  const named = nameColumns(spec, { columns, roles: ["time", "id"] });
  expect(named.features.map((feature) => ("name" in feature ? feature.name : ""))).toEqual([
    ...["amount", "mcc", "n", "_1st____", "V10", "V9", "hour_of_day"],
  ]);
  expect(named.features[3]).toEqual({ kind: "column", name: "_1st____", column: "1st (%)" });
  // The order of the file's columns says nothing.
  expect(nameColumns(spec, { columns: columns.toReversed(), roles: ["time", "id"] })).toEqual(named);
});

test("an exception that the table lacks, one name for two features, and no numeric column at all are refused", () => {
  const spec = open({ kind: "columns", all: "numeric", except: ["V3"] });
  const roles: readonly string[] = [];
  expect(() => nameColumns(spec, { columns: numeric("V1", "V33"), roles })).toThrow(/except names V3/);
  const all = { kind: "columns", all: "numeric" };
  expect(() => nameColumns(open(all), { columns: numeric("a b", "a_b"), roles })).toThrow(/a_b/);
  expect(() =>
    nameColumns(open({ kind: "time", name: "V1", part: "hour" }, all), { columns: numeric("V1"), roles }),
  ).toThrow(/feature V1/);
  expect(() => nameColumns(open(all), { columns: [{ name: "t", numeric: false }], roles })).toThrow(
    /no numeric column/,
  );
  const many = numeric(...Array.from({ length: 1001 }, (_, i) => `V${i}`));
  expect(() => nameColumns(open(all), { columns: many, roles })).toThrow(
    expect.objectContaining({ code: "features.limit" }),
  );
});

test("values are learned by their rows, ties by spelling, from the given rows alone", () => {
  const column = textColumn(["b", "a", "c", "c", null, "d", "d", "d", "x".repeat(121), "x".repeat(121)]);
  const rows = Int32Array.from({ length: 10 }, (_, row) => row);
  expect(learnValues(learned, column, rows)).toEqual(["d", "c", "a", "b"]);
  expect(learnValues({ ...learned, max: 1 }, column, rows)).toEqual(["d"]);
  expect(learnValues({ ...learned, rowsMin: 2 }, column, rows)).toEqual(["d", "c"]);
  expect(learnValues(learned, column, rows.slice(0, 4))).toEqual(["c", "a", "b"]);
  expect(() => learnValues({ ...learned, rowsMin: 4 }, column, rows)).toThrow(/none of the 5 values/);
  const numbers: Column = { kind: "number", values: Float64Array.of(5411, 5411, 7, Number.NaN) };
  expect(learnValues(learned, numbers, rows.slice(0, 4))).toEqual(["5411", "7"]);
});

test("property: the order of rows and of the dictionary change nothing, and no listed value has fewer rows than one left out", () => {
  const cells = fc.array(fc.option(fc.constantFrom("a", "b", "c", "d", "é", "__proto__"), { nil: null }), {
    minLength: 1,
  });
  fc.assert(
    fc.property(cells, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 4 }), (values, max, rowsMin) => {
      const feature = { ...learned, max, rowsMin };
      const rows = Int32Array.from(values, (_, row) => row);
      const count = (text: string): number => values.filter((value) => value === text).length;
      const frequent = [...new Set(values)].filter((value) => value !== null && count(value) >= rowsMin) as string[];
      if (frequent.length === 0) return void expect(() => learnValues(feature, textColumn(values), rows)).toThrow();
      const listed = learnValues(feature, textColumn(values), rows);
      expect(learnValues(feature, textColumn(values.toReversed()), rows)).toEqual(listed);
      expect(listed).toHaveLength(Math.min(max, frequent.length));
      const least = Math.min(...listed.map(count));
      for (const other of frequent) if (!listed.includes(other)) expect(count(other)).toBeLessThanOrEqual(least);
    }),
  );
});

test("property: what a table taught, replay and encode read alike, bit for bit; unseen is other, missing stays missing", () => {
  const row = fc.record({
    shop: fc.option(fc.constantFrom("a", "b", "c", "d", "e", "f"), { nil: null }),
    mcc: fc.option(fc.integer({ min: 0, max: 5 }), { nil: null }),
    amount: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { nil: null }),
    wait: fc.integer({ min: 0, max: 86_400_000 }),
  });
  const spec = f.spec({
    name: "s",
    version: 1,
    features: [
      f.category("shop", { values: "learned", max: 3, rowsMin: 1 }),
      f.category("mcc", { values: "learned", max: 2, rowsMin: 1 }),
      f.columns({ all: "numeric" }),
      f.window("n", { key: "shop", over: "transactions", window: "1d" }),
    ],
  });
  fc.assert(
    fc.property(fc.array(row, { minLength: 4, maxLength: 40 }), (drawn) => {
      let time = 0;
      const sent = drawn.map(({ wait, ...fields }, i) => {
        time += wait;
        return { id: `t${i}`, time, fields };
      });
      const number = (of: (at: number) => number | null): Float64Array =>
        Float64Array.from(sent, (_, at) => of(at) ?? Number.NaN);
      const table: Table = {
        rows: sent.length,
        columns: new Map<string, Column>([
          ["id", textColumn(sent.map(({ id }) => id))],
          ["time", { kind: "time", values: number((at) => sent[at].time) }],
          ["shop", textColumn(sent.map(({ fields }) => fields.shop))],
          ["mcc", { kind: "number", values: number((at) => sent[at].fields.mcc) }],
          ["amount", { kind: "number", values: number((at) => sent[at].fields.amount) }],
        ]),
      };
      const training = Int32Array.from({ length: sent.length >> 1 }, (_, at) => at);
      const hasValues = (["shop", "mcc"] as const).every((name) =>
        training.some((at) => sent[at].fields[name] !== null),
      );
      fc.pre(hasValues);
      const columns = numeric("time", "mcc", "amount");
      const named = nameColumns(spec, { columns, roles: ["id", "time"] });
      const closed = closeSpec(named, (feature) => learnValues(feature, table.columns.get(feature.column)!, training));
      const plan = compileSpec(closed);
      expect(plan.layoutHash).toBe(compileSpec(unlearned(named)).layoutHash);
      const replayed = replay({ spec: plan, table, columns: { id: "id", time: "time" }, labelDelayMs: 0 });
      const state = new FeatureState(layoutOf([plan]));
      const [shops] = closed.features.flatMap((feature) => (feature.kind === "category" ? [feature.values] : []));
      sent.forEach((tx, at) => {
        const fields = Object.assign(emptyFields(), tx.fields);
        const { vector } = encodeAndLearn(state, plan, { ...tx, fields });
        const bits = plan.names.map((_, c) => replayed.values[c * sent.length + at]);
        expect([...vector]).toEqual(bits);
        const place = tx.fields.shop === null ? Number.NaN : shops.indexOf(tx.fields.shop);
        expect(vector[0]).toBe(place === -1 ? shops.length : place);
      });
    }),
  );
});
