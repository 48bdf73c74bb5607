// Expectations about one figure of a column: minimum, maximum, mean, median, standard deviation, sum.
import { mean, quantileSorted, standardDeviation } from "../../core/stats.ts";
import type { Column } from "../../core/table.ts";
import { finiteOrText, isoText } from "../cells.ts";
import { codeCounts, presentNumbers } from "../columns.ts";
import type { ExpectationDefinition, Outcome } from "../definition.ts";
import type { Range } from "../kwargs.ts";
import { isInside, matchKind } from "../limits.ts";
import { numericValues } from "../rows.ts";

/** Missing cells are left out. Without any value the figure is NaN and the check fails; only a sum of nothing is 0. */
export const AGGREGATES: readonly ExpectationDefinition[] = [
  extreme("min", (a, b) => a < b),
  extreme("max", (a, b) => a > b),
  aggregate("mean", mean),
  aggregate("median", (values) => quantileSorted(values.slice().sort(), 0.5)),
  aggregate("stdev", standardDeviation),
  aggregate("sum", (values) => values.reduce((sum, value) => sum + value, 0)),
];

function aggregate(name: string, figureOf: (present: Float64Array) => number): ExpectationDefinition {
  return {
    type: `expect_column_${name}_to_be_between`,
    prepare(kwargs) {
      const column = kwargs.text("column");
      const range = kwargs.range();
      return (rows) => {
        const present = presentNumbers(numericValues(rows, column));
        if (present.length > 0) matchKind(range, "number", column);
        const figure = figureOf(present);
        return { success: isInside(figure, range), result: { observed_value: finiteOrText(figure) } };
      };
    },
  };
}

function extreme(
  name: "min" | "max",
  isBetter: <T extends number | string>(a: T, b: T) => boolean,
): ExpectationDefinition {
  return {
    type: `expect_column_${name}_to_be_between`,
    prepare(kwargs) {
      const columnName = kwargs.text("column");
      const range = kwargs.range();
      return (rows) => {
        const column = rows.column(columnName);
        if (column.kind === "text" && range.min === null && range.max === null) return extremeText(column, isBetter);
        const values = numericValues(rows, columnName);
        return extremeNumber(values, { isBetter, range, kind: column.kind === "time" ? "time" : "number", columnName });
      };
    },
  };
}

function extremeNumber(
  values: Float64Array,
  how: {
    readonly isBetter: (a: number, b: number) => boolean;
    readonly range: Range;
    readonly kind: "number" | "time";
    readonly columnName: string;
  },
): Outcome {
  if (presentNumbers(values).length > 0) matchKind(how.range, how.kind, how.columnName);
  let best = Number.NaN;
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (!Number.isNaN(value) && (Number.isNaN(best) || how.isBetter(value, best))) best = value;
  }
  const shown = how.kind === "time" && !Number.isNaN(best) ? isoText(best, "T") : finiteOrText(best);
  return { success: isInside(best, how.range), result: { observed_value: shown } };
}

/** Texts have an order but no limits a suite could name (GX takes numbers and dates only), so any text will do. */
function extremeText(column: Extract<Column, { kind: "text" }>, isBetter: (a: string, b: string) => boolean): Outcome {
  const counts = codeCounts(column);
  let best: string | null = null;
  for (let code = 0; code < counts.length; code++) {
    const text = column.dictionary[code];
    if (counts[code] > 0 && (best === null || isBetter(text, best))) best = text;
  }
  return { success: best !== null, result: { observed_value: best } };
}
