// Detection quality on the Handbook's protocol: parameters chosen on earlier weeks, then four test folds.
import { DAY_MS } from "../src/core/duration.ts";
import { assert } from "../src/core/errors.ts";
import { type Table, textAt } from "../src/core/table.ts";
import { replay } from "../src/features/replay.ts";
import { defaultGbdtParams, type GbdtParams } from "../src/ml/gbdt/params.ts";
import { scoreMatrix } from "../src/ml/gbdt/score.ts";
import { trainGbdt } from "../src/ml/gbdt/train.ts";
import { type Matrix, takeMatrixRows } from "../src/ml/matrix.ts";
import type { Bench, BenchOptions, Figures } from "./bench.ts";
import {
  cutFold,
  dayText,
  type FoldStarts,
  foldStarts,
  type Labelled,
  meanQuality,
  type Quality,
  qualityOf,
} from "./protocol.ts";
import { loadFeatures, loadTransactions } from "./workspace.ts";

const SPECS = ["handbook", "card"] as const;
/** A label arrives so long after its transaction. */
const LABEL_DELAY_MS = 7 * DAY_MS;
const FOLDS = { validation: 4, test: 4 } as const;

type Choice = Pick<GbdtParams, "trees" | "learningRate" | "depthMax" | "minChildWeight" | "columnSample">;

/** All that may be chosen, declared before any fold is looked at: every combination, with the other parameters at their defaults. */
const GRID: readonly Choice[] = [
  { trees: 100, learningRate: 0.1 },
  { trees: 200, learningRate: 0.05 },
].flatMap((pace) =>
  [3, 4, 5].flatMap((depthMax) =>
    [1, 5].flatMap((minChildWeight) =>
      [1, 0.5].map((columnSample) => ({ ...pace, depthMax, minChildWeight, columnSample })),
    ),
  ),
);

export const bench: Bench = {
  async run(options) {
    const table = await loadTransactions(options);
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
    return figures;
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
  print("  trees  rate  depth  min child  columns |    AUC     AP  CP@100");
  const assessValidation = assessor(task, task.starts.validation);
  let best: { readonly choice: Choice; readonly ap: number } | null = null;
  for (const choice of GRID) {
    const quality = meanQuality(assessValidation(choice));
    print(`  ${choiceText(choice)} | ${qualityText(quality)}`);
    if (best === null || quality.ap > best.ap) best = { choice, ap: quality.ap };
  }
  assert(best !== null, "the grid is not empty");
  print(`  chosen by AP: ${choiceText(best.choice)}`);
  const tested = assessor(task, task.starts.test)(best.choice);
  tested.forEach((quality, i) => {
    print(`  test fold from ${dayText(task.starts.test[i])}                 | ${qualityText(quality)}`);
  });
  const mean = meanQuality(tested);
  print(`  mean over the test folds                  | ${qualityText(mean)}`);
  return mean;
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
      const { model } = trainGbdt({ x: trainX, y, params: { ...defaultGbdtParams, ...choice }, seed });
      return qualityOf(data, test, scoreMatrix(model, testX));
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

function choiceText({ trees, learningRate, depthMax, minChildWeight, columnSample }: Choice): string {
  return `${String(trees).padStart(5)}  ${learningRate.toFixed(2)}  ${String(depthMax).padStart(5)}  ${String(minChildWeight).padStart(9)}  ${columnSample.toFixed(2).padStart(7)}`;
}

function qualityText({ auc, ap, cp100 }: Quality): string {
  return `${auc.toFixed(4)} ${ap.toFixed(4)}  ${cp100.toFixed(4)}`;
}
