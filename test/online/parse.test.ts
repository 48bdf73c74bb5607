// Parsing at the door: times, JSON with the place of its fault, lines of a stream.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { parseJson } from "../../src/online/json.ts";
import { compileSchema, createParser } from "../../src/online/parse.ts";
import { loadPipeline } from "../../src/pipeline/pipeline.ts";
import { readLines } from "../../src/server/body.ts";
import { pipelineOf } from "../lifecycle/world.ts";

test("whatever JSON.parse reads is read the same; what it refuses is refused with a place inside the text", () => {
  fc.assert(fc.property(fc.json(), (text) => void expect(parseJson(text)).toEqual(JSON.parse(text))));
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.constantFrom("", "x", ",", "]", "}", '"', ":", "1", "-"), (json, at, put) => {
      const place = at % (json.length + 1);
      const text = json.slice(0, place) + put + json.slice(place + 1);
      // What is too large for a double is refused on purpose, unlike JSON.parse.
      fc.pre(!/e\+?\d{3}/i.test(text));
      let good = true;
      try {
        JSON.parse(text);
      } catch {
        good = false;
      }
      if (good) return void parseJson(text);
      const error = thrown(() => parseJson(text));
      expect(error.code).toBe("request.malformed");
      const offset = /offset (\d+)/.exec(error.message)?.[1];
      if (offset !== undefined) {
        expect(Number(offset)).toBeLessThanOrEqual(text.length);
      }
    }),
    { numRuns: 500 },
  );
});

test.each([
  ['{"a":1,}', 7],
  ['{"a" 1}', 5],
  ["[1 2]", 3],
  ["[1,]", 3],
  ["{a:1}", 1],
  ['{"a":tru}', 5],
  ['{"a":"x', 5],
  ["[1]]", 3],
  ["[1}", 2],
  ["01", 1],
  ['["\u0001"]', 1],
])("the fault in %s is at %i", (text, offset) => {
  expect(thrown(() => parseJson(text)).message).toContain(`(offset ${offset})`);
});

test("fields that a pattern of the schema names reach the features, a thousand of them; the label never does", () => {
  const properties = { transaction_id: {}, amount: { type: "number" }, customer_id: {} };
  const patternProperties = { "^V[0-9]+$": { type: ["number", "null"] }, "^is_": {} };
  const pipeline = loadPipeline(fileURLToPath(new URL("../..", import.meta.url)), "card");
  const parser = createParser({ pipeline, schema: { properties, patternProperties }, aheadMaxMs: 1000 });
  const payment = { transaction_id: "a", amount: 1, customer_id: "c" };
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`V${i}`, i / 7]));
  const { transaction, extra } = parser.parse({ ...payment, ...many, v1: 3, is_fraud: 1, is_web: true }, 0);
  expect({ ...transaction.fields }).toEqual({ amount: 1, customer_id: "c", is_web: true, ...many });
  expect({ ...extra }).toEqual({ v1: 3, is_fraud: 1 });
  expect(() => parser.parse({ ...payment, V1: "much" }, 0)).toThrow(SentinelError);
  const tooMany = Object.fromEntries(Array.from({ length: 1201 }, (_, i) => [`V${i}`, i]));
  expect(() => parser.parse({ ...payment, ...tooMany }, 0)).toThrow(SentinelError);
});

function thrown(run: () => unknown): SentinelError {
  try {
    run();
  } catch (error) {
    if (error instanceof SentinelError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

test("the repository's own pipeline takes the examples of its schema", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const pipeline = loadPipeline(root, "card");
  const schema = JSON.parse(readFileSync(pipeline.schemaFile, "utf8")) as { readonly examples: readonly object[] };
  const parser = createParser({ pipeline, schema, aheadMaxMs: 0 });
  const now = Date.UTC(2030, 0, 1);
  expect(schema.examples.length).toBeGreaterThan(0);
  for (const example of schema.examples) {
    const { transaction, timed } = parser.parse(example, now);
    expect(transaction.id).not.toBe("");
    if (!timed) expect(transaction.time).toBe(now);
  }
  const leaking = { ...schema.examples[0], tx_fraud: 1, colour: "red" };
  const { transaction, extra } = parser.parse(leaking, now);
  expect(transaction.fields.is_fraud).toBeUndefined();
  expect(extra).toEqual({ tx_fraud: 1, colour: "red" });
});

test("lines come out the same however the stream is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: "grapheme" }).filter((line) => !/[\n\r]/.test(line))),
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
      async (lines, sizes) => {
        const bytes = new TextEncoder().encode(lines.join("\n"));
        async function* cut() {
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const size = sizes[i % sizes.length];
            yield bytes.subarray(at, at + size);
            at += size;
          }
        }
        const read: unknown[] = [];
        for await (const lines of readLines(cut(), 10_000)) read.push(...lines);
        // A byte order mark at the start is no part of the text.
        const ended = lines.at(-1) === "" ? lines.slice(0, -1) : lines;
        expect(read).toEqual(ended.map((line) => line.replace(/^\ufeff/, "")));
      },
    ),
  );
});

test("a time before any plausible one is refused, as text and as a number in another unit", () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const pipeline = loadPipeline(root, "card");
  const schema = JSON.parse(readFileSync(pipeline.schemaFile, "utf8")) as object;
  const parser = createParser({ pipeline, schema, aheadMaxMs: 0 });
  const now = Date.UTC(2026, 2, 1);
  const at = (time: unknown) =>
    parser.parse({ transaction_id: "t", amount: 1, customer_id: "c", terminal_id: "m", time }, now).transaction.time;
  expect(at("2018-04-01T00:00:00Z")).toBe(Date.UTC(2018, 3, 1));
  for (const time of [
    "0000-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "1989-12-31T23:59:59Z",
    Math.floor(now / 1000),
    0,
  ]) {
    expect(() => at(time)).toThrow(/is (.*as milliseconds.*|"\d{4}-.*), not a time between 1990-01-01 and 2100-01-01/);
  }
});

/** The first three keep a backtracking engine busy for longer than a test may take. */
test.each([
  ["^(a+)+$", `${"a".repeat(5000)}!`, false],
  ["(x+x+)+y", "x".repeat(5000), false],
  ["^([\\s\\d]|\\s|\\d)*$", `${"1 ".repeat(2000)}!`, false],
  ["^(a+)+$", "a".repeat(5000), true],
  ["^.*\\S$", `${" x".repeat(500)}\r`, false],
  ["^\\[\\S+.*\\s\\]$", `[${"x".repeat(500)}\ufeff]`, true],
  ["^[A-Z]{2}$", "DE", true],
  ["^[A-Z]{2}$", "DE\n", false],
])("a schema's pattern %s takes a hostile text in its stride", (pattern, text, valid) => {
  expect(compileSchema({ properties: { a: { type: "string", pattern } } })({ a: text })).toBe(valid);
});

test("a schema whose pattern only backtracking can do is refused by the pattern's name", () => {
  for (const pattern of ["^(?=(a+)+$)", "^(a+)+\\1$", "^(?!.*x).*$"]) {
    expect(() => compileSchema({ properties: { a: { pattern } } })).toThrow(
      `pattern ${JSON.stringify(pattern)} could take`,
    );
  }
  expect(compileSchema({ properties: { a: { pattern: "^(?!x)a" } } })({ a: "ab" })).toBe(true);
});

test("a schema that is none is refused whatever was checked before, and one with a name may come again", () => {
  const valid = compileSchema({ $id: "payment", type: "object", required: ["a"] });
  for (let turn = 0; turn < 2; turn++) {
    expect(() => compileSchema({ type: "objekt" })).toThrow(/schema is invalid: data\/type must be/);
    expect(() => compileSchema({ $schema: "http://json-schema.org/draft-07/schema#" })).toThrow(/draft-07/);
    expect(compileSchema({ $id: "payment", type: "object", required: ["b"] })({ a: 1 })).toBe(false);
  }
  expect([valid({ a: 1 }), valid({ b: 1 })]).toEqual([true, false]);
});

test("each pattern of a schema is its own", () => {
  const valid = compileSchema({
    properties: { a: { pattern: "^a+$" }, b: { pattern: "^b+$" }, c: { pattern: "^a+$" } },
  });
  expect(valid({ a: "aa", b: "b", c: "a" })).toBe(true);
  expect(valid({ a: "aa", b: "a" })).toBe(false);
  expect(valid({ c: "b" })).toBe(false);
});

test("infinity, which binary messages can hold, is refused by its field whatever the schema says; NaN is missing", () => {
  const parser = createParser({ pipeline: pipelineOf(), schema: { properties: { balance: {} } }, aheadMaxMs: 0 });
  const parse = (balance: number) =>
    parser.parse({ transaction_id: "a", time: "2024-05-01", balance }, Date.UTC(2025, 0, 1));
  expect(parse(Number.NaN).transaction.fields.balance).toBeNull();
  expect(parse(-0).transaction.fields.balance).toBe(0);
  for (const infinite of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    expect(thrown(() => parse(infinite)).message).toMatch(/balance must be a number/);
});
