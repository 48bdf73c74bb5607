// Metrics of the ranking, evaluated on resamples in one pass over rows that were sorted once.
import { orderBy } from "../core/table.ts";
import type { ClusteredRows, PairedMetric } from "./bootstrap.ts";

/**
 * Average precision, step-wise over distinct scores (scikit-learn's `average_precision_score`): the sum over scores s
 * of (recall gained at s) × (precision down to s).
 */
export function averagePrecision(): PairedMetric {
  return {
    name: "average precision",
    better: "higher",
    prepare(rows, scores) {
      const ranked = rank(rows, scores);
      return (drawn) => averagePrecisionOf(ranked, drawn);
    },
  };
}

/** Share of frauds among the top `share` of rows by score: what a review team of that size finds. */
export function recallAtReview(share: number): PairedMetric {
  return {
    name: `recall at review of ${percent(share)}`,
    better: "higher",
    prepare(rows, scores) {
      const ranked = rank(rows, scores);
      return (drawn) => recallUntil(ranked, drawn, { share, of: "rows" });
    },
  };
}

/** Share of frauds found when `share` of the genuine rows are alerted too. */
export function recallAtFpr(share: number): PairedMetric {
  return {
    name: `recall at ${percent(share)} false positives`,
    better: "higher",
    prepare(rows, scores) {
      const ranked = rank(rows, scores);
      return (drawn) => recallUntil(ranked, drawn, { share, of: "genuine" });
    },
  };
}

/** Rows by falling score. */
interface Ranked {
  /** card × 4 + 2 when the row is the last of its score + 1 when it is fraud: one read a row in the hot loop. */
  readonly codes: Int32Array;
  readonly weights: Float64Array;
  /** Weight of frauds and of all rows per card. */
  readonly cardFrauds: Float64Array;
  readonly cardRows: Float64Array;
}

function rank(rows: ClusteredRows, scores: Float64Array): Ranked {
  const order = orderBy(scores.map((score) => -score));
  const codes = new Int32Array(order.length);
  const weights = new Float64Array(order.length);
  const cardFrauds = new Float64Array(rows.cards);
  const cardRows = new Float64Array(rows.cards);
  for (let i = 0; i < order.length; i++) {
    const row = order[i];
    const last = i + 1 === order.length || scores[order[i + 1]] !== scores[row];
    codes[i] = (rows.card[row] << 2) | (last ? 2 : 0) | rows.y[row];
    weights[i] = rows.weights[row];
    cardRows[rows.card[row]] += weights[i];
    if (rows.y[row] === 1) cardFrauds[rows.card[row]] += weights[i];
  }
  return { codes, weights, cardFrauds, cardRows };
}

function averagePrecisionOf({ codes, weights, cardFrauds }: Ranked, drawn: Float64Array): number {
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
  const total = dot(cardFrauds, drawn);
  return total > 0 ? sum / total : Number.NaN;
}

/**
 * Recall where the alerted weight of all rows (or of genuine ones) reaches the share of its total. Within a run of equal
 * scores the line between its ends is taken: the mean over all orders of the tied rows.
 */
function recallUntil(
  ranked: Ranked,
  drawn: Float64Array,
  limit: { readonly share: number; readonly of: "rows" | "genuine" },
): number {
  const { codes, weights } = ranked;
  const totalFrauds = dot(ranked.cardFrauds, drawn);
  const total = dot(ranked.cardRows, drawn) - (limit.of === "genuine" ? totalFrauds : 0);
  if (!(totalFrauds > 0 && total > 0)) return Number.NaN;
  const stop = limit.share * total;
  let spent = 0;
  let spentBefore = 0;
  let frauds = 0;
  let fraudsBefore = 0;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    const weight = drawn[code >> 2] * weights[i];
    frauds += weight * (code & 1);
    spent += limit.of === "rows" ? weight : weight * (1 - (code & 1));
    if ((code & 2) === 0) continue;
    if (spent > stop) {
      const part = (stop - spentBefore) / (spent - spentBefore);
      return (fraudsBefore + part * (frauds - fraudsBefore)) / totalFrauds;
    }
    spentBefore = spent;
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
