// Differential test: random expressions on random rows have the values that DuckDB gives them.

import type { DuckDBConnection } from "@duckdb/node-api";
import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import type { CompiledExpression } from "../../src/expression/compile.ts";
import { compileExpression } from "../../src/expression/compile.ts";
import type { Piece, Row } from "./random.ts";
import { COLUMNS, exactArbitrary, inexactArbitrary, quoteText, rowArbitrary } from "./random.ts";

let connection: DuckDBConnection;

beforeAll(async () => {
  connection = await (await DuckDBInstance.create(":memory:", { threads: "1" })).connect();
  // Division by 0 is NULL; by IEEE it would be an infinity.
  await connection.run("SET ieee_floating_point_ops = false");
});
afterAll(() => connection.closeSync());

const DUCK_TYPE = { number: "DOUBLE", text: "VARCHAR", boolean: "BOOLEAN" } as const;

function tableOf(rows: readonly Row[]): string {
  const literal = (value: Row[string], name: string): string => {
    const text =
      typeof value === "string" ? quoteText(value) : typeof value === "number" ? value.toExponential() : value;
    return `CAST(${text} AS ${DUCK_TYPE[COLUMNS[name]]})`;
  };
  const names = Object.keys(COLUMNS);
  const lines = rows.map((row, at) => `(${at}, ${names.map((name) => literal(row[name], name)).join(", ")})`);
  return `(VALUES ${lines.join(", ")}) AS v(line, ${names.join(", ")})`;
}

/** What DuckDB says: one list of values a row. */
async function duckValues(pieces: readonly Piece[], rows: readonly Row[]): Promise<unknown[][]> {
  const select = pieces.map(({ duck }, i) => `${duck} AS e${i}`).join(",\n");
  const result = await connection.runAndReadAll(`SELECT ${select} FROM ${tableOf(rows)} ORDER BY line`);
  return result.getRowsJS() as unknown[][];
}

/** null for an expression that is NULL and nothing else, which has no type and is refused. */
function compiled(piece: Piece): CompiledExpression | null {
  try {
    return compileExpression(piece.ours, { columns: COLUMNS });
  } catch (error) {
    if (error instanceof SentinelError && error.message.endsWith("is always NULL")) return null;
    throw new Error(`${piece.ours}: ${String(error)}`, { cause: error });
  }
}

const plain = (value: unknown): unknown => (typeof value === "number" ? value + 0 : value);

async function compareAll(
  input: { readonly pieces: readonly Piece[]; readonly rows: readonly Row[] },
  same: (ours: unknown, theirs: unknown) => boolean,
): Promise<number> {
  const theirs = await duckValues(input.pieces, input.rows);
  let compared = 0;
  input.pieces.forEach((piece, p) => {
    const expression = compiled(piece);
    if (expression === null) return;
    input.rows.forEach((row, r) => {
      const ours = expression.evaluate((column) => row[expression.columns[column]]);
      compared++;
      if (same(ours, theirs[r][p])) return;
      expect.fail(
        `${piece.ours}\n${piece.duck}\nrow ${JSON.stringify(row)}\n${String(ours)} ≠ ${String(theirs[r][p])}`,
      );
    });
  });
  return compared;
}

test("expressions have DuckDB's values, to the last bit", async () => {
  let compared = 0;
  const pieces = fc.array(exactArbitrary, { minLength: 1, maxLength: 60, size: "max" });
  const rows = fc.array(rowArbitrary, { minLength: 1, maxLength: 8, size: "max" });
  await fc.assert(
    fc.asyncProperty(pieces, rows, async (some, table) => {
      compared += await compareAll({ pieces: some, rows: table }, (a, b) => Object.is(plain(a), plain(b)));
    }),
    { numRuns: 120 },
  );
  expect(compared).toBeGreaterThan(5000);
});

test("logarithms, exponentials and powers agree with DuckDB's to 1e-12", async () => {
  const close = (a: unknown, b: unknown): boolean => {
    if (typeof b !== "number" || !Number.isFinite(b)) return a === null;
    return typeof a === "number" && Math.abs(a - b) <= 1e-12 * Math.abs(b);
  };
  const pieces = fc.array(inexactArbitrary, { minLength: 1, maxLength: 30, size: "max" });
  const rows = fc.array(rowArbitrary, { minLength: 1, maxLength: 8, size: "max" });
  await fc.assert(
    fc.asyncProperty(pieces, rows, async (some, table) => {
      await compareAll({ pieces: some, rows: table }, close);
    }),
    { numRuns: 40 },
  );
});

test("where DuckDB overflows to infinity, the value is NULL; otherwise they agree up to the largest numbers", async () => {
  const large = fc.constantFrom(1.7e308, -1.7e308, 1e200, 5e-324, -1e-300, 3, 0, -0);
  const row = fc.record({
    x: large,
    y: large,
    z: large,
    s: fc.constant(""),
    t: fc.constant(""),
    f: fc.constant(true),
    g: fc.constant(true),
  });
  const both = (text: string): Piece => ({ ours: text, duck: text, power: 0 });
  const pieces = [
    "x + y",
    "x - y",
    "x * y",
    "x / y",
    "x % y",
    "-x",
    "abs(x)",
    "round(x)",
    "round(x, 5)",
    "round(x, -5)",
  ].map(both);
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 8 }), async (rows) => {
      await compareAll({ pieces, rows }, (a, b) =>
        typeof b === "number" && !Number.isFinite(b) ? a === null : Object.is(plain(a), plain(b)),
      );
    }),
    { numRuns: 40 },
  );
});

test("upper, lower and ILIKE fold every letter of the Latin, Greek and Cyrillic alphabets as DuckDB does", async () => {
  // ƛ and ɤ have an upper case since Unicode 16, which not every Node and DuckDB knows.
  const letters = Array.from({ length: 0x530 - 0x20 }, (_, i) => String.fromCharCode(0x20 + i)).filter(
    (letter) => !"ƛɤ".includes(letter),
  );
  const rows = letters.map((letter) => ({ x: null, y: null, z: null, s: `ab${letter}`, t: null, f: null, g: null }));
  const both = (text: string): Piece => ({ ours: text, duck: text, power: 0 });
  const pieces = ["upper(s)", "lower(s)", "s ILIKE upper(s)", "trim(s)", "length(s) + 0.5e0"].map(both);
  await compareAll({ pieces, rows }, (a, b) => Object.is(a, b));
});
