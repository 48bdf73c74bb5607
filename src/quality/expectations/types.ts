// Expectations about the type of a column, in the names that pandas and Python give to types.
import { looksInteger } from "../cells.ts";
import { figuresOf } from "../columns.ts";
import type { ExpectationDefinition, Running } from "../definition.ts";
import { isEmptyText } from "../rows.ts";
import type { ColumnShape } from "../shape.ts";

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
      return (shape) => judgeType(shape.column(name), [type]);
    },
  },
  {
    type: "expect_column_values_to_be_in_type_list",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const types = kwargs.texts("type_list");
      kwargs.mostly();
      return (shape) => judgeType(shape.column(name), types);
    },
  },
];

/** No column answers to a type that pandas and Python do not name so, as in GX; where none of those wanted is known the result says it. */
function noteOn(wanted: readonly string[], observed: string): string | undefined {
  if (wanted.length === 0 || wanted.some((type) => KNOWN.has(type))) return undefined;
  return `type ${wanted.join(", ")} is not known to this gate, the column is ${observed}; known are ${[...KNOWN].join(", ")}`;
}

function judgeType(shape: ColumnShape, wanted: readonly string[]): Running {
  const seen = new SeenNumbers();
  return {
    push(rows) {
      const column = rows.column(shape.name);
      if (column.kind === "text") seen.texts(rows.count, isEmptyText(column));
      else seen.numbers(column.values);
    },
    finish() {
      const names = namesOf(shape, seen);
      const success = wanted.some((type) => names.includes(type));
      const note = success ? undefined : noteOn(wanted, names[0]);
      return { success, result: { observed_value: names[0] }, ...(note === undefined ? {} : { note }) };
    },
  };
}

/** What the numbers of a column have in common. */
class SeenNumbers {
  rows = 0;
  present = false;
  whole = true;
  single = true;
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;

  texts(count: number, empty: boolean): void {
    this.rows += count;
    if (!empty) this.present = true;
  }

  numbers(values: Float64Array): void {
    this.rows += values.length;
    const { count, min, max } = figuresOf(values);
    this.whole &&= count === values.length && looksInteger(values);
    if (count === 0) return;
    this.present = true;
    if (min < this.min) this.min = min;
    if (max > this.max) this.max = max;
    this.single &&= values.every((value) => Number.isNaN(value) || Math.fround(value) === value);
  }
}

/** All names a column answers to, the one pandas would print first. */
function namesOf({ kind, boolean }: ColumnShape, seen: SeenNumbers): readonly string[] {
  // Without one value it could have been read as numbers, texts or times.
  const empty = seen.rows > 0 && !seen.present;
  if (kind === "text" && seen.rows === 0) return TEXT_NAMES;
  if (kind === "time") return TIME_NAMES;
  if (empty) return [...FLOAT_NAMES, ...TEXT_NAMES, ...TIME_NAMES];
  if (kind === "text") return TEXT_NAMES;
  if (boolean) return BOOLEAN_NAMES;
  const narrow = seen.single ? ["float32"] : [];
  if (!seen.whole || seen.rows === 0) return [...FLOAT_NAMES, ...narrow];
  const fitting = Object.keys(RANGES).filter((name) => {
    const [low, high] = RANGES[name];
    return seen.min >= low && seen.max <= high;
  });
  return [...INT_NAMES, ...fitting, ...FLOAT_NAMES, ...narrow];
}
