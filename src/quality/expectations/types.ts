// Expectations about the type of a column, in the names that pandas and Python give to types.
import { type Column, isBoolean } from "../../core/table.ts";
import { looksInteger } from "../cells.ts";
import type { ExpectationDefinition, Outcome } from "../definition.ts";

/**
 * A table holds every number as a double, so a column answers to each type that its values could have had in pandas: whole numbers without
 * gaps to int64 and float64, to a narrower type where all of them fit, with a fraction or a gap to float64; truths to bool alone.
 */
const FLOAT_NAMES = ["float64", "float", "double"];
const INT_NAMES = ["int64", "int", "long"];
const TEXT_NAMES = ["str", "object", "object_"];
const TIME_NAMES = ["datetime64", "datetime64[ns]", "datetime64[us]", "datetime64[ms]", "datetime64[s]"];
const BOOLEAN_NAMES = ["bool", "bool_"];
const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  int8: [-128, 127],
  int16: [-32_768, 32_767],
  int32: [-2_147_483_648, 2_147_483_647],
  uint8: [0, 255],
  uint16: [0, 65_535],
  uint32: [0, 4_294_967_295],
  uint64: [0, Number.MAX_SAFE_INTEGER],
};
const KNOWN: ReadonlySet<string> = new Set([
  ...FLOAT_NAMES,
  "float32",
  ...INT_NAMES,
  ...Object.keys(RANGES),
  ...TEXT_NAMES,
  ...TIME_NAMES,
  ...BOOLEAN_NAMES,
]);

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

/** No column answers to a type that pandas and Python do not name so, as in GX; where none of those wanted is known the result says it. */
function noteOn(wanted: readonly string[], observed: string): string | undefined {
  if (wanted.length === 0 || wanted.some((type) => KNOWN.has(type))) return undefined;
  return `type ${wanted.join(", ")} is not known to this gate, the column is ${observed}; known are ${[...KNOWN].join(", ")}`;
}

function judgeType(column: Column, wanted: readonly string[]): Outcome {
  const names = namesOf(column);
  const success = wanted.some((type) => names.includes(type));
  const note = success ? undefined : noteOn(wanted, names[0]);
  return { success, result: { observed_value: names[0] }, ...(note === undefined ? {} : { note }) };
}

/** All names a column answers to, the one pandas would print first. */
function namesOf(column: Column): readonly string[] {
  if (column.kind === "text") return TEXT_NAMES;
  if (column.kind === "time") return TIME_NAMES;
  const { values } = column;
  // Without one value it could have been read as numbers, texts or times.
  if (values.length > 0 && values.every(Number.isNaN)) return [...FLOAT_NAMES, ...TEXT_NAMES, ...TIME_NAMES];
  if (isBoolean(column)) return BOOLEAN_NAMES;
  const narrow = values.every((value) => Number.isNaN(value) || Math.fround(value) === value) ? ["float32"] : [];
  if (!looksInteger(values)) return [...FLOAT_NAMES, ...narrow];
  const fitting = Object.keys(RANGES).filter((name) => {
    const [low, high] = RANGES[name];
    return values.every((value) => value >= low && value <= high);
  });
  return [...INT_NAMES, ...fitting, ...FLOAT_NAMES, ...narrow];
}
