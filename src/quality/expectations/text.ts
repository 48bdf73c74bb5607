// Expectations about values as texts: regular expressions and lengths, on what Python's str() would write.
import { isBoolean } from "../../core/table.ts";
import { cellAt, looksInteger, pythonTexts } from "../cells.ts";
import { flagTexts, missingCells, noFlags } from "../columns.ts";
import type { ExpectationDefinition, Running, StartCheck } from "../definition.ts";
import type { Kwargs } from "../kwargs.ts";
import { insideTest } from "../limits.ts";
import { compilePythonRegex } from "../regex.ts";
import type { Rows } from "../rows.ts";
import { countMissing, rowByRow } from "../summary.ts";

/** Numbers whose verdict is remembered. */
const VERDICTS_MAX = 65_536;

type TextTest = (text: string) => boolean;

export const TEXT: readonly ExpectationDefinition[] = [
  { type: "expect_column_values_to_match_regex", prepare: (kwargs) => regexCheck(kwargs, true) },
  { type: "expect_column_values_to_not_match_regex", prepare: (kwargs) => regexCheck(kwargs, false) },
  {
    type: "expect_column_values_to_match_regex_list",
    prepare(kwargs) {
      const all = kwargs.choice("match_on", ["any", "all"]) === "all";
      const tests = regexTests(kwargs);
      return textCheck(kwargs, (text) => (all ? tests.every((test) => test(text)) : tests.some((test) => test(text))));
    },
  },
  {
    type: "expect_column_values_to_not_match_regex_list",
    prepare(kwargs) {
      const tests = regexTests(kwargs);
      return textCheck(kwargs, (text) => !tests.some((test) => test(text)));
    },
  },
  {
    type: "expect_column_value_lengths_to_be_between",
    prepare(kwargs) {
      const isInside = insideTest(kwargs.range({ required: true }));
      return textCheck(kwargs, (text) => isInside(codePoints(text)));
    },
  },
  {
    type: "expect_column_value_lengths_to_equal",
    prepare(kwargs) {
      const value = kwargs.number("value");
      return textCheck(kwargs, (text) => codePoints(text) === value);
    },
  },
];

/** A match anywhere in the text counts: GX searches, it does not match in full. */
function regexCheck(kwargs: Kwargs, wantsMatch: boolean): StartCheck {
  const matches = regexTest(kwargs, "regex", kwargs.text("regex"));
  return textCheck(kwargs, (text) => matches(text) === wantsMatch);
}

function regexTests(kwargs: Kwargs): readonly TextTest[] {
  const sources = kwargs.texts("regex_list");
  if (sources.length === 0) kwargs.wrong("regex_list", "a list that is not empty");
  return sources.map((source) => regexTest(kwargs, "regex_list", source));
}

function regexTest(kwargs: Kwargs, name: string, source: string): TextTest {
  const regex = compilePythonRegex(source);
  if (regex === null)
    kwargs.wrong(name, "a regular expression in Python's spelling, without conditions, atomic groups and (?x)");
  return (text) => regex.test(text);
}

function textCheck(kwargs: Kwargs, isExpected: TextTest): StartCheck {
  const name = kwargs.text("column");
  const mostly = kwargs.mostly();
  return (shape) => {
    const { kind, boolean } = shape.column(name);
    if (kind !== "number" || boolean) return spelled(name, { mostly, isExpected, whole: false });
    return wholeFirst(name, { mostly, isExpected });
  };
}

/** A column of whole numbers without gaps is spelled without points; whether it is one is known at its end, and else it is read once more. */
function wholeFirst(name: string, how: { readonly mostly: number; readonly isExpected: TextTest }): Running {
  const asWhole = spelled(name, { ...how, whole: true });
  let whole = true;
  return {
    push(rows) {
      const column = rows.column(name);
      whole &&= column.kind !== "text" && looksInteger(column.values);
      if (whole) asWhole.push(rows);
    },
    finish: () => (whole ? asWhole.finish() : spelled(name, { ...how, whole: false })),
  };
}

function spelled(
  name: string,
  { mostly, isExpected, whole }: { readonly mostly: number; readonly isExpected: TextTest; readonly whole: boolean },
): Running {
  const verdicts = new Verdicts();
  return rowByRow(mostly, (rows) => {
    const column = rows.column(name);
    const isMissing = missingCells(column);
    const faults = flagByText(rows, { name, isMissing, isExpected, whole, verdicts });
    return { faults, missing: countMissing(isMissing), valueAt: (row) => cellAt(column, row) };
  });
}

function flagByText(
  rows: Rows,
  how: {
    readonly name: string;
    readonly isMissing: Uint8Array;
    readonly isExpected: TextTest;
    readonly whole: boolean;
    /** Of numbers that were spelled and tested before: keys come back again and again. */
    readonly verdicts: Verdicts;
  },
): Uint8Array {
  const { isMissing, isExpected } = how;
  const column = rows.column(how.name);
  if (column.kind === "text") return flagTexts(column, isExpected);
  const textOf = pythonTexts(column, how.whole && !isBoolean(column));
  const { values } = column;
  const { verdicts } = how;
  let faults: Uint8Array | null = null;
  for (let row = verdicts.expectedFrom(values, 0); row < values.length; row = verdicts.expectedFrom(values, row + 1)) {
    if (isMissing[row] === 1) continue;
    const value = values[row];
    let verdict = verdicts.of(value);
    if (verdict === UNKNOWN) {
      verdict = isExpected(textOf(row)) ? EXPECTED : FAULT;
      verdicts.note(value, verdict);
    }
    if (verdict === EXPECTED) continue;
    faults ??= new Uint8Array(values.length);
    faults[row] = 1;
  }
  return faults ?? noFlags(values.length);
}

const UNKNOWN = 0;
const EXPECTED = 1;
const FAULT = 2;

/** What was said of numbers before. Zero is never remembered: minus zero is spelled otherwise and is the same key. */
class Verdicts {
  /** Of whole numbers below {@link VERDICTS_MAX}, which keys mostly are. */
  private readonly small = new Uint8Array(VERDICTS_MAX);
  private readonly others = new Map<number, number>();

  /** The first row, from a given one on, that does not hold a small number known to be as expected. */
  expectedFrom(values: Float64Array, from: number): number {
    const { small } = this;
    let row = from;
    for (; row < values.length; row++) {
      const value = values[row];
      if (!(value > 0 && value < VERDICTS_MAX)) break;
      const code = value | 0;
      if (code !== value || small[code] !== EXPECTED) break;
    }
    return row;
  }

  of(value: number): number {
    if (value > 0 && value < VERDICTS_MAX && Math.floor(value) === value) return this.small[value];
    return this.others.get(value) ?? UNKNOWN;
  }

  note(value: number, verdict: number): void {
    if (value > 0 && value < VERDICTS_MAX && Math.floor(value) === value) this.small[value] = verdict;
    else if (value !== 0 && this.others.size < VERDICTS_MAX) this.others.set(value, verdict);
  }
}

/** Python counts code points, JavaScript UTF-16 units. */
function codePoints(text: string): number {
  let count = text.length;
  for (let i = 1; i < text.length; i++) {
    const isPair = (text.charCodeAt(i) & 0xfc00) === 0xdc00 && (text.charCodeAt(i - 1) & 0xfc00) === 0xd800;
    if (isPair) count--;
  }
  return count;
}
