// How the time of training grows with rows, columns and threads: a table of ours beside XGBoost's.
import type { BenchOptions, Figures } from "./bench.ts";
import type { Measured } from "./peers.ts";
import { writeSynthetic } from "./synthetic.ts";
import { type Learner, mediansOf, runTraining } from "./training.ts";
import { temporaryFolder } from "./workspace.ts";

/** One dimension grows, the others stay; the middle row is in both. */
const SHAPES = [
  { rows: 100_000, columns: 30 },
  { rows: 300_000, columns: 30 },
  { rows: 1_000_000, columns: 30 },
  { rows: 300_000, columns: 10 },
  { rows: 300_000, columns: 100 },
] as const;
const MISSING = 0.038;
const THREADS = [1, 2] as const;

/** Prints the table as Markdown; figures are seconds, by shape, learner and threads. */
export async function measureScaling(learners: readonly Learner[], options: BenchOptions): Promise<Figures> {
  const heads = learners.flatMap((learner) =>
    THREADS.map((threads) => `${learner}, ${threads} thread${threads > 1 ? "s" : ""}`),
  );
  options.print(`| rows | columns | ${heads.map((head) => `${head}: s (processor s)`).join(" | ")} |`);
  options.print(`| ---: | ---: |${" ---: |".repeat(heads.length)}`);
  const figures: Record<string, Figures> = {};
  for (const shape of SHAPES) {
    const folder = temporaryFolder();
    const train = writeSynthetic(folder, "train", { ...shape, missing: MISSING, seed: options.seed });
    const contestants = learners.flatMap((learner) => THREADS.map((threads) => ({ learner, threads })));
    const runs = contestants.map((): Measured[] => []);
    for (let round = 0; round < options.repeats; round++) {
      for (const [i, { learner, threads }] of contestants.entries()) {
        runs[i].push(
          await runTraining(learner, { train, test: train, seed: options.seed, threads, predictions: null }),
        );
      }
    }
    const medians = runs.map(mediansOf);
    const cells = medians.map(({ seconds, cpuSeconds }) => `${seconds.toFixed(2)} (${cpuSeconds.toFixed(2)})`);
    options.print(`| ${shape.rows.toLocaleString("en")} | ${shape.columns} | ${cells.join(" | ")} |`);
    const named = contestants.map(({ learner, threads }, i) => [`${learner}Threads${threads}`, medians[i].seconds]);
    figures[`rows${shape.rows}columns${shape.columns}`] = Object.fromEntries(named);
  }
  return figures;
}
