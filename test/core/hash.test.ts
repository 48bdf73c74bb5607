// Canonical JSON and hashes: one spelling for equal values, whatever their keys are called.
import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson, sha256 } from "../../src/core/hash.ts";

/** Keys that objects treat in their own way among plain ones. */
const key = fc.oneof(fc.string(), fc.constantFrom("__proto__", "10", "9", "a\nb", "constructor", "toString"));
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    tie("list"),
    tie("object"),
  ),
  list: fc.array(tie("value"), { maxLength: 4 }),
  object: fc.array(fc.tuple(key, tie("value")), { maxLength: 6 }).map((pairs) => Object.fromEntries(pairs)),
})).value;

/** As the definition says it, for values that came from JSON. */
function definition(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(definition).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((name) => `${JSON.stringify(name)}:${definition(Object.entries(value).find(([other]) => other === name)?.[1])}`).join(",")}}`;
}

test("keys are sorted by code unit at every depth, also those that look like numbers", () => {
  expect(canonicalJson({ b: [{ z: 1, a: undefined, y: null }], a: { 9: 1, 10: 2 } })).toBe(
    '{"a":{"10":2,"9":1},"b":[{"y":null,"z":1}]}',
  );
  fc.assert(
    fc.property(json, (value) => {
      expect(canonicalJson(value)).toBe(definition(value));
    }),
  );
});

test("hashes are SHA-256 of the text in UTF-8, or of the bytes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      const oracle = createHash("sha256").update(text).digest("hex");
      expect(sha256(text)).toBe(oracle);
      expect(sha256(new TextEncoder().encode(text))).toBe(oracle);
    }),
  );
});
