// What a spec may say, and how a wrong one is refused.
import { expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { FEATURES_MAX } from "../../src/features/definition.ts";
import { compileSpec, covers, layoutOf } from "../../src/features/plan.ts";
import { checkSpec, specHash } from "../../src/features/spec.ts";

const SPEND = { kind: "window", name: "spend", key: ["customer_id"], over: "amount", aggregate: "mean", window: "7d" };
const AMOUNT = { kind: "column", name: "amount", column: "amount" };
const SHOP = { kind: "category", name: "shop", column: "terminal_id", values: ["7", "8"] };
const COLUMNS = ["amount", "customer_id", "terminal_id"];

function specWith(...features: unknown[]): unknown {
  return { name: "card", version: 1, features };
}

/** The refusal's message and hint as one text. */
function refusal(value: unknown, columns: readonly string[] | null = COLUMNS): string {
  try {
    checkSpec(value, columns === null ? {} : { columns });
  } catch (error) {
    if (error instanceof SentinelError) return `${error.code}: ${error.message} | ${error.hint}`;
    throw error;
  }
  return "accepted";
}

test.each([
  ["not an object", 7, /the spec is 7/],
  ["no features", { name: "card", version: 1, features: [] }, /features is \[\]/],
  ["a bad version", { name: "card", version: 0, features: [AMOUNT] }, /version is 0/],
  ["a time zone", { name: "card", version: 1, timeZone: "Europe/Paris", features: [AMOUNT] }, /only "UTC"/],
  [
    "an unknown field",
    { name: "card", version: 1, feature: [AMOUNT] },
    /unknown field feature \| did you mean features\?/,
  ],
  ["an unknown kind", specWith({ kind: "windw", name: "x" }), /kind is "windw" \| did you mean window\?/],
  ["a kind from the prototype", specWith({ kind: "constructor", name: "x" }), /kind is "constructor"/],
  ["a misspelt column", specWith({ ...AMOUNT, column: "amuont" }), /amount: column is "amuont".*did you mean amount\?/],
  ["a misspelt over", specWith({ ...SPEND, over: "fruads" }), /over is "fruads".*did you mean frauds\?/],
  ["a misspelt key", specWith({ ...SPEND, key: ["custmer_id"] }), /key is "custmer_id".*did you mean customer_id\?/],
  ["too many key columns", specWith({ ...SPEND, key: COLUMNS }), /1 to 2 column names/],
  ["a key column twice", specWith({ ...SPEND, key: ["amount", "amount"] }), /each key column once/],
  ["a bad duration", specWith({ ...SPEND, window: "7 days" }), /window is "7 days" \| give a duration/],
  ["an empty window", specWith({ ...SPEND, window: "0s" }), /window is "0s"/],
  ["a window too long", specWith({ ...SPEND, window: "390d", delay: "11d" }), /more than 400 days/],
  ["no values", specWith({ ...SHOP, values: [] }), /shop: values is \[\] \| give an array of 1 to 10000 texts/],
  ["a value that is no text", specWith({ ...SHOP, values: ["a", 7] }), /values holds 7 \| .*a number as its digits/],
  ["a value twice", specWith({ ...SHOP, values: ["a", "b", "a"] }), /values holds "a" twice/],
  ["no aggregate", specWith({ ...SPEND, aggregate: undefined }), /aggregate is missing/],
  ["a sum of frauds", specWith({ ...SPEND, over: "frauds", aggregate: "sum" }), /aggregate is "sum" over frauds/],
  ["a delayed current", specWith({ ...SPEND, delay: "1d", current: true }), /current is true with a delay/],
  ["an unknown aggregate", specWith({ ...SPEND, aggregate: "avg" }), /allowed: count, sum, mean, std, min, max/],
  ["a name twice", specWith(AMOUNT, AMOUNT), /feature amount is there twice/],
  ["a name with spaces", specWith({ ...AMOUNT, name: "the amount" }), /name of feature 1 is "the amount"/],
  [
    "an unknown reference",
    specWith(AMOUNT, { kind: "ratio", name: "r", numerator: "amont", denominator: "amount" }),
    /numerator is "amont", which is no earlier feature \| did you mean amount\?/,
  ],
  [
    "a reference to itself",
    specWith({ kind: "ratio", name: "r", numerator: "r", denominator: "r" }),
    /the feature itself/,
  ],
  [
    "a reference forward",
    specWith({ kind: "difference", name: "d", of: "amount", minus: "amount" }, AMOUNT),
    /which comes later \| move amount before d/,
  ],
  ["no SQL", specWith({ kind: "expression", name: "e", sql: 7 }), /sql is 7 \| give a SQL expression/],
  [
    "a misspelt name in SQL",
    specWith(AMOUNT, { kind: "expression", name: "e", sql: "1 + amuont" }),
    /feature e: sql: line 1, column 5: no column amuont \| did you mean amount\?.*"columns"/,
  ],
  [
    "SQL about a later feature",
    specWith({ kind: "expression", name: "e", sql: "amount + 1" }, AMOUNT),
    /no column amount \| move amount before e/,
  ],
  ["SQL about itself", specWith({ kind: "expression", name: "e", sql: "e + 1" }), /before this one, not to itself/],
  [
    "SQL that gives a text",
    specWith({ kind: "expression", name: "e", sql: "lower(s)", columns: { s: "text" } }),
    /columns is "s", which is no column/,
  ],
  [
    "a text for a feature",
    specWith({ kind: "expression", name: "e", sql: "lower(customer_id)", columns: { customer_id: "text" } }),
    /gives a text \| a feature is a number or a truth/,
  ],
  [
    "a column of an unknown type",
    specWith({ kind: "expression", name: "e", sql: "amount", columns: { amount: "int" } }),
    /type of amount is "int" \| .*allowed: number, text/,
  ],
  ["an infinite number", specWith({ ...SPEND, empty: Number.POSITIVE_INFINITY }), /give a finite number/],
])("%s is refused, with the place and the way out", (_, value, message) => {
  const said = refusal(value);
  expect(said).toMatch(/^features\.spec-invalid: /);
  expect(said).toMatch(message);
});

test("too many features are a limit, not a mistake", () => {
  const many = Array.from({ length: FEATURES_MAX + 1 }, (_, i) => ({ ...AMOUNT, name: `f${i}` }));
  expect(refusal(specWith(...many))).toMatch(/^features\.limit: /);
});

test("a field named __proto__ in JSON is an unknown field", () => {
  const text = '{"name":"card","version":1,"features":[{"kind":"column","name":"a","column":"amount","__proto__":{}}]}';
  expect(refusal(JSON.parse(text))).toMatch(/unknown field __proto__/);
});

test("columns are any when none are declared", () => {
  expect(refusal(specWith({ ...AMOUNT, column: "distance" }), null)).toMatch(/accepted/);
});

test("a column's name that begins with NUL, as names of the state's own do, is refused wherever it stands", () => {
  const name = "\u0000amount";
  const specs = [
    { ...AMOUNT, column: name },
    { ...SPEND, over: name },
    { ...SPEND, key: [name] },
    { kind: "expression", name: "e", sql: "1", columns: { [name]: "number" } },
  ];
  for (const feature of specs) expect(() => checkSpec(specWith(feature))).toThrow(/begins with the character NUL/);
  expect(checkSpec(specWith({ ...AMOUNT, column: "a\u0000" })).features).toHaveLength(1);
});

test("equal specs hash alike, whatever the order of fields; any change changes the hash", () => {
  const spec = checkSpec(specWith(AMOUNT, SPEND));
  const turned = Object.fromEntries(Object.entries(SPEND).reverse());
  expect(specHash(checkSpec(specWith(AMOUNT, turned)))).toBe(specHash(spec));
  expect(specHash(checkSpec(specWith(AMOUNT, { ...SPEND, window: "8d" })))).not.toBe(specHash(spec));
});

test("a layout covers the plans it was made of, and no plan that needs more", () => {
  const plan = (...features: unknown[]) => compileSpec(checkSpec(specWith(...features)));
  const short = plan(SPEND);
  const long = plan({ ...SPEND, window: "30d" });
  const labelled = plan({ ...SPEND, over: "frauds", aggregate: undefined });
  const other = plan({ ...SPEND, over: "distance" });
  const elsewhere = plan({ ...SPEND, key: ["terminal_id"] });
  const both = layoutOf([short, labelled]);
  expect([short, labelled].map((one) => covers(both, one))).toEqual([true, true]);
  expect([long, other, elsewhere].map((one) => covers(both, one))).toEqual([false, false, false]);
  expect(covers(layoutOf([both, long, other, elsewhere]), elsewhere)).toBe(true);
  expect(short.layoutHash).not.toBe(long.layoutHash);
});
