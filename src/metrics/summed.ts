// Metrics that are made of sums over rows, kept per cluster so that a draw costs one pass over clusters.
import { assert } from "../core/errors.ts";
import { type Metric, type ScoredRows, type Scores, weightsOf } from "./metric.ts";

/** Weight of rows by what the model did and what the truth is, but for genuine rows that it left alone. */
export interface Outcomes {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
}

/** Sums that {@link Outcomes} are made of: missed frauds, false alarms, caught frauds. */
const OUTCOMES = 3;

export interface Confusion extends Outcomes {
  readonly trueNegatives: number;
}

/** 1 where a score is at or above the threshold; compared as Float32, as decisions are. */
export function alertsAt(scores: Scores, threshold: number): Uint8Array {
  const limit = Math.fround(threshold);
  const alerts = new Uint8Array(scores.length);
  for (let row = 0; row < alerts.length; row++) if (Math.fround(scores[row]) >= limit) alerts[row] = 1;
  return alerts;
}

/** Rows that a threshold flags. */
export function countAlerts(scores: Scores, threshold: number): number {
  return alertsAt(scores, threshold).reduce((count, alert) => count + alert, 0);
}

/** Share of frauds among the flagged; NaN when nothing is flagged. */
export function precisionOf({ truePositives, falsePositives }: Outcomes): number {
  return truePositives / (truePositives + falsePositives);
}

/** Share of the frauds that are flagged; NaN without frauds. */
export function recallOf({ truePositives, falseNegatives }: Outcomes): number {
  return truePositives / (truePositives + falseNegatives);
}

/** Harmonic mean of precision and recall: 0 when nothing is caught, NaN without frauds, where there is nothing to catch. */
export function f1Of({ truePositives, falsePositives, falseNegatives }: Outcomes): number {
  if (truePositives + falseNegatives === 0) return Number.NaN;
  return (2 * truePositives) / (2 * truePositives + falsePositives + falseNegatives);
}

/** What the rows' alerts did. */
export function confusionOf(rows: ScoredRows): Confusion {
  const sums = new Float64Array(OUTCOMES);
  const add = addOutcome(rows);
  const weights = weightsOf(rows);
  let all = 0;
  for (let row = 0; row < weights.length; row++) {
    add(sums, 0, row, weights[row]);
    all += weights[row];
  }
  return { ...outcomesFrom(sums), trueNegatives: all - sums[0] - sums[1] - sums[2] };
}

export const PRECISION: Metric = counted("precision", precisionOf);

export const RECALL: Metric = counted("recall", recallOf);

export const F1: Metric = counted("F1", f1Of);

/** Alerted share of all rows; labels play no part. */
export const ALERT_RATE: Metric = summed({
  name: "alert rate",
  better: "lower",
  terms: 2,
  adder(rows) {
    const alerts = alertsOf(rows);
    return (sums, at, row, weight) => {
      sums[at] += alerts[row] * weight;
      sums[at + 1] += weight;
    };
  },
  value: ratio,
});

/** Mean squared distance of probability and label (Brier 1950). */
export const BRIER: Metric = summed({
  name: "Brier score",
  better: "lower",
  terms: 2,
  adder({ scores, y }) {
    return (sums, at, row, weight) => {
      sums[at] += weight * (scores[row] - y[row]) ** 2;
      sums[at + 1] += weight;
    };
  },
  value: ratio,
});

/** Mean −log of the probability given to what happened; probabilities are kept 2^-52 away from 0 and 1. */
export const LOG_LOSS: Metric = summed({
  name: "log loss",
  better: "lower",
  terms: 2,
  adder({ scores, y }) {
    return (sums, at, row, weight) => {
      const p = Math.min(Math.max(scores[row], Number.EPSILON), 1 - Number.EPSILON);
      sums[at] -= weight * Math.log(y[row] === 1 ? p : 1 - p);
      sums[at + 1] += weight;
    };
  },
  value: ratio,
});

/** Share of the frauds' amount that alerts catch; NaN when no fraud has an amount. */
export const CAUGHT_AMOUNT_SHARE: Metric = summed({
  name: "caught share of the fraud amount",
  better: "higher",
  terms: 2,
  adder(rows) {
    const { y } = rows;
    const alerts = alertsOf(rows);
    const amounts = amountsOf(rows);
    return (sums, at, row, weight) => {
      if (y[row] === 0) return;
      sums[at + 1 - alerts[row]] += weight * lossOf(amounts[row]);
    };
  },
  value: ([caught, missed]) => caught / (caught + missed),
});

/**
 * Savings of Correa Bahnsen et al. (2016): 1 − cost / cost of the better trivial policy (approve all, alert on all). A
 * missed fraud costs its amount, an alert costs `reviewCost`, in units of the amount. At most 1; 0 is worth nothing. NaN
 * when a trivial policy costs nothing.
 */
export function savings(reviewCost: number): Metric {
  return summed({
    name: "savings",
    better: "higher",
    terms: 3,
    adder(rows) {
      const { y } = rows;
      const alerts = alertsOf(rows);
      const amounts = amountsOf(rows);
      return (sums, at, row, weight) => {
        const loss = y[row] === 1 ? lossOf(amounts[row]) : 0;
        sums[at] += weight * (alerts[row] === 1 ? reviewCost : loss);
        sums[at + 1] += weight * loss;
        sums[at + 2] += weight * reviewCost;
      };
    },
    value: (sums) => 1 - sums[0] / Math.min(sums[1], sums[2]),
  });
}

/** What missing a fraud of this amount costs: an amount that is missing or negative counts as 0. */
export function lossOf(amount: number): number {
  return amount > 0 ? amount : 0;
}

/** Adds the terms of a row, times its weight, to `sums` from `at` on. */
type Add = (sums: Float64Array, at: number, row: number, weight: number) => void;

function summed(of: {
  readonly name: string;
  readonly better: "higher" | "lower";
  /** Sums per cluster. */
  readonly terms: number;
  readonly adder: (rows: ScoredRows) => Add;
  /** The metric of the sums over all drawn clusters; an infinite value is an undefined one. */
  readonly value: (sums: Float64Array) => number;
}): Metric {
  const { name, better, terms } = of;
  return {
    name,
    better,
    prepare(rows, clusters) {
      const byCluster = new Float64Array(clusters.count * terms);
      const add = of.adder(rows);
      const weights = weightsOf(rows);
      for (let row = 0; row < weights.length; row++) add(byCluster, clusters.of[row] * terms, row, weights[row]);
      const total = new Float64Array(terms);
      return (drawn) => {
        total.fill(0);
        for (let cluster = 0, at = 0; cluster < drawn.length; cluster++) {
          for (let term = 0; term < terms; term++, at++) total[term] += byCluster[at] * drawn[cluster];
        }
        return finite(of.value(total));
      };
    },
    influence(rows) {
      const add = of.adder(rows);
      const weights = weightsOf(rows);
      const total = new Float64Array(terms);
      for (let row = 0; row < weights.length; row++) add(total, 0, row, weights[row]);
      const slopes = slopesOf(of.value, total);
      const own = new Float64Array(terms);
      const influence = new Float64Array(weights.length);
      for (let row = 0; row < weights.length; row++) {
        own.fill(0);
        add(own, 0, row, weights[row]);
        for (let term = 0; term < terms; term++) influence[row] += own[term] * slopes[term];
      }
      return influence;
    },
  };
}

/** An infinite value is an undefined one. */
function finite(value: number): number {
  return Number.isFinite(value) ? value : Number.NaN;
}

/** Step of a numeric derivative, relative to the largest sum: the cube root of the rounding error balances both of its errors. */
const STEP = 6e-6;

/** The derivatives of a value by each of its sums. */
function slopesOf(value: (sums: Float64Array) => number, sums: Float64Array): Float64Array {
  const step = STEP * sums.reduce((most, sum) => Math.max(most, Math.abs(sum)), 0);
  return sums.map((_, at) => {
    const beside = (by: number): number => value(sums.map((sum, term) => (term === at ? sum + by : sum)));
    return finite((beside(step) - beside(-step)) / (2 * step));
  });
}

function counted(name: string, value: (outcomes: Outcomes) => number): Metric {
  return summed({
    name,
    better: "higher",
    terms: OUTCOMES,
    adder: addOutcome,
    value: (sums) => value(outcomesFrom(sums)),
  });
}

function addOutcome(rows: ScoredRows): Add {
  const { y } = rows;
  const alerts = alertsOf(rows);
  return (sums, at, row, weight) => {
    const outcome = 2 * alerts[row] + y[row];
    if (outcome > 0) sums[at + outcome - 1] += weight;
  };
}

function outcomesFrom([falseNegatives, falsePositives, truePositives]: Float64Array): Outcomes {
  return { truePositives, falsePositives, falseNegatives };
}

function ratio(sums: Float64Array): number {
  return sums[0] / sums[1];
}

function alertsOf({ alerts }: ScoredRows): Uint8Array {
  assert(alerts !== undefined, "a metric of decisions has the rows' alerts");
  return alerts;
}

function amountsOf({ amounts }: ScoredRows): Float64Array {
  assert(amounts !== undefined, "a metric of money has the rows' amounts");
  return amounts;
}
