// What counts as drift: what a pipeline tunes, and the numbers that are the same for all.
import { DRIFT, type DriftKeys } from "../pipeline/drift.ts";
import { defaultsOf } from "../pipeline/section.ts";

/**
 * `falseDiscoveryRate` is also the chance of a false alarm in a window without drift, over all features. Movements below
 * `psiFloor` and the other floors are of no consequence, however certain.
 */
export interface DriftPolicy extends Omit<DriftKeys, "windowMs"> {
  readonly ksMin: number;
  /** Of the Wasserstein distance, in standard deviations of the reference. */
  readonly wassersteinMin: number;
  readonly alertRateChangeMin: number;
  /** Rise of a feature's missing share, or of late or duplicated rows, that means a broken feed. */
  readonly missingRiseMin: number;
  readonly rowsMin: number;
  /** Rows per independent row; over 1 where rows of one card repeat each other. */
  readonly designEffect: number;
}

/** The pipeline's defaults (PSI 0.1 is the customary "little change"); a KS distance of 0.1 moves a tenth of the rows. */
export const DRIFT_POLICY: DriftPolicy = {
  ...defaultsOf(DRIFT),
  ksMin: 0.1,
  wassersteinMin: 0.1,
  alertRateChangeMin: 0.5,
  missingRiseMin: 0.05,
  rowsMin: 100,
  designEffect: 1,
};
