// The expectation that quantiles of a column lie inside ranges.
import { finiteOrText } from "../cells.ts";
import type { ExpectationDefinition, Running } from "../definition.ts";
import type { Kwargs } from "../kwargs.ts";
import type { OrderStatistics } from "../order-statistics.ts";
import { plainNumbers } from "../rows.ts";

const METHODS = ["nearest", "linear", "lower", "higher", "midpoint"] as const;
type Method = (typeof METHODS)[number];

interface QuantileRanges {
  readonly quantiles: readonly number[];
  readonly ranges: readonly (readonly [number, number])[];
}

export const QUANTILES: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_quantile_values_to_be_between",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const { quantiles, ranges } = quantileRanges(kwargs);
      const method = methodOf(kwargs);
      return (shape, { shared }) => {
        shape.column(name);
        const statistics = shared.order(name);
        statistics.ask((count) => quantiles.flatMap((q) => ranksOf(count, q)));
        const running: Running = {
          push: (rows) => statistics.add(rows, plainNumbers(rows, name)),
          finish() {
            if (!statistics.endPass()) return running;
            const values = quantiles.map((q) => quantileBy(statistics, q, method));
            const details = values.map((value, i) => isWithin(value, ranges[i]));
            const observed = { quantiles, values: values.map(finiteOrText) };
            const result = { observed_value: observed, details: { success_details: details } };
            return { success: details.every((passed) => passed), result };
          },
        };
        return running;
      };
    },
  },
];

/** GX's tolerance on a bound: numpy.isclose with rtol 1e-4, atol 1e-8, |value − bound| ≤ atol + rtol·|bound|. */
function isWithin(value: number, [low, high]: readonly [number, number]): boolean {
  const isClose = (bound: number): boolean =>
    value === bound || (Number.isFinite(bound) && Math.abs(value - bound) <= 1e-8 + 1e-4 * Math.abs(bound));
  return (value >= low || isClose(low)) && (value <= high || isClose(high));
}

/** The ranks that lie around a quantile of so many numbers. */
function ranksOf(count: number, q: number): readonly number[] {
  const position = (count - 1) * q;
  return count === 0 ? [] : [Math.floor(position), Math.ceil(position)];
}

/** A quantile by the numbers around it; "nearest" rounds halves to even, as NumPy does. NaN when there are none. */
export function quantileBy(sorted: Pick<OrderStatistics, "total" | "at">, q: number, method: Method): number {
  if (sorted.total === 0) return Number.NaN;
  const position = (sorted.total - 1) * q;
  const below = Math.floor(position);
  const above = Math.ceil(position);
  switch (method) {
    case "lower":
      return sorted.at(below);
    case "higher":
      return sorted.at(above);
    case "midpoint":
      return (sorted.at(below) + sorted.at(above)) / 2;
    case "linear":
      return sorted.at(below) + (sorted.at(above) - sorted.at(below)) * (position - below);
    case "nearest": {
      const fraction = position - below;
      if (fraction === 0.5) return sorted.at(below % 2 === 0 ? below : above);
      return sorted.at(fraction < 0.5 ? below : above);
    }
  }
}

/** `allow_relative_error` is false, or the name of an interpolation (its second meaning in GX for pandas). */
function methodOf(kwargs: Kwargs): Method {
  const given = kwargs.get("allow_relative_error");
  if (given === undefined || given === false) return "nearest";
  return kwargs.choice("allow_relative_error", METHODS);
}

function quantileRanges(kwargs: Kwargs): QuantileRanges {
  const name = "quantile_ranges";
  const given = kwargs.get(name);
  if (typeof given !== "object" || given === null) return kwargs.wrong(name, "an object");
  const quantiles: unknown = "quantiles" in given ? given.quantiles : undefined;
  const ranges: unknown = "value_ranges" in given ? given.value_ranges : undefined;
  if (!Array.isArray(quantiles) || !Array.isArray(ranges) || quantiles.length !== ranges.length) {
    return kwargs.wrong(name, "an object with lists quantiles and value_ranges of one length");
  }
  if (!quantiles.every((q) => typeof q === "number" && q >= 0 && q <= 1)) {
    return kwargs.wrong(name, "an object whose quantiles are from 0 to 1");
  }
  return { quantiles, ranges: ranges.map((range) => pairOf(range, kwargs)) };
}

function pairOf(range: unknown, kwargs: Kwargs): readonly [number, number] {
  const isBound = (bound: unknown): bound is number | null => bound === null || typeof bound === "number";
  if (!Array.isArray(range) || range.length !== 2 || !range.every(isBound)) {
    return kwargs.wrong("quantile_ranges", "an object whose value_ranges are pairs of numbers or null");
  }
  return [range[0] ?? Number.NEGATIVE_INFINITY, range[1] ?? Number.POSITIVE_INFINITY];
}
