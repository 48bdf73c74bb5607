// Gradients of the log-loss, and their packing into one exact integer a row for histograms.

/** First and second derivative of the loss of each row by its margin. */
export interface Gradients {
  readonly gradient: Float64Array;
  readonly hessian: Float64Array;
  /** Both as integers in one double: gradient × 2^26 + hessian, in units of the scales. */
  readonly packed: Float64Array;
  gradientScale: number;
  hessianScale: number;
}

/** Bits of the hessian's integer; sums of packed values stay exact because a double holds 53. */
const HESSIAN_BITS = 26;
export const HESSIAN_SPAN = 2 ** HESSIAN_BITS;
const GRADIENT_LIMIT = 2 ** 27 - 1;

/** Rows a training set may have: above, one unit of rounding a row would fill the packed integers. */
export const ROWS_MAX = 2 ** 24;

/** As in XGBoost: keeps leaves finite where the model is certain. */
const HESSIAN_MIN = 1e-16;

/** A product of likelihoods is turned into a logarithm before it can underflow (one factor is at least 1e-16). */
const PRODUCT_MIN = 1e-280;
const LIKELIHOOD_MIN = 1e-16;

/** Golden ratio: multiples of it, modulo 1, spread evenly (Weyl sequence). */
const GOLDEN = 0.6180339887498949;

export function makeGradients(rows: number): Gradients {
  return {
    gradient: new Float64Array(rows),
    hessian: new Float64Array(rows),
    packed: new Float64Array(rows),
    gradientScale: 1,
    hessianScale: 1,
  };
}

/** Kernel: derivatives of every row; returns the mean log-loss. Takes one logarithm per many rows, of their product. */
export function computeGradients(
  margins: Float64Array,
  y: Uint8Array,
  options: { readonly scalePositive: number; readonly out: Gradients },
): number {
  const { gradient, hessian } = options.out;
  const { scalePositive } = options;
  let loss = 0;
  let product = 1;
  for (let r = 0; r < margins.length; r++) {
    const p = 1 / (1 + Math.exp(-margins[r]));
    const fraud = y[r] === 1;
    const weight = fraud ? scalePositive : 1;
    gradient[r] = (fraud ? p - 1 : p) * weight;
    hessian[r] = Math.max(p * (1 - p), HESSIAN_MIN) * weight;
    product *= Math.max(fraud ? p : 1 - p, LIKELIHOOD_MIN);
    if (product < PRODUCT_MIN) {
      loss -= Math.log(product);
      product = 1;
    }
  }
  return (loss - Math.log(product)) / margins.length;
}

/** Kernel: multiplies the derivatives by the rows' weights and returns the weighted mean log-loss. */
export function weighGradients(
  margins: Float64Array,
  y: Uint8Array,
  options: { readonly weights: Float32Array; readonly out: Gradients },
): number {
  const { gradient, hessian } = options.out;
  let loss = 0;
  let weightSum = 0;
  for (let r = 0; r < margins.length; r++) {
    const weight = options.weights[r];
    gradient[r] *= weight;
    hessian[r] *= weight;
    const p = 1 / (1 + Math.exp(-margins[r]));
    loss -= weight * Math.log(Math.max(y[r] === 1 ? p : 1 - p, LIKELIHOOD_MIN));
    weightSum += weight;
  }
  return loss / weightSum;
}

/**
 * Packs all rows. The scales are powers of two, so that simple derivatives pack without loss; rounding is dithered,
 * because a rare class has many nearly equal, tiny gradients, whose rounding errors would all point one way. `round`
 * moves the dither.
 */
export function packGradients(gradients: Gradients, round: number): void {
  const { gradient, hessian } = gradients;
  let gradientSum = 0;
  let hessianSum = 0;
  for (let r = 0; r < gradient.length; r++) {
    gradientSum += Math.abs(gradient[r]);
    hessianSum += hessian[r];
  }
  gradients.gradientScale = scaleFor(gradientSum, GRADIENT_LIMIT - gradient.length);
  gradients.hessianScale = scaleFor(hessianSum, HESSIAN_SPAN - 1 - gradient.length);
  packRows(gradients, (round * GOLDEN * GOLDEN) % 1);
}

/** The largest power of two that keeps `sum` in units of it below the limit. */
function scaleFor(sum: number, limit: number): number {
  return sum > 0 ? 2 ** Math.floor(Math.log2(limit / sum)) : 1;
}

/** Kernel: derivatives to packed integers. */
function packRows(gradients: Gradients, ditherStart: number): void {
  const { gradient, hessian, packed, gradientScale, hessianScale } = gradients;
  let dither = ditherStart;
  for (let r = 0; r < packed.length; r++) {
    dither += GOLDEN;
    if (dither >= 1) dither -= 1;
    const high = Math.floor(gradient[r] * gradientScale + dither);
    const low = Math.floor(hessian[r] * hessianScale + dither);
    packed[r] = high * HESSIAN_SPAN + low;
  }
}
