// Repeated tuples in a table that is in order by one of their columns, as transactions are by time: equal tuples then stand close together.
import type { Column } from "../../core/table.ts";
import { tupleKeys } from "../keys.ts";
import type { Rows } from "../rows.ts";
import { FaultSample } from "../sample.ts";
import { type IGNORE_RECORD_IF, ignoredRecords } from "./ignored.ts";

/** Rows of one value of the ordering column that are remembered; with more of them the order helps nobody. */
const RUN_KEYS_MAX = 100_000;
/** Rows of a run whose tuples are compared each with each. */
const PAIRWISE_MAX = 12;

export class OrderedTuples {
  readonly repeated = new FaultSample();
  private readonly names: readonly string[];
  private readonly ignore: (typeof IGNORE_RECORD_IF)[number];
  /** The column whose values ascend; chosen at the first batch, null where there is none. */
  private by: string | null | undefined;
  private last = Number.NEGATIVE_INFINITY;
  /** Tuples of the last value so far: how often each stands there, and where first. */
  private run = new Map<string, { count: number; readonly row: number }>();

  constructor(names: readonly string[], ignore: (typeof IGNORE_RECORD_IF)[number]) {
    this.names = names;
    this.ignore = ignore;
  }

  /** False where the order ends, or never was: then nothing that was found counts. */
  push(rows: Rows): boolean {
    this.by ??= this.names.find((name) => ascends(rows.column(name), Number.NEGATIVE_INFINITY)) ?? null;
    if (this.by === null) return false;
    const column = rows.column(this.by);
    if (column.kind === "text" || !ascends(column, this.last)) return false;
    return this.look(rows, column.values);
  }

  private look(rows: Rows, values: Float64Array): boolean {
    const all = this.names.map((name) => rows.column(name));
    // The column that orders the rows is the same within a run.
    const others = all.filter((_, i) => this.names[i] !== this.by);
    const near = this.neighbours(rows, others, values);
    const columns = all.map((column) => cellsOf(column, near));
    const ignored = ignoredRecords(near.length, columns, this.ignore);
    const { first, second } = tupleKeys(columns, ignored);
    for (let i = 0; i < near.length; i++) {
      const value = values[near[i]];
      if (value !== this.last) {
        this.last = value;
        this.run.clear();
      }
      if (ignored[i] === 1) continue;
      this.add(`${first[i]},${second[i]}`, rows.sourceRow(near[i]));
      if (this.run.size > RUN_KEYS_MAX) return false;
    }
    return true;
  }

  /**
   * Rows that have to be compared by their keys: those of a long run of one value, and of the first and the last run, which go on in other batches.
   * The tuples of a short run are compared here, cell by cell.
   */
  private neighbours(rows: Rows, columns: readonly Column[], values: Float64Array): Int32Array {
    const near: number[] = [];
    for (let from = 0; from < values.length; ) {
      let end = from + 1;
      while (end < values.length && values[end] === values[from]) end++;
      const goesOn = end === values.length || (from === 0 && values[0] === this.last);
      if (goesOn || end - from > PAIRWISE_MAX) for (let row = from; row < end; row++) near.push(row);
      else if (end - from > 1) this.compare(rows, columns, { from, end });
      from = end;
    }
    return Int32Array.from(near);
  }

  /** Every row that equals another of its run is at fault. */
  private compare(
    rows: Rows,
    columns: readonly Column[],
    { from, end }: { readonly from: number; readonly end: number },
  ): void {
    for (let row = from; row < end; row++) {
      if (this.ignore === "any_value_is_missing" && columns.some((column) => isGap(column, row))) continue;
      for (let other = from; other < end; other++) {
        if (other === row || !columns.every((column) => sameCell(column, row, other))) continue;
        this.repeated.add(rows.sourceRow(row));
        break;
      }
    }
  }

  private add(key: string, row: number): void {
    const known = this.run.get(key);
    if (known === undefined) {
      this.run.set(key, { count: 1, row });
      return;
    }
    if (known.count++ === 1) this.repeated.add(known.row);
    this.repeated.add(row);
  }
}

function isGap(column: Column, row: number): boolean {
  return column.kind === "text" ? column.codes[row] < 0 : Number.isNaN(column.values[row]);
}

/** Missing equals missing, as in pandas. A dictionary holds each text once. */
function sameCell(column: Column, a: number, b: number): boolean {
  if (column.kind === "text") return column.codes[a] === column.codes[b];
  const [left, right] = [column.values[a], column.values[b]];
  return left === right || (Number.isNaN(left) && Number.isNaN(right));
}

function ascends(column: Column, from: number): boolean {
  if (column.kind === "text") return false;
  let last = from;
  for (let row = 0; row < column.values.length; row++) {
    if (!(column.values[row] >= last)) return false;
    last = column.values[row];
  }
  return true;
}

function cellsOf(column: Column, rows: Int32Array): Column {
  if (column.kind === "text") return { ...column, codes: Int32Array.from(rows, (row) => column.codes[row]) };
  return { ...column, values: Float64Array.from(rows, (row) => column.values[row]) };
}
