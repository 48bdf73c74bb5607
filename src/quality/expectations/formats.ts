// Expectations about what texts can be read as: dates by a format, dates of any common writing, JSON, JSON of a schema.
import { SentinelError } from "../../core/errors.ts";
import { cellAt } from "../cells.ts";
import { flagTexts, missingCells } from "../columns.ts";
import { isParseableDate } from "../dateutil.ts";
import type { ExpectationDefinition, StartCheck } from "../definition.ts";
import { jsonSchemaTest } from "../json-schema.ts";
import type { Kwargs } from "../kwargs.ts";
import { isEmptyText } from "../rows.ts";
import { strptimeTest } from "../strptime.ts";
import { countMissing, rowByRow } from "../summary.ts";

export const FORMATS: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_values_to_match_strftime_format",
    prepare(kwargs) {
      const test = strptimeTest(kwargs.text("strftime_format"));
      if (test === null) return kwargs.wrong("strftime_format", "a format of Python's strptime, such as %Y-%m-%d");
      return readableCheck(kwargs, test);
    },
  },
  {
    type: "expect_column_values_to_be_dateutil_parseable",
    prepare: (kwargs) => readableCheck(kwargs, isParseableDate),
  },
  {
    type: "expect_column_values_to_be_json_parseable",
    prepare: (kwargs) => readableCheck(kwargs, (text) => parsedJson(text) !== undefined, { numbersToo: true }),
  },
  {
    /** A text that is no JSON is an error, as in GX: another expectation asks for that. */
    type: "expect_column_values_to_match_json_schema",
    prepare(kwargs) {
      const schema = kwargs.get("json_schema");
      if (typeof schema !== "object" || schema === null || Array.isArray(schema))
        return kwargs.wrong("json_schema", "a JSON Schema, an object");
      const fits = jsonSchemaTest(schema);
      if (typeof fits === "string") return kwargs.wrong("json_schema", `a JSON Schema: ${fits}`);
      return readableCheck(kwargs, (text) => {
        const value = parsedJson(text);
        if (value === undefined) throw noJson(text);
        return fits(value.json);
      });
    },
  },
];

function readableCheck(
  kwargs: Kwargs,
  isExpected: (text: string) => boolean,
  { numbersToo = false }: { readonly numbersToo?: boolean } = {},
): StartCheck {
  const name = kwargs.text("column");
  const mostly = kwargs.mostly();
  return (shape) => {
    shape.column(name);
    return rowByRow(mostly, (rows) => {
      const column = rows.column(name);
      const isMissing = missingCells(column);
      const missing = countMissing(isMissing);
      const valueAt = (row: number) => cellAt(column, row);
      if (column.kind === "text") return { faults: flagTexts(column, isExpected), missing, valueAt };
      // json.loads takes texts only, so a number is unexpected there; a date is read from a text alone.
      if (numbersToo) return { faults: isMissing.map((gap) => 1 - gap), missing, valueAt };
      if (missing < rows.count && !isEmptyText(column)) throw notText(name, column.kind);
      return { faults: new Uint8Array(rows.count), missing, valueAt };
    });
  };
}

/** Python's json module also reads NaN and infinities, which JavaScript's does not. */
function parsedJson(text: string): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) };
  } catch {
    return /^\s*(NaN|-?Infinity)\s*$/.test(text) ? { json: Number(text.trim()) } : undefined;
  }
}

const TEXT_SHOWN_MAX = 60;

function noJson(text: string): SentinelError {
  return new SentinelError("dataset.type-wrong", `${JSON.stringify(text.slice(0, TEXT_SHOWN_MAX))} is no JSON`, {
    hint: "correct the value, or ask with expect_column_values_to_be_json_parseable how many there are",
  });
}

function notText(name: string, kind: string): SentinelError {
  return new SentinelError("dataset.type-wrong", `column ${JSON.stringify(name)} holds ${kind}s, not texts`, {
    hint: "the expectation reads texts; a column of times or numbers needs none of it",
  });
}
