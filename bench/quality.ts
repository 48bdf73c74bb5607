// Detection quality on the Handbook's protocol: parameters chosen on earlier weeks, then four test folds.
import { DAY_MS } from "../src/core/duration.ts";
import { hiddenTruth } from "../src/lifecycle/simulate/days.ts";
import { measureAblation } from "./ablation.ts";
import { assessor, type Choice, LABEL_DELAY_MS, labelledOf, qualityText, type Task, vectorsOf } from "./assess.ts";
import type { Bench, BenchOptions, Figures } from "./bench.ts";
import { measureDecisions } from "./decisions.ts";
import { measureIdeas } from "./ideas.ts";
import { oracleScores } from "./oracle.ts";
import {
  cutFold,
  dayText,
  type FoldStarts,
  foldStarts,
  meanQuality,
  type Quality,
  qualityOf,
  simplestWithinError,
} from "./protocol.ts";
import { measureSequences } from "./sequences.ts";
import { measureTuning } from "./tuning.ts";
import { measureUnknownTable } from "./unknown-tables.ts";
import { measureWithheld } from "./withheld.ts";
import { canonical, loadFeatures, loadTransactions, simulated } from "./workspace.ts";

const SPECS = ["handbook", "card"] as const;
const FOLDS = { validation: 4, test: 4 } as const;

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
    if (options.cell === "tuning") return { tuning: await measureTuning(options) };
    if (options.cell === "withheld") return { withheld: await measureWithheld(options) };
    if (options.cell === "sequences") return { sequences: await measureSequences(options) };
    if (options.cell === "ideas") return { ideas: await measureIdeas(await loadTransactions(options), options) };
    if (options.cell === "decisions") return { decisions: await measureDecisions(options) };
    if (options.cell !== undefined) return { [options.cell]: await measureUnknownTable(options.cell, options) };
    const table = options.oracle ? canonical(simulated(options.seed)) : await loadTransactions(options);
    if (options.ablation) return { ablation: await measureAblation(table, options) };
    const data = labelledOf(table);
    const starts = foldStarts(data.day, FOLDS);
    options.print(
      `${table.rows} transactions; folds train 7 days, skip 7, test 7; first training days\n` +
        `  validation: ${starts.validation.map(dayText).join(" ")}\n  test:       ${starts.test.map(dayText).join(" ")}`,
    );
    const figures: Record<string, Figures> = {};
    for (const name of SPECS) {
      const vectors = vectorsOf(table, await loadFeatures(name));
      figures[name] = { ...measure({ name, vectors, data, starts, seed: options.seed }, options) };
    }
    return options.oracle ? { ...figures, ...measureOracle({ data, starts, seed: options.seed }, options) } : figures;
  },
};

interface Measurement extends Task {
  readonly name: string;
  readonly starts: FoldStarts;
}

/** Chooses on the validation folds alone, and only then cuts the test folds. */
function measure(task: Measurement, { print }: BenchOptions): Quality {
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
  { data, starts, seed }: Pick<Measurement, "data" | "starts" | "seed">,
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

/** How many leaves a choice may have. */
function leavesOf({ models, trees, depthMax }: Choice): number {
  return models * trees * 2 ** depthMax;
}

function choiceText(choice: Choice): string {
  const { models, trees, learningRate, depthMax, minChildWeight, rowSample, columnSample } = choice;
  const cell = (text: string | number, width: number): string => String(text).padStart(width);
  return `${cell(models, 6)}  ${cell(trees, 5)}  ${learningRate.toFixed(2)}  ${cell(depthMax, 5)}  ${cell(minChildWeight, 9)}  ${cell(rowSample.toFixed(1), 4)}  ${cell(columnSample.toFixed(1), 7)}`;
}
