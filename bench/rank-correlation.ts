// Rank correlation: whether two scores put the same rows in the same order.

/** Spearman's rho, equal values sharing their mean rank. NaN when one side has a single value throughout. */
export function rankCorrelation(a: Float32Array, b: Float32Array): number {
  const [left, right] = [ranksOf(a), ranksOf(b)];
  const middle = (a.length - 1) / 2;
  let covariance = 0;
  let leftSquares = 0;
  let rightSquares = 0;
  for (let r = 0; r < left.length; r++) {
    covariance += (left[r] - middle) * (right[r] - middle);
    leftSquares += (left[r] - middle) ** 2;
    rightSquares += (right[r] - middle) ** 2;
  }
  return covariance / Math.sqrt(leftSquares * rightSquares);
}

function ranksOf(values: Float32Array): Float64Array {
  const order = Int32Array.from(values.keys()).sort((x, y) => values[x] - values[y]);
  const ranks = new Float64Array(values.length);
  for (let from = 0, to = 0; from < order.length; from = to) {
    while (to < order.length && values[order[to]] === values[order[from]]) to++;
    for (let i = from; i < to; i++) ranks[order[i]] = (from + to - 1) / 2;
  }
  return ranks;
}
