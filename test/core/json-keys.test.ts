// Keys of JSON texts: the count of those written, and the one that stands twice.
import fc from "fast-check";
import { expect, test } from "vitest";
import { colonsIn, hasEachKeyOnce, repeatedKey } from "../../src/core/json-keys.ts";

const KEYS = ["a", "b", 'q"', "\\", ":", "", "__proto__", "é", "\u2028"];

/** A JSON value as it may be written: objects as lists of members, so that a key may come again. */
type Written = number | string | null | { readonly list: Written[] } | { readonly members: [string, Written][] };

const written: fc.Arbitrary<Written> = fc.letrec<{ value: Written }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.integer(),
    fc.constantFrom("", ":", '"', '\\"', "\\", "{:}", "2026-01-01T00:00:00Z"),
    fc.constant(null),
    fc.record({ list: fc.array(tie("value"), { maxLength: 3 }) }),
    fc.record({ members: fc.array(fc.tuple(fc.constantFrom(...KEYS), tie("value")), { maxLength: 4 }) }),
  ),
})).value;

function textOf(value: Written, space: string): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if ("list" in value) return `[${space}${value.list.map((one) => textOf(one, space)).join(`${space},`)}]`;
  const members = value.members.map(([key, one]) => `${JSON.stringify(key)}${space}:${space}${textOf(one, space)}`);
  return `{${members.join(`,${space}`)}${space}}`;
}

/** Members of a parsed value, and the colons in its texts. */
function colonsOf(value: unknown): number {
  if (typeof value === "string") return colonsIn(value);
  if (value === null || typeof value !== "object") return 0;
  const more = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce((sum: number, one) => sum + colonsOf(one), more);
}

/** Every key that stands twice in one object. */
function repeatsOf(value: Written): string[] {
  if (value === null || typeof value !== "object") return [];
  if ("list" in value) return value.list.flatMap(repeatsOf);
  const keys = value.members.map(([key]) => key);
  return [...keys.filter((key, at) => keys.indexOf(key) < at), ...value.members.flatMap(([, one]) => repeatsOf(one))];
}

test("whatever is written, a key that stands twice is found, and nothing else is", () => {
  fc.assert(
    fc.property(written, fc.constantFrom("", " ", "\n\t"), (value, space) => {
      const text = textOf(value, space);
      const parsed: unknown = JSON.parse(text);
      const repeats = repeatsOf(value);
      expect(hasEachKeyOnce(text, { value: parsed, colons: colonsOf(parsed) })).toBe(repeats.length === 0);
      const found = repeatedKey(text);
      if (repeats.length === 0) expect(found).toBeNull();
      else expect(repeats).toContain(found);
    }),
  );
});

test("a key written with an escape is the same key", () => {
  expect(repeatedKey('{"amount":1,"\\u0061mount":2}')).toBe("amount");
  // As many colons as a text without the second key would have.
  const hidden = '{"a":"\\u003a","a":"\\u003a"}';
  expect(hasEachKeyOnce(hidden, { value: JSON.parse(hidden), colons: 2 })).toBe(false);
  expect(repeatedKey('{"a":{"b":1},"c":{"b":1}}')).toBeNull();
});
