// Expectations about the different values of a column: how many there are, which, and which is the most common.
import type { Column } from "../../core/table.ts";
import { type CellValue, cellAt, finiteOrText, isoText, parseInstant } from "../cells.ts";
import { missingCount } from "../columns.ts";
import type { ExpectationDefinition, Outcome, Running } from "../definition.ts";
import { cellKeys } from "../keys.ts";
import type { SetValue } from "../kwargs.ts";
import { isInside } from "../limits.ts";
import type { ColumnShape, TableShape } from "../shape.ts";
import type { TallyPool } from "../tally-pool.ts";
import { startDistinct } from "./tallied.ts";

/** How many values a result lists; the rest is counted. */
const SHOWN_MAX = 20;
const LOOPED_MAX = 6;

export const DISTINCT: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_unique_value_count_to_be_between",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const range = kwargs.range();
      return (shape, { pool }) =>
        countDistinct(shape, name, pool, (count) => ({
          success: isInside(count, range),
          result: { observed_value: count },
        }));
    },
  },
  {
    type: "expect_column_proportion_of_unique_values_to_be_between",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const range = kwargs.range();
      return (shape, { pool }) =>
        countDistinct(shape, name, pool, (count, present) => {
          const proportion = present === 0 ? 0 : count / present;
          return { success: isInside(proportion, range), result: { observed_value: proportion } };
        });
    },
  },
  distinctSet("expect_column_distinct_values_to_be_in_set", { unexpected: true, missing: false }),
  distinctSet("expect_column_distinct_values_to_equal_set", { unexpected: true, missing: true }),
  distinctSet("expect_column_distinct_values_to_contain_set", { unexpected: false, missing: true }),
  {
    type: "expect_column_most_common_value_to_be_in_set",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const set = kwargs.get("value_set") === undefined ? [] : kwargs.values("value_set");
      const tiesOkay = kwargs.boolean("ties_okay", false);
      return (shape, { pool }) => mostCommon(shape, pool, { name, set, tiesOkay });
    },
  },
];

function countDistinct(
  shape: TableShape,
  name: string,
  pool: TallyPool,
  end: (distinct: number, present: number) => Outcome,
): Running {
  shape.column(name);
  let present = 0;
  return startDistinct(pool, {
    rows: false,
    keysOf(rows, first) {
      const column = rows.column(name);
      if (first) present += rows.count - missingCount(column);
      return cellKeys(column);
    },
    end: ({ distinct }) => end(distinct, present),
  });
}

function mostCommon(
  shape: TableShape,
  pool: TallyPool,
  { name, set, tiesOkay }: { readonly name: string; readonly set: readonly SetValue[]; readonly tiesOkay: boolean },
): Running {
  const column = shape.column(name);
  const wanted = new Set(set.map((value) => comparable(column, value)));
  const counts = new Map<SetValue, number>();
  return startDistinct(pool, {
    rows: false,
    keysOf(rows, first) {
      const cells = rows.column(name);
      if (first) countWanted(cells, wanted, counts);
      return cellKeys(cells);
    },
    end({ most, modes, modeKeys }) {
      const matching = most === 0 ? 0 : [...counts.values()].filter((count) => count === most).length;
      const success = tiesOkay ? matching > 0 : modes === 1 && matching === 1;
      if (modes === 0) return { success, result: { observed_value: [] } };
      if (column.kind === "text") return readModes({ name, modeRows: modeKeys.map(({ row }) => row), modes, success });
      const values = modeKeys.map(({ first }) => ({ value: first, shown: shownNumber(column, first) }));
      return modesOutcome(values, { modes, success });
    },
  });
}

interface Mode {
  readonly value: SetValue;
  readonly shown: CellValue;
}

/** The most frequent texts themselves, read in a pass of its own: their keys are hashes. */
function readModes(of: {
  readonly name: string;
  readonly modeRows: readonly number[];
  readonly modes: number;
  readonly success: boolean;
}): Running {
  const values: Mode[] = [];
  return {
    push(rows) {
      const column = rows.column(of.name);
      for (let row = 0; row < rows.count && values.length < of.modeRows.length; row++) {
        if (rows.sourceRow(row) === of.modeRows[values.length])
          values.push({ value: valueAt(column, row), shown: cellAt(column, row) });
      }
    },
    isDone: () => values.length === of.modeRows.length,
    finish: () => modesOutcome(values, of),
  };
}

/** Ascending. */
function modesOutcome(
  values: readonly Mode[],
  { modes, success }: { readonly modes: number; readonly success: boolean },
): Outcome {
  const shown = [...values].sort((a, b) => (a.value < b.value ? -1 : 1)).map((one) => one.shown);
  const outcome = { success, result: { observed_value: shown } };
  if (modes === values.length) return outcome;
  return { ...outcome, note: `${modes} values are equally common; ${values.length} of them are listed` };
}

/** `unexpected`: values outside the set are faults; `missing`: members of the set that do not occur are. */
function distinctSet(
  type: string,
  asks: { readonly unexpected: boolean; readonly missing: boolean },
): ExpectationDefinition {
  return {
    type,
    prepare(kwargs) {
      const name = kwargs.text("column");
      const set = kwargs.values("value_set");
      const hasNull = kwargs.hasNull("value_set");
      // An empty set of allowed values passed in GX 1.2 and is refused since; it is always a mistake.
      if (set.length === 0 && !hasNull && !asks.missing) kwargs.wrong("value_set", "a list that is not empty");
      return (shape, { pool }) => compareSets(shape, pool, { name, set, hasNull, asks });
    },
  };
}

function compareSets(
  shape: TableShape,
  pool: TallyPool,
  given: {
    readonly name: string;
    readonly set: readonly SetValue[];
    readonly hasNull: boolean;
    readonly asks: { readonly unexpected: boolean; readonly missing: boolean };
  },
): Running {
  const { name, set, hasNull, asks } = given;
  const column = shape.column(name);
  const wanted = new Set(set.map((value) => comparable(column, value)));
  const counts = new Map<SetValue, number>();
  const outside = new SmallestValues();
  const show = (value: SetValue): CellValue => (typeof value === "string" ? value : shownNumber(column, value));
  return startDistinct(pool, {
    rows: false,
    keysOf(rows, first) {
      const cells = rows.column(name);
      const { first: own, second } = cellKeys(cells);
      const members = countWanted(cells, wanted, first ? counts : new Map());
      if (members === rows.count - missingCount(cells)) return { first: noKeys(rows.count), second };
      // Of the values in the set it is known already whether they occur: only the others are counted.
      const kept = own.slice();
      forMembers(cells, wanted, (row) => {
        kept[row] = Number.NaN;
      });
      if (first && asks.unexpected) outside.add(cells, kept);
      return { first: kept, second };
    },
    end({ distinct }) {
      const unexpected = asks.unexpected ? distinct : 0;
      const absent = [...wanted].filter((value) => !counts.has(value)).sort((a, b) => (a < b ? -1 : 1));
      const missing = asks.missing ? absent : [];
      const result = {
        observed_value: null,
        ...(asks.unexpected ? { unexpected_count: unexpected } : {}),
        ...(asks.missing ? { missing_count: missing.length } : {}),
        ...(asks.unexpected ? { partial_unexpected_list: outside.values.map(show) } : {}),
        ...(asks.missing ? { partial_missing_list: missing.slice(0, SHOWN_MAX).map(show) } : {}),
      };
      // As in GX: null is no value of any column, so a set that must occur and holds it never does.
      const success = unexpected === 0 && missing.length === 0 && !(hasNull && asks.missing);
      return { success, result };
    },
  });
}

/** The smallest different values, ascending; texts by code unit. */
class SmallestValues {
  readonly values: SetValue[] = [];

  /** Those cells of a batch that have a key. */
  add(column: Column, keys: Float64Array): void {
    for (let row = 0; row < keys.length; row++) if (!Number.isNaN(keys[row])) this.addOne(valueAt(column, row));
  }

  private addOne(value: SetValue): void {
    const { values } = this;
    if (values.length === SHOWN_MAX && value >= values[SHOWN_MAX - 1]) return;
    let at = values.length;
    while (at > 0 && values[at - 1] > value) at--;
    if (at > 0 && values[at - 1] === value) return;
    values.splice(at, 0, value);
    if (values.length > SHOWN_MAX) values.pop();
  }
}

function shownNumber({ kind }: ColumnShape, value: number): CellValue {
  return kind === "time" ? isoText(value, "T") : finiteOrText(value);
}

/** A cell that is there: a text, or a number (also for times). */
function valueAt(column: Column, row: number): SetValue {
  return column.kind === "text" ? column.dictionary[column.codes[row]] : column.values[row] + 0;
}

/** A member of a set as the column would hold it; a text that no time column can hold stays one. */
function comparable(column: ColumnShape, value: SetValue): SetValue {
  if (column.kind !== "time") return value;
  if (typeof value === "number") return `${value}`;
  const instant = parseInstant(value);
  return Number.isNaN(instant) ? value : instant;
}

/** Counts the cells whose value is in the set, by value; gives how many there are. */
function countWanted(column: Column, wanted: ReadonlySet<SetValue>, counts: Map<SetValue, number>): number {
  const numbers = [...wanted].filter((value) => typeof value === "number");
  let total = 0;
  const count = (value: SetValue, more: number): void => {
    total += more;
    if (more > 0) counts.set(value, (counts.get(value) ?? 0) + more);
  };
  if (column.kind === "text" || numbers.length > LOOPED_MAX) {
    forMembers(column, wanted, (_row, value) => count(value, 1));
    return total;
  }
  for (const number of numbers) {
    let found = 0;
    for (let row = 0; row < column.values.length; row++) if (column.values[row] === number) found++;
    count(number, found);
  }
  return total;
}

let NO_KEYS = new Float64Array();

/** Keys of cells none of which has one; nobody changes them. */
function noKeys(count: number): Float64Array {
  if (NO_KEYS.length < count) NO_KEYS = new Float64Array(count).fill(Number.NaN);
  return NO_KEYS.subarray(0, count);
}

/** Calls `take` for the cells whose value is in the set. */
function forMembers(column: Column, set: ReadonlySet<SetValue>, take: (row: number, value: SetValue) => void): void {
  if (column.kind !== "text") {
    const { values } = column;
    const members = [...set].filter((value) => typeof value === "number");
    // A few comparisons are quicker than one look into a set.
    if (members.length <= LOOPED_MAX) {
      for (let row = 0; row < values.length; row++) {
        const value = values[row] + 0;
        for (let i = 0; i < members.length; i++) if (members[i] === value) take(row, value);
      }
      return;
    }
    for (let row = 0; row < values.length; row++) {
      const value = values[row] + 0;
      if (set.has(value)) take(row, value);
    }
    return;
  }
  const { codes, dictionary } = column;
  const member = new Int8Array(dictionary.length).fill(-1);
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row];
    if (code < 0) continue;
    if (member[code] < 0) member[code] = set.has(dictionary[code]) ? 1 : 0;
    if (member[code] === 1) take(row, dictionary[code]);
  }
}
