// Derived columns: what a state keeps of an expression over one transaction, under a name that says which.
import { canonicalJson } from "../core/hash.ts";
import type { Table } from "../core/table.ts";
import { isBoolean, textAt } from "../core/table.ts";
import type { FieldValue, Transaction } from "../core/transaction.ts";
import { type DerivedValue, RECENT_SCALE } from "../core/window.ts";
import { type CompiledExpression, compileExpression, type ExpressionType } from "../expression/compile.ts";

/** In front of a derived column's description: no table can have such a name, and it is none of an identity's. */
const MARK = "\u0001";

/** The name under which a state keeps the column. */
export function derivedColumn(derived: DerivedValue): string {
  return MARK + canonicalJson(derived);
}

/** What a name describes; null for every other column. */
export function derivedOf(name: string): DerivedValue | null {
  return name.startsWith(MARK) ? (JSON.parse(name.slice(MARK.length)) as DerivedValue) : null;
}

/** A derived column, ready to be computed for transactions. */
export class Derived {
  readonly of: DerivedValue;
  private readonly compiled: CompiledExpression;
  private readonly types: readonly ExpressionType[];

  constructor(of: DerivedValue) {
    this.of = of;
    this.compiled = compileExpression(of.sql, { columns: of.columns });
    this.types = this.compiled.columns.map((name) => of.columns[name]);
  }

  /** NaN where the expression is NULL, or not true for `time`. */
  ofTransaction(tx: Transaction): number {
    const { columns, numbers, texts } = this.compiled;
    for (let i = 0; i < columns.length; i++) {
      const type = this.types[i];
      const value = tx.fields[columns[i]];
      if (type === "text") texts[i] = textOf(value);
      else numbers[i] = type === "time" ? tx.time : numberOf(value);
    }
    return this.value(tx.time);
  }

  /** The values of all rows of a table whose times these are. */
  ofTable(table: Table, times: Float64Array): Float64Array {
    const { columns, numbers, texts } = this.compiled;
    const from = columns.map((name) => table.columns.get(name) ?? null);
    return Float64Array.from(times, (time, row) => {
      for (let i = 0; i < columns.length; i++) {
        const column = from[i];
        if (this.types[i] === "text") texts[i] = column === null ? null : textAt(column, row);
        else if (this.types[i] === "time") numbers[i] = time;
        else if (column === null || column.kind === "text") numbers[i] = Number.NaN;
        else numbers[i] = isBoolean(column) ? column.values[row] : finiteOr(column.values[row]);
      }
      return this.value(time);
    });
  }

  private value(time: number): number {
    const { numbers, result, run } = this.compiled;
    run();
    const value = numbers[result];
    if (this.of.keeps === "value") return finiteOr(value);
    if (this.of.keeps === "time") return value === 1 ? Math.floor(time) : Number.NaN;
    const part = Math.round(value);
    return part >= 0 && part < RECENT_SCALE ? Math.floor(time / 1000) * RECENT_SCALE + part : Number.NaN;
  }
}

function finiteOr(value: number): number {
  return Number.isFinite(value) ? value : Number.NaN;
}

function numberOf(value: FieldValue | undefined): number {
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "number" && Number.isFinite(value) ? value : Number.NaN;
}

function textOf(value: FieldValue | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}
