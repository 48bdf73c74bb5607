// Metrics: how well scores tell frauds from genuine transactions. NaN where a metric is not defined.
import { descending, rank } from "./ranking.ts";

export type Scores = Float64Array | Float32Array;

export interface Confusion {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly trueNegatives: number;
  readonly falseNegatives: number;
}

export interface PrecisionRecallF1 {
  /** NaN when nothing is flagged. */
  readonly precision: number;
  /** NaN when there is no fraud. */
  readonly recall: number;
  /** 0 when nothing is caught; NaN when there is neither a fraud nor a flag. */
  readonly f1: number;
}

/** Area under the ROC curve: the chance that a fraud outscores a genuine transaction, ties counting half. */
export function rocAuc(scores: Scores, y: Uint8Array): number {
  const ranking = rank(scores, y);
  const genuine = ranking.rows - ranking.frauds;
  let area = 0;
  let caught = 0;
  let alarms = 0;
  for (let g = 0; g < ranking.groups; g++) {
    const alarmsNow = ranking.flagged[g] - ranking.caught[g];
    area += ((alarmsNow - alarms) * (caught + ranking.caught[g])) / 2;
    caught = ranking.caught[g];
    alarms = alarmsNow;
  }
  return area / (genuine * ranking.frauds);
}

/** Average precision: Σ (recall gained) × precision over falling thresholds, without interpolation. NaN without frauds. */
export function averagePrecision(scores: Scores, y: Uint8Array): number {
  const ranking = rank(scores, y);
  let sum = 0;
  let caught = 0;
  for (let g = 0; g < ranking.groups; g++) {
    sum += ((ranking.caught[g] - caught) * ranking.caught[g]) / ranking.flagged[g];
    caught = ranking.caught[g];
  }
  return sum / ranking.frauds;
}

/** Mean −log of the probability given to what happened; probabilities are kept 2^-52 away from 0 and 1. */
export function logLoss(scores: Scores, y: Uint8Array): number {
  let sum = 0;
  for (let r = 0; r < scores.length; r++) {
    const p = Math.min(Math.max(scores[r], Number.EPSILON), 1 - Number.EPSILON);
    sum -= Math.log(y[r] === 1 ? p : 1 - p);
  }
  return sum / scores.length;
}

/** Mean squared distance of probability and label (Brier 1950). */
export function brier(scores: Scores, y: Uint8Array): number {
  let sum = 0;
  for (let r = 0; r < scores.length; r++) sum += (scores[r] - y[r]) ** 2;
  return sum / scores.length;
}

/** Counts at a threshold: a score at or above it is flagged, compared as Float32, as decisions are. */
export function confusionAt(scores: Scores, y: Uint8Array, threshold: number): Confusion {
  const limit = Math.fround(threshold);
  let truePositives = 0;
  let flagged = 0;
  let frauds = 0;
  for (let r = 0; r < scores.length; r++) {
    frauds += y[r];
    if (Math.fround(scores[r]) < limit) continue;
    flagged++;
    truePositives += y[r];
  }
  const falsePositives = flagged - truePositives;
  const falseNegatives = frauds - truePositives;
  return {
    truePositives,
    falsePositives,
    falseNegatives,
    trueNegatives: scores.length - flagged - falseNegatives,
  };
}

export function precisionRecallF1At(scores: Scores, y: Uint8Array, threshold: number): PrecisionRecallF1 {
  const { truePositives, falsePositives, falseNegatives } = confusionAt(scores, y, threshold);
  return {
    precision: truePositives / (truePositives + falsePositives),
    recall: truePositives / (truePositives + falseNegatives),
    f1: (2 * truePositives) / (2 * truePositives + falsePositives + falseNegatives),
  };
}

/**
 * Share of the frauds among the highest-scored `share` of the transactions. A tie that would exceed the budget is left
 * out whole, because no threshold can part it.
 */
export function recallAtBudget(scores: Scores, y: Uint8Array, share: number): number {
  const ranking = rank(scores, y);
  const budget = Math.floor(share * ranking.rows + BUDGET_SLACK);
  let caught = 0;
  for (let g = 0; g < ranking.groups && ranking.flagged[g] <= budget; g++) caught = ranking.caught[g];
  return caught / ranking.frauds;
}

/** Highest recall of any threshold that flags at most `fpr` of the genuine transactions. */
export function recallAtFpr(scores: Scores, y: Uint8Array, fpr: number): number {
  const ranking = rank(scores, y);
  const budget = Math.floor(fpr * (ranking.rows - ranking.frauds) + BUDGET_SLACK);
  let caught = 0;
  for (let g = 0; g < ranking.groups && ranking.flagged[g] - ranking.caught[g] <= budget; g++) {
    caught = ranking.caught[g];
  }
  return caught / ranking.frauds;
}

/** The best F1 of any threshold, and the highest threshold that reaches it. NaN and +Infinity without frauds. */
export function maxF1(scores: Scores, y: Uint8Array): { readonly f1: number; readonly threshold: number } {
  const ranking = rank(scores, y);
  let f1 = ranking.frauds === 0 ? Number.NaN : 0;
  let threshold = Number.POSITIVE_INFINITY;
  for (let g = 0; g < ranking.groups; g++) {
    const here = (2 * ranking.caught[g]) / (ranking.flagged[g] + ranking.frauds);
    if (!(here > f1)) continue;
    f1 = here;
    threshold = ranking.score[g];
  }
  return { f1, threshold };
}

/**
 * Card Precision@k of the Fraud Detection Handbook (Le Borgne et al. 2022, ch. 4): each day, in order, the k cards with
 * the highest transaction score are looked at; a card is compromised when one of its transactions that day is a fraud, and
 * once found it is left out of the later days. The mean over days of compromised cards found / k. Ties go to the smaller
 * card code. NaN without days.
 */
export function cardPrecisionAtK(input: {
  readonly scores: Scores;
  readonly y: Uint8Array;
  readonly card: Int32Array;
  readonly day: Int32Array;
  readonly k: number;
}): number {
  const rowsOfDay = new Map<number, number[]>();
  for (let r = 0; r < input.scores.length; r++) {
    const rows = rowsOfDay.get(input.day[r]);
    if (rows === undefined) rowsOfDay.set(input.day[r], [r]);
    else rows.push(r);
  }
  const found = new Set<number>();
  let sum = 0;
  for (const day of [...rowsOfDay.keys()].sort((a, b) => a - b)) {
    const hits = topCards(input, { rows: rowsOfDay.get(day)!, leftOut: found });
    sum += hits.length / input.k;
    for (const card of hits) found.add(card);
  }
  return sum / rowsOfDay.size;
}

/** Keeps 0.1 × 30 (2.9999…) from losing a transaction of the budget. */
const BUDGET_SLACK = 1e-9;

/** The compromised among one day's top k cards. */
function topCards(
  input: Parameters<typeof cardPrecisionAtK>[0],
  day: { readonly rows: readonly number[]; readonly leftOut: ReadonlySet<number> },
): number[] {
  const cards = new Map<number, { score: number; fraud: boolean }>();
  for (const r of day.rows) {
    if (day.leftOut.has(input.card[r])) continue;
    const seen = cards.get(input.card[r]) ?? { score: Number.NEGATIVE_INFINITY, fraud: false };
    cards.set(input.card[r], {
      score: Math.max(seen.score, input.scores[r]),
      fraud: seen.fraud || input.y[r] === 1,
    });
  }
  const codes = Int32Array.from(cards.keys()).sort();
  const order = descending(Float64Array.from(codes, (code) => cards.get(code)!.score));
  return Array.from(order.subarray(0, input.k), (at) => codes[at]).filter((code) => cards.get(code)!.fraud);
}
