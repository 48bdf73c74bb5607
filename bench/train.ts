// Training boosted trees against XGBoost and LightGBM: interleaved fresh processes, binning included, one thread.
import path from "node:path";
import { averagePrecision, logLoss, rocAuc } from "../src/ml/metrics.ts";
import { type Bench, type BenchOptions, type Figures, median } from "./bench.ts";
import { type Measured, PEERS_MISSING, peersInstalled, runOwn, runPeer } from "./peers.ts";
import { type RawTable, readFloat32, readLabels, writeSynthetic } from "./synthetic.ts";
import { temporaryFolder } from "./workspace.ts";

/** Equal for all; every learner starts from even odds. */
const PARAMETERS = {
  trees: 100,
  depthMax: 6,
  learningRate: 0.1,
  lambda: 1,
  minChildWeight: 1,
  binsMax: 256,
  startRate: 0.5,
} as const;

const SHAPES = [{ name: "rows300k", rows: 300_000, columns: 30, missing: 0.038 }] as const;

const LEARNERS = ["sentinel", "xgboost", "lightgbm"] as const;
type Learner = (typeof LEARNERS)[number];

export type TrainTask = typeof PARAMETERS & {
  readonly train: RawTable;
  readonly test: RawTable;
  readonly seed: number;
  /** Where the test rows' probabilities go as Float32; null for nowhere. */
  readonly predictions: string | null;
};

export const bench: Bench = {
  async run(options) {
    const learners = peersInstalled() ? LEARNERS : LEARNERS.slice(0, 1);
    if (learners.length === 1) options.print(PEERS_MISSING);
    const figures: Record<string, Figures> = {};
    for (const shape of SHAPES) figures[shape.name] = await measure(shape, learners, options);
    return figures;
  },
};

async function measure(
  shape: (typeof SHAPES)[number],
  learners: readonly Learner[],
  options: BenchOptions,
): Promise<Figures> {
  const folder = temporaryFolder();
  const train = writeSynthetic(folder, "train", { ...shape, seed: options.seed });
  const test = writeSynthetic(folder, "test", { ...shape, seed: options.seed + 1 });
  const frauds = readLabels(train).reduce((sum, y) => sum + y, 0);
  options.print(`${shape.rows} × ${shape.columns}, ${frauds} frauds, ${100 * shape.missing} % missing; one thread`);
  const predictionsOf = (learner: Learner): string => path.join(folder, `${learner}.predictions`);
  const runs = new Map<Learner, Measured[]>(learners.map((learner) => [learner, []]));
  for (let round = 0; round < options.repeats; round++) {
    // Each round starts with another, so that none always follows the same neighbour.
    for (let i = 0; i < learners.length; i++) {
      const learner = learners[(round + i) % learners.length];
      const predictions = round === 0 ? predictionsOf(learner) : null;
      const task: TrainTask = { ...PARAMETERS, train, test, seed: options.seed, predictions };
      const own = learner === "sentinel";
      runs
        .get(learner)!
        .push(await (own ? runOwn("train-own", task) : runPeer("train-peer", { ...task, peer: learner })));
    }
  }
  const y = readLabels(test);
  const sides = learners.map((learner) => ({
    learner,
    ...mediansOf(runs.get(learner)!),
    ...qualityOf(readFloat32(predictionsOf(learner)), y),
  }));
  options.print("               seconds     cpu   peak MB      AUC       AP  log-loss");
  for (const side of sides) options.print(sideText(side));
  return compare(sides);
}

type Side = { readonly learner: Learner } & Measured & ReturnType<typeof qualityOf>;

function compare(sides: readonly Side[]): Figures {
  const own = sides[0];
  const of = (learner: Learner): Side | undefined => sides.find((side) => side.learner === learner);
  const [xgboost, lightgbm] = [of("xgboost"), of("lightgbm")];
  const ratio = (key: keyof Measured, peer?: Side): number | null => (peer === undefined ? null : own[key] / peer[key]);
  const delta = (key: "auc" | "ap" | "logloss"): number | null =>
    xgboost === undefined ? null : own[key] - xgboost[key];
  return {
    threads1: { xgboost: ratio("seconds", xgboost), lightgbm: ratio("seconds", lightgbm) },
    threads1Cpu: { xgboost: ratio("cpuSeconds", xgboost), lightgbm: ratio("cpuSeconds", lightgbm) },
    aucDelta: delta("auc"),
    apDelta: delta("ap"),
    loglossDelta: delta("logloss"),
    rss: ratio("rssBytes", xgboost),
    seconds: own.seconds,
  };
}

function mediansOf(runs: readonly Measured[]): Measured {
  return {
    seconds: median(runs.map((run) => run.seconds)),
    cpuSeconds: median(runs.map((run) => run.cpuSeconds)),
    rssBytes: median(runs.map((run) => run.rssBytes)),
  };
}

function qualityOf(scores: Float32Array, y: Uint8Array): { auc: number; ap: number; logloss: number } {
  return { auc: rocAuc(scores, y), ap: averagePrecision(scores, y), logloss: logLoss(scores, y) };
}

function sideText({ learner, seconds, cpuSeconds, rssBytes, auc, ap, logloss }: Side): string {
  const megabytes = (rssBytes / 2 ** 20).toFixed(0);
  return `  ${learner.padEnd(12)}${seconds.toFixed(2).padStart(8)}${cpuSeconds.toFixed(2).padStart(8)}${megabytes.padStart(10)}  ${auc.toFixed(5)}  ${ap.toFixed(5)}  ${logloss.toFixed(6)}`;
}
