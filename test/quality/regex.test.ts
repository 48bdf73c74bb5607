// Python's regular expressions: spellings that differ from JavaScript's.
import { expect, test } from "vitest";
import { compilePythonRegex } from "../../src/quality/regex.ts";

/** Pattern, text, and what re.search says (checked with Python 3.11). */
const CASES: readonly (readonly [string, string, boolean])[] = [
  ["b", "abc", true],
  ["(?P<x>a)(?P=x)", "xaay", true],
  ["(?P<x>a)(?P=x)", "aba", false],
  ["a\\Z", "a\n", false],
  ["a$", "a\n", true],
  ["a$", "a\n\n", false],
  ["\\Ab", "a\nb", false],
  ["(?m)^b", "a\nb", true],
  ["(?i)ABC", "xabcx", true],
  ["(?s)a.b", "a\nb", true],
  ["a.b", "a\nb", false],
  ["[$]", "a$b", true],
  ["[]x]", "]", true],
  ["[^]x]", "]x", false],
  ["\\$", "$", true],
];

for (const [pattern, text, found] of CASES) {
  test(`${JSON.stringify(pattern)} in ${JSON.stringify(text)}`, () => {
    expect(compilePythonRegex(pattern)!.test(text)).toBe(found);
  });
}

test("what JavaScript has not is refused, not guessed", () => {
  for (const pattern of ["[", "(?x)a b", "(?>a)b", "(?(1)a|b)"]) expect(compilePythonRegex(pattern)).toBeNull();
});
