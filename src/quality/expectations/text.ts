// Expectations about values as texts: regular expressions and lengths, on what Python's str() would write.
import type { Column } from "../../core/table.ts";
import { cellAt, pythonTexts } from "../cells.ts";
import { flagTexts, missingCells } from "../columns.ts";
import type { ExpectationDefinition, RunCheck } from "../definition.ts";
import type { Kwargs } from "../kwargs.ts";
import { insideTest } from "../limits.ts";
import { compilePythonRegex } from "../regex.ts";
import { countMissing, summarize } from "../summary.ts";

export const TEXT: readonly ExpectationDefinition[] = [
  { type: "expect_column_values_to_match_regex", prepare: (kwargs) => regexCheck(kwargs, true) },
  { type: "expect_column_values_to_not_match_regex", prepare: (kwargs) => regexCheck(kwargs, false) },
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
function regexCheck(kwargs: Kwargs, wantsMatch: boolean): RunCheck {
  const source = kwargs.text("regex");
  const regex = compilePythonRegex(source);
  if (regex === null)
    kwargs.wrong("regex", "a regular expression in Python's spelling, without conditions, atomic groups and (?x)");
  return textCheck(kwargs, (text) => regex.test(text) === wantsMatch);
}

function textCheck(kwargs: Kwargs, isExpected: (text: string) => boolean): RunCheck {
  const name = kwargs.text("column");
  const mostly = kwargs.mostly();
  return (rows) => {
    const column = rows.column(name);
    const isMissing = missingCells(column);
    const faults = flagByText(column, isMissing, isExpected);
    const missing = countMissing(isMissing);
    return summarize({ rows, faults, missing, mostly, valueAt: (row) => cellAt(column, row) });
  };
}

function flagByText(column: Column, isMissing: Uint8Array, isExpected: (text: string) => boolean): Uint8Array {
  if (column.kind === "text") return flagTexts(column, isExpected);
  const textOf = pythonTexts(column);
  const faults = new Uint8Array(isMissing.length);
  for (let row = 0; row < faults.length; row++) if (isMissing[row] === 0 && !isExpected(textOf(row))) faults[row] = 1;
  return faults;
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
