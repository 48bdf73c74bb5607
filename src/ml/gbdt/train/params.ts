// The numbers that steer boosting, their defaults and their ranges.
import { refuseParameter } from "../../faults.ts";

/** Names and meaning follow XGBoost (Chen & Guestrin 2016), spelled out. */
export interface GbdtParams {
  readonly trees: number;
  readonly learningRate: number;
  readonly depthMax: number;
  /** When given, the leaf with the largest gain is split first, until so many leaves are there. */
  readonly leavesMax?: number;
  /** L2 penalty on leaf values. */
  readonly lambda: number;
  /** L1 penalty on leaf values. */
  readonly alpha: number;
  /** Gain a split must reach. */
  readonly gamma: number;
  /** Sum of second derivatives each side of a split must hold. */
  readonly minChildWeight: number;
  /** Share of the rows each tree sees. */
  readonly rowSample: number;
  /**
   * Gradient-based one-side sampling (Ke et al. 2017): each tree sees this share of the rows, those with the largest
   * gradients, and of all rows a share `gossRest`, drawn among the others, whose derivatives then count for as much as the
   * others' all together. Given both or neither, with `rowSample` 1. The first 1 / learningRate trees see all rows.
   */
  readonly gossTop?: number;
  readonly gossRest?: number;
  /** Share of the columns each tree sees. */
  readonly columnSample: number;
  /** Bins per column, the one for missing values included. */
  readonly binsMax: number;
  /** Rows a category must have in training to be distinguished; rarer ones count as missing. */
  readonly categoryRowsMin: number;
  /** Added to `lambda` in splits over categories: with many sets to choose from, one of them gains by chance. */
  readonly categoryLambda: number;
  /** Second derivatives of no gradient that a category gets before categories are ordered, so that small ones stay in the middle. */
  readonly categorySmoothing: number;
  /** Weight of a fraud against a genuine transaction. */
  readonly scalePositive: number;
  /**
   * Probability every row starts from; absent: the weighted share of frauds. Where frauds are rare, that share gives the first
   * trees tiny second derivatives, hence leaves so extreme that later trees only repair them; a start nearer to one half
   * ranks better.
   */
  readonly startRate?: number;
  /** Rounds without a better validation loss after which training stops; 0 never stops. */
  readonly earlyStoppingRounds: number;
}

export const defaultGbdtParams: GbdtParams = {
  trees: 100,
  learningRate: 0.1,
  depthMax: 6,
  lambda: 1,
  alpha: 0,
  gamma: 0,
  minChildWeight: 1,
  rowSample: 1,
  columnSample: 1,
  binsMax: 256,
  categoryRowsMin: 20,
  categoryLambda: 10,
  categorySmoothing: 10,
  scalePositive: 1,
  startRate: 0.2,
  earlyStoppingRounds: 0,
};

interface Range {
  readonly low: number;
  readonly high: number;
  readonly whole?: boolean;
  /** True when `low` itself is not allowed. */
  readonly above?: boolean;
}

const RANGES: Readonly<Record<keyof GbdtParams, Range>> = {
  trees: { low: 1, high: 10_000, whole: true },
  learningRate: { low: 0, high: 1, above: true },
  depthMax: { low: 1, high: 16, whole: true },
  leavesMax: { low: 2, high: 65_536, whole: true },
  lambda: { low: 0, high: 1e6 },
  alpha: { low: 0, high: 1e6 },
  gamma: { low: 0, high: 1e6 },
  minChildWeight: { low: 0, high: 1e9 },
  rowSample: { low: 0, high: 1, above: true },
  gossTop: { low: 0, high: 1 },
  gossRest: { low: 0, high: 1, above: true },
  columnSample: { low: 0, high: 1, above: true },
  binsMax: { low: 3, high: 256, whole: true },
  categoryRowsMin: { low: 1, high: 1e9, whole: true },
  categoryLambda: { low: 0, high: 1e6 },
  categorySmoothing: { low: 0, high: 1e6 },
  scalePositive: { low: 0, high: 1e6, above: true },
  startRate: { low: 1e-6, high: 1 - 1e-6 },
  earlyStoppingRounds: { low: 0, high: 10_000, whole: true },
};

const OPTIONAL: ReadonlySet<string> = new Set(["leavesMax", "startRate", "gossTop", "gossRest"]);

/** Throws `ml.parameter-invalid` naming the parameter, its value and its range. */
export function checkGbdtParams(params: GbdtParams): void {
  for (const name of Object.keys(RANGES) as (keyof GbdtParams)[]) {
    const value = params[name];
    if (OPTIONAL.has(name) && value === undefined) continue;
    if (!fits(value, RANGES[name])) refuseParameter(name, { value, wanted: describe(RANGES[name]) });
  }
  checkGoss(params);
}

function checkGoss({ gossTop, gossRest, rowSample }: GbdtParams): void {
  if (gossTop === undefined && gossRest === undefined) return;
  if (gossTop === undefined) refuseParameter("gossTop", { value: gossTop, wanted: "given with gossRest" });
  if (gossRest === undefined) refuseParameter("gossRest", { value: gossRest, wanted: "given with gossTop" });
  if (gossTop + gossRest > 1) refuseParameter("gossRest", { value: gossRest, wanted: "at most 1 − gossTop" });
  if (rowSample < 1) refuseParameter("rowSample", { value: rowSample, wanted: "1 with gossTop and gossRest" });
}

function fits(value: unknown, range: Range): boolean {
  if (typeof value !== "number" || !Number.isFinite(value)) return false;
  if (range.whole && !Number.isInteger(value)) return false;
  return value <= range.high && (range.above ? value > range.low : value >= range.low);
}

function describe(range: Range): string {
  const kind = range.whole ? "a whole number" : "a number";
  return range.above ? `${kind} above ${range.low}, up to ${range.high}` : `${kind} from ${range.low} to ${range.high}`;
}
