// Codes: every value keeps its number, also when one Map is full.
import { expect, test } from "vitest";
import { Codes } from "../../src/core/codes.ts";

test("values keep their codes over several maps", () => {
  const codes = new Codes<string>({ entriesMax: 3 });
  const texts = Array.from({ length: 10 }, (_, i) => `t${i}`);
  for (const [code, text] of texts.entries()) {
    expect(codes.get(text)).toBeUndefined();
    codes.set(text, code);
  }
  expect(texts.map((text) => codes.get(text))).toEqual(texts.map((_, i) => i));
  expect(codes.get("t10")).toBeUndefined();
});
