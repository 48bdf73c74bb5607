// Float32 neighbours: how a comparison made elsewhere in doubles, or with ≤, becomes our `x < threshold` in Float32.

/**
 * The Float32 t for which every Float32 x has x < t exactly when x ≤ `bound` (a double). Infinite where all finite x are
 * below, and then +∞ itself is not.
 */
export function atMost(bound: number): number {
  const nearest = Math.fround(bound);
  return nearest <= bound ? nextUp(nearest) : nearest;
}

/** The Float32 t for which every Float32 x has x < t exactly when x < `bound` (a double). */
export function below(bound: number): number {
  const nearest = Math.fround(bound);
  return nearest < bound ? nextUp(nearest) : nearest;
}

const FLOAT = new Float32Array(1);
const BITS = new Int32Array(FLOAT.buffer);

/** The next Float32 towards +∞; +∞ and NaN stay. */
function nextUp(value: number): number {
  if (Number.isNaN(value) || value === Number.POSITIVE_INFINITY) return value;
  if (value === 0) return 2 ** -149;
  FLOAT[0] = value;
  BITS[0] += value > 0 ? 1 : -1;
  return FLOAT[0];
}
