// Tuning: parameters searched on folds of earlier days, before the training that uses the best of them.
import { mean } from "../../core/stats.ts";
import { averagePrecision } from "../../metrics/metrics.ts";
import { scoreMatrix } from "../../ml/gbdt/score.ts";
import type { ColumnKind } from "../../ml/gbdt/train/kinds.ts";
import { gbdtParams } from "../../ml/gbdt/train/params.ts";
import { trainGbdtThreads } from "../../ml/gbdt/train/threads.ts";
import { type Matrix, takeMatrixRows } from "../../ml/matrix.ts";
import { drawTrials, type SearchSpace, scoresMax, successiveHalving, type Trial } from "../../ml/train/search.ts";
import type { ModelParameters, Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import type { Registry } from "../../ports/registry.ts";
import { type Lineage, lineageDataset, lineageTags } from "../lineage/lineage.ts";
import type { Basis } from "./basis.ts";
import { labelsAt } from "./fit.ts";
import { foldsBefore } from "./split.ts";

/** Trials a search may have, the pipeline's own parameters not counted. */
export const TUNE_MAX = 500;

const FOLDS = 3;
/** Rounds without a better loss after which a trial stops, where the pipeline never stops. */
const STOPPING_ROUNDS = 30;

/** Wide around what suits rare frauds; depth and sampling matter most (Probst et al., "Tunability", 2019). */
const SPACE = {
  learningRate: { low: 0.02, high: 0.3, log: true },
  depthMax: { low: 3, high: 8, whole: true },
  lambda: { low: 0.1, high: 100, log: true },
  gamma: { low: 0.001, high: 3, log: true },
  minChildWeight: { low: 0.5, high: 50, log: true },
  rowSample: { low: 0.5, high: 1 },
  columnSample: { low: 0.3, high: 1 },
} as const satisfies SearchSpace;

/** One set of parameters and its average precision by fold. */
export interface TunedTrial {
  /** 0 is the pipeline's own. */
  readonly trial: number;
  readonly parameters: Trial;
  /** Oldest fold first; shorter where it was dropped. */
  readonly averagePrecision: readonly number[];
}

export interface Tuning {
  /** Best first. */
  readonly trials: readonly TunedTrial[];
  readonly chosen: number;
  /** The pipeline's parameters with those of the chosen trial. */
  readonly parameters: ModelParameters;
}

/**
 * Tries `count` draws beside the pipeline's own parameters. Only days before the end of the calibration slice are seen, each fold
 * learns from what came before it, and the draws follow from the seed. Errors: lifecycle.not-enough-data, ml.one-class.
 */
export async function tune(
  ports: Pick<Ports, "report">,
  { x, split, seed }: Pick<Basis, "x" | "split" | "seed">,
  given: {
    readonly count: number;
    /** What each column of the vectors means to the trees. */
    readonly kinds: readonly ColumnKind[];
    readonly times: Float64Array;
    readonly labels: Uint8Array;
    readonly pipeline: Pipeline;
    readonly threads: number;
  },
): Promise<Tuning> {
  const { count, pipeline, labels } = given;
  const own = pipeline.modelParameters;
  const space = spaceOf(own);
  const trials = [ownTrial(own, space), ...drawTrials(space, { count, seed })];
  const folds = foldsBefore(split, given, { pipeline, count: FOLDS }).map((fold) => ({
    train: part(x, labels, fold.train.rows),
    calibrate: part(x, labels, fold.calibrate.rows),
    evaluate: part(x, labels, fold.evaluate.rows),
  }));
  const total = scoresMax(trials.length, FOLDS);
  let done = 0;
  const { ranked, chosen } = await successiveHalving({
    trials: trials.length,
    folds: FOLDS,
    score: async ({ trial, fold }) => {
      const { train, calibrate, evaluate } = folds[fold];
      const parameters = { ...own, ...trials[trial] };
      const { model } = await trainGbdtThreads(
        {
          ...train,
          kinds: given.kinds,
          validation: calibrate,
          params: { ...gbdtParams(parameters), ...stopping(own) },
          seed,
        },
        { threads: given.threads },
      );
      ports.report.progress("tuning", ++done, total);
      return averagePrecision(scoreMatrix(model, evaluate.x), evaluate.y);
    },
  });
  ports.report.progress("tuning", 1, 1);
  return {
    trials: ranked.map(({ trial, scores }) => ({ trial, parameters: trials[trial], averagePrecision: scores })),
    chosen,
    parameters: { ...own, ...trials[chosen] },
  };
}

/** Each trial as a child of the training's run, as MLflow nests them. */
export async function logTrials(
  ports: Ports,
  given: {
    readonly registry: Registry;
    readonly pipeline: Pipeline;
    readonly parent: string;
    readonly tuning: Tuning;
    readonly lineage: Lineage;
  },
): Promise<void> {
  const { registry, pipeline, tuning, parent, lineage } = given;
  for (const { trial, parameters, averagePrecision: scores } of tuning.trials) {
    const at = ports.clock.now();
    const runId = await registry.startRun({
      experiment: pipeline.name,
      name: trial === 0 ? "trial-0-pipeline" : `trial-${trial}`,
      startedAt: at,
      user: lineage.actor,
      tags: {
        ...lineageTags({ ...lineage, parameters: { ...lineage.parameters, ...parameters } }),
        "mlflow.parentRunId": parent,
        "sentinel.verb": "tune",
        "sentinel.chosen": String(trial === tuning.chosen),
      },
    });
    await registry.logRun(runId, {
      params: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, String(value)])),
      metrics: [
        ...scores.map((value, step) => ({ key: "fold_average_precision", value, step })),
        { key: "average_precision", value: mean(scores) },
        { key: "folds", value: scores.length },
      ],
      datasets: lineageDataset(lineage),
      at,
    });
    await registry.endRun(runId, "FINISHED", ports.clock.now());
  }
}

/** Where rows are sampled by their gradients, there is no share of them to search. */
function spaceOf(own: ModelParameters): SearchSpace {
  const { rowSample: _, ...rest } = SPACE;
  return own.gossTop === undefined ? SPACE : rest;
}

function ownTrial(own: ModelParameters, space: SearchSpace): Trial {
  return Object.fromEntries((Object.keys(space) as (keyof typeof SPACE)[]).map((name) => [name, own[name]]));
}

function stopping(own: ModelParameters): { readonly earlyStoppingRounds: number } {
  return { earlyStoppingRounds: own.earlyStoppingRounds || STOPPING_ROUNDS };
}

function part(x: Matrix, labels: Uint8Array, rows: Int32Array): { readonly x: Matrix; readonly y: Uint8Array } {
  return { x: takeMatrixRows(x, rows), y: labelsAt(labels, rows) };
}
