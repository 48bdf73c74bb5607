// Texts of others on a terminal: whatever they hold, nothing but visible characters comes out, and nothing that was visible is lost.
import fc from "fast-check";
import { expect, test } from "vitest";
import { visible, visibleLines } from "../../src/core/visible.ts";

const NEVER = /(?!)/g;

test.each([
  ["\u001b[2J\u001b[31mred", "\\x1b[2J\\x1b[31mred"],
  ["\u009b2J", "\\x9b2J"],
  ["a\nb\tc\rd\u0007\u007f", "a\\nb\\tc\\rd\\x07\\x7f"],
  ["\u202Eevil\u2066\u2028", "\\u202eevil\\u2066\\u2028"],
  ["Zoë 日本 👩‍🚒 – “x” \\n", "Zoë 日本 👩‍🚒 – “x” \\n"],
])("%j is shown as %j", (text, shown) => {
  expect(visible(text)).toBe(shown);
});

test("no control character of any text comes through, and visible text stays as it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(visible(text)).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
      expect(visibleLines(text, NEVER).replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
      expect(visible(visible(text))).toBe(visible(text));
    }),
  );
});

test("of composed lines, breaks and what is named pass", () => {
  expect(visibleLines("a\u001b[1mb\u001b[22m\nc\u001b[8md", /\p{Cc}\[(?:1|22)m/gu)).toBe(
    "a\u001b[1mb\u001b[22m\nc\\x1b[8md",
  );
});
