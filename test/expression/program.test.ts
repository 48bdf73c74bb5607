// A program of many expressions gives each of them the value that it has alone, whatever parts they share.
import fc from "fast-check";
import { expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { typesOf } from "../../src/expression/check.ts";
import { compileExpression } from "../../src/expression/compile.ts";
import { parseExpression } from "../../src/expression/parse.ts";
import { printNode } from "../../src/expression/print.ts";
import { compileProgram } from "../../src/expression/program.ts";
import type { Node } from "../../src/expression/syntax.ts";
import { COLUMNS, exactArbitrary, type Row, rowArbitrary } from "./random.ts";

const columns = new Map(Object.entries(COLUMNS));

/** Conditions and numbers only: a program has no texts as results. */
function readable(text: string): { readonly text: string; readonly tree: Node } | null {
  try {
    const tree = parseExpression(text);
    const type = typesOf(tree, { text, columns }).get(tree);
    return type === "boolean" || type === "number" ? { text, tree } : null;
  } catch (error) {
    // Written out in full, a tree may have more brackets than the language takes.
    if (error instanceof SentinelError) return null;
    throw error;
  }
}

function alone(text: string, row: Row): number {
  const compiled = compileExpression(text, { columns: COLUMNS });
  const value = compiled.evaluate((i) => row[compiled.columns[i]]);
  return value === null ? Number.NaN : Number(value) + 0;
}

test("all together and each alone", () => {
  fc.assert(
    fc.property(
      fc.array(exactArbitrary, { minLength: 2, maxLength: 12 }),
      fc.array(rowArbitrary, { minLength: 1, maxLength: 5 }),
      (pieces, rows) => {
        const all = pieces.flatMap(({ ours }) => readable(ours) ?? []);
        const program = compileProgram(
          all.map(({ tree }) => tree),
          columns,
        );
        for (const row of rows) {
          for (const [at, name] of program.columns.entries()) {
            const value = row[name];
            if (typeof value === "string" || columns.get(name) === "text") program.texts[at] = value as string | null;
            else program.numbers[at] = value === null ? Number.NaN : Number(value);
          }
          program.run();
          for (const [i, { text }] of all.entries())
            expect(program.numbers[program.results[i]] + 0, text).toBe(alone(text, row));
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("a tree printed and read again is the same", () => {
  fc.assert(
    fc.property(exactArbitrary, rowArbitrary, ({ ours }, row) => {
      const read = readable(ours);
      const again = read === null ? null : readable(printNode(read.tree));
      if (read !== null && again !== null) expect(alone(again.text, row)).toBe(alone(ours, row));
    }),
    { numRuns: 300 },
  );
});

test("a part that several conditions have is computed once", () => {
  const trees = ["x + y > 1 AND s = 'a'", "s = 'a' AND x + y > 2", "y + x > 1 OR s IN ('a', 'b')"].map(parseExpression);
  const single = trees.map((tree) => compileProgram([tree], columns).steps).reduce((sum, steps) => sum + steps, 0);
  const { steps } = compileProgram(trees, columns);
  expect(single).toBe(15);
  // x + y, three comparisons of which two are the same, the code of s, = and IN, two ANDs, one OR.
  expect(steps).toBe(9);
});
