// Measured trainings: one learner on one table in a fresh process, and what rounds of them come to.
import { median } from "./bench.ts";
import { type Measured, runOwn, runPeer } from "./peers.ts";
import type { RawTable } from "./synthetic.ts";

/** Equal for all; every learner starts from even odds. */
export const PARAMETERS = {
  trees: 100,
  depthMax: 6,
  learningRate: 0.1,
  lambda: 1,
  minChildWeight: 1,
  binsMax: 256,
  startRate: 0.5,
} as const;

export const LEARNERS = ["sentinel", "xgboost", "lightgbm"] as const;
export type Learner = (typeof LEARNERS)[number];

export type TrainTask = typeof PARAMETERS & {
  readonly train: RawTable;
  readonly test: RawTable;
  readonly seed: number;
  readonly threads: number;
  /** Where the test rows' probabilities go as Float32; null for nowhere. */
  readonly predictions: string | null;
};

export function runTraining(learner: Learner, task: Omit<TrainTask, keyof typeof PARAMETERS>): Promise<Measured> {
  const whole: TrainTask = { ...PARAMETERS, ...task };
  return learner === "sentinel" ? runOwn("train-own", whole) : runPeer("train-peer", { ...whole, peer: learner });
}

export function mediansOf(runs: readonly Measured[]): Measured {
  return {
    seconds: median(runs.map((run) => run.seconds)),
    cpuSeconds: median(runs.map((run) => run.cpuSeconds)),
    rssBytes: median(runs.map((run) => run.rssBytes)),
  };
}
