// Expectations about two columns, row by row: one is greater, both are equal, the pair is in a set.
import { SentinelError } from "../../core/errors.ts";
import type { Column } from "../../core/table.ts";
import { cellAt, parseInstant } from "../cells.ts";
import { figuresOf, missingCells, noFlags } from "../columns.ts";
import type { ExpectationDefinition, ShownValue } from "../definition.ts";
import type { Kwargs, SetValue } from "../kwargs.ts";
import { isEmptyText, type Rows } from "../rows.ts";
import { countMissing, type Judged, rowByRow } from "../summary.ts";
import { IGNORE_PAIR_IF, ignoredPairs } from "./ignored.ts";

/** Whether a row that counts is as expected; asked only where both cells are there. */
type PairTest = (a: Column, b: Column) => (row: number) => boolean;

export const PAIRS: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_pair_values_a_to_be_greater_than_b",
    prepare(kwargs) {
      const orEqual = kwargs.boolean("or_equal", false);
      return pairCheck(kwargs, {
        testOf: (a, b) => greater(a, b, orEqual),
        ordered: true,
        allHold: (a, b) => allGreater(a, b, orEqual),
      });
    },
  },
  {
    type: "expect_column_pair_values_to_be_equal",
    prepare: (kwargs) => pairCheck(kwargs, { testOf: equal, ordered: false }),
  },
  {
    type: "expect_column_pair_values_to_be_in_set",
    prepare(kwargs) {
      const given = kwargs.get("value_pairs_set");
      const pairs = given === undefined ? null : pairsOf(kwargs);
      return pairCheck(kwargs, {
        testOf: (a, b) => inSet(a, b, pairs),
        ordered: false,
        gapTest: (a, b, row) => pairs === null || pairs.some(([x, y]) => isCell(a, row, x) && isCell(b, row, y)),
      });
    },
  },
];

interface PairOptions {
  readonly testOf: PairTest;
  /** Only columns of one kind have an order. */
  readonly ordered: boolean;
  /** What a row with a gap is that is not left out; absent: unexpected, since nothing is greater than, or equals, a missing value. */
  readonly gapTest?: (a: Column, b: Column, row: number) => boolean;
  /** Whether it is known without a look at single rows that all of them hold and none has a gap; absent: it never is. */
  readonly allHold?: (a: Column, b: Column) => boolean;
}

function pairCheck(
  kwargs: Kwargs,
  { testOf, ordered, gapTest, allHold }: PairOptions,
): ReturnType<ExpectationDefinition["prepare"]> {
  const nameA = kwargs.text("column_A");
  const nameB = kwargs.text("column_B");
  const ignore = kwargs.choice("ignore_row_if", IGNORE_PAIR_IF);
  const mostly = kwargs.mostly();
  const judge = (rows: Rows): Judged => {
    const a = rows.column(nameA);
    const b = rows.column(nameB);
    const valueAt = (row: number): ShownValue => [cellAt(a, row), cellAt(b, row)];
    const gaps = { a: missingCells(a), b: missingCells(b) };
    const ignored = ignoredPairs(gaps, ignore);
    const comparable = a.kind === b.kind || isEmptyText(a) || isEmptyText(b);
    if (ordered && !comparable) unlike(nameA, nameB);
    // Whoever holds for the least of one and the greatest of the other holds for all.
    if (allHold?.(a, b) === true) return { faults: noFlags(rows.count), missing: 0, valueAt };
    const test = testOf(a, b);
    let found: Uint8Array | null = null;
    for (let row = 0; row < rows.count; row++) {
      if (ignored[row] === 1) continue;
      const hasGap = (gaps.a[row] | gaps.b[row]) === 1;
      const fits = hasGap ? (gapTest?.(a, b, row) ?? false) : test(row);
      if (fits) continue;
      found ??= new Uint8Array(rows.count);
      found[row] = 1;
    }
    const faults = found ?? noFlags(rows.count);
    return { faults, missing: countMissing(ignored), valueAt };
  };
  return (shape) => {
    shape.column(nameA);
    shape.column(nameB);
    return rowByRow(mostly, judge);
  };
}

function greater(a: Column, b: Column, orEqual: boolean): (row: number) => boolean {
  if (a.kind === "text" && b.kind === "text") {
    return (row) => {
      const left = a.dictionary[a.codes[row]];
      const right = b.dictionary[b.codes[row]];
      return left > right || (orEqual && left === right);
    };
  }
  const left = a.kind === "text" ? new Float64Array() : a.values;
  const right = b.kind === "text" ? new Float64Array() : b.values;
  return orEqual ? (row) => left[row] >= right[row] : (row) => left[row] > right[row];
}

/** Of numbers without gaps: the least of `a` is above the greatest of `b`. */
function allGreater(a: Column, b: Column, orEqual: boolean): boolean {
  if (a.kind === "text" || b.kind === "text") return false;
  const [left, right] = [figuresOf(a.values), figuresOf(b.values)];
  if (left.count < a.values.length || right.count < b.values.length) return false;
  return orEqual ? left.min >= right.max : left.min > right.max;
}

/** Values of two kinds are never equal. */
function equal(a: Column, b: Column): (row: number) => boolean {
  if (a.kind === "text" || b.kind === "text") {
    if (a.kind !== "text" || b.kind !== "text") return () => false;
    return (row) => a.dictionary[a.codes[row]] === b.dictionary[b.codes[row]];
  }
  if (a.kind !== b.kind) return () => false;
  return (row) => a.values[row] === b.values[row];
}

type PairValue = SetValue | null;

function inSet(
  a: Column,
  b: Column,
  pairs: readonly (readonly [PairValue, PairValue])[] | null,
): (row: number) => boolean {
  if (pairs === null) return () => true;
  const byFirst = new Map<SetValue, Set<SetValue>>();
  for (const [first, second] of pairs) {
    if (first === null || second === null) continue;
    const left = heldBy(a, first);
    const right = heldBy(b, second);
    byFirst.set(left, (byFirst.get(left) ?? new Set()).add(right));
  }
  return (row) => byFirst.get(valueAt(a, row))?.has(valueAt(b, row)) === true;
}

function isCell(column: Column, row: number, wanted: PairValue): boolean {
  const missing = column.kind === "text" ? column.codes[row] < 0 : Number.isNaN(column.values[row]);
  if (missing || wanted === null) return missing && wanted === null;
  return valueAt(column, row) === heldBy(column, wanted);
}

function valueAt(column: Column, row: number): SetValue {
  return column.kind === "text" ? column.dictionary[column.codes[row]] : column.values[row] + 0;
}

/** A member of a set as the column holds it: a date of a time column is an instant. */
function heldBy(column: Column, value: SetValue): SetValue {
  if (column.kind !== "time" || typeof value !== "string") return value;
  const instant = parseInstant(value);
  return Number.isNaN(instant) ? value : instant;
}

function pairsOf(kwargs: Kwargs): readonly (readonly [PairValue, PairValue])[] {
  const isValue = (value: unknown): value is PairValue | boolean =>
    value === null || ["number", "string", "boolean"].includes(typeof value);
  return kwargs.list("value_pairs_set").map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2 || !pair.every(isValue))
      return kwargs.wrong("value_pairs_set", "a list of pairs of numbers, texts, booleans or null");
    const [a, b] = pair.map((value) => (typeof value === "boolean" ? Number(value) : value));
    return [a, b] as const;
  });
}

function unlike(nameA: string, nameB: string): never {
  throw new SentinelError("dataset.type-wrong", `columns ${nameA} and ${nameB} hold different types of values`, {
    hint: "compare a column with one of its own type",
  });
}
