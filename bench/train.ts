// Training boosted trees against XGBoost and LightGBM: interleaved fresh processes, binning included, one and two threads.
import path from "node:path";
import { SentinelError } from "../src/core/errors.ts";
import { averagePrecision, logLoss, rocAuc } from "../src/metrics/metrics.ts";
import type { Bench, BenchOptions, Figures } from "./bench.ts";
import { type Measured, PEERS_MISSING, peersInstalled } from "./peers.ts";
import { measureScaling } from "./scaling.ts";
import { readFloat32, readLabels, writeSynthetic } from "./synthetic.ts";
import { LEARNERS, type Learner, mediansOf, runTraining } from "./training.ts";
import { temporaryFolder } from "./workspace.ts";

const MISSING = 0.038;
const CELLS = {
  rows300k: { rows: 300_000, columns: 30, missing: MISSING },
  rows1m: { rows: 1_000_000, columns: 30, missing: MISSING },
  dense300k: { rows: 300_000, columns: 30, missing: 0 },
} as const;

/** What does not fit into the memory of a runner, or into its time: measured only when it is named, each side once. */
const LARGE = { rows20m: { rows: 20_000_000, columns: 30, missing: MISSING } } as const;
const LARGE_TEST_ROWS = 300_000;
const LARGE_THREADS = 2;

const THREADS = [1, 2] as const;

/** One learner on one number of threads. */
interface Contestant {
  readonly learner: Learner;
  readonly threads: (typeof THREADS)[number];
}

export const bench: Bench = {
  async run(options) {
    const learners = peersInstalled() ? LEARNERS : LEARNERS.slice(0, 1);
    if (learners.length === 1) options.print(PEERS_MISSING);
    if (options.scaling) return { scaling: await measureScaling(learners.slice(0, 2), options) };
    const figures: Record<string, Figures> = {};
    const { cell: named = "" } = options;
    if (isLarge(named)) return { [named]: await measureLarge(LARGE[named], learners.slice(0, 2), options) };
    for (const cell of chosenCells(options.cell)) figures[cell] = await measure(cell, learners, options);
    return figures;
  },
};

function isLarge(cell: string): cell is keyof typeof LARGE {
  return Object.hasOwn(LARGE, cell);
}

/** One training of each side on a table of many rows: seconds, and memory per row beside XGBoost's peak. */
export async function measureLarge(
  shape: { readonly rows: number; readonly columns: number; readonly missing: number },
  learners: readonly Learner[],
  { seed, print }: Pick<BenchOptions, "seed" | "print">,
): Promise<Figures> {
  const { rows } = shape;
  const folder = temporaryFolder();
  const train = writeSynthetic(folder, "train", { ...shape, seed });
  const test = writeSynthetic(folder, "test", {
    ...shape,
    rows: Math.min(rows, LARGE_TEST_ROWS),
    seed: seed + 1,
  });
  const y = readLabels(test);
  print(`${rows.toLocaleString("en")} × ${shape.columns}, ${LARGE_THREADS} threads`);
  print("              seconds      cpu   peak MB   bytes per row       AP");
  const figures: Record<string, Figures> = {};
  for (const learner of learners) {
    const predictions = path.join(folder, learner);
    const { seconds, cpuSeconds, rssBytes } = await runTraining(learner, {
      train,
      test,
      seed,
      threads: LARGE_THREADS,
      predictions,
    });
    const ap = averagePrecision(readFloat32(predictions), y);
    figures[learner] = { seconds, cpuSeconds, rssBytes, bytesPerRow: rssBytes / rows, ap };
    const times = `${seconds.toFixed(1).padStart(9)}${cpuSeconds.toFixed(1).padStart(9)}`;
    const megabytes = (rssBytes / 2 ** 20).toFixed(0).padStart(10);
    print(
      `  ${learner.padEnd(10)}${times}${megabytes}${(rssBytes / rows).toFixed(0).padStart(16)}${ap.toFixed(5).padStart(9)}`,
    );
  }
  const own = figures.sentinel;
  const peer = figures.xgboost ?? null;
  const ratio = (key: "seconds" | "rssBytes"): number | null =>
    peer === null ? null : Number(own[key]) / Number(peer[key]);
  return { rows, ...figures, secondsRatio: ratio("seconds"), rss: ratio("rssBytes") };
}

function chosenCells(name: string | undefined): (keyof typeof CELLS)[] {
  const all = Object.keys(CELLS) as (keyof typeof CELLS)[];
  if (name === undefined) return all;
  const chosen = all.filter((cell) => cell === name);
  if (chosen.length > 0) return chosen;
  throw new SentinelError("cli.usage", `--cell: there is no cell ${name}`, {
    hint: `give one of ${[...all, ...Object.keys(LARGE)].join(", ")}`,
  });
}

async function measure(
  cell: keyof typeof CELLS,
  learners: readonly Learner[],
  options: BenchOptions,
): Promise<Figures> {
  const shape = CELLS[cell];
  const folder = temporaryFolder();
  const train = writeSynthetic(folder, "train", { ...shape, seed: options.seed });
  const test = writeSynthetic(folder, "test", { ...shape, seed: options.seed + 1 });
  const y = readLabels(test);
  const frauds = readLabels(train).reduce((sum, label) => sum + label, 0);
  options.print(`${cell}: ${shape.rows} × ${shape.columns}, ${frauds} frauds, ${100 * shape.missing} % missing`);
  const contestants = learners.flatMap((learner) => THREADS.map((threads): Contestant => ({ learner, threads })));
  const runs = contestants.map((): Measured[] => []);
  for (let round = 0; round < options.repeats; round++) {
    // Each round starts with another, so that none always follows the same neighbour.
    for (let i = 0; i < contestants.length; i++) {
      const at = (round + i) % contestants.length;
      const { learner, threads } = contestants[at];
      const predictions = round === 0 && threads === 1 ? path.join(folder, learner) : null;
      runs[at].push(await runTraining(learner, { train, test, seed: options.seed, threads, predictions }));
    }
  }
  const sides = learners.map((learner): Side => {
    const of = (threads: number): Measured =>
      mediansOf(runs[contestants.findIndex((one) => one.learner === learner && one.threads === threads)]);
    return {
      learner,
      threads1: of(1),
      threads2: of(2),
      quality: qualityOf(readFloat32(path.join(folder, learner)), y),
    };
  });
  options.print("              threads   seconds      cpu   peak MB      AUC       AP  log-loss");
  for (const side of sides) for (const threads of THREADS) options.print(sideText(side, threads));
  return compareTrainings(sides);
}

/** A learner's medians by threads, and how good its model is (the same on any number of threads). */
export interface Side {
  readonly learner: Learner;
  readonly threads1: Measured;
  readonly threads2: Measured;
  readonly quality: { readonly auc: number; readonly ap: number; readonly logloss: number };
}

/** Our time over each peer's; quality as ours less XGBoost's; memory as the worse of both numbers of threads. */
export function compareTrainings(sides: readonly Side[]): Figures {
  const own = sides[0];
  const of = (learner: Learner): Side | undefined => sides.find((side) => side.learner === learner);
  const xgboost = of("xgboost");
  const ratio = (threads: "threads1" | "threads2", key: keyof Measured, peer?: Side): number | null =>
    peer === undefined ? null : own[threads][key] / peer[threads][key];
  const ratios = (threads: "threads1" | "threads2", key: keyof Measured): Figures => ({
    xgboost: ratio(threads, key, xgboost),
    lightgbm: ratio(threads, key, of("lightgbm")),
  });
  const delta = (key: keyof Side["quality"]): number | null =>
    xgboost === undefined ? null : own.quality[key] - xgboost.quality[key];
  const memory = [ratio("threads1", "rssBytes", xgboost), ratio("threads2", "rssBytes", xgboost)];
  return {
    threads1: ratios("threads1", "seconds"),
    threads2: ratios("threads2", "seconds"),
    threads1Cpu: ratios("threads1", "cpuSeconds"),
    threads2Cpu: ratios("threads2", "cpuSeconds"),
    aucDelta: delta("auc"),
    apDelta: delta("ap"),
    loglossDelta: delta("logloss"),
    rss: xgboost === undefined ? null : Math.max(...memory.map(Number)),
    seconds: { threads1: own.threads1.seconds, threads2: own.threads2.seconds },
  };
}

function qualityOf(scores: Float32Array, y: Uint8Array): Side["quality"] {
  return { auc: rocAuc(scores, y), ap: averagePrecision(scores, y), logloss: logLoss(scores, y) };
}

function sideText(side: Side, threads: (typeof THREADS)[number]): string {
  const { seconds, cpuSeconds, rssBytes } = threads === 1 ? side.threads1 : side.threads2;
  const { auc, ap, logloss } = side.quality;
  const times = `${seconds.toFixed(2).padStart(10)}${cpuSeconds.toFixed(2).padStart(9)}`;
  const megabytes = (rssBytes / 2 ** 20).toFixed(0).padStart(10);
  const quality = threads === 1 ? `  ${auc.toFixed(5)}  ${ap.toFixed(5)}  ${logloss.toFixed(6)}` : "";
  return `  ${side.learner.padEnd(12)}${String(threads).padStart(7)}${times}${megabytes}${quality}`;
}
