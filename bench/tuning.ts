// Tuning: what a search for parameters gains on later days, on ten simulated tables that the search's space was not made for.
import { labelsOf, timesOf } from "../src/lifecycle/data/source.ts";
import { simulateDays } from "../src/lifecycle/simulate/days.ts";
import { columnKinds } from "../src/lifecycle/train/kinds.ts";
import { type Slice, splitByTime } from "../src/lifecycle/train/split.ts";
import { tune } from "../src/lifecycle/train/tune.ts";
import { averagePrecision } from "../src/metrics/metrics.ts";
import { scoreMatrix } from "../src/ml/gbdt/score.ts";
import { gbdtParams } from "../src/ml/gbdt/train/params.ts";
import { trainGbdtThreads } from "../src/ml/gbdt/train/threads.ts";
import { type Matrix, takeMatrixRows } from "../src/ml/matrix.ts";
import { loadPipeline, type ModelParameters } from "../src/pipeline/pipeline.ts";
import { pairedDifference } from "./ablation.ts";
import { vectorsOf } from "./assess.ts";
import type { BenchOptions, Figures } from "./bench.ts";
import { canonical, joinTables, loadFeatures, ROOT } from "./workspace.ts";

const TABLES = 10;
const TRIALS = 10;
const THREADS = 2;
const WORLD = { customers: 600, terminals: 1200, days: 100 } as const;

/** Average precision on the evaluation days by the pipeline's own parameters and by those that the search chose; never chosen by. */
export async function measureTuning({ seed, print }: BenchOptions): Promise<Figures> {
  const pipeline = loadPipeline(ROOT, "card");
  const spec = await loadFeatures("card");
  const kinds = columnKinds(spec, pipeline);
  const report = { line: () => {}, progress: () => {} };
  print(`${TABLES} simulated tables of ${WORLD.customers} customers and ${WORLD.days} days, ${TRIALS} trials each`);
  const own: number[] = [];
  const tuned: number[] = [];
  let changed = 0;
  for (let at = 0; at < TABLES; at++) {
    const table = canonical(joinTables([...simulateDays({ ...WORLD, seed: seed * TABLES + at })]));
    const times = timesOf(table, pipeline);
    const labels = labelsOf(table, pipeline);
    const split = splitByTime(times, labels, pipeline);
    const x = vectorsOf(table, spec);
    const found = await tune(
      { report },
      { x, split, seed },
      { count: TRIALS, kinds, times, labels, pipeline, threads: THREADS },
    );
    const part = ({ rows }: Slice): { readonly x: Matrix; readonly y: Uint8Array } => ({
      x: takeMatrixRows(x, rows),
      y: Uint8Array.from(rows, (row) => labels[row]),
    });
    const [train, validation, later] = [part(split.train), part(split.calibrate), part(split.evaluate)];
    const judged = async (parameters: ModelParameters): Promise<number> => {
      const params = gbdtParams(parameters);
      const { model } = await trainGbdtThreads({ ...train, kinds, validation, params, seed }, { threads: THREADS });
      return averagePrecision(scoreMatrix(model, later.x), later.y);
    };
    own.push(await judged(pipeline.modelParameters));
    if (found.chosen > 0) changed++;
    tuned.push(found.chosen > 0 ? await judged(found.parameters) : own[at]);
    print(
      `  table ${at + 1}: ${split.evaluate.frauds} later frauds, AP ${own[at].toFixed(4)}, tuned ${tuned[at].toFixed(4)}`,
    );
  }
  const gain = pairedDifference(tuned.map((ap, at) => ap - own[at]));
  print(
    `  changed on ${changed} of ${TABLES}; gain ${gain.mean.toFixed(4)} (${gain.low.toFixed(4)} to ${gain.high.toFixed(4)}; 95 %, Student's over the tables)`,
  );
  return { tables: TABLES, trials: TRIALS, changed, gain: { ...gain } };
}
