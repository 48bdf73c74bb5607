// A kind of fraud that no label has shown yet: what trees, isolation forests and both together find of it in its first week.
import { SentinelError } from "../src/core/errors.ts";
import { type Table, takeRows } from "../src/core/table.ts";
import { type PairedInterval, pairedBootstraps } from "../src/evidence/bootstrap.ts";
import { ANOMALY_FEATURE } from "../src/lifecycle/train/fit.ts";
import { habitColumns } from "../src/lifecycle/train/kinds.ts";
import { AVERAGE_PRECISION, recallWithinBudget } from "../src/metrics/ranked.ts";
import { descending } from "../src/metrics/ranking.ts";
import { scoreMatrix } from "../src/ml/gbdt/score.ts";
import { defaultGbdtParams } from "../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../src/ml/gbdt/train/train.ts";
import { scoreAnomalyMatrix } from "../src/ml/iforest/score.ts";
import { trainIsolationForest } from "../src/ml/iforest/train/train.ts";
import { type Matrix, takeMatrixRows, withColumn } from "../src/ml/matrix.ts";
import { loadPipeline } from "../src/pipeline/pipeline.ts";
import { CHOSEN_TREES, labelledOf, vectorsOf } from "./assess.ts";
import type { BenchOptions, Figures } from "./bench.ts";
import { extendedScores } from "./extended-forest.ts";
import { pooled } from "./pooled.ts";
import { cutFold, FOLD_DAYS, foldStarts } from "./protocol.ts";
import { canonical, loadFeatures, loadTransactions, ROOT, simulated } from "./workspace.ts";

/** The Handbook's test folds; nothing here is chosen by them but what the report says. */
const FOLDS = { validation: 1, test: 4 } as const;
/** What the longest window looks back on, and a little. */
const HISTORY_DAYS = 40;
/** Days of a fold before its test days. */
const BEFORE_TEST_DAYS = 14;
const SCENARIO = "tx_fraud_scenario";
const KINDS = [1, 2, 3] as const;
/** Of the reviews, what goes to the highest anomaly scores. */
const TENTH = 0.1;
const QUARTER = 0.25;
const RESAMPLES = 200;

/** Rows per tree of the larger forests. */
const LARGER = 1024;
const FOREST = { trees: 100, sample: 256, depthMax: 8, columnsPerCut: 1 } as const;
/** Columns that a cut of the extended forest weighs together. */
const EXTENDED = 8;

/**
 * The first is what all others are compared with. A forest without a name of its own is cut in all columns, `habits` in those that no label has a part in;
 * of a `tenth` every tenth review goes to the highest anomaly score that has none yet.
 */
const SIDES = [
  "trees",
  "forest",
  "habits",
  "treesThatReadHabits",
  "tenthByForest",
  "tenthByHabits",
  "quarterByHabits",
  "habitsLarger",
  "tenthByHabitsLarger",
  "extended",
  "tenthByExtended",
  "shallow",
] as const;
type Side = (typeof SIDES)[number];

/** What is measured of each side: its own kind among genuine rows, within the review budget of all rows, and all kinds together. */
const MEASURES = ["averagePrecision", "recallWithinBudget", "averagePrecisionOfAll"] as const;

/** The figures of each kind on the reference transactions, or with `--oracle` on the simulator's. Errors: cli.usage. */
export async function measureWithheld(options: BenchOptions): Promise<Figures> {
  if (options.oracle) return await measured(canonical(simulated(options.seed)), "simulated transactions", options);
  return await measured(await loadTransactions(options), "transactions", options);
}

async function measured(table: Table, title: string, { seed, print }: BenchOptions): Promise<Figures> {
  const scenario = scenariosOf(table);
  const budget = loadPipeline(ROOT, "card").decisions.reviewShare;
  const starts = foldStarts(labelledOf(table).day, FOLDS).test;
  print(
    `${title}: ${table.rows}; ${starts.length} folds; a kind begins on the first of 7 test days, reviews ${budget} of the rows`,
  );
  const figures: Record<string, Figures> = {};
  for (const kind of KINDS) {
    const folds: Map<Side, readonly PairedInterval[]>[] = [];
    for (const start of starts) folds.push(await foldOf({ table, scenario, kind, start, seed, budget }));
    const frauds = folds.reduce((sum, fold) => sum + fold.get(SIDES[0])![0].frauds, 0);
    print(
      `  scenario ${kind} withheld, ${frauds} frauds of it:  AP of it | recall of it within budget | AP of all kinds; over trees alone`,
    );
    figures[`scenario${kind}`] = { frauds, ...sidesOf(folds, print) };
  }
  return figures;
}

function sidesOf(folds: readonly Map<Side, readonly PairedInterval[]>[], print: (line: string) => void): Figures {
  const figures: Record<string, Figures> = {};
  for (const side of SIDES) {
    const one: Record<string, Figures | number> = {};
    const cells: string[] = [];
    MEASURES.forEach((measure, at) => {
      const { b, difference, low, high } = pooled(folds.map((fold) => fold.get(side)![at]));
      one[measure] = b;
      if (side !== SIDES[0]) one[`${measure}OverTrees`] = { difference, low, high };
      const over = side === SIDES[0] ? "" : ` ${difference.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
      cells.push(`${b.toFixed(3)}${over}`);
    });
    figures[side] = one;
    print(`    ${side.padEnd(20)} ${cells.join(" | ")}`);
  }
  return figures;
}

interface FoldTask {
  readonly table: Table;
  readonly scenario: Float64Array;
  readonly kind: number;
  readonly start: number;
  readonly seed: number;
  readonly budget: number;
}

/** By side, the intervals of {@link MEASURES} against trees alone. */
async function foldOf({
  table,
  scenario,
  kind,
  start,
  seed,
  budget,
}: FoldTask): Promise<Map<Side, readonly PairedInterval[]>> {
  const { day } = labelledOf(table);
  const testFrom = start + BEFORE_TEST_DAYS;
  // The kind does not exist before the test days: no label of it arrives within them, and no window remembers it.
  const kept = Int32Array.from(day.keys()).filter(
    (row) =>
      day[row] >= start - HISTORY_DAYS &&
      day[row] < start + FOLD_DAYS &&
      !(scenario[row] === kind && day[row] < testFrom),
  );
  const part = takeRows(table, kept);
  const data = labelledOf(part);
  const spec = await loadFeatures("card");
  const vectors = vectorsOf(part, spec);
  const { train, test } = cutFold(data, start);
  const scores = scoredBy({
    train: takeMatrixRows(vectors, train),
    y: Uint8Array.from(train, (row) => data.y[row]),
    test: takeMatrixRows(vectors, test),
    habits: habitColumns(spec),
    seed,
  });
  const isKind = Uint8Array.from(test, (row) => Number(scenario[kept[row]] === kind));
  const isFraud = Uint8Array.from(test, (row) => data.y[row]);
  const card = test.map((row) => data.card[row]);
  // Known kinds are found by who knows them; left in, they would only be wrong answers about this one.
  const others = Int32Array.from(test.keys()).filter((at) => isFraud[at] === isKind[at]);
  return new Map(
    SIDES.map((side) => {
      const [a, b] = [scores.get(SIDES[0])!, scores.get(side)!];
      const rest = { seed, resamples: RESAMPLES };
      const [ap] = pairedBootstraps({
        y: Uint8Array.from(others, (at) => isKind[at]),
        card: Int32Array.from(others, (at) => card[at]),
        a: Float64Array.from(others, (at) => a[at]),
        b: Float64Array.from(others, (at) => b[at]),
        metrics: [AVERAGE_PRECISION],
        ...rest,
      });
      const [recall] = pairedBootstraps({ y: isKind, card, a, b, metrics: [recallWithinBudget(budget)], ...rest });
      const [all] = pairedBootstraps({ y: isFraud, card, a, b, metrics: [AVERAGE_PRECISION], ...rest });
      return [side, [ap, recall, all]];
    }),
  );
}

function scoredBy({
  train,
  y,
  test,
  habits,
  seed,
}: {
  readonly train: Matrix;
  readonly y: Uint8Array;
  readonly test: Matrix;
  readonly habits: Int32Array;
  readonly seed: number;
}): Map<Side, Float64Array> {
  const boosted = (x: Matrix, later: Matrix): Float64Array =>
    Float64Array.from(
      scoreMatrix(trainGbdt({ x, y, params: { ...defaultGbdtParams, ...CHOSEN_TREES }, seed }).model, later),
    );
  const trees = boosted(train, test);
  const extend = (x: Matrix, of: Float64Array): Matrix => withColumn(x, ANOMALY_FEATURE, Float32Array.from(of));
  const forest = scoreAnomalyMatrix(trainIsolationForest({ x: train, seed }), test);
  const habitForest = trainIsolationForest({ x: train, columns: habits, seed });
  const byHabits = scoreAnomalyMatrix(habitForest, test);
  const larger = scoreAnomalyMatrix(trainIsolationForest({ x: train, columns: habits, sample: LARGER, seed }), test);
  const names = Array.from(habits, (place) => train.names[place]);
  const of = { train: columnsOf(train, names), test: columnsOf(test, names), seed };
  const extended = extendedScores(of, { ...FOREST, columnsPerCut: EXTENDED });
  return new Map<Side, Float64Array>([
    ["trees", trees],
    ["forest", forest],
    ["habits", byHabits],
    ["treesThatReadHabits", boosted(extend(train, scoreAnomalyMatrix(habitForest, train)), extend(test, byHabits))],
    ["tenthByForest", sharedRanks(trees, forest, TENTH)],
    ["tenthByHabits", sharedRanks(trees, byHabits, TENTH)],
    ["quarterByHabits", sharedRanks(trees, byHabits, QUARTER)],
    ["habitsLarger", larger],
    ["tenthByHabitsLarger", sharedRanks(trees, larger, TENTH)],
    ["extended", extended],
    ["tenthByExtended", sharedRanks(trees, extended, TENTH)],
    ["shallow", extendedScores(of, { ...FOREST, depthMax: 4 })],
  ]);
}

/** One order of two: of every so many places one goes to the best of `second` that is not in it yet; as scores, highest first. */
export function sharedRanks(first: Float64Array, second: Float64Array, share: number): Float64Array {
  const orders = [descending(first), descending(second)];
  const next = [0, 0];
  const scores = new Float64Array(first.length).fill(Number.NaN);
  for (let place = 0; place < first.length; place++) {
    const by = Math.floor((place + 1) * share) > Math.floor(place * share) ? 1 : 0;
    while (!Number.isNaN(scores[orders[by][next[by]]])) next[by]++;
    scores[orders[by][next[by]]] = first.length - place;
  }
  return scores;
}

function columnsOf(x: Matrix, names: readonly string[]): Matrix {
  const values = new Float32Array(names.length * x.rows);
  names.forEach((name, to) => {
    const from = x.names.indexOf(name) * x.rows;
    values.set(x.values.subarray(from, from + x.rows), to * x.rows);
  });
  return { names, rows: x.rows, values };
}

function scenariosOf(table: Table): Float64Array {
  const column = table.columns.get(SCENARIO);
  if (column !== undefined && column.kind !== "text") return column.values;
  throw new SentinelError("cli.usage", `--cell withheld: the data has no numbers in ${SCENARIO}`, {
    hint: "leave out --data: the simulator says which kind each fraud is of",
  });
}
