// Detection quality on the Handbook's protocol: parameters chosen on earlier weeks, then four test folds.
import { DAY_MS } from "../src/core/duration.ts";
import { assert } from "../src/core/errors.ts";
import { type Table, textAt } from "../src/core/table.ts";
import { replay } from "../src/features/replay.ts";
import { hiddenTruth } from "../src/lifecycle/simulate/days.ts";
import { scoreMatrix } from "../src/ml/gbdt/score.ts";
import { defaultGbdtParams, type GbdtParams } from "../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../src/ml/gbdt/train/train.ts";
import { type Matrix, takeMatrixRows } from "../src/ml/matrix.ts";
import type { Bench, BenchOptions, Figures } from "./bench.ts";
import { oracleScores } from "./oracle.ts";
import {
  cutFold,
  dayText,
  type FoldStarts,
  foldStarts,
  type Labelled,
  meanQuality,
  type Quality,
  qualityOf,
  simplestWithinError,
} from "./protocol.ts";
import { canonical, loadFeatures, loadTransactions, simulated } from "./workspace.ts";

const SPECS = ["handbook", "card"] as const;
/** A label arrives so long after its transaction. */
const LABEL_DELAY_MS = 7 * DAY_MS;
const FOLDS = { validation: 4, test: 4 } as const;

interface Choice
  extends Pick<GbdtParams, "trees" | "learningRate" | "depthMax" | "minChildWeight" | "rowSample" | "columnSample"> {
  /** Models whose margins are averaged, each trained with a seed of its own (Breiman 1996: bagging steadies deep trees). */
  readonly models: number;
}

const SINGLE: readonly Choice[] = [
  { trees: 100, learningRate: 0.1 },
  { trees: 200, learningRate: 0.05 },
].flatMap((pace) =>
  [3, 4, 5].flatMap((depthMax) =>
    [1, 5].map((minChildWeight) => ({ ...pace, depthMax, minChildWeight, rowSample: 1, columnSample: 0.7, models: 1 })),
  ),
);

const AVERAGED: readonly Choice[] = [3, 4, 5, 6].flatMap((depthMax) =>
  [0.4, 0.7].map((columnSample) => ({ ...SINGLE[0], depthMax, rowSample: 0.7, columnSample, models: 5 })),
);

/** All that may be chosen; every other parameter stays at its default. Only validation folds choose. */
const GRID = [...SINGLE, ...AVERAGED];

export const bench: Bench = {
  async run(options) {
    const table = options.oracle ? canonical(simulated(options.seed)) : await loadTransactions(options);
    const data = labelledOf(table);
    const starts = foldStarts(data.day, FOLDS);
    options.print(
      `${table.rows} transactions; folds train 7 days, skip 7, test 7; first training days\n` +
        `  validation: ${starts.validation.map(dayText).join(" ")}\n  test:       ${starts.test.map(dayText).join(" ")}`,
    );
    const figures: Record<string, Figures> = {};
    for (const name of SPECS) {
      const vectors = await vectorsOf(table, name);
      figures[name] = { ...measure({ name, vectors, data, starts, seed: options.seed }, options) };
    }
    return options.oracle ? { ...figures, ...measureOracle({ data, starts, seed: options.seed }, options) } : figures;
  },
};

interface Task {
  readonly name: string;
  readonly vectors: Matrix;
  readonly data: Labelled;
  readonly starts: FoldStarts;
  readonly seed: number;
}

/** Chooses on the validation folds alone, and only then cuts the test folds. */
function measure(task: Task, { print }: BenchOptions): Quality {
  print(`\n${task.name}: ${task.vectors.names.length} features; ${GRID.length} choices on the validation folds`);
  print("  models  trees  rate  depth  min child  rows  columns |    AUC     AP  CP@100");
  const assessValidation = assessor(task, task.starts.validation);
  const assessed = GRID.map((choice) => {
    const folds = assessValidation(choice);
    print(`  ${choiceText(choice)} | ${qualityText(meanQuality(folds))}`);
    return { scores: folds.map(({ ap }) => ap), size: leavesOf(choice) };
  });
  const chosen = GRID[simplestWithinError(assessed)];
  print(`  ${choiceText(chosen)} chosen: the smallest whose AP is within one standard error of the best`);
  const tested = assessor(task, task.starts.test)(chosen);
  tested.forEach((quality, i) => {
    print(`${`  test fold from ${dayText(task.starts.test[i])}`.padEnd(54)} | ${qualityText(quality)}`);
  });
  const mean = meanQuality(tested);
  print(`${"  mean over the test folds".padEnd(54)} | ${qualityText(mean)}`);
  return mean;
}

/** Judges who know the world by the same test folds: what no model can do better than, but for luck. */
function measureOracle(
  { data, starts, seed }: Pick<Task, "data" | "starts" | "seed">,
  { print }: BenchOptions,
): Record<string, Figures> {
  const table = simulated(seed);
  const known = { ...hiddenTruth({ seed }), delayDays: LABEL_DELAY_MS / DAY_MS };
  const figures: Record<string, Figures> = {};
  for (const [name, readsCents] of [
    ["oracle", false],
    ["oracleWithCents", true],
  ] as const) {
    const scores = oracleScores(table, { ...known, readsCents });
    const folds = starts.test.map((start) => {
      const { test } = cutFold(data, start);
      return qualityOf(
        data,
        test,
        Float64Array.from(test, (row) => scores[row]),
      );
    });
    figures[name] = { ...meanQuality(folds) };
    print(`${`  ${name}, mean over the test folds`.padEnd(54)} | ${qualityText(meanQuality(folds))}`);
  }
  return figures;
}

/** Cuts the folds once; the function it returns trains and tests one choice on each. */
function assessor(task: Task, starts: readonly number[]): (choice: Choice) => Quality[] {
  const { vectors, data, seed } = task;
  const folds = starts.map((start) => {
    const { train, test } = cutFold(data, start);
    const y = Uint8Array.from(train, (row) => data.y[row]);
    return { y, test, trainX: takeMatrixRows(vectors, train), testX: takeMatrixRows(vectors, test) };
  });
  return (choice) =>
    folds.map(({ y, test, trainX, testX }) => {
      const { models, ...params } = choice;
      const margins = new Float64Array(test.length);
      for (let m = 0; m < models; m++) {
        const task = { x: trainX, y, params: { ...defaultGbdtParams, ...params }, seed: seed + m };
        scoreMatrix(trainGbdt(task).model, testX).forEach((margin, row) => {
          margins[row] += margin;
        });
      }
      return qualityOf(data, test, margins);
    });
}

/** Every row's vector as serving would have made it, by one replay of the whole table. */
async function vectorsOf(table: Table, name: string): Promise<Matrix> {
  const { values, names, rows } = replay({
    spec: await loadFeatures(name),
    table,
    columns: { id: "transaction_id", time: "time", label: "is_fraud" },
    labelDelayMs: LABEL_DELAY_MS,
  });
  return { values, names, rows };
}

function labelledOf(table: Table): Labelled {
  const number = (name: string): Float64Array => {
    const column = table.columns.get(name);
    assert(column !== undefined && column.kind !== "text", `the table has numbers or times in ${name}`);
    return column.values;
  };
  const cards = table.columns.get("customer_id");
  assert(cards !== undefined, "the table has customer_id");
  const codes = new Map<string | null, number>();
  return {
    day: Int32Array.from(number("time"), (time) => Math.floor(time / DAY_MS)),
    y: Uint8Array.from(number("is_fraud")),
    card: Int32Array.from({ length: table.rows }, (_, row) => {
      const text = textAt(cards, row);
      if (!codes.has(text)) codes.set(text, codes.size);
      return codes.get(text)!;
    }),
  };
}

/** How many leaves a choice may have. */
function leavesOf({ models, trees, depthMax }: Choice): number {
  return models * trees * 2 ** depthMax;
}

function choiceText(choice: Choice): string {
  const { models, trees, learningRate, depthMax, minChildWeight, rowSample, columnSample } = choice;
  const cell = (text: string | number, width: number): string => String(text).padStart(width);
  return `${cell(models, 6)}  ${cell(trees, 5)}  ${learningRate.toFixed(2)}  ${cell(depthMax, 5)}  ${cell(minChildWeight, 9)}  ${cell(rowSample.toFixed(1), 4)}  ${cell(columnSample.toFixed(1), 7)}`;
}

function qualityText({ auc, ap, cp100 }: Quality): string {
  return `${auc.toFixed(4)} ${ap.toFixed(4)}  ${cp100.toFixed(4)}`;
}
