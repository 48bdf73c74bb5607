// Tables for the tests of this folder, made from plain lists.
import type { Column, Table } from "../../src/core/table.ts";
import { parseInstant } from "../../src/quality/cells.ts";
import { evaluateExpectation } from "../../src/quality/evaluate.ts";
import type { ExpectationResult } from "../../src/quality/result.ts";
import { makeExpectation, parseSuite, type Suite } from "../../src/quality/suite.ts";

export type Cell = number | string | null;

export interface ColumnSource {
  readonly kind: "float" | "int" | "time" | "text";
  readonly values: readonly Cell[];
}

/** Columns as the case files hold them: null is missing, infinities are "inf" and "-inf", times are ISO texts. */
export function tableFrom(columns: Readonly<Record<string, ColumnSource>>): Table {
  const entries = Object.entries(columns).map(([name, source]) => [name, columnFrom(source)] as const);
  return { rows: Object.values(columns)[0]?.values.length ?? 0, columns: new Map(entries) };
}

export function numbers(...values: readonly (number | null)[]): Column {
  return { kind: "number", values: Float64Array.from(values, (value) => value ?? Number.NaN) };
}

export function texts(...values: readonly (string | null)[]): Column {
  return columnFrom({ kind: "text", values });
}

export function times(...values: readonly (string | null)[]): Column {
  return columnFrom({ kind: "time", values });
}

/** A table of columns of equal length. */
export function table(columns: Readonly<Record<string, Column>>): Table {
  const first = Object.values(columns)[0];
  const rows = first === undefined ? 0 : first.kind === "text" ? first.codes.length : first.values.length;
  return { rows, columns: new Map(Object.entries(columns)) };
}

/** One expectation over a table. */
export function judge(
  data: Table,
  type: string,
  kwargs: Readonly<Record<string, unknown>>,
  now: number | null = null,
): ExpectationResult {
  return evaluateExpectation(data, makeExpectation(type, { kwargs }), { now });
}

export function suiteOf(...expectations: readonly unknown[]): Suite {
  return parseSuite(JSON.stringify({ name: "s", expectations }), { where: "test.suite.json" });
}

function columnFrom({ kind, values }: ColumnSource): Column {
  if (kind === "text") {
    const dictionary = [...new Set(values.filter((value): value is string => typeof value === "string"))];
    const codes = Int32Array.from(values, (value) => (value === null ? -1 : dictionary.indexOf(String(value))));
    return { kind: "text", codes, dictionary };
  }
  if (kind === "time") return { kind: "time", values: Float64Array.from(values, (value) => instantOf(value)) };
  return { kind: "number", values: Float64Array.from(values, (value) => numberOf(value)) };
}

function instantOf(value: Cell): number {
  return value === null ? Number.NaN : parseInstant(String(value));
}

function numberOf(value: Cell): number {
  if (value === null) return Number.NaN;
  if (value === "inf") return Number.POSITIVE_INFINITY;
  return value === "-inf" ? Number.NEGATIVE_INFINITY : Number(value);
}
