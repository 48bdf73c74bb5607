// Several comparisons on days apart, as one: means, and the interval of their mean difference.
import { mean } from "../src/core/stats.ts";
import type { PairedInterval } from "../src/evidence/bootstrap.ts";

/** 97.5 % point of the normal distribution. */
const Z = 1.96;

/** The days of the folds are others, so the variance of the mean is that of the sum. */
export function pooled(folds: readonly PairedInterval[]): {
  readonly a: number;
  readonly b: number;
  readonly difference: number;
  readonly low: number;
  readonly high: number;
} {
  const difference = mean(folds.map((fold) => fold.difference));
  const error = Math.sqrt(folds.reduce((sum, { standardError }) => sum + standardError ** 2, 0)) / folds.length;
  return {
    a: mean(folds.map(({ observedA }) => observedA)),
    b: mean(folds.map(({ observedB }) => observedB)),
    difference,
    low: difference - Z * error,
    high: difference + Z * error,
  };
}
