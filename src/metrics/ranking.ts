// Ranking: scores in descending order as groups of ties, the view from which most metrics and thresholds are read.

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
export function rank(scores: Float64Array | Float32Array, y: Uint8Array): Ranking {
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

/** Row numbers by falling score, ties in row order. */
export function descending(scores: Float64Array | Float32Array): Int32Array {
  const order = new Int32Array(scores.length);
  for (let i = 0; i < order.length; i++) order[i] = i;
  return order.sort((a, b) => scores[b] - scores[a] || a - b);
}
