// The numbers that steer boosting: names and limits are the pipeline's.
import { MODEL_PARAMETERS, type ModelParameters } from "../../../pipeline/model-parameters.ts";
import { rangesOf } from "../../../pipeline/section.ts";
import { checkRange, refuseParameter } from "../../faults.ts";

/** Of other parts of a model. */
type Others = "monotone" | "anomalyTrees" | "anomalySample" | "anomalyFeature" | "calibration" | "seed";

/** What each means stands beside its key in src/pipeline/model-parameters.ts. */
export interface GbdtParams extends Omit<ModelParameters, Others | "startRate"> {
  /** Probability every row starts from; absent: the weighted share of frauds. */
  readonly startRate?: number;
}

/** XGBoost's defaults where it has the parameter, for who trains without a pipeline: tests and benchmarks. */
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

/** The trees' part of a pipeline's parameters. */
export function gbdtParams(parameters: ModelParameters): GbdtParams {
  const {
    monotone: _1,
    anomalyTrees: _2,
    anomalySample: _3,
    anomalyFeature: _4,
    calibration: _5,
    seed: _6,
    startRate,
    ...rest
  } = parameters;
  return { ...rest, startRate: startRate === "observed" ? undefined : startRate };
}

const { anomalyTrees: _1, anomalySample: _2, seed: _3, ...RANGES } = rangesOf(MODEL_PARAMETERS);
const OPTIONAL: ReadonlySet<string> = new Set(["leavesMax", "startRate", "gossTop", "gossRest"]);

/** Throws `ml.parameter-invalid` naming the parameter, its value and its range. */
export function checkGbdtParams(params: GbdtParams): void {
  for (const [name, range] of Object.entries(RANGES)) {
    const value = params[name as keyof GbdtParams];
    if (OPTIONAL.has(name) && value === undefined) continue;
    checkRange(name, { value, range });
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
