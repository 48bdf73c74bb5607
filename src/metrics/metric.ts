// What a metric is: a figure of scored rows, prepared once and then evaluated for any weights; weight 1 is the plain case.

export type Scores = Float64Array | Float32Array;

/** Rows that one model scored; columns of equal length. */
export interface ScoredRows {
  /** No NaN. */
  readonly scores: Scores;
  /** 1 fraud, 0 genuine. */
  readonly y: Uint8Array;
  /** How often each row counts, 0 or more; once when absent. */
  readonly weights?: Float64Array;
  /** 1 where the model reviews or blocks, else 0; metrics of decisions need it. */
  readonly alerts?: Uint8Array;
  /** What each transaction is worth; metrics of money need it. */
  readonly amounts?: Float64Array;
  /** Row numbers by falling score, where somebody sorted them already. */
  readonly order?: Int32Array;
  /** The day and the card of each row, any codes; metrics of cards per day need them. */
  readonly days?: Int32Array;
  readonly cards?: Int32Array;
}

/** Rows that are drawn together, such as all rows of a card: the cluster of each row, numbered from 0 to `count` − 1. */
export interface Clusters {
  readonly of: Int32Array;
  readonly count: number;
}

export interface Metric {
  readonly name: string;
  readonly better: "higher" | "lower";
  /**
   * Does what does not depend on the draw, and returns a function from "how often each cluster was drawn" to the metric:
   * that of the rows whose weights are multiplied so. NaN where the metric is undefined.
   */
  prepare(rows: ScoredRows, clusters: Clusters): (drawn: Float64Array) => number;
  /**
   * What each row adds: the metric's derivative by the row's weight, times that weight (the infinitesimal jackknife, Jaeckel 1972; Efron
   * 1982, ch. 6). The sums of it over independent groups of rows, squared and added, are the metric's variance. All of it is NaN where
   * the metric is undefined.
   */
  influence?(rows: ScoredRows): Float64Array;
}

/** The metric of the rows as they are; NaN where it is undefined. */
export function measure(metric: Metric, rows: ScoredRows): number {
  return metric.prepare(rows, { of: new Int32Array(rows.y.length), count: 1 })(ONCE);
}

/** The weight of each row, ones where there are none. */
export function weightsOf({ weights, y }: ScoredRows): Float64Array {
  return weights ?? new Float64Array(y.length).fill(1);
}

const ONCE = Float64Array.of(1);
