// A changed unit: values of the window that are the reference's times a constant, such as cents for euros.
import { MAGNITUDES, magnitudeOf } from "./grid.ts";

export interface UnitFault {
  /** What the values were multiplied by. */
  readonly factor: number;
  /** Share of the values. */
  readonly share: number;
}

/** Cents, thousands, millions, minutes and hours. Ten and less are left out: prices may do that by themselves. */
const FACTORS: readonly number[] = [100, 1000, 1e6, 60, 3600].flatMap((factor) => [factor, 1 / factor]);
const SHARE_MIN = 0.02;
/** Of the squared distance between window and reference, what the factor leaves unexplained at most. */
const RESIDUE_MAX = 0.2;
/** The distance must be there to be explained: total variation over magnitudes. */
const DISTANCE_MIN = 0.02;
/** A multiple that overlaps the original this much looks like a change of the world. */
const OVERLAP_MAX = 0.5;

/**
 * The factor that explains the window as a mixture of the reference and its multiple, by least squares over quarter octaves; null where
 * none does, or where the reference hardly has a scale (zeros and ones).
 */
export function unitFault(sketch: readonly number[], window: Uint32Array): UnitFault | null {
  const values = sketch.filter((value) => value !== 0 && Number.isFinite(value));
  if (values.length < sketch.length / 4 || values.length < 8) return null;
  const now = sharesOf(window);
  const before = histogram(sketch);
  if (now === null) return null;
  const moved = smooth(now.map((share, i) => share - before[i]));
  const distance = moved.reduce((sum, value) => sum + Math.abs(value), 0) / 2;
  if (distance < DISTANCE_MIN) return null;
  const squared = dot(moved, moved);
  let best: (UnitFault & { readonly residue: number }) | null = null;
  for (const factor of FACTORS) {
    const multiple = histogram(sketch.map((value) => value * factor));
    const overlap = multiple.reduce((sum, share, i) => sum + Math.min(share, before[i]), 0);
    if (overlap > OVERLAP_MAX) continue;
    const direction = smooth(multiple.map((share, i) => share - before[i]));
    const share = Math.min(1, dot(moved, direction) / dot(direction, direction));
    if (share < SHARE_MIN) continue;
    const residue = (squared - 2 * share * dot(moved, direction) + share * share * dot(direction, direction)) / squared;
    if (residue <= RESIDUE_MAX && (best === null || residue < best.residue)) best = { factor, share, residue };
  }
  return best === null ? null : { factor: best.factor, share: best.share };
}

function histogram(values: readonly number[]): Float64Array {
  const out = new Float64Array(MAGNITUDES);
  for (const value of values) out[magnitudeOf(value)] += 1 / values.length;
  return out;
}

function sharesOf(counts: Uint32Array): Float64Array | null {
  const rows = counts.reduce((sum, count) => sum + count, 0);
  return rows === 0 ? null : Float64Array.from(counts, (count) => count / rows);
}

/** Over an octave: a factor moves the middle of a bin, not its ends. */
function smooth(values: Float64Array): Float64Array {
  const out = new Float64Array(MAGNITUDES);
  for (let i = 0; i < MAGNITUDES; i++) {
    for (let d = -2; d <= 2; d++) out[Math.min(MAGNITUDES - 1, Math.max(0, i + d))] += values[i] / 5;
  }
  return out;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
