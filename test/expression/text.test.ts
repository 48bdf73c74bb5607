// Texts by code point: order, length, folding and patterns, each against another way to get the same.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  compareTexts,
  isLike,
  lengthOf,
  likePattern,
  lowerCase,
  trimSpaces,
  upperCase,
} from "../../src/expression/text.ts";

/** Letters on both sides of the surrogates, where UTF-16 and code points order differently. */
const text = fc.string({ unit: fc.constantFrom("a", "b", "%", "_", "é", "\ufffd", "😀", "😁", "\n"), maxLength: 8 });

test("texts are ordered as their UTF-8 bytes are", () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareTexts(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { numRuns: 1000 },
  );
});

test("a length counts code points, also around a lone surrogate", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(text, fc.constantFrom("\ud83d", "\ude00"))), (parts) => {
      const whole = parts.join("");
      expect(lengthOf(whole)).toBe([...whole].length);
    }),
  );
});

test("a pattern matches what the same regular expression matches", () => {
  const source = (pattern: string): string =>
    [...pattern].map((char) => (char === "%" ? "[^]*" : char === "_" ? "[^]" : char)).join("");
  fc.assert(
    fc.property(text, text, (value, pattern) => {
      expect(isLike(value, likePattern(pattern, "")!)).toBe(new RegExp(`^${source(pattern)}$`, "u").test(value));
    }),
    { numRuns: 2000 },
  );
});

test("a pattern of a text with everything escaped matches that text alone", () => {
  fc.assert(
    fc.property(text, text, (value, other) => {
      const escaped = likePattern([...value].map((char) => `$${char}`).join(""), "$")!;
      expect(isLike(value, escaped)).toBe(true);
      expect(isLike(other, escaped)).toBe(other === value);
    }),
  );
  expect(likePattern("a$", "$")).toBe(null);
  expect(likePattern("a$$", "$")).not.toBe(null);
});

test("folding goes letter by letter", () => {
  expect(lowerCase("ΑΣ İ ÉA")).toBe("ας i éa".replace("ς", "σ"));
  expect(upperCase("straße ŉ é")).toBe("STRAẞE ŉ É");
  expect(trimSpaces("\u00a0\u3000 a b\t \u2009")).toBe("a b\t");
});
