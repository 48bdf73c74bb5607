// Decisions on four tables: is what the calibration days promise kept a week after the labels, and what does it find beside one budget for both?
import { NEVER, type Thresholds } from "../src/core/decision.ts";
import { mean } from "../src/core/stats.ts";
import { type Table, takeRows } from "../src/core/table.ts";
import { type PairedInterval, pairedBootstraps } from "../src/evidence/bootstrap.ts";
import { clusteredProportion, type Proportion } from "../src/evidence/proportion.ts";
import type { FeatureSpec } from "../src/features/spec.ts";
import { fitDecisions } from "../src/lifecycle/train/decisions.ts";
import { columnKinds } from "../src/lifecycle/train/kinds.ts";
import { NO_FEATURES } from "../src/lifecycle/train/policy.ts";
import { budgetThreshold, rank } from "../src/metrics/ranking.ts";
import { ALERT_RATE, alertsAt, RECALL } from "../src/metrics/summed.ts";
import { calibrate } from "../src/ml/calibration/apply.ts";
import { scoreMatrix } from "../src/ml/gbdt/score.ts";
import { gbdtParams } from "../src/ml/gbdt/train/params.ts";
import { trainGbdtThreads } from "../src/ml/gbdt/train/threads.ts";
import { type Matrix, takeMatrixRows } from "../src/ml/matrix.ts";
import { loadPipeline, type Pipeline } from "../src/pipeline/pipeline.ts";
import { labelledOf, vectorsOf } from "./assess.ts";
import type { BenchOptions, Figures } from "./bench.ts";
import { pooled } from "./pooled.ts";
import type { Labelled } from "./protocol.ts";
import { UNKNOWN_TABLES } from "./unknown-tables.ts";
import { loadFeatures, loadTransactions, ROOT } from "./workspace.ts";

const HISTORY_DAYS = 37;
const TRAIN_DAYS = 28;
const CALIBRATE_DAYS = 14;
const DELAY_DAYS = 7;
const LATER_DAYS = 7;
const FOLDS = 6;
const DAYS = HISTORY_DAYS + TRAIN_DAYS + CALIBRATE_DAYS + DELAY_DAYS + FOLDS * LATER_DAYS;
const THREADS = 2;
const RESAMPLES = 200;

interface Source {
  readonly table: (options: BenchOptions) => Promise<Table> | Table;
  readonly spec: () => Promise<FeatureSpec>;
}

const SOURCES: Readonly<Record<string, Source>> = {
  handbook: { table: loadTransactions, spec: () => loadFeatures("card") },
  ...Object.fromEntries(
    Object.entries(UNKNOWN_TABLES).map(([name, { table, spec }]) => [
      name,
      { table: ({ seed }: BenchOptions) => table(seed), spec },
    ]),
  ),
};

/** Each table by the card pipeline's own parameters and decisions: shares promised and kept, blocks' precision, recall beside one budget for both. */
export async function measureDecisions(options: BenchOptions): Promise<Figures> {
  const pipeline = loadPipeline(ROOT, "card");
  const { reviewShare, blockPrecision } = pipeline.decisions;
  options.print(
    `${FOLDS} weeks a table, each by trees of ${TRAIN_DAYS} days and thresholds of the ${CALIBRATE_DAYS} after, ${DELAY_DAYS} days before it; promised: ${reviewShare} reviewed, blocks with a precision of ${blockPrecision}`,
  );
  const figures: Record<string, Figures> = {};
  for (const [name, source] of Object.entries(SOURCES)) {
    figures[name] = await measured(name, { source, pipeline, options });
  }
  return figures;
}

async function measured(
  name: string,
  {
    source,
    pipeline,
    options,
  }: { readonly source: Source; readonly pipeline: Pipeline; readonly options: BenchOptions },
): Promise<Figures> {
  const all = await source.table(options);
  const { day: days } = labelledOf(all);
  const end = days[days.length - 1] + 1;
  const table = takeRows(
    all,
    Int32Array.from(days.keys()).filter((row) => days[row] >= end - DAYS),
  );
  const spec = await source.spec();
  const world: World = {
    data: labelledOf(table),
    vectors: vectorsOf(table, spec),
    kinds: columnKinds(spec, pipeline),
    pipeline,
    seed: options.seed,
  };
  const weeks: Week[] = [];
  for (let fold = 0; fold < FOLDS; fold++) weeks.push(await weekFrom(world, end - (FOLDS - fold) * LATER_DAYS));
  const { reviewShare, blockPrecision } = pipeline.decisions;
  const reviewed = mean(weeks.map((week) => week.reviewed / week.rows));
  const blocks = precisionOf(weeks);
  const promisedBlocks = weeks.filter((week) => week.blocksPromised).length;
  const recall = pooled(weeks.map((week) => week.recall));
  const alerts = pooled(weeks.map((week) => week.alertRate));
  options.print(
    `${name}: ${table.rows} rows; reviewed ${reviewed.toFixed(5)} of ${reviewShare} (${(reviewed / reviewShare).toFixed(2)} of the promised; weeks ${weeks.map((week) => (week.reviewed / week.rows / reviewShare).toFixed(2)).join(" ")}); ` +
      `blocked ${blocks.rows} in ${promisedBlocks} weeks that promise ${blockPrecision}, precision ${blocks.value.toFixed(3)} (${blocks.low.toFixed(3)} to ${blocks.high.toFixed(3)}); ` +
      `recall ${recall.b.toFixed(4)} of ${recall.a.toFixed(4)} by one budget, ${recall.difference.toFixed(4)} (${recall.low.toFixed(4)} to ${recall.high.toFixed(4)}); alerts ${alerts.b.toFixed(5)} and ${alerts.a.toFixed(5)}`,
  );
  return {
    reviewedOverPromised: reviewed / reviewShare,
    blocked: blocks.rows,
    weeksThatBlock: promisedBlocks,
    blockPrecision: { value: blocks.value, low: blocks.low, high: blocks.high },
    recall: recall.b,
    recallOfOneBudget: recall.a,
    recallOverOneBudget: { difference: recall.difference, low: recall.low, high: recall.high },
    alertRate: alerts.b,
    alertRateOfOneBudget: alerts.a,
  };
}

interface World {
  readonly data: Labelled;
  readonly vectors: Matrix;
  readonly kinds: ReturnType<typeof columnKinds>;
  readonly pipeline: Pipeline;
  readonly seed: number;
}

interface Week {
  readonly rows: number;
  readonly reviewed: number;
  /** False where the calibration days say that no score is that precise: then nothing is blocked. */
  readonly blocksPromised: boolean;
  /** Blocked rows and frauds among them by card. */
  readonly blocked: ReadonlyMap<number, { readonly rows: number; readonly hits: number }>;
  /** A: one budget for what is reviewed and blocked; B: the pipeline's decisions. */
  readonly recall: PairedInterval;
  readonly alertRate: PairedInterval;
}

/** Trained and calibrated on what is known before the week that begins on `day`. */
async function weekFrom({ data, vectors, kinds, pipeline, seed }: World, day: number): Promise<Week> {
  const between = (from: number, to: number): Int32Array =>
    Int32Array.from(data.day.keys()).filter((row) => data.day[row] >= from && data.day[row] < to);
  const labels = (rows: Int32Array): Uint8Array => Uint8Array.from(rows, (row) => data.y[row]);
  const known = day - DELAY_DAYS;
  const train = between(known - CALIBRATE_DAYS - TRAIN_DAYS, known - CALIBRATE_DAYS);
  const decide = between(known - CALIBRATE_DAYS, known);
  const later = between(day, day + LATER_DAYS);
  const validation = { x: takeMatrixRows(vectors, decide), y: labels(decide) };
  const params = gbdtParams(pipeline.modelParameters);
  const { model } = await trainGbdtThreads(
    { x: takeMatrixRows(vectors, train), y: labels(train), validation, kinds, params, seed },
    { threads: THREADS },
  );
  const cards = (rows: Int32Array): Int32Array => rows.map((row) => data.card[row]);
  const margins = scoreMatrix(model, validation.x);
  const decided = fitDecisions(margins, {
    pipeline,
    y: validation.y,
    // Neither policy here weighs money.
    amounts: new Float64Array(decide.length),
    cards: cards(decide),
    features: NO_FEATURES,
    inputs: { amount: null, segment: null },
  });
  const { calibration, thresholds } = decided;
  const probable = (all: Float64Array): Float64Array =>
    Float64Array.from(all, (margin) => Math.fround(calibrate(calibration, margin)));
  const scores = probable(scoreMatrix(model, takeMatrixRows(vectors, later)));
  const single = oneBudget(rank(probable(margins), validation.y), {
    thresholds,
    share: pipeline.decisions.reviewShare,
  });
  const y = labels(later);
  const card = cards(later);
  const [recall, alertRate] = pairedBootstraps({
    y,
    card,
    a: scores,
    b: scores,
    alerts: { a: alertsAt(scores, single.review), b: alertsAt(scores, thresholds.review) },
    metrics: [RECALL, ALERT_RATE],
    resamples: RESAMPLES,
    seed,
  });
  const blocked = new Map<number, { rows: number; hits: number }>();
  let reviewed = 0;
  scores.forEach((score, at) => {
    if (score >= thresholds.block) {
      const { rows, hits } = blocked.get(card[at]) ?? { rows: 0, hits: 0 };
      blocked.set(card[at], { rows: rows + 1, hits: hits + y[at] });
    } else if (score >= thresholds.review) reviewed++;
  });
  return {
    rows: later.length,
    reviewed,
    blocksPromised: decided.block.reached && thresholds.block < NEVER,
    blocked,
    recall,
    alertRate,
  };
}

/** Blocks and reviews paid out of one budget, so that sure frauds leave nothing to review: what many desks do. */
function oneBudget(
  ranking: ReturnType<typeof rank>,
  { thresholds, share }: { readonly thresholds: Thresholds; readonly share: number },
): Thresholds {
  const review = budgetThreshold(ranking, share);
  return { review, block: Math.max(review, thresholds.block) };
}

/** Precision of all weeks' blocks; a card's rows stand or fall together, in whichever week. */
function precisionOf(weeks: readonly Week[]): Proportion {
  const byCard = new Map<number, { rows: number; hits: number }>();
  for (const { blocked } of weeks) {
    for (const [card, { rows, hits }] of blocked) {
      const sum = byCard.get(card) ?? { rows: 0, hits: 0 };
      byCard.set(card, { rows: sum.rows + rows, hits: sum.hits + hits });
    }
  }
  return clusteredProportion(byCard.values());
}
