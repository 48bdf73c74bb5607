// Expectations about one figure of a column: minimum, maximum, mean, median, standard deviation, sum.
import type { TextColumn } from "../../core/table.ts";
import { finiteOrText, isoText } from "../cells.ts";
import { figuresOf, hasNumber } from "../columns.ts";
import type { CheckContext, ExpectationDefinition, Outcome, Running } from "../definition.ts";
import type { Range } from "../kwargs.ts";
import { isInside, matchKind } from "../limits.ts";
import type { Moments } from "../moments.ts";
import type { SharedOrder } from "../order-statistics.ts";
import { numericValues, plainNumbers, type Rows } from "../rows.ts";

/** Missing cells are left out. Without any value the figure is NaN and the check fails; only a sum of nothing is 0. */
export const AGGREGATES: readonly ExpectationDefinition[] = [
  extreme("min", (a, b) => a < b),
  extreme("max", (a, b) => a > b),
  aggregate(
    "mean",
    ofMoments((moments) => moments.mean()),
  ),
  aggregate("median", (column, { shared }) => median(shared.order(column))),
  aggregate(
    "stdev",
    ofMoments((moments) => moments.deviation()),
  ),
  aggregate(
    "sum",
    ofMoments(({ sum }) => sum),
  ),
];

/** A figure of numbers that come in batches; null where they must come once more. */
interface Figure {
  /** `rows` tells one batch from another. */
  add(values: Float64Array, rows: Rows): void;
  end(): number | null;
}

type FigureOf = (column: string, context: CheckContext) => Figure;

function aggregate(name: string, figureOf: FigureOf): ExpectationDefinition {
  return {
    type: `expect_column_${name}_to_be_between`,
    prepare(kwargs) {
      const column = kwargs.text("column");
      const range = kwargs.range();
      return (shape, context) => {
        shape.column(column);
        const figure = figureOf(column, context);
        const running: Running = {
          push(rows) {
            const values = plainNumbers(rows, column);
            if (hasNumber(values)) matchKind(range, "number", column);
            figure.add(values, rows);
          },
          finish() {
            const observed = figure.end();
            if (observed === null) return running;
            return { success: isInside(observed, range), result: { observed_value: finiteOrText(observed) } };
          },
        };
        return running;
      };
    },
  };
}

function ofMoments(figure: (moments: Moments) => number): FigureOf {
  return (column, { shared }) => {
    const own = shared.moments(column);
    return { add: (values, rows) => own.add(rows, values), end: () => figure(own.moments) };
  };
}

/** The mean of the two middle ones where there is no middle one. */
function median(statistics: SharedOrder): Figure {
  const middle = (count: number): readonly number[] =>
    count === 0 ? [] : [Math.floor((count - 1) / 2), Math.ceil((count - 1) / 2)];
  statistics.ask(middle);
  return {
    add: (values, rows) => statistics.add(rows, values),
    end() {
      if (!statistics.endPass()) return null;
      const [low = -1, high = -1] = middle(statistics.total);
      const below = statistics.at(low);
      return low === high ? below : below + (statistics.at(high) - below) * 0.5;
    },
  };
}

type IsBetter = <T extends number | string>(a: T, b: T) => boolean;

function extreme(name: "min" | "max", isBetter: IsBetter): ExpectationDefinition {
  return {
    type: `expect_column_${name}_to_be_between`,
    prepare(kwargs) {
      const columnName = kwargs.text("column");
      const range = kwargs.range();
      return (shape) => {
        const { kind } = shape.column(columnName);
        // Texts have an order but no limits a suite could name (GX takes numbers and dates only), so any text will do.
        if (kind === "text" && range.min === null && range.max === null) return extremeText(columnName, isBetter);
        return extremeNumber(columnName, { isBetter, range });
      };
    },
  };
}

function extremeNumber(
  columnName: string,
  { isBetter, range }: { readonly isBetter: IsBetter; readonly range: Range },
): Running {
  let best = Number.NaN;
  let kind: "number" | "time" = "number";
  return {
    push(rows: Rows) {
      const values = numericValues(rows, columnName);
      kind = rows.column(columnName).kind === "time" ? "time" : "number";
      if (hasNumber(values)) matchKind(range, kind, columnName);
      const { count, min, max } = figuresOf(values);
      const value = isBetter(min, max) ? min : max;
      if (count > 0 && (Number.isNaN(best) || isBetter(value, best))) best = value;
    },
    finish(): Outcome {
      const shown = kind === "time" && !Number.isNaN(best) ? isoText(best, "T") : finiteOrText(best);
      return { success: isInside(best, range), result: { observed_value: shown } };
    },
  };
}

function extremeText(columnName: string, isBetter: IsBetter): Running {
  let best: string | null = null;
  return {
    push(rows: Rows) {
      const { codes, dictionary } = rows.column(columnName) as TextColumn;
      for (let row = 0; row < codes.length; row++) {
        if (codes[row] < 0) continue;
        const text = dictionary[codes[row]];
        if (best === null || isBetter(text, best)) best = text;
      }
    },
    finish: (): Outcome => ({ success: best !== null, result: { observed_value: best } }),
  };
}
