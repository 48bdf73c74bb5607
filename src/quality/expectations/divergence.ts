// The expectation that a column is distributed as a partition says, by the Kullback–Leibler divergence of what is seen from what is expected.
import { SentinelError } from "../../core/errors.ts";
import { type CellValue, finiteOrText, isoText } from "../cells.ts";
import { figuresOf } from "../columns.ts";
import type { ExpectationDefinition, Outcome, Running } from "../definition.ts";
import type { Kwargs, SetValue } from "../kwargs.ts";
import { numericValues, type Rows } from "../rows.ts";

interface Holdout {
  /** Expected weight given to what the partition does not name. */
  readonly tail: number;
  /** Expected weight given to bins of weight 0. */
  readonly internal: number;
}

interface Bins {
  readonly kind: "bins";
  /** Ascending; the first and the last may be infinite. */
  readonly edges: readonly number[];
  readonly weights: readonly number[];
  readonly tails: readonly [number, number] | null;
}

interface Values {
  readonly kind: "values";
  readonly values: readonly SetValue[];
  readonly weights: readonly number[];
}

/** Different values counted of a column that is to have few. */
const VALUES_MAX = 100_000;
/** numpy.allclose: weights must sum to one within this. */
const SUM_TOLERANCE = 1e-5 + 1e-8;

export const DIVERGENCE: readonly ExpectationDefinition[] = [
  {
    type: "expect_column_kl_divergence_to_be_less_than",
    prepare(kwargs) {
      const name = kwargs.text("column");
      const partition = partitionOf(kwargs);
      const threshold = kwargs.optionalNumber("threshold");
      if (threshold !== null && threshold < 0) kwargs.wrong("threshold", "a number of at least 0");
      const holdout = holdoutOf(kwargs, partition);
      const bucketize = kwargs.boolean("bucketize_data", true);
      if (partition.kind === "bins" && !bucketize)
        kwargs.wrong("bucketize_data", "true: bins need data that is put into bins");
      const end = (divergence: number, details: Outcome["result"]): Outcome => ({
        success: threshold === null || divergence <= threshold,
        result: { observed_value: Number.isFinite(divergence) ? divergence : null, details },
      });
      return (shape) => {
        const { kind } = shape.column(name);
        if (partition.kind === "bins") return ofBins(name, { partition, holdout, end });
        return ofValues(name, { partition, holdout, isTime: kind === "time", end });
      };
    },
  },
];

type End = (divergence: number, details: Outcome["result"]) => Outcome;

function ofValues(
  name: string,
  given: { readonly partition: Values; readonly holdout: Holdout; readonly isTime: boolean; readonly end: End },
): Running {
  const { partition, holdout, isTime, end } = given;
  const counts = new Map<SetValue, number>();
  let present = 0;
  return {
    push(rows) {
      present += countValues(rows, name, counts);
      if (counts.size > VALUES_MAX) throw tooManyValues(name);
    },
    finish() {
      const expected = new Map(partition.values.map((value, i) => [value, partition.weights[i]]));
      const others = [...counts.keys()].filter((value) => !expected.has(value)).sort((a, b) => (a < b ? -1 : 1));
      const values = [...expected.keys(), ...others];
      const seen = values.map((value) => (counts.get(value) ?? 0) / Math.max(present, 1));
      const scale = others.length > 0 ? 1 - holdout.tail : 1;
      const wanted = values.map((value) => {
        const weight = expected.get(value);
        return weight === undefined ? holdout.tail / others.length : weight * scale;
      });
      const shown = values.map(
        (value): CellValue => (typeof value === "number" && isTime ? isoText(value, "T") : value),
      );
      return end(entropy(seen, wanted), {
        observed_partition: { values: shown, weights: seen.map(finiteOrText) },
        expected_partition: { values: shown, weights: wanted.map(finiteOrText) },
      });
    },
  };
}

function countValues(rows: Rows, name: string, counts: Map<SetValue, number>): number {
  const column = rows.column(name);
  let present = 0;
  for (let row = 0; row < rows.count; row++) {
    const missing = column.kind === "text" ? column.codes[row] < 0 : Number.isNaN(column.values[row]);
    if (missing) continue;
    const value = column.kind === "text" ? column.dictionary[column.codes[row]] : column.values[row] + 0;
    counts.set(value, (counts.get(value) ?? 0) + 1);
    present++;
  }
  return present;
}

/** The parts of a distribution that lie in bins, and those that lie in the two tails outside. */
interface Parts {
  readonly inner: readonly number[];
  readonly tails: readonly [number, number];
}

function ofBins(
  name: string,
  { partition, holdout, end }: { readonly partition: Bins; readonly holdout: Holdout; readonly end: End },
): Running {
  const { edges } = partition;
  const own = new BinCounts(edges);
  return {
    push: (rows) => own.add(numericValues(rows, name)),
    finish() {
      const { counts, present, below, above } = own;
      const observed = Array.from(counts, (count) => count / present);
      const seen = cutTails(observed, [below / present, above / present], edges);
      const wanted = cutTails(expectedWeights(partition, holdout), expectedTails(partition, holdout), edges);
      const inner = edges.filter((edge) => Number.isFinite(edge));
      const divergence = entropy(
        [seen.tails[0], ...seen.inner, seen.tails[1]],
        [wanted.tails[0], ...wanted.inner, wanted.tails[1]],
      );
      const shown = ({ inner: weights, tails }: Parts) => ({
        bins: inner,
        weights: weights.map(finiteOrText),
        tail_weights: tails.map(finiteOrText),
      });
      return end(divergence, { observed_partition: shown(seen), expected_partition: shown(wanted) });
    },
  };
}

/** Edges up to which comparing with each of them is quicker than a search, whose steps nobody can foresee. */
const EDGES_COMPARED_MAX = 16;

/** How many numbers lie in each bin, and outside. */
class BinCounts {
  readonly counts: Float64Array;
  present = 0;
  below = 0;
  above = 0;
  private readonly edges: Float64Array;

  constructor(edges: readonly number[]) {
    this.edges = Float64Array.from(edges);
    this.counts = new Float64Array(edges.length - 1);
  }

  add(values: Float64Array): void {
    const { edges, counts } = this;
    const last = edges.length - 1;
    const [lowest, highest] = [edges[0], edges[last]];
    const compares = edges.length <= EDGES_COMPARED_MAX;
    this.present += figuresOf(values).count;
    for (let row = 0; row < values.length; row++) {
      const value = values[row];
      if (value < lowest) this.below++;
      else if (value > highest) this.above++;
      else if (!Number.isNaN(value)) {
        let bin = 0;
        if (compares) for (let edge = 1; edge < last; edge++) bin += value >= edges[edge] ? 1 : 0;
        else bin = binOf(edges, value);
        counts[bin]++;
      }
    }
  }
}

/** A bin from an infinite edge is a tail. */
function cutTails(weights: readonly number[], outside: readonly [number, number], edges: readonly number[]): Parts {
  const left = edges[0] === Number.NEGATIVE_INFINITY;
  const right = edges[edges.length - 1] === Number.POSITIVE_INFINITY;
  return {
    inner: weights.slice(left ? 1 : 0, right ? -1 : undefined),
    tails: [left ? weights[0] : outside[0], right ? weights[weights.length - 1] : outside[1]],
  };
}

function expectedWeights({ weights }: Bins, { tail, internal }: Holdout): readonly number[] {
  const scaled = weights.map((weight) => weight * (1 - tail - internal));
  const zeros = scaled.filter((weight) => weight === 0).length;
  return internal > 0 ? scaled.map((weight) => (weight === 0 ? internal / zeros : weight)) : scaled;
}

/** With one infinite edge all of the holdout lies at the other. */
function expectedTails({ edges, tails }: Bins, { tail }: Holdout): readonly [number, number] {
  if (tails !== null) return tails;
  const open = [edges[0], edges[edges.length - 1]].filter((edge) => !Number.isFinite(edge)).length;
  return open === 1 ? [tail, tail] : [tail / 2, tail / 2];
}

/** The bin of a value between the first and the last edge; the last bin holds its upper edge, as numpy.histogram has it. */
function binOf(edges: Float64Array, value: number): number {
  let low = 0;
  let high = edges.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (edges[middle] <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Σ p ln(p / q) of weights made to sum to one, as scipy.stats.entropy computes it; infinite where something is seen that is not expected. */
function entropy(seen: readonly number[], expected: readonly number[]): number {
  const total = (weights: readonly number[]): number => weights.reduce((sum, weight) => sum + weight, 0);
  const [p, q] = [total(seen), total(expected)];
  let sum = 0;
  seen.forEach((weight, i) => {
    const [a, b] = [weight / p, expected[i] / q];
    if (Number.isNaN(a) || Number.isNaN(b)) sum = Number.NaN;
    else if (a > 0) sum += b > 0 ? a * Math.log(a / b) : Number.POSITIVE_INFINITY;
  });
  return sum;
}

function holdoutOf(kwargs: Kwargs, partition: Bins | Values): Holdout {
  const tail = shareOf(kwargs, "tail_weight_holdout");
  const internal = shareOf(kwargs, "internal_weight_holdout");
  if (partition.kind === "values") {
    if (internal > 0) kwargs.wrong("internal_weight_holdout", "0: values have no bins");
    return { tail, internal };
  }
  const { edges, tails } = partition;
  const [left, right] = [Number.isFinite(edges[0]), Number.isFinite(edges[edges.length - 1])];
  if (tails !== null && tail !== 0) kwargs.wrong("tail_weight_holdout", "0 where the partition has tail_weights");
  if (tails !== null && !(left && right))
    kwargs.wrong("partition_object", "without tail_weights where its ends are infinite");
  if (!left && !right && tail > 0) kwargs.wrong("tail_weight_holdout", "0 where both ends of the bins are infinite");
  return { tail, internal };
}

function shareOf(kwargs: Kwargs, name: string): number {
  const share = kwargs.optionalNumber(name) ?? 0;
  return share >= 0 && share <= 1 ? share : kwargs.wrong(name, "a number from 0 to 1");
}

function partitionOf(kwargs: Kwargs): Bins | Values {
  const name = "partition_object";
  const given = kwargs.get(name);
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return kwargs.wrong(
      name,
      "an object with weights, and values or bins (a partition made from the data itself proves nothing)",
    );
  }
  const part = given as Readonly<Record<string, unknown>>;
  const weights = numbersOf(part.weights);
  if (weights === null) return kwargs.wrong(name, "an object whose weights are numbers");
  if (Array.isArray(part.values)) {
    const values = part.values.map((value) => (typeof value === "boolean" ? Number(value) : value));
    const isValue = (value: unknown): value is SetValue => typeof value === "number" || typeof value === "string";
    if (!values.every(isValue) || values.length !== weights.length || !isOne(weights))
      return kwargs.wrong(name, "an object with as many values as weights, which sum to 1");
    return { kind: "values", values, weights };
  }
  const edges = numbersOf(part.bins);
  const tails = part.tail_weights === undefined ? null : numbersOf(part.tail_weights);
  const ascending = edges?.every((edge, i) => i === 0 || edge > edges[i - 1]) === true;
  if (edges === null || edges.length !== weights.length + 1 || !ascending)
    return kwargs.wrong(name, "an object with values, or with bins that ascend, one more than weights");
  if ((part.tail_weights !== undefined && tails?.length !== 2) || !isOne([...weights, ...(tails ?? [])]))
    return kwargs.wrong(name, "an object whose weights (with two tail_weights, if any) sum to 1");
  return { kind: "bins", edges, weights, tails: tails === null ? null : [tails[0], tails[1]] };
}

/** JSON has no infinite numbers; they are written as texts. */
function numbersOf(given: unknown): readonly number[] | null {
  if (!Array.isArray(given)) return null;
  const numbers = given.map((one) => {
    if (typeof one === "string" && /^[+-]?inf(inity)?$/i.test(one)) return one.startsWith("-") ? -Infinity : Infinity;
    return typeof one === "number" ? one : Number.NaN;
  });
  return numbers.some(Number.isNaN) ? null : numbers;
}

function isOne(weights: readonly number[]): boolean {
  return Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 1) <= SUM_TOLERANCE;
}

function tooManyValues(name: string): SentinelError {
  return new SentinelError(
    "dataset.too-large",
    `column ${JSON.stringify(name)} has more than ${VALUES_MAX} different values`,
    {
      hint: "give partition_object bins instead of values",
    },
  );
}
