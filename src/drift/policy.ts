// What counts as drift: the numbers a pipeline may tune.

export interface DriftPolicy {
  /** Chance of a false alarm in a window without drift, over all features. */
  readonly alpha: number;
  /** Movements below these are of no consequence, however certain. */
  readonly psiMin: number;
  readonly ksMin: number;
  readonly alertRateChangeMin: number;
  /** Rise of a feature's missing share that means a broken feed. */
  readonly missingRiseMin: number;
  readonly rowsMin: number;
  /** Rows per independent row; over 1 where rows of one card repeat each other. */
  readonly designEffect: number;
}

/** PSI 0.1 is the customary "little change"; a KS distance of 0.1 moves a tenth of the rows. */
export const DRIFT_POLICY: DriftPolicy = {
  alpha: 0.01,
  psiMin: 0.1,
  ksMin: 0.1,
  alertRateChangeMin: 0.5,
  missingRiseMin: 0.05,
  rowsMin: 100,
  designEffect: 1,
};
