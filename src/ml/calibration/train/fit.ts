// Calibration, fitted: isotonic or beta, or the one of them that later rows prefer.
import { SentinelError } from "../../../core/errors.ts";
import { logLoss } from "../../../metrics/metrics.ts";
import { checkLabels, refuseParameter } from "../../faults.ts";
import { type Calibration, type CalibrationKind, calibrate, logit, softplus } from "../apply.ts";
import { isotonicBlocks } from "./isotonic.ts";
import { fitLogistic } from "./logistic.ts";

/** From the simplest to the richest; of equals the simplest is chosen. */
const KINDS: readonly CalibrationKind[] = ["none", "beta", "isotonic"];

interface Sample {
  readonly margins: Float64Array;
  readonly y: Uint8Array;
}

/** Fits one kind on margins and their matured labels. Errors: `ml.parameter-invalid`, `ml.one-class`. */
export function fitCalibration(input: Sample & { readonly kind: CalibrationKind }): Calibration {
  checkSample(input);
  switch (input.kind) {
    case "none":
      return { kind: "none" };
    case "beta":
      return fitBeta(input);
    case "isotonic":
      return fitIsotonic(input);
  }
}

/**
 * Fits each kind on the earlier rows (a share of them, in the order given), takes the kind with the lowest log-loss on the
 * later ones and fits it again on all. With one class only in either part there is nothing to choose by: "none".
 */
export function chooseCalibration(input: Sample & { readonly earlierShare?: number }): {
  readonly calibration: Calibration;
  readonly losses: Readonly<Partial<Record<CalibrationKind, number>>>;
} {
  checkSample(input);
  const cut = Math.floor(input.margins.length * (input.earlierShare ?? 0.5));
  const earlier = { margins: input.margins.subarray(0, cut), y: input.y.subarray(0, cut) };
  const later = { margins: input.margins.subarray(cut), y: input.y.subarray(cut) };
  if (!hasBothClasses(earlier.y) || !hasBothClasses(later.y)) return { calibration: { kind: "none" }, losses: {} };
  const losses: Partial<Record<CalibrationKind, number>> = {};
  let chosen: CalibrationKind = "none";
  for (const kind of KINDS) {
    const fitted = fitCalibration({ ...earlier, kind });
    const loss = logLoss(
      later.margins.map((margin) => calibrate(fitted, margin)),
      later.y,
    );
    losses[kind] = loss;
    if (loss < losses[chosen]!) chosen = kind;
  }
  return { calibration: fitCalibration({ ...input, kind: chosen }), losses };
}

/**
 * Knots at the centers of the isotonic blocks (centered isotonic regression, Oron & Flournoy 2017), so that the fit rises
 * between blocks instead of standing still within each. A block without a fraud, or with nothing else, counts half a row
 * of the other kind: no finite sample proves 0 or 1.
 */
function fitIsotonic(sample: Sample): Calibration {
  const blocks = isotonicBlocks(sample.margins, sample.y);
  const y = blocks.map((block) => {
    const least = 0.5 / (block.count + 1);
    return Math.min(Math.max(block.y, least), 1 - least);
  });
  // The half row may lift a small block above its neighbour; the neighbour then follows.
  for (let i = 1; i < y.length; i++) y[i] = Math.max(y[i], y[i - 1]);
  return { kind: "isotonic", x: blocks.map((block) => block.center), y };
}

/**
 * Beta calibration (Kull, Silva Filho & Flach 2017): logistic regression on ln p and −ln(1 − p). A negative slope would
 * turn the order round; as in the paper it is set to 0 and the other fitted alone.
 */
function fitBeta(sample: Sample): Calibration {
  const rows = sample.margins.length;
  const logP = sample.margins.map((margin) => -softplus(-margin));
  const logQ = sample.margins.map((margin) => softplus(margin));
  const [c, a, b] = fitLogistic([logP, logQ], sample.y);
  if (a >= 0 && b >= 0) return { kind: "beta", a, b, c };
  const [intercept, slope] = fitLogistic([a < 0 ? logQ : logP], sample.y);
  const kept = Math.max(0, slope);
  const center = kept > 0 ? intercept : logit(sample.y.reduce((sum, label) => sum + label, 0) / rows);
  return a < 0 ? { kind: "beta", a: 0, b: kept, c: center } : { kind: "beta", a: kept, b: 0, c: center };
}

function checkSample(sample: Sample): void {
  checkLabels(sample.y, { rows: sample.margins.length, name: "y" });
  for (let r = 0; r < sample.margins.length; r++) {
    if (!Number.isFinite(sample.margins[r])) {
      refuseParameter(`margins, row ${r}`, { value: sample.margins[r], wanted: "finite" });
    }
  }
  if (hasBothClasses(sample.y)) return;
  throw new SentinelError("ml.one-class", `the ${sample.y.length} rows to calibrate on hold one class only`, {
    hint: "calibrate on a longer slice with both frauds and genuine transactions",
  });
}

function hasBothClasses(y: Uint8Array): boolean {
  return y.includes(0) && y.includes(1);
}
