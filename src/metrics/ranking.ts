// Ranking: scores in descending order with their ties, the view from which most metrics and thresholds are read.
import { type Clusters, type ScoredRows, type Scores, weightsOf } from "./metric.ts";

/** Group g holds all rows that share the g-th highest score; counts are of rows with that score or a higher one. */
export interface Ranking {
  readonly rows: number;
  readonly frauds: number;
  readonly groups: number;
  readonly score: Float64Array;
  readonly flagged: Int32Array;
  readonly caught: Int32Array;
}

/** Ranks `scores` (no NaN), one label of 0 or 1 each. */
export function rank(scores: Scores, y: Uint8Array): Ranking {
  const rows = scores.length;
  // Equal scores stand together whatever the order of their rows, so labels can be counted by value.
  const order = descending(scores);
  const score = new Float64Array(rows);
  const flagged = new Int32Array(rows);
  const caught = new Int32Array(rows);
  let groups = 0;
  let frauds = 0;
  for (let i = 0; i < rows; i++) {
    frauds += y[order[i]];
    if (i + 1 < rows && scores[order[i + 1]] === scores[order[i]]) continue;
    score[groups] = scores[order[i]];
    flagged[groups] = i + 1;
    caught[groups] = frauds;
    groups++;
  }
  return {
    rows,
    frauds,
    groups,
    score: score.subarray(0, groups),
    flagged: flagged.subarray(0, groups),
    caught: caught.subarray(0, groups),
  };
}

/** Rows by falling score, for metrics that are evaluated on many draws. */
export interface RankedRows {
  /** cluster × 4 + 2 when the row is the last of its score + 1 when it is fraud: one read per row in the hot loop. */
  readonly codes: Int32Array;
  readonly weights: Float64Array;
  /** Weight of frauds and of all rows per cluster. */
  readonly clusterFrauds: Float64Array;
  readonly clusterRows: Float64Array;
}

export function rankRows(rows: ScoredRows, clusters: Clusters): RankedRows {
  const { scores, y } = rows;
  const weightOf = weightsOf(rows);
  const { order = descending(scores) } = rows;
  const codes = new Int32Array(order.length);
  const weights = new Float64Array(order.length);
  const clusterFrauds = new Float64Array(clusters.count);
  const clusterRows = new Float64Array(clusters.count);
  for (let i = 0; i < order.length; i++) {
    const row = order[i];
    const cluster = clusters.of[row];
    const last = i + 1 === order.length || scores[order[i + 1]] !== scores[row];
    codes[i] = (cluster << 2) | (last ? 2 : 0) | y[row];
    weights[i] = weightOf[row];
    clusterRows[cluster] += weights[i];
    if (y[row] === 1) clusterFrauds[cluster] += weights[i];
  }
  return { codes, weights, clusterFrauds, clusterRows };
}

const DIGIT_BITS = 11;
const DIGITS = 1 << DIGIT_BITS;

/**
 * Row numbers by falling score (no NaN), ties in row order. Radix sort on the scores' bits, the lowest digit first (Knuth, TAOCP vol. 3, 5.2.5):
 * a sort that compares calls a function some fifteen times per row, and importance alone sorts twice per feature.
 */
export function descending(scores: Scores): Int32Array {
  const rows = scores.length;
  let order = new Int32Array(rows);
  let next = new Int32Array(rows);
  for (let i = 0; i < rows; i++) order[i] = i;
  const starts = new Uint32Array(DIGITS);
  for (const word of fallingWords(scores)) {
    for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
      starts.fill(0);
      for (let i = 0; i < rows; i++) starts[(word[i] >>> shift) & (DIGITS - 1)]++;
      // Most high digits are the same everywhere: scores lie between 0 and 1.
      if (rows === 0 || starts[(word[0] >>> shift) & (DIGITS - 1)] === rows) continue;
      for (let digit = 0, before = 0; digit < DIGITS; digit++) {
        const count = starts[digit];
        starts[digit] = before;
        before += count;
      }
      for (let i = 0; i < rows; i++) {
        const row = order[i];
        next[starts[(word[row] >>> shift) & (DIGITS - 1)]++] = row;
      }
      [order, next] = [next, order];
    }
  }
  return order;
}

/** Words of 32 bits, the lowest first, that rise as the scores fall: bits of positive numbers rise with them, those of negative ones fall. */
function fallingWords(scores: Scores): readonly Uint32Array[] {
  const rows = scores.length;
  // 0 is added: −0 and 0 are one score.
  const values = scores.map((score) => score + 0);
  const bits = new DataView(values.buffer);
  const bytes = values.BYTES_PER_ELEMENT;
  const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  const high = new Uint32Array(rows);
  const low = new Uint32Array(bytes === 8 ? rows : 0);
  for (let i = 0; i < rows; i++) {
    const at = i * bytes;
    const top = bits.getUint32(at + (bytes === 8 && littleEndian ? 4 : 0), littleEndian);
    const isNegative = top >>> 31 === 1;
    high[i] = isNegative ? top : top ^ 0x7fffffff;
    if (bytes === 4) continue;
    const rest = bits.getUint32(at + (littleEndian ? 0 : 4), littleEndian);
    low[i] = isNegative ? rest : ~rest;
  }
  return bytes === 8 ? [low, high] : [high];
}

/**
 * How many of `total` rows (or how much of their weight) a budget of `share` allows; compare with ≤. The slack keeps
 * 0.1 × 30 (2.9999…) from losing a row, and a sum of weights from being a rounding error too large.
 */
export function budgetOf(share: number, total: number): number {
  return share * total + 1e-9 + 1e-12 * total;
}

/**
 * The lowest score from which the flagged rows fit into a budget of `share` of all rows, or +Infinity where none does. A
 * tied group that would exceed the budget is left out whole: no threshold can split it. Rows from `block` up take nothing of the budget:
 * with it the answer is at most `block`.
 */
export function budgetThreshold(ranking: Ranking, share: number, block = Number.POSITIVE_INFINITY): number {
  const above = groupsFrom(ranking, block);
  const budget = budgetOf(share, ranking.rows) + (above === 0 ? 0 : ranking.flagged[above - 1]);
  let threshold = block;
  for (let g = above; g < ranking.groups && ranking.flagged[g] <= budget; g++) threshold = ranking.score[g];
  return threshold;
}

/** How many groups have this score or a higher one. */
export function groupsFrom({ groups, score }: Ranking, threshold: number): number {
  let g = 0;
  while (g < groups && score[g] >= threshold) g++;
  return g;
}
