// Curves: precision over recall, the ROC, and how often what the scores promise comes true, as points to draw.
import type { Scores } from "./metric.ts";
import { type Ranking, rank } from "./ranking.ts";

/** Columns of equal length, one value per point. */
export type Curve = Readonly<Record<string, readonly number[]>>;

/** More points than this no plot shows. */
const POINTS_MAX = 400;
const BINS_MAX = 20;

/**
 * Precision and recall at falling thresholds, recall ascending, ending at recall 1: columns `recall`, `precision`,
 * `threshold`. At most 402 points, evenly spaced in recall. Empty without frauds.
 */
export function precisionRecallCurve(scores: Scores, y: Uint8Array): Curve {
  const ranking = rank(scores, y);
  const shown = ranking.frauds === 0 ? [] : thinned(ranking, (g) => ranking.caught[g] / ranking.frauds);
  return {
    recall: shown.map((g) => ranking.caught[g] / ranking.frauds),
    precision: shown.map((g) => ranking.caught[g] / ranking.flagged[g]),
    threshold: shown.map((g) => ranking.score[g]),
  };
}

/**
 * The ROC from (0, 0) to (1, 1): columns `false_positive_rate`, `true_positive_rate`. At most 402 points beside the first,
 * evenly spaced along both axes together. Empty with one class only.
 */
export function rocCurve(scores: Scores, y: Uint8Array): Curve {
  const ranking = rank(scores, y);
  const genuine = ranking.rows - ranking.frauds;
  const drawable = ranking.frauds > 0 && genuine > 0;
  const caught = (g: number): number => ranking.caught[g] / ranking.frauds;
  const alarmed = (g: number): number => (ranking.flagged[g] - ranking.caught[g]) / genuine;
  const shown = drawable ? thinned(ranking, (g) => (caught(g) + alarmed(g)) / 2) : [];
  const start = drawable ? [0] : [];
  return {
    false_positive_rate: [...start, ...shown.map(alarmed)],
    true_positive_rate: [...start, ...shown.map(caught)],
  };
}

/**
 * A reliability diagram: rows in score order cut into bins of about equally many frauds, because bins of equally many rows
 * would be all but one empty of frauds. Columns `promised` (mean score), `happened` (share of frauds), `rows`.
 */
export function reliabilityCurve(scores: Scores, y: Uint8Array): Curve {
  const ranking = rank(scores, y);
  const bins = Math.min(BINS_MAX, ranking.frauds);
  const promised: number[] = [];
  const happened: number[] = [];
  const rows: number[] = [];
  let sum = 0;
  let from = { rows: 0, frauds: 0 };
  for (let g = 0; g < ranking.groups; g++) {
    sum += ranking.score[g] * (ranking.flagged[g] - (g === 0 ? 0 : ranking.flagged[g - 1]));
    const enough = ranking.caught[g] >= ((promised.length + 1) * ranking.frauds) / bins;
    if (bins === 0 || (g < ranking.groups - 1 && !(enough && promised.length < bins - 1))) continue;
    const count = ranking.flagged[g] - from.rows;
    promised.push(sum / count);
    happened.push((ranking.caught[g] - from.frauds) / count);
    rows.push(count);
    sum = 0;
    from = { rows: ranking.flagged[g], frauds: ranking.caught[g] };
  }
  return { promised: promised.reverse(), happened: happened.reverse(), rows: rows.reverse() };
}

/** Groups where `share` (ascending, 0 to 1) passes the next 1/400, and the last one. */
function thinned(ranking: Ranking, share: (group: number) => number): number[] {
  const shown: number[] = [];
  let drawn = -1;
  for (let g = 0; g < ranking.groups; g++) {
    const step = Math.floor(share(g) * POINTS_MAX);
    if (step <= drawn && g < ranking.groups - 1) continue;
    drawn = Math.max(drawn, step);
    shown.push(g);
  }
  return shown;
}
