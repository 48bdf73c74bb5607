// Python's regular expressions: spellings that differ from JavaScript's, and patterns that backtracking would never finish.
import fc from "fast-check";
import { RE2JS } from "re2js";
import { expect, test } from "vitest";
import { choiceExponent } from "../../src/expression/pattern-choices.ts";
import { respell } from "../../src/quality/python-regex.ts";
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
  ["^a{,2}$", "aa", true],
  ["^a{,2}$", "aaa", false],
  ["^a{1}{$", "a{", true],
  ["^.$", "\r", true],
  ["^.$", "\u2028", true],
  ["^.$", "😀", true],
  ["(?s)^.$", "\n", true],
  ["(?m)a$", "a\rb", false],
  ["(?m)^b", "a\rb", false],
  ["^(a$|b$)", "a\n", true],
  ["^a$|^b$", "b\n", true],
  ["^(?i:a)b$", "Ab", true],
  ["^(?i:a)b$", "AB", false],
  ["^(?#why)a", "a", true],
  ["^[[:alpha:]]$", "[]", true],
  ["^[[:alpha:]]$", "b", false],
  ["^[\\w.-]+$", "a.-_", true],
  ["^[\\w-.]$", "-", true],
  ["^[\\b]$", "\b", true],
  ["^\\a\\x41\\u00e9\\U0001F600\\101$", "\u0007Aé😀A", true],
  ["^\\-\\@\\/\\ $", "-@/ ", true],
  ["^[\\s\\d]+$", "1 \u3000", true],
  ["^[^\\S]+$", " \t", true],
  ["a(?=b)", "ab", true],
  ["a(?!b)", "ab", false],
  ["(?<!a)b", "ab", false],
  ["(a|b)\\1", "abb", true],
  ["a\\Z", "a", true],
  ["(a$)\\n", "a\n", true],
];

for (const [pattern, text, found] of CASES) {
  test(`${JSON.stringify(pattern)} in ${JSON.stringify(text)}`, () => {
    expect(compilePythonRegex(pattern)!.test(text)).toBe(found);
  });
}

test("what JavaScript has not is refused, not guessed", () => {
  for (const pattern of [
    "[",
    "(?x)a b",
    "(?>a)b",
    "(?(1)a|b)",
    "\\Qa",
    "\\p{L}",
    "\\z",
    "(?<x>a)",
    "a(?i)b",
    "a++",
    "a**",
    "[a",
    "a\\",
  ])
    expect(compilePythonRegex(pattern)).toBeNull();
});

/** Each of them keeps a backtracking engine busy for longer than a test may take. */
test.each([
  ["^(a+)+$", `${"a".repeat(5000)}!`, false],
  ["^(a|a)*$", `${"a".repeat(5000)}!`, false],
  ["^(a?){60}a{60}$", "a".repeat(59), false],
  ["(x+x+)+y", "x".repeat(5000), false],
  ["(.*)*=.*$", "x".repeat(5000), false],
  ["^([a-z0-9]+[-.]?)*@", "a".repeat(5000), false],
  ["a*a*a*a*a*a*b", "a".repeat(2000), false],
  ["^(a+)+$", "a".repeat(100_000), true],
])("%s takes a hostile cell in its stride", (pattern, text, found) => {
  expect(compilePythonRegex(pattern)!.test(text)).toBe(found);
});

test("what only backtracking can do is refused on a cell it may never finish, and the pattern is named", () => {
  for (const pattern of ["^(?=(a+)+$)", "^(a+)+\\1$", "(?!(x+x+)+y)z"]) {
    const test = (): boolean => compilePythonRegex(pattern)!.test(`${"a".repeat(40)}!`);
    expect(test).toThrow(`the pattern ${JSON.stringify(pattern)} could take for ever on a cell of 41 characters`);
    expect(test).toThrow(expect.objectContaining({ code: "quality.suite-invalid" }));
  }
  const usual = compilePythonRegex("^(?!.*test).*@(?=[a-z])")!;
  expect(usual.test(`someone${".".repeat(400)}@example.com`)).toBe(true);
  expect(() => usual.test("x".repeat(20_000))).toThrow(/it may see 9999/);
});

test.each([
  ["^abc$", 0],
  ["abc", 1],
  ["^a+$", 1],
  ["^[\\w]+@[a+*]{2,}$", 2],
  ["^(ab){3}$", 0],
  ["^(ab)*$", 1],
  ["^(a|b)c$", 1],
  ["^(a+b?){3}$", 6],
  ["^(a+)?$", 2],
  ["^a+?b*?$", 2],
  ["^(a+)+$", Number.POSITIVE_INFINITY],
  ["^((a|b)c)*$", Number.POSITIVE_INFINITY],
  ["^(?=.*a).*\\1$", 3],
])("%s has choices that grow with the text to the power of %d", (pattern, exponent) => {
  expect(choiceExponent(pattern)).toBe(exponent);
});

test("both engines find the same, so that the length of a cell decides nothing", () => {
  const atom = fc.constantFrom("a", "b", ".", "\\d", "\\W", "\\s", "[^ab]", "[\\w-]", "\\n", "-", "{", "é", "😀");
  const quantifier = fc.constantFrom("", "", "*", "+?", "?", "{2}", "{,2}", "{1,}");
  const anchor = fc.constantFrom("^", "$", "\\b", "\\A", "\\Z");
  const piece = fc.oneof({ weight: 6, arbitrary: fc.tuple(atom, quantifier).map((parts) => parts.join("")) }, anchor);
  const group = fc
    .tuple(fc.array(piece, { minLength: 1, maxLength: 3 }), quantifier)
    .map(([inner, often]) => `(${inner.join("|")})${often}`);
  const head = fc.constantFrom("", "(?i)", "(?m)", "(?s)");
  const pattern = fc
    .tuple(head, fc.array(fc.oneof(piece, group), { minLength: 1, maxLength: 4 }))
    .map(([flags, pieces]) => flags + pieces.join(""));
  const text = fc
    .array(fc.constantFrom("a", "b", "A", "1", " ", "-", "{", "\n", "\r", "é", "😀", "\u2028"), { maxLength: 8 })
    .map((parts) => parts.join(""));
  let compared = 0;
  fc.assert(
    fc.property(pattern, text, (source, cell) => {
      const { javascript, re2 } = respell(source)!;
      if (javascript === null || re2 === null) return;
      compared++;
      expect(RE2JS.compile(re2).test(cell)).toBe(new RegExp(javascript.pattern, javascript.flags).test(cell));
    }),
    { numRuns: 3000 },
  );
  expect(compared).toBeGreaterThan(1000);
});
