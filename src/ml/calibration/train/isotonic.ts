// Isotonic regression: the best fit that never falls, by pooling adjacent violators.

/** One level of the fit: the points from `low` to `high` share the value `y`. */
export interface IsotonicBlock {
  readonly low: number;
  readonly high: number;
  /** Mean of x over the block's points. */
  readonly center: number;
  readonly y: number;
  readonly count: number;
}

/**
 * Blocks of the non-decreasing least-squares fit of y (0 or 1) on x, ascending (pool adjacent violators; Ayer et al.
 * 1955). Points of equal x are one. Neighbouring blocks of equal y are one.
 */
export function isotonicBlocks(x: Float64Array, y: Uint8Array): IsotonicBlock[] {
  const order = new Int32Array(x.length);
  for (let i = 0; i < order.length; i++) order[i] = i;
  order.sort((a, b) => x[a] - x[b]);
  const stack: Pool[] = [];
  for (let i = 0; i < order.length; i++) {
    const at = order[i];
    const last = stack.at(-1);
    if (last !== undefined && last.high === x[at]) add(last, x[at], y[at]);
    else {
      poolBack(stack);
      stack.push({ low: x[at], high: x[at], xSum: x[at], ySum: y[at], count: 1 });
    }
  }
  poolBack(stack);
  return stack.map(({ low, high, xSum, ySum, count }) => ({
    low,
    high,
    // Rounding may push the mean of equal numbers out of their range.
    center: Math.min(Math.max(xSum / count, low), high),
    y: ySum / count,
    count,
  }));
}

interface Pool {
  low: number;
  high: number;
  xSum: number;
  ySum: number;
  count: number;
}

function add(pool: Pool, x: number, y: number): void {
  pool.xSum += x;
  pool.ySum += y;
  pool.count++;
}

/** Joins the last blocks until they rise. Sums are integers here, so products compare exactly. */
function poolBack(stack: Pool[]): void {
  while (stack.length > 1) {
    const last = stack[stack.length - 1];
    const before = stack[stack.length - 2];
    if (before.ySum * last.count < last.ySum * before.count) return;
    before.high = last.high;
    before.xSum += last.xSum;
    before.ySum += last.ySum;
    before.count += last.count;
    stack.pop();
  }
}
