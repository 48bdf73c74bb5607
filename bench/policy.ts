// Which review policy teaches most? Eight weeks of reviewing by each on the reference rows, with their label delay, judged on the weeks after.
import { DAY_MS } from "../src/core/duration.ts";
import { SentinelError } from "../src/core/errors.ts";
import { Random } from "../src/core/random.ts";
import { type Table, takeRows } from "../src/core/table.ts";
import { type PairedInterval, pairedBootstraps } from "../src/evidence/bootstrap.ts";
import { compileSpec } from "../src/features/plan.ts";
import { labelsOf, timesOf } from "../src/lifecycle/data/source.ts";
import { vectorsOf } from "../src/lifecycle/data/vectors.ts";
import { type Fitted, fitModels, scoresOf } from "../src/lifecycle/train/fit.ts";
import { judgedRows } from "../src/lifecycle/train/judge.ts";
import { columnKinds, habitColumns } from "../src/lifecycle/train/kinds.ts";
import { NO_FEATURES } from "../src/lifecycle/train/policy.ts";
import { cardPrecision } from "../src/metrics/cards.ts";
import { AVERAGE_PRECISION } from "../src/metrics/ranked.ts";
import { scoreMatrix } from "../src/ml/gbdt/score.ts";
import { gbdtParams } from "../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../src/ml/gbdt/train/train.ts";
import { type Matrix, takeMatrixRows } from "../src/ml/matrix.ts";
import { loadPipeline, type Pipeline } from "../src/pipeline/pipeline.ts";
import type { Bench, Figures } from "./bench.ts";
import { loadFeatures, loadTransactions, ROOT } from "./workspace.ts";

/** Windows want so many days before anything is learned. */
const HISTORY_DAYS = 37;
/** Days that the first model learns from; every label of them is known. */
const BEGIN_DAYS = 28;
const WEEKS = 8;
const WEEK_DAYS = 7;
/** A label that no review brought is known so many days after its transaction. */
const DELAY_DAYS = 7;
/** Newest days that a model learns from. */
const LEARNED_DAYS = 42;
/** Days on which the models of the last week are judged. */
const LATER_DAYS = 14;
const DAYS = HISTORY_DAYS + BEGIN_DAYS + DELAY_DAYS + WEEKS * WEEK_DAYS + LATER_DAYS;
/** Cards looked at each day. */
const REVIEWS = 100;
/** Of the reviews, what goes to rows drawn by chance among all others. */
const EXPLORED = 0.1;
const CALIBRATED_SHARE = 0.2;
const THREADS = 2;

/**
 * `delayed`: what nobody reviewed is known after the delay, as chargebacks are. `reviewed`: it never is, and counts as genuine. `twoLabels`: as
 * `delayed`, by one policy, with the two kinds of labels learned in one pool, or apart and averaged.
 */
const CELLS = ["delayed", "reviewed", "twoLabels"] as const;
type Cell = (typeof CELLS)[number];

/**
 * What a model learns from. `pool`: all labels that are known. `apart`: one model of the delayed labels and one of the investigators', whose probabilities are
 * averaged (Dal Pozzolo et al. 2015). `lateOnly`: the delayed ones alone, as if reviews taught nothing.
 */
const LEARNERS = ["pool", "apart", "lateOnly"] as const;
type Learner = (typeof LEARNERS)[number];

/** Reviews below which there is no model of them, and of each class of them. */
const FEEDBACK_MIN = { rows: 300, ofEach: 30 } as const;

/** How the reviews of a day are chosen: by what, and which share of them by chance. */
const POLICIES = {
  highestScore: { by: (score: number) => score, explored: 0 },
  expectedLoss: { by: (score: number, amount: number) => score * amount, explored: 0 },
  exploration: { by: (score: number, amount: number) => score * amount, explored: EXPLORED },
} as const;
type Policy = keyof typeof POLICIES;
const NAMES = Object.keys(POLICIES) as readonly Policy[];

export const bench: Bench = {
  async run(options) {
    const { cell = "delayed", seed, print } = options;
    if (!CELLS.some((one) => one === cell)) {
      throw new SentinelError("cli.usage", `there is no cell ${JSON.stringify(cell)}`, {
        hint: `cells: ${CELLS.join(", ")}`,
      });
    }
    const world = await worldOf(await loadTransactions(options), cell as Cell, seed);
    print(
      `${world.table.rows} transactions; ${WEEKS} weeks of ${REVIEWS} cards a day, trained every week, judged on the ${LATER_DAYS} days after (${cell})`,
    );
    if (cell === "twoLabels") return await measureLearners(world, print);
    const lives = new Map<Policy, Life>();
    for (const name of NAMES) {
      const life = await live(world, { name, learner: "pool" });
      lives.set(name, life);
      print(
        `${name}: ${life.frauds} frauds in ${life.reviews} reviews, ${Math.round(life.prevented)} of money; ${life.learnedFrauds} frauds to learn from at the end`,
      );
    }
    const figures: Record<string, Figures | number> = { weeks: WEEKS, reviewsPerDay: REVIEWS };
    const first = lives.get("highestScore")!;
    for (const name of NAMES) {
      const life = lives.get(name)!;
      const [ap, cp] = compared(world, { first, life });
      figures[name] = {
        fraudsReviewed: life.frauds,
        lossPrevented: life.prevented,
        learnedFrauds: life.learnedFrauds,
        averagePrecision: ap.observedB,
        cardPrecision100: cp.observedB,
        ...(name === "highestScore"
          ? {}
          : { averagePrecisionOverHighestScore: intervalOf(ap), cardPrecision100OverHighestScore: intervalOf(cp) }),
      };
      print(
        `${name}: later AP ${ap.observedB.toFixed(4)}, CP@100 ${cp.observedB.toFixed(4)}${name === "highestScore" ? "" : `; over highest score ${text(ap)} and ${text(cp)} (95 %, by card and day)`}`,
      );
    }
    return figures;
  },
};

/** Lives by one policy and several ways to learn, compared on every day after the first week of reviews. */
async function measureLearners(world: World, print: (line: string) => void): Promise<Figures> {
  const lives = new Map<Learner, Life>();
  for (const learner of LEARNERS) lives.set(learner, await live(world, { name: "highestScore", learner }));
  const first = lives.get(LEARNERS[0])!;
  const figures: Record<string, Figures | number> = { weeks: WEEKS, reviewsPerDay: REVIEWS };
  for (const learner of LEARNERS) {
    const life = lives.get(learner)!;
    const [ap, cp] = compared(world, { first, life });
    figures[learner] = {
      fraudsReviewed: life.frauds,
      averagePrecision: ap.observedB,
      cardPrecision100: cp.observedB,
      ...(learner === LEARNERS[0]
        ? {}
        : { averagePrecisionOverPool: intervalOf(ap), cardPrecision100OverPool: intervalOf(cp) }),
    };
    const over = learner === LEARNERS[0] ? "" : `; over one pool ${text(ap)} and ${text(cp)} (95 %, by card and day)`;
    print(
      `${learner}: ${life.frauds} frauds in ${life.reviews} reviews; AP ${ap.observedB.toFixed(4)}, CP@100 ${cp.observedB.toFixed(4)}${over}`,
    );
  }
  return figures;
}

interface World {
  readonly cell: Cell;
  readonly table: Table;
  readonly x: Matrix;
  readonly pipeline: Pipeline;
  readonly kinds: ReturnType<typeof columnKinds>;
  readonly habits: Int32Array;
  readonly seed: number;
  readonly y: Uint8Array;
  readonly card: Int32Array;
  readonly amount: Float64Array;
  /** Days since the first. */
  readonly day: Int32Array;
}

async function worldOf(all: Table, cell: Cell, seed: number): Promise<World> {
  const pipeline = loadPipeline(ROOT, "card");
  const times = timesOf(all, pipeline);
  const last = times.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const from = Math.floor(last / DAY_MS) - DAYS + 1;
  const kept = Int32Array.from(times.keys()).filter((row) => Math.floor(times[row] / DAY_MS) >= from);
  if (kept.length === 0 || times.every((time) => Math.floor(time / DAY_MS) > from)) {
    throw new SentinelError("lifecycle.not-enough-data", "the data does not reach far enough back", {
      hint: `${DAYS} days are needed: history, the first model, ${WEEKS} weeks and ${LATER_DAYS} days after`,
    });
  }
  const table = takeRows(all, kept);
  const plan = compileSpec(await loadFeatures("card"));
  const report = { line: () => {}, progress: () => {} };
  // Every row's vector as serving would have made it: labels in it came with the delay, whoever reviewed what.
  const { x } = vectorsOf(table, { plan, pipeline, report });
  const rows = Int32Array.from({ length: table.rows }, (_, row) => row);
  const { y, card, amount, time } = judgedRows({ path: "", hash: "", table }, rows, pipeline);
  const day = Int32Array.from(time, (at) => Math.floor(at / DAY_MS) - from);
  return {
    cell,
    table,
    x,
    pipeline,
    kinds: columnKinds(plan.spec, pipeline),
    habits: habitColumns(plan.spec),
    seed,
    y,
    card,
    amount,
    day,
  };
}

/** What eight weeks of a policy came to. */
interface Life {
  readonly reviews: number;
  /** Frauds among the reviewed rows. */
  readonly frauds: number;
  /** Their amounts. */
  readonly prevented: number;
  /** Frauds that the last model learned from. */
  readonly learnedFrauds: number;
  /** The first day that is judged. */
  readonly judgedFrom: number;
  /** Scores of the rows of that day and all after it, each by the model of its day. */
  readonly judged: Float64Array;
}

async function live(
  world: World,
  { name, learner }: { readonly name: Policy; readonly learner: Learner },
): Promise<Life> {
  const random = new Random(world.seed);
  const reviewed = new Set<number>();
  const judged: number[] = [];
  let begin = HISTORY_DAYS + BEGIN_DAYS + DELAY_DAYS;
  let frauds = 0;
  let prevented = 0;
  let model = await learned(world, { until: begin, reviewed, learner });
  // Ways to learn are judged by each model's own days; policies by the last model, which has seen all of its reviews.
  const judgedFrom = world.cell === "twoLabels" ? begin + WEEK_DAYS : DAYS - LATER_DAYS;
  for (let week = 0; week < WEEKS; week++) {
    for (let day = begin; day < begin + WEEK_DAYS; day++) {
      const scores = model.score(rowsOfDays(world, day, day + 1));
      if (day >= judgedFrom) judged.push(...scores);
      for (const row of chosen(world, { name, day, scores, random })) {
        reviewed.add(row);
        if (world.y[row] !== 1) continue;
        frauds++;
        prevented += world.amount[row];
      }
    }
    begin += WEEK_DAYS;
    model = await learned(world, { until: begin, reviewed, learner });
  }
  for (let day = begin; day < begin + LATER_DAYS; day++) judged.push(...model.score(rowsOfDays(world, day, day + 1)));
  return {
    reviews: reviewed.size,
    frauds,
    prevented,
    learnedFrauds: model.frauds,
    judgedFrom,
    judged: Float64Array.from(judged),
  };
}

/** The rows that are reviewed on a day, one per card: most by the policy, its share drawn evenly from all others. */
function chosen(
  world: World,
  of: {
    readonly name: Policy;
    readonly day: number;
    readonly scores: Float32Array | Float64Array;
    readonly random: Random;
  },
): readonly number[] {
  const { by, explored } = POLICIES[of.name];
  const { scores } = of;
  const rows = rowsOfDays(world, of.day, of.day + 1);
  const worth = Float64Array.from(rows, (row, at) => by(scores[at], world.amount[row]));
  const order = Array.from(rows.keys()).sort((a, b) => worth[b] - worth[a] || a - b);
  const cards = new Set<number>();
  const taken: number[] = [];
  const take = (at: number): void => {
    const row = rows[at];
    if (cards.has(world.card[row])) return;
    cards.add(world.card[row]);
    taken.push(row);
  };
  const drawn = Math.round(REVIEWS * explored);
  for (const at of order) {
    if (taken.length >= REVIEWS - drawn) break;
    take(at);
  }
  for (let tries = 0; taken.length < REVIEWS && tries < 100 * REVIEWS; tries++) take(of.random.integer(rows.length));
  return taken;
}

/** What is known at the begin of a day. */
interface Known {
  readonly until: number;
  readonly reviewed: ReadonlySet<number>;
}

interface Learned {
  /** Probabilities of fraud of some rows. */
  score(rows: Int32Array): Float32Array | Float64Array;
  /** Frauds that it learned from. */
  readonly frauds: number;
}

async function learned(world: World, { learner, ...known }: Known & { readonly learner: Learner }): Promise<Learned> {
  const none = new Set<number>();
  const late = await fitted(world, learner === "pool" ? known : { ...known, reviewed: none });
  const scored = (rows: Int32Array): Float32Array | Float64Array =>
    scoresOf(late.fitted, takeMatrixRows(world.x, rows)).scores;
  const feedback = learner === "apart" ? feedbackModel(world, known) : null;
  if (feedback === null) return { score: scored, frauds: late.frauds };
  return {
    frauds: late.frauds,
    score(rows) {
      const ofReviews = feedback(rows);
      return Float64Array.from(scored(rows), (score, at) => (score + ofReviews[at]) / 2);
    },
  };
}

/** Probabilities by trees that learned the reviewed rows alone, of as many days as the other model has; null while these are too few. */
function feedbackModel(
  { day, x, y, pipeline, kinds, seed }: World,
  { until, reviewed }: Known,
): ((rows: Int32Array) => Float64Array) | null {
  const from = until - LEARNED_DAYS - DELAY_DAYS;
  const rows = Int32Array.from(reviewed)
    .filter((row) => day[row] >= from && day[row] < until)
    .sort();
  const labels = Uint8Array.from(rows, (row) => y[row]);
  const frauds = labels.reduce((sum, label) => sum + label, 0);
  if (rows.length < FEEDBACK_MIN.rows || Math.min(frauds, rows.length - frauds) < FEEDBACK_MIN.ofEach) return null;
  // So few rows leave none to stop early by: fewer, shallower trees instead.
  const params = { ...gbdtParams(pipeline.modelParameters), trees: 100, depthMax: 3, earlyStoppingRounds: 0 };
  const { model } = trainGbdt({ x: takeMatrixRows(x, rows), y: labels, kinds, params, seed });
  return (later) => scoreMatrix(model, takeMatrixRows(x, later)).map((margin) => 1 / (1 + Math.exp(-margin)));
}

/** A model of what is known at the begin of a day: old rows by their late labels, newer ones where somebody looked. */
async function fitted(
  world: World,
  { until, reviewed }: Known,
): Promise<{ readonly fitted: Fitted; readonly frauds: number }> {
  const { cell, day, x, y, table, pipeline, kinds, habits, seed } = world;
  // Of the days before anybody reviewed all labels come, whatever the cell: there has to be a first model, and a week to calibrate the second on.
  const knownTo = cell !== "reviewed" ? until - DELAY_DAYS : HISTORY_DAYS + BEGIN_DAYS + DELAY_DAYS;
  const rows = Int32Array.from(day.keys()).filter((row) => {
    if (day[row] < Math.max(HISTORY_DAYS, until - LEARNED_DAYS - DELAY_DAYS) || day[row] >= until) return false;
    return cell !== "reviewed"
      ? day[row] < knownTo || reviewed.has(row)
      : day[row] < until - DELAY_DAYS || reviewed.has(row);
  });
  const labels = labelsOf(table, pipeline).slice();
  if (cell === "reviewed") for (const row of rows) if (day[row] >= knownTo && !reviewed.has(row)) labels[row] = 0;
  // The newest complete days calibrate: the reviewed rows after them are no fair sample of anything.
  const complete = rows.filter((row) => day[row] < until - DELAY_DAYS);
  const first = day[complete[0]];
  const cut = until - DELAY_DAYS - Math.max(2, Math.round((until - DELAY_DAYS - first) * CALIBRATED_SHARE));
  const calibrate = complete.filter((row) => day[row] >= cut);
  const train = rows.filter((row) => day[row] < cut || day[row] >= until - DELAY_DAYS);
  const slice = (of: Int32Array, from: number, to: number) => ({
    from: from * DAY_MS,
    to: to * DAY_MS,
    rows: of,
    count: of.length,
    frauds: of.reduce((sum, row) => sum + (labels[row] === 1 ? 1 : 0), 0),
  });
  const split = {
    train: slice(train, first, until),
    calibrate: slice(calibrate, cut, until - DELAY_DAYS),
    evaluate: slice(calibrate, cut, until - DELAY_DAYS),
  };
  const report = { line: () => {}, progress: () => {} };
  const { amount: amounts, card: cards } = world;
  const rest = { features: NO_FEATURES, pipeline, seed, threads: THREADS, report };
  const model = await fitModels(x, labels, { kinds, habits, split, amounts, cards, ...rest });
  return { fitted: model, frauds: train.filter((row) => labels[row] === 1 && y[row] === 1).length };
}

/** Average precision and CP@100 of both lives on the days that are judged, and the difference between them. */
function compared(
  world: World,
  { first, life }: { readonly first: Life; readonly life: Life },
): readonly PairedInterval[] {
  const rows = rowsOfDays(world, first.judgedFrom, DAYS);
  return pairedBootstraps({
    y: Uint8Array.from(rows, (row) => world.y[row]),
    card: rows.map((row) => world.card[row]),
    day: rows.map((row) => world.day[row]),
    a: first.judged,
    b: life.judged,
    seed: world.seed,
    resamples: 200,
    metrics: [AVERAGE_PRECISION, cardPrecision(REVIEWS)],
  });
}

function rowsOfDays({ day }: Pick<World, "day">, from: number, to: number): Int32Array {
  return Int32Array.from(day.keys()).filter((row) => day[row] >= from && day[row] < to);
}

function intervalOf({ difference, low, high }: PairedInterval): Figures {
  return { difference, low, high };
}

function text({ difference, low, high }: PairedInterval): string {
  return `${difference.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)})`;
}
