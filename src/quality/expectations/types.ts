// Expectations about the type of a column, in the names that pandas and Python give to types.
import type { Column } from "../../core/table.ts";
import { looksInteger } from "../cells.ts";
import type { ExpectationDefinition, Outcome } from "../definition.ts";

/**
 * A table holds every number as a double. A column of whole numbers without gaps could have been int64 or float64 in
 * pandas, so it passes as either; with a fraction or a gap it can only have been float64.
 */
const FLOAT_NAMES = ["float64", "float", "double"];
const INT_NAMES = ["int64", "int", "int32", "int16", "int8", "bool"];
const TEXT_NAMES = ["str", "object", "object_"];
const TIME_NAMES = ["datetime64", "datetime64[ns]", "datetime64[us]", "datetime64[ms]", "datetime64[s]"];

export const TYPES: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_values_to_be_of_type",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const type = kwargs.text("type_");
      kwargs.mostly();
      return (rows) => judgeType(rows.column(name), [type]);
    },
  },
  {
    type: "expect_column_values_to_be_in_type_list",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const types = kwargs.texts("type_list");
      kwargs.mostly();
      return (rows) => judgeType(rows.column(name), types);
    },
  },
];

function judgeType(column: Column, wanted: readonly string[]): Outcome {
  const names = namesOf(column);
  return { success: wanted.some((type) => names.includes(type)), result: { observed_value: names[0] } };
}

/** All names a column answers to, the one pandas would print first. */
function namesOf(column: Column): readonly string[] {
  if (column.kind === "text") return TEXT_NAMES;
  if (column.kind === "time") return TIME_NAMES;
  return looksInteger(column.values) ? [...INT_NAMES, ...FLOAT_NAMES] : FLOAT_NAMES;
}
