// Expressions by example: what the page says, what is refused and where, and the limits.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import type { ExpressionType, ExpressionValue } from "../../src/expression/compile.ts";
import { compileExpression, namesIn } from "../../src/expression/compile.ts";
import { FUNCTIONS } from "../../src/expression/functions.ts";
import { EXPRESSION_DEPTH_MAX, EXPRESSION_LENGTH_MAX, EXPRESSION_NODES_MAX } from "../../src/expression/syntax.ts";

const PAGE = readFileSync(fileURLToPath(new URL("../../docs/expressions.md", import.meta.url)), "utf8");
const COLUMNS: Readonly<Record<string, ExpressionType>> = {
  amount: "number",
  usual: "number",
  country: "text",
  known: "boolean",
};
const ROW: Readonly<Record<string, ExpressionValue>> = { amount: 30, usual: null, country: "FR", known: true };

function outcome(sql: string, row: Readonly<Record<string, ExpressionValue>> = ROW): ExpressionValue {
  const expression = compileExpression(sql, { columns: COLUMNS });
  return expression.evaluate((column) => row[expression.columns[column]]);
}

/** The refusal's message and hint as one text. */
function refusal(sql: string, columns = COLUMNS): string {
  try {
    compileExpression(sql, { columns });
  } catch (error) {
    if (error instanceof SentinelError) return `${error.code}: ${error.message} | ${error.hint}`;
    throw error;
  }
  return "accepted";
}

test("the examples of the page have the values it gives", () => {
  const section = PAGE.slice(PAGE.indexOf("## Examples"), PAGE.indexOf("## Compared"));
  const rows = [...section.matchAll(/^\| `(.+)` \| (.+) \|$/gm)];
  expect(rows.length).toBeGreaterThan(15);
  for (const [, sql, value] of rows) {
    const plain = sql.replaceAll("\\|", "|");
    const shown = outcome(plain);
    const said = typeof shown === "string" ? `'${shown}'` : String(shown).toUpperCase();
    expect(said, plain).toBe(value);
  }
});

test("the page names every function and no other", () => {
  const rows = PAGE.split("\n").filter((line) => /^\| (numbers|texts|times|places|any) \|/.test(line));
  const named = rows.flatMap((line) => [...line.matchAll(/`([a-z_0-9]+)[`(]/g)].map((match) => match[1]));
  expect(named.toSorted()).toEqual([...FUNCTIONS.keys()].toSorted());
});

test.each([
  ["a misspelt column", "1 + amuont", /line 1, column 5: no column amuont \| did you mean amount\?/],
  ["a misspelt function", "lenght(country)", /column 1: no function lenght \| did you mean length\?/],
  ["a text without quotes", "country = FRANCE", /no column FRANCE \|.*'single quotes'/],
  ["a place in a later line", "amount\n  + lower(amount)", /line 2, column 11: lower takes texts, this is a number/],
  ["a place after an emoji", "'😀' + amount", /line 1, column 1: \+ takes numbers, this is a text/],
  ["a column counted in characters", "'😀' = amount", /line 1, column 7: = mixes texts with a number/],
  ["a comparison of types", "amount = '30'", /mixes numbers with a text \| values are never converted/],
  ["a number as truth", "amount AND known", /AND takes booleans, this is a number/],
  ["branches of two types", "CASE WHEN known THEN 1 ELSE 'x' END", /CASE mixes numbers with a text/],
  ["a list of two types", "amount IN (1, 'x')", /IN mixes numbers with a text/],
  ["a greatest truth", "greatest(known, known)", /greatest takes numbers or texts/],
  ["too few arguments", "power(amount)", /power has 1 arguments \| give 2/],
  ["too many arguments", "round(1, 2, 3)", /round has 3 arguments \| give 1 to 2/],
  ["digits that are no constant", "round(amount, usual)", /digits as a plain whole number/],
  ["too many digits", "round(amount, -16)", /from -15 to 15/],
  ["nothing", "", /the expression ends where a value should be/],
  ["half a sum", "amount +", /line 1, column 9: the expression ends/],
  ["an open bracket", "(amount", /where \) should be/],
  ["an open text", "country = 'FR", /column 11: the ' is never closed/],
  ["an open name", '"amount', /the " is never closed/],
  ["two values", "amount usual", /usual stands where an operator or the end/],
  ["a number with a tail", "12abc", /a follows 12 directly/],
  ["a number beyond all", "1e999", /1e999 is too large/],
  ["NULL alone", "coalesce(NULL, NULL)", /is always NULL/],
  ["a chain", "1 < amount < 3", /< after another operator of its kind \| put brackets/],
  ["a pattern that ends in its escape", "country LIKE 'a$' ESCAPE '$'", /ends in its escape character/],
  ["a long escape", "country LIKE 'a' ESCAPE 'ab'", /ESCAPE takes one character/],
  ["a keyword as a column", "end + 1", /end is a word of the language.*"end"/],
  ["a name quoted in parts", '"card"."age"', /quote the whole name once/],
  // Everything else that SQL can say.
  ["a statement", "SELECT amount", /SELECT is not allowed/],
  ["a subquery", "amount > (SELECT 1)", /column 11: SELECT is not allowed/],
  ["a subquery in IN", "amount IN (select 1)", /SELECT is not allowed/],
  ["a list, which only rules know", "amount IN (SELECT value FROM vips)", /column 8: SELECT is not allowed/],
  ["EXISTS", "EXISTS (select 1)", /EXISTS is not allowed/],
  ["a semicolon", "amount; DROP TABLE x", /a semicolon is not allowed/],
  ["a comment", "amount -- all", /a comment is not allowed/],
  ["a block comment", "amount /* all */", /a comment is not allowed/],
  ["a cast", "amount::text", /a cast is not allowed/],
  ["CAST", "CAST(amount AS text)", /CAST is not allowed/],
  ["a parameter", "amount > $1", /a parameter is not allowed/],
  ["a question mark", "amount > ?", /a parameter is not allowed/],
  ["a window", "abs(amount) OVER ()", /OVER is not allowed \| .*window feature/],
  ["an aggregate", "sum(amount)", /no function sum/],
  ["a star", "count(*)", /\* stands where a value should be/],
  ["a row", "(amount, usual)", /, stands where \) should be/],
  ["a power sign", "amount ^ 2", /write power\(x, y\)/],
  ["an array", "[amount]", /\[ begins nothing/],
  ["a backslash", "amount \\ 2", /\\ begins nothing/],
  ["a no-break space", "amount\u00a0+ 1", /begins nothing/],
  ["IS UNKNOWN", "known IS UNKNOWN", /UNKNOWN stands where NULL, TRUE, FALSE or DISTINCT FROM/],
  ["a table's file", "read_csv('x')", /no function read_csv/],
  ["a quoted function", '"abs"(amount)', /\( stands where/],
])("%s is refused, with the place and the way out", (_, sql, message) => {
  const said = refusal(sql);
  expect(said).toMatch(/^expression\.invalid: line \d+, column \d+: /);
  expect(said).toMatch(message);
});

test("names from the prototype are names like others", () => {
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    expect(refusal(name)).toMatch(`no column ${name}`);
    expect(refusal(`${name}(1)`)).toMatch(`no function ${name}`);
    const expression = compileExpression(`${name} + 1`, { columns: Object.fromEntries([[name, "number"]]) });
    expect(expression.evaluate(() => 2)).toBe(3);
  }
});

test("odd names: dots, quotes, keywords, other alphabets", () => {
  const columns = { "card.age": "number", 'a "b"-c': "number", select: "number", größe: "number" } as const;
  const expression = compileExpression('card.age + "a ""b""-c" + "select" + größe', { columns });
  expect(expression.columns).toEqual(["card.age", 'a "b"-c', "select", "größe"]);
  expect(expression.evaluate((column) => 10 ** column)).toBe(1111);
});

test("columns are listed once, in order of first mention; keywords in any case", () => {
  const expression = compileExpression("Case When usual Is Null Then amount eLsE usual - amount eNd", {
    columns: COLUMNS,
  });
  expect(expression.columns).toEqual(["usual", "amount"]);
  expect(expression.type).toBe("number");
  expect(namesIn("b + a * b")).toEqual(["b", "a"]);
});

test("a number that is not finite is NULL, whatever it is put into", () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    expect(outcome("amount IS NULL", { ...ROW, amount: value })).toBe(true);
    expect(outcome("amount", { ...ROW, amount: value })).toBe(null);
  }
});

test("a value of another type than declared is a bug and stops", () => {
  expect(() => outcome("amount + 1", { ...ROW, amount: "30" })).toThrow(/amount is a number/);
});

test("the way for hot loops and the plain way agree", () => {
  const expression = compileExpression("amount > 10 AND usual < amount", { columns: COLUMNS });
  fc.assert(
    fc.property(fc.double(), fc.option(fc.double(), { nil: null }), (amount, usual) => {
      const plain = expression.evaluate((column) => [amount, usual][column]);
      expression.numbers[0] = Number.isFinite(amount) ? amount : Number.NaN;
      expression.numbers[1] = usual === null || !Number.isFinite(usual) ? Number.NaN : usual;
      expression.run();
      const fast = expression.numbers[expression.result];
      expect(Number.isNaN(fast) ? null : fast === 1).toBe(plain);
    }),
  );
});

test("limits: at them it works, beyond them it says so, and no text overflows the stack", () => {
  const nested = (levels: number): string => `${"(".repeat(levels)}amount${")".repeat(levels)}`;
  expect(refusal(nested(EXPRESSION_DEPTH_MAX - 1))).toBe("accepted");
  expect(refusal(nested(EXPRESSION_DEPTH_MAX))).toMatch(/nested too deeply/);
  const chain = (parts: number): string => `amount${" + 1".repeat(parts)}`;
  expect(refusal(chain((EXPRESSION_NODES_MAX - 1) / 2 - 1))).toBe("accepted");
  expect(refusal(chain(EXPRESSION_NODES_MAX / 2))).toMatch(/more than 1000 parts/);
  expect(refusal(`amount${" ".repeat(EXPRESSION_LENGTH_MAX)}`)).toMatch(/has 10006 characters/);
  const openings = [
    "(",
    "- ",
    "NOT ",
    "CASE WHEN ",
    "abs(",
    "amount IN (",
    "CASE ",
    "1 + (",
    "a BETWEEN ",
    "'x' LIKE ",
  ];
  for (const opening of openings) {
    expect(refusal(opening.repeat(Math.floor(EXPRESSION_LENGTH_MAX / opening.length)))).toMatch(/^expression\.invalid/);
  }
  // A subject that BETWEEN uses twice is computed once, however deep it stands.
  const shared = Array.from({ length: 40 }).reduce<string>((inner) => `(${inner}) BETWEEN FALSE AND TRUE`, "known");
  expect(outcome(shared)).toBe(true);
});

test("any text is either an expression or refused", () => {
  const word = fc.constantFrom(
    ..."amount country known 1 'x' ( ) + - * / % = < > <> || , NOT AND OR IS NULL IN LIKE BETWEEN CASE WHEN THEN END abs coalesce".split(
      " ",
    ),
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(word, { maxLength: 12 }).map((words) => words.join(" ")),
  );
  fc.assert(
    fc.property(text, (sql) => {
      expect(refusal(sql)).toMatch(/^(accepted|expression\.invalid: line)/);
    }),
    { numRuns: 2000 },
  );
});

test("a pattern is matched in time that does not explode", () => {
  const columns = { s: "text", p: "text" } as const;
  const expression = compileExpression("s LIKE p", { columns });
  const row = [`${"a".repeat(5000)}b`, `${"%a".repeat(30)}%c`];
  expect(expression.evaluate((column) => row[column])).toBe(false);
});
