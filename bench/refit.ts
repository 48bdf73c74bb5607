// Does a refit help on the weeks after? The judged model and the refitted one on days that neither could know, at several dates.
import { DAY_MS } from "../src/core/duration.ts";
import { largest, mean } from "../src/core/stats.ts";
import { type Table, takeRows } from "../src/core/table.ts";
import { type PairedInterval, pairedBootstraps } from "../src/evidence/bootstrap.ts";
import { compileSpec } from "../src/features/plan.ts";
import { cardsOf, labelsOf, type Source, timesOf } from "../src/lifecycle/data/source.ts";
import { vectorsOf } from "../src/lifecycle/data/vectors.ts";
import { type Fitted, fitModels, scoresOf } from "../src/lifecycle/train/fit.ts";
import { judgedRows } from "../src/lifecycle/train/judge.ts";
import { columnKinds, habitColumns } from "../src/lifecycle/train/kinds.ts";
import { NO_FEATURES } from "../src/lifecycle/train/policy.ts";
import { refit } from "../src/lifecycle/train/refit.ts";
import { splitByTime } from "../src/lifecycle/train/split.ts";
import type { Metric } from "../src/metrics/metric.ts";
import { AVERAGE_PRECISION, recallWithinBudget } from "../src/metrics/ranked.ts";
import { ALERT_RATE, alertsAt, BRIER, RECALL } from "../src/metrics/summed.ts";
import { type Matrix, takeMatrixRows } from "../src/ml/matrix.ts";
import { loadPipeline, type Pipeline } from "../src/pipeline/pipeline.ts";
import type { Bench, Figures } from "./bench.ts";
import { pooled } from "./pooled.ts";
import { loadFeatures, loadTransactions, ROOT } from "./workspace.ts";

/** Days before the table's end at which a model is trained on what is there; each is tested on the days up to the next. */
const CUT_DAYS = [70, 56, 42, 28, 14] as const;
const TEST_DAYS = 14;
const THREADS = 2;

export const bench: Bench = {
  async run(options) {
    const pipeline = loadPipeline(ROOT, "card");
    const plan = compileSpec(await loadFeatures("card"));
    const table = await loadTransactions(options);
    const report = { line: () => {}, progress: () => {} };
    // Every row's vector as serving would have made it: nothing in it comes from later.
    const { x } = vectorsOf(table, { plan, pipeline, report });
    const end = largest(timesOf(table, pipeline)) + 1;
    options.print(`${table.rows} transactions; trained at five dates, each tested on the ${TEST_DAYS} days after`);
    options.print(
      "  trained at  frauds learned, judged and refitted |  AP of both      recall within budget  alert rates",
    );
    const folds: Fold[] = [];
    for (const days of CUT_DAYS) {
      const fold = await foldAt(
        {
          table,
          x,
          pipeline,
          seed: options.seed,
          kinds: columnKinds(plan.spec, pipeline),
          habits: habitColumns(plan.spec),
        },
        end - days * DAY_MS,
      );
      folds.push(fold);
      const [ap, recall, , alerts] = fold.intervals;
      const both = ({ observedA, observedB }: PairedInterval): string =>
        `${observedA.toFixed(4)} ${observedB.toFixed(4)}`;
      options.print(
        `  ${fold.date}  ${fold.frauds.judged} ${fold.frauds.refitted} | ${both(ap)}  ${both(recall)}  ${both(alerts)}; PSI ${fold.shift.toFixed(4)}, same alerts ${fold.agreement.toFixed(3)}`,
      );
    }
    const figures: Record<string, Figures | number> = { folds: folds.length };
    for (const [at, name] of NAMES.entries()) {
      const { a: judged, b: refitted, ...rest } = pooled(folds.map(({ intervals }) => intervals[at]));
      const one = { judged, refitted, ...rest };
      figures[name] = one;
      options.print(
        `${name}: judged ${one.judged.toFixed(4)}, refitted ${one.refitted.toFixed(4)}, difference ${one.low.toFixed(4)} to ${one.high.toFixed(4)} (95 %)`,
      );
    }
    const uncarried = mean(folds.map((fold) => fold.uncarried.brier));
    options.print(
      `with the judged model's calibration as it is: Brier ${uncarried.toFixed(5)}, alert rate ${mean(folds.map((fold) => fold.uncarried.alertRate)).toFixed(5)}`,
    );
    return {
      ...figures,
      uncarriedBrier: uncarried,
      uncarriedAlertRate: mean(folds.map((fold) => fold.uncarried.alertRate)),
    };
  },
};

const NAMES = ["averagePrecision", "recallWithinBudget", "recallAtThreshold", "alertRate", "brier"] as const;

interface Fold {
  readonly date: string;
  readonly frauds: { readonly judged: number; readonly refitted: number };
  readonly shift: number;
  readonly agreement: number;
  /** In the order of {@link NAMES}; A is the judged model, B the refitted one. */
  readonly intervals: readonly PairedInterval[];
  /** The refitted model with the judged one's calibration, not carried over. */
  readonly uncarried: { readonly brier: number; readonly alertRate: number };
}

interface World {
  readonly table: Table;
  readonly x: Matrix;
  readonly pipeline: Pipeline;
  readonly seed: number;
  readonly kinds: ReturnType<typeof columnKinds>;
  readonly habits: Int32Array;
}

/** Trains on the rows before a time, as `sentinel train --refit` does, and compares on the days after it. */
async function foldAt(world: World, at: number): Promise<Fold> {
  const { pipeline, seed, kinds, habits } = world;
  const allTimes = timesOf(world.table, pipeline);
  const rowsBetween = (from: number, to: number): Int32Array =>
    Int32Array.from(allTimes.keys()).filter((row) => allTimes[row] >= from && allTimes[row] < to);
  const before = rowsBetween(Number.NEGATIVE_INFINITY, at);
  const source: Source = { path: "", hash: "", table: takeRows(world.table, before) };
  const x = takeMatrixRows(world.x, before);
  const labels = labelsOf(source.table, pipeline);
  const split = splitByTime(timesOf(source.table, pipeline), labels, pipeline);
  const report = { line: () => {}, progress: () => {} };
  const judged = await fitModels(x, labels, {
    kinds,
    habits,
    split,
    amounts: new Float64Array(x.rows),
    cards: cardsOf(source.table, pipeline),
    features: NO_FEATURES,
    pipeline,
    seed,
    threads: THREADS,
    report,
  });
  const rows = judgedRows(source, split.evaluate.rows, pipeline);
  const basis = { source, split, x, plan: compileSpec(await loadFeatures("card")), rows, seed };
  const openMs = pipeline.labels.maturityMs;
  const amounts = new Float64Array(x.rows);
  const how = {
    judged,
    kinds,
    amounts,
    features: NO_FEATURES,
    pipeline,
    openMs,
    unlike: "refuse",
    threads: THREADS,
  } as const;
  const again = await refit({ report }, basis, how);
  const later = rowsBetween(at, at + TEST_DAYS * DAY_MS);
  const laterX = takeMatrixRows(world.x, later);
  const test = judgedRows({ ...source, table: world.table }, later, pipeline);
  const scores = (fitted: Fitted): Float64Array => Float64Array.from(scoresOf(fitted, laterX).scores);
  const [a, b] = [scores(judged), scores(again.fitted)];
  const uncarried = scores({ ...again.fitted, calibration: judged.calibration });
  const alerts = (values: Float64Array): Uint8Array => alertsAt(values, Math.fround(judged.thresholds.review));
  const metrics: readonly Metric[] = [
    AVERAGE_PRECISION,
    recallWithinBudget(pipeline.decisions.reviewShare),
    RECALL,
    ALERT_RATE,
    BRIER,
  ];
  const day = Int32Array.from(test.time, (time) => Math.floor(time / DAY_MS));
  const rowsOf = { ...test, day, seed, resamples: 200 };
  const intervals = pairedBootstraps({ ...rowsOf, a, b, alerts: { a: alerts(a), b: alerts(b) }, metrics });
  const raw = pairedBootstraps({
    ...rowsOf,
    a,
    b: uncarried,
    alerts: { a: alerts(a), b: alerts(uncarried) },
    metrics: [BRIER, ALERT_RATE],
  });
  return {
    date: new Date(at).toISOString().slice(0, 10),
    frauds: { judged: split.train.frauds, refitted: again.learned.frauds },
    shift: again.facts.scoreShift,
    agreement: again.facts.alertAgreement,
    intervals,
    uncarried: { brier: raw[0].observedB, alertRate: raw[1].observedB },
  };
}
