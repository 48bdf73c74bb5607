// Metrics of the ranking: rows are sorted once, and a draw costs one pass over them.
import type { Metric } from "./metric.ts";
import { budgetOf, type RankedRows, rankRows } from "./ranking.ts";

/**
 * Average precision, step-wise over distinct scores (scikit-learn's `average_precision_score`): the sum over scores s
 * of (recall gained at s) × (precision down to s). NaN without frauds.
 */
export const AVERAGE_PRECISION: Metric = ranked("average precision", ({ codes, weights, clusterFrauds }, drawn) => {
  let all = 0;
  let frauds = 0;
  let fraudsBefore = 0;
  let sum = 0;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    const weight = drawn[code >> 2] * weights[i];
    all += weight;
    frauds += weight * (code & 1);
    if ((code & 2) !== 0 && frauds > fraudsBefore) {
      sum += ((frauds - fraudsBefore) * frauds) / all;
      fraudsBefore = frauds;
    }
  }
  const total = dot(clusterFrauds, drawn);
  return total > 0 ? sum / total : Number.NaN;
});

/** Area under the ROC curve: the chance that a fraud outscores a genuine row, ties counting half. NaN with one class only. */
export const ROC_AUC: Metric = ranked("ROC AUC", ({ codes, weights, clusterFrauds, clusterRows }, drawn) => {
  let frauds = 0;
  let fraudsBefore = 0;
  let genuine = 0;
  let genuineBefore = 0;
  let area = 0;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    const weight = drawn[code >> 2] * weights[i];
    frauds += weight * (code & 1);
    genuine += weight * (1 - (code & 1));
    if ((code & 2) === 0) continue;
    area += ((genuine - genuineBefore) * (fraudsBefore + frauds)) / 2;
    fraudsBefore = frauds;
    genuineBefore = genuine;
  }
  const totalFrauds = dot(clusterFrauds, drawn);
  const totalGenuine = dot(clusterRows, drawn) - totalFrauds;
  return totalFrauds > 0 && totalGenuine > 0 ? area / (totalGenuine * totalFrauds) : Number.NaN;
});

/**
 * Share of the frauds among the highest-scored `share` of the rows: what a review team of that size finds. A tied group
 * that would exceed the budget is left out whole, because no threshold can split it. NaN without frauds.
 */
export function recallWithinBudget(share: number): Metric {
  return ranked(`recall at review of ${percent(share)}`, (rows, drawn) =>
    recallUntil(rows, drawn, { share, of: "rows" }),
  );
}

/** Highest recall of any threshold that flags at most `share` of the genuine rows. NaN with one class only. */
export function recallWithinFpr(share: number): Metric {
  return ranked(`recall at ${percent(share)} false positives`, (rows, drawn) =>
    recallUntil(rows, drawn, { share, of: "genuine" }),
  );
}

function ranked(name: string, evaluate: (rows: RankedRows, drawn: Float64Array) => number): Metric {
  return {
    name,
    better: "higher",
    prepare(rows, clusters) {
      const sorted = rankRows(rows, clusters);
      return (drawn) => evaluate(sorted, drawn);
    },
  };
}

/** Recall of the last tied group with which the flagged weight, of all rows or of genuine ones, is within its budget. */
function recallUntil(
  rows: RankedRows,
  drawn: Float64Array,
  limit: { readonly share: number; readonly of: "rows" | "genuine" },
): number {
  const { codes, weights } = rows;
  const countsFrauds = limit.of === "rows";
  const totalFrauds = dot(rows.clusterFrauds, drawn);
  const total = dot(rows.clusterRows, drawn) - (countsFrauds ? 0 : totalFrauds);
  if (!(totalFrauds > 0 && total > 0)) return Number.NaN;
  const budget = budgetOf(limit.share, total);
  let flagged = 0;
  let frauds = 0;
  let fraudsBefore = 0;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    const weight = drawn[code >> 2] * weights[i];
    frauds += weight * (code & 1);
    flagged += countsFrauds ? weight : weight * (1 - (code & 1));
    if ((code & 2) === 0) continue;
    if (flagged > budget) return fraudsBefore / totalFrauds;
    fraudsBefore = frauds;
  }
  return 1;
}

function dot(values: Float64Array, drawn: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < drawn.length; i++) sum += values[i] * drawn[i];
  return sum;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(4))} %`;
}
