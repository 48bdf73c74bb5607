// Metrics of the ranking: rows are sorted once, and a draw costs one pass over them.
import { type Metric, type ScoredRows, weightsOf } from "./metric.ts";
import { budgetOf, descending, type RankedRows, rankRows } from "./ranking.ts";

/**
 * Average precision, step-wise over distinct scores (scikit-learn's `average_precision_score`): the sum over scores s
 * of (recall gained at s) × (precision down to s). NaN without frauds.
 */
export const AVERAGE_PRECISION: Metric = {
  ...ranked("average precision", ({ codes, weights, clusterFrauds }, drawn) => {
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
  }),
  // With T and A the weight of frauds and of all rows down to a score: P × AP = Σ ΔT × T / A. A row adds to ΔT, T and A of its own
  // score and to T and A of all lower ones.
  influence(rows) {
    const { order, weights, ends } = levelsOf(rows);
    const perFraud = new Float64Array(ends.length);
    const perRow = new Float64Array(ends.length);
    let gained = 0;
    let lost = 0;
    let sum = 0;
    for (let level = ends.length - 1; level >= 0; level--) {
      const { frauds, all } = ends[level];
      const more = frauds - (ends[level - 1]?.frauds ?? 0);
      const precision = all > 0 ? frauds / all : 0;
      if (all > 0) {
        gained += more / all;
        lost += (more * precision) / all;
      }
      sum += more * precision;
      perFraud[level] = precision + gained;
      perRow[level] = lost;
    }
    const total = ends.at(-1)?.frauds ?? 0;
    const value = sum / total;
    const influence = new Float64Array(order.length);
    for (let i = 0, level = 0; i < order.length; i++) {
      const row = order[i];
      influence[row] = (weights[row] / total) * (rows.y[row] * (perFraud[level] - value) - perRow[level]);
      if (i === ends[level].last) level++;
    }
    return influence;
  },
};

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
  return recallWithin(`recall at review of ${percent(share)}`, { share, of: "rows" });
}

/** Highest recall of any threshold that flags at most `share` of the genuine rows. NaN with one class only. */
export function recallWithinFpr(share: number): Metric {
  return recallWithin(`recall at ${percent(share)} false positives`, { share, of: "genuine" });
}

interface Limit {
  readonly share: number;
  readonly of: "rows" | "genuine";
}

function recallWithin(name: string, limit: Limit): Metric {
  return {
    ...ranked(name, (rows, drawn) => recallUntil(rows, drawn, limit)),
    influence: (rows) => recallInfluence(rows, limit),
  };
}

/** How far around the budget the frauds per flagged row are counted, as shares of it: a step function has no slope at a point. */
const AROUND = [0.5, 1.5] as const;

/**
 * A row changes the recall by itself, and by moving the threshold: a row more above it leaves less of the budget for those at its edge, and
 * a row more anywhere makes the budget larger. What the edge is worth is the frauds per flagged row around it.
 */
function recallInfluence(rows: ScoredRows, { share, of }: Limit): Float64Array {
  const { order, weights, ends } = levelsOf(rows);
  const { y } = rows;
  const counted = (frauds: number, all: number): number => (of === "rows" ? all : all - frauds);
  const last = ends.at(-1) ?? { frauds: 0, all: 0, last: -1 };
  const budget = budgetOf(share, counted(last.frauds, last.all));
  const within = (limit: number): { readonly frauds: number; readonly flagged: number; readonly last: number } => {
    let found = { frauds: 0, flagged: 0, last: -1 };
    for (const { frauds, all, last } of ends) {
      if (counted(frauds, all) > limit) break;
      found = { frauds, flagged: counted(frauds, all), last };
    }
    return found;
  };
  const at = within(budget);
  const [inner, outer] = [within(budget * AROUND[0]), within(budget * AROUND[1])];
  const slope = outer.flagged > inner.flagged ? (outer.frauds - inner.frauds) / (outer.flagged - inner.flagged) : 0;
  const recall = at.frauds / last.frauds;
  const influence = new Float64Array(order.length);
  for (let i = 0; i < order.length; i++) {
    const row = order[i];
    const isFlagged = i <= at.last ? 1 : 0;
    const own = y[row] * (isFlagged - recall);
    const edge = of === "rows" || y[row] === 0 ? slope * (isFlagged - share) : 0;
    influence[row] = (weights[row] / last.frauds) * (own - edge);
  }
  return influence;
}

/** Rows by falling score; for each score the place of its last row, and the weight of frauds and of all rows down to it. */
function levelsOf(rows: ScoredRows): {
  readonly order: Int32Array;
  readonly weights: Float64Array;
  readonly ends: readonly { readonly frauds: number; readonly all: number; readonly last: number }[];
} {
  const { scores, y, order = descending(rows.scores) } = rows;
  const weights = weightsOf(rows);
  const ends = [];
  let frauds = 0;
  let all = 0;
  for (let i = 0; i < order.length; i++) {
    const row = order[i];
    all += weights[row];
    frauds += weights[row] * y[row];
    if (i + 1 < order.length && scores[order[i + 1]] === scores[row]) continue;
    ends.push({ frauds, all, last: i });
  }
  return { order, weights, ends };
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
function recallUntil(rows: RankedRows, drawn: Float64Array, limit: Limit): number {
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
