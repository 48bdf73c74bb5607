// The reference rows, retrained week after week: does that beat a frozen model, and what are a refit and added trees worth there?
import { DAY_MS } from "../src/core/duration.ts";
import { SentinelError } from "../src/core/errors.ts";
import { largest, mean } from "../src/core/stats.ts";
import { type Table, takeRows } from "../src/core/table.ts";
import { type PairedInterval, pairedBootstraps } from "../src/evidence/bootstrap.ts";
import { compileSpec, type FeaturePlan } from "../src/features/plan.ts";
import { cardsOf, labelsOf, type Source, timesOf } from "../src/lifecycle/data/source.ts";
import { vectorsOf } from "../src/lifecycle/data/vectors.ts";
import type { LearningBasis } from "../src/lifecycle/train/basis.ts";
import { continueModels } from "../src/lifecycle/train/continue.ts";
import { type Fitted, fitModels, type StartModel, scoresOf } from "../src/lifecycle/train/fit.ts";
import { judgedRows } from "../src/lifecycle/train/judge.ts";
import { columnKinds, habitColumns } from "../src/lifecycle/train/kinds.ts";
import { NO_FEATURES } from "../src/lifecycle/train/policy.ts";
import { refit } from "../src/lifecycle/train/refit.ts";
import { type Split, splitAfter, splitByTime } from "../src/lifecycle/train/split.ts";
import type { Metric } from "../src/metrics/metric.ts";
import { AVERAGE_PRECISION, recallWithinBudget } from "../src/metrics/ranked.ts";
import { type Matrix, takeMatrixRows } from "../src/ml/matrix.ts";
import { loadPipeline, type Pipeline } from "../src/pipeline/pipeline.ts";
import type { BenchOptions, Figures } from "./bench.ts";
import { pooled } from "./pooled.ts";
import { loadFeatures, loadTransactions, ROOT } from "./workspace.ts";

const WEEK_MS = 7 * DAY_MS;
/** What the first training needs at least. */
const FIRST_DAYS = 60;
const THREADS = 2;
/** Of each week's comparison; the weeks are pooled. */
const RESAMPLES = 200;

/** How a week's model is made; the frozen one is the weekly one of the first week. */
const WAYS = ["weekly", "refitted", "continued"] as const;
type Way = (typeof WAYS)[number];
const METRICS = ["averagePrecision", "recallWithinBudget"] as const;

interface World {
  readonly table: Table;
  readonly x: Matrix;
  readonly times: Float64Array;
  readonly plan: FeaturePlan;
  readonly pipeline: Pipeline;
  readonly seed: number;
}

interface Week {
  readonly models: Readonly<Record<Way, Fitted>>;
  readonly seconds: Readonly<Record<Way, number>>;
}

/** As many of the newest weeks as `--repeats` says. */
export async function referenceLoop(options: BenchOptions): Promise<Figures> {
  const { print, seed } = options;
  const pipeline = loadPipeline(ROOT, "card");
  const plan = compileSpec(await loadFeatures("card"));
  const table = await loadTransactions(options);
  const times = timesOf(table, pipeline);
  // Every row's vector as serving would have made it: nothing in it comes from later.
  const { x } = vectorsOf(table, { plan, pipeline, report: SILENT });
  const world: World = { table, x, times, plan, pipeline, seed };
  const end = largest(times) + 1;
  const first = times.reduce((least, time) => Math.min(least, time), Number.POSITIVE_INFINITY);
  const weeks = Math.min(options.repeats, Math.floor((end - first - FIRST_DAYS * DAY_MS) / WEEK_MS));
  print(`${table.rows} transactions; ${weeks} weeks, each judged by models that were made of what was final before it`);
  let frozen: Fitted | null = null;
  let before: Chain | null = null;
  const intervals: Record<string, PairedInterval[][]> = {};
  const seconds: Record<Way, number[]> = { weekly: [], refitted: [], continued: [] };
  for (let week = weeks; week > 0; week--) {
    const at = end - week * WEEK_MS;
    const { models, seconds: took, chain } = await weekOf(world, at, before);
    before = chain;
    frozen ??= models.refitted;
    for (const way of WAYS) seconds[way].push(took[way]);
    const rows = rowsBetween(world, at, at + WEEK_MS);
    const later = takeMatrixRows(x, rows);
    const scores = (fitted: Fitted): Float64Array => Float64Array.from(scoresOf(fitted, later).scores);
    const all = { frozen, ...models };
    const scored = Object.fromEntries(Object.entries(all).map(([name, fitted]) => [name, scores(fitted)]));
    const test = judgedRows({ path: "", hash: "", table }, rows, pipeline);
    const day = Int32Array.from(test.time, (time) => Math.floor(time / DAY_MS));
    const metrics: readonly Metric[] = [AVERAGE_PRECISION, recallWithinBudget(pipeline.decisions.reviewShare)];
    const alerts = { a: new Uint8Array(rows.length), b: new Uint8Array(rows.length) };
    const compare = (a: string, b: string): void => {
      const name = `${b}Over${a[0].toUpperCase()}${a.slice(1)}`;
      const pair = { ...test, day, seed, resamples: RESAMPLES, a: scored[a], b: scored[b], alerts, metrics };
      intervals[name] = [...(intervals[name] ?? []), [...pairedBootstraps(pair)]];
    };
    compare("frozen", "weekly");
    compare("frozen", "refitted");
    compare("weekly", "refitted");
    compare("refitted", "continued");
    const [overFrozen, refittedOver, , continuedOver] = Object.values(intervals).map((of) => of.at(-1)![0]);
    const { observedA: old, observedB: weekly } = overFrozen;
    print(
      `  ${new Date(at).toISOString().slice(0, 10)}: average precision frozen ${old.toFixed(4)}, weekly ${weekly.toFixed(4)}, refitted ${refittedOver.observedB.toFixed(4)}, continued ${continuedOver.observedB.toFixed(4)}`,
    );
  }
  return { weeks, ...figuresOf(intervals, seconds, print) };
}

/** The model that trees are added to, and up to when it has learned. */
interface Chain {
  readonly fitted: Fitted;
  readonly start: StartModel;
  readonly learnedUpTo: number;
}

/** The models that a timer would have made at an instant, of what was final by then. */
async function weekOf(world: World, at: number, before: Chain | null): Promise<Week & { readonly chain: Chain }> {
  const { pipeline, plan, seed } = world;
  const final = at - pipeline.labels.maturityMs;
  const known = rowsBetween(world, Number.NEGATIVE_INFINITY, final);
  const source: Source = { path: "", hash: "", table: takeRows(world.table, known) };
  const x = takeMatrixRows(world.x, known);
  const newest = takeMatrixRows(world.x, rowsBetween(world, final, at));
  const times = timesOf(source.table, pipeline);
  const labels = labelsOf(source.table, pipeline);
  const kinds = columnKinds(plan.spec, pipeline);
  const amounts = new Float64Array(x.rows);
  const cards = cardsOf(source.table, pipeline);
  const how = {
    kinds,
    habits: habitColumns(plan.spec),
    amounts,
    cards,
    features: NO_FEATURES,
    pipeline,
    seed,
    threads: THREADS,
    report: SILENT,
  };
  const basisOf = (split: Split): LearningBasis => {
    return { source, split, x, plan, rows: judgedRows(source, split.evaluate.rows, pipeline), seed };
  };
  const again = async (split: Split, judged: Fitted, start?: StartModel): Promise<Fitted> => {
    const given = {
      ...how,
      judged,
      newest,
      openMs: 0,
      unlike: "shadow",
      ...(start === undefined ? {} : { start }),
    } as const;
    return (await refit({ report: SILENT }, basisOf(split), given)).fitted;
  };
  const split = splitByTime(times, labels, pipeline);
  const [weekly, weeklySeconds] = await timed(() => fitModels(x, labels, { ...how, split }));
  const [refitted, refitSeconds] = await timed(() => again(split, weekly));
  const continuing = async (chain: Chain): Promise<Fitted | null> => {
    try {
      const newer = splitAfter(times, labels, chain.learnedUpTo);
      const judged = await continueModels(x, labels, { ...how, split: newer, start: chain.start });
      return await again(newer, judged, chain.start);
    } catch (error) {
      // A week with too few frauds to add trees by: as in life, the model of the week before stays.
      if (error instanceof SentinelError && error.code === "lifecycle.not-enough-data") return null;
      throw error;
    }
  };
  const [added, continuedSeconds] =
    before === null ? ([refitted, weeklySeconds + refitSeconds] as const) : await timed(() => continuing(before));
  const continued = added ?? before?.fitted ?? refitted;
  const { model, forest, anomalyAsFeature } = continued;
  if (model.kind !== "trees") throw new Error("only trees are added to");
  return {
    models: { weekly, refitted, continued },
    seconds: { weekly: weeklySeconds, refitted: weeklySeconds + refitSeconds, continued: continuedSeconds },
    chain: {
      fitted: continued,
      start: { trees: model.trees, forest, anomalyAsFeature },
      learnedUpTo: added === null && before !== null ? before.learnedUpTo : final,
    },
  };
}

function figuresOf(
  intervals: Readonly<Record<string, readonly (readonly PairedInterval[])[]>>,
  seconds: Readonly<Record<Way, readonly number[]>>,
  print: (line: string) => void,
): Figures {
  const figures: Record<string, Figures> = {};
  for (const [name, weeks] of Object.entries(intervals)) {
    figures[name] = Object.fromEntries(
      METRICS.map((metric, at) => {
        const { a, b, difference, low, high } = pooled(weeks.map((week) => week[at]));
        print(
          `${name}, ${metric}: ${a.toFixed(4)} → ${b.toFixed(4)}, difference ${low.toFixed(4)} to ${high.toFixed(4)} (95 %)`,
        );
        return [metric, { before: a, after: b, difference, low, high }];
      }),
    );
  }
  const took = Object.fromEntries(WAYS.map((way) => [way, mean(seconds[way])]));
  print(`seconds per training: ${WAYS.map((way) => `${way} ${took[way].toFixed(1)}`).join(", ")}`);
  return { ...figures, trainingSeconds: took };
}

function rowsBetween({ times }: World, from: number, to: number): Int32Array {
  return Int32Array.from(times.keys()).filter((row) => times[row] >= from && times[row] < to);
}

async function timed<T>(work: () => Promise<T>): Promise<readonly [T, number]> {
  const start = performance.now();
  const result = await work();
  return [result, (performance.now() - start) / 1000];
}

const SILENT = { line: () => {}, progress: () => {} };
