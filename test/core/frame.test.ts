// Frames carry a table's cells unchanged, and what is no frame is refused.
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeFrame, encodeFrame, frameColumnsOf } from "../../src/core/frame.ts";
import { type Column, type Table, textAt } from "../../src/core/table.ts";

const columnArbitrary = (rows: number): fc.Arbitrary<Column> =>
  fc.oneof(
    fc
      .array(fc.option(fc.string({ unit: "grapheme" }), { nil: null }), { minLength: rows, maxLength: rows })
      .map((texts): Column => {
        const dictionary = [...new Set(texts.filter((text) => text !== null))];
        return { kind: "text", codes: Int32Array.from(texts, (text) => dictionary.indexOf(text!)), dictionary };
      }),
    fc.float64Array({ minLength: rows, maxLength: rows }).map((values): Column => ({ kind: "number", values })),
    fc.float64Array({ minLength: rows, maxLength: rows }).map((values): Column => ({ kind: "time", values })),
    fc
      .array(fc.constantFrom(0, 1, Number.NaN), { minLength: rows, maxLength: rows })
      .map((values): Column => ({ kind: "number", values: Float64Array.from(values), boolean: true })),
  );

const tableArbitrary: fc.Arbitrary<Table> = fc.integer({ min: 0, max: 20 }).chain((rows) =>
  fc.array(columnArbitrary(rows), { maxLength: 6 }).map((columns) => ({
    rows,
    columns: new Map(columns.map((column, i) => [`c${i}`, column])),
  })),
);

test("a table comes out as it went in, wherever its bytes stand", () => {
  fc.assert(
    fc.property(tableArbitrary, fc.integer({ min: 0, max: 9 }), (table, shift) => {
      const columns = frameColumnsOf(table);
      const bytes = encodeFrame(table, columns);
      const moved = new Uint8Array(bytes.length + shift);
      moved.set(bytes, shift);
      const back = decodeFrame(moved.subarray(shift), columns);
      expect(back.rows).toBe(table.rows);
      for (const [name, column] of table.columns) {
        const got = back.columns.get(name)!;
        expect(got.kind).toBe(column.kind);
        if (column.kind !== "text" && got.kind !== "text") expect(got).toEqual(column);
        else for (let row = 0; row < table.rows; row++) expect(textAt(got, row)).toBe(textAt(column, row));
      }
    }),
  );
});

test("numbers of 32 bits come back as the nearest", () => {
  const table: Table = {
    rows: 3,
    columns: new Map([["x", { kind: "number", values: Float64Array.of(0.1, Number.NaN, -0) }]]),
  };
  const columns = [{ name: "x", type: "f32" }] as const;
  const { columns: cells } = decodeFrame(encodeFrame(table, columns), columns);
  expect(cells.get("x")).toEqual({ kind: "number", values: Float64Array.of(Math.fround(0.1), Number.NaN, -0) });
});

test("bytes that are cut, longer or of other columns are refused", () => {
  const table: Table = {
    rows: 2,
    columns: new Map<string, Column>([
      ["a", { kind: "number", values: Float64Array.of(1, 2) }],
      ["b", { kind: "text", codes: Int32Array.of(0, -1), dictionary: ["Zoë"] }],
    ]),
  };
  const columns = frameColumnsOf(table);
  const bytes = encodeFrame(table, columns);
  const refused = /no frame of the columns/;
  for (let length = 0; length < bytes.length; length += 8) {
    expect(() => decodeFrame(bytes.slice(0, length), columns)).toThrow(refused);
  }
  expect(() => decodeFrame(new Uint8Array([...bytes, ...new Uint8Array(8)]), columns)).toThrow(refused);
  expect(() => decodeFrame(bytes, columns.slice(0, 1))).toThrow(refused);
  expect(() => decodeFrame(bytes, [...columns].reverse())).toThrow(refused);
});
