// Scoring and explaining against onnxruntime-node and XGBoost: the same trees on all sides, one thread each.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { assert } from "../src/core/errors.ts";
import { encodeGbdt, type GbdtModel } from "../src/ml/gbdt/model.ts";
import { defaultGbdtParams } from "../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../src/ml/gbdt/train/train.ts";
import { trainIsolationForest } from "../src/ml/iforest/train/train.ts";
import { exportOnnx } from "../src/ml/onnx/export.ts";
import { type Bench, type Figures, median } from "./bench.ts";
import { PEERS_MISSING, peersInstalled, runOwn, runPeer } from "./peers.ts";
import { type RawTable, readFloat32, readLabels, readMatrix, writeSynthetic } from "./synthetic.ts";
import { temporaryFolder } from "./workspace.ts";
import { xgboostJson } from "./xgboost-json.ts";

const SHAPE = { rows: 100_000, columns: 30, missing: 0.038 } as const;
const TREES = [100, 300] as const;
const BATCH_TREES = 300;
const BATCH_PASSES = 3;
const SINGLE_ROWS = 5000;
const EXPLAINED_ROWS = 1000;

/** Probabilities and attributions of the sides may differ by Float32 sums of 300 leaves. */
const SAME = 1e-4;

/** Of one row. */
export interface Timing {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** The model of so many trees as files of three kinds. */
interface ModelFiles {
  readonly trees: number;
  readonly model: string;
  readonly onnx: string;
  readonly xgboost: string;
}

export interface ScoreTask {
  readonly table: RawTable;
  readonly models: readonly ModelFiles[];
  readonly batchTrees: number;
  readonly batchPasses: number;
  readonly singleRows: number;
  readonly explainedRows: number;
  /** Where the batch's probabilities and the attributions of the explained rows go as Float32. */
  readonly scores: string;
  readonly attributions: string;
}

type Timings = Readonly<Record<string, Timing>>;

export interface ScoreMeasured {
  readonly own: Timings;
  readonly onnxruntime: Timings;
}

/** One round's timings; `xgboost` is null where it is not installed. */
export interface ScoreRound extends ScoreMeasured {
  readonly xgboost: Timings | null;
}

export const bench: Bench = {
  async run(options) {
    const withPeer = peersInstalled();
    if (!withPeer) options.print(PEERS_MISSING);
    const folder = temporaryFolder();
    const table = writeSynthetic(folder, "table", { ...SHAPE, seed: options.seed + 1 });
    const shape = {
      batchTrees: BATCH_TREES,
      batchPasses: BATCH_PASSES,
      singleRows: SINGLE_ROWS,
      explainedRows: EXPLAINED_ROWS,
    };
    const models = writeModels(folder, options.seed);
    const taskOf = (side: string): ScoreTask => ({
      ...shape,
      table,
      models,
      scores: path.join(folder, `${side}.scores`),
      attributions: path.join(folder, `${side}.attributions`),
    });
    const rounds: ScoreRound[] = [];
    for (let round = 0; round < options.repeats; round++) {
      let own: ScoreMeasured | null = null;
      let xgboost: Timings | null = null;
      const runs = [
        async () => {
          own = await runOwn<ScoreMeasured>("score-own", taskOf("own"));
        },
        async () => {
          xgboost = await runPeer<Timings>("score-peer", taskOf("xgboost"));
        },
      ].slice(0, withPeer ? 2 : 1);
      // Sides take turns at going first.
      for (const run of round % 2 === 0 ? runs : runs.reverse()) await run();
      rounds.push({ ...own!, xgboost });
    }
    if (withPeer) {
      for (const kind of ["scores", "attributions"] as const) {
        const most = largestDifference(readFloat32(taskOf("own")[kind]), readFloat32(taskOf("xgboost")[kind]));
        options.print(`${kind}: ours and XGBoost's differ by ${most.toExponential(1)} at most`);
        assert(most < SAME, `${kind} of the same trees are the same`);
      }
    }
    options.print(`${SHAPE.rows} × ${SHAPE.columns}, ${100 * SHAPE.missing} % missing, depth 6; µs a row, one thread`);
    for (const line of roundsText(rounds)) options.print(line);
    return compareScores(rounds);
  },
};

/** Trains once and writes the first so many trees, as each side reads them. */
function writeModels(folder: string, seed: number): ModelFiles[] {
  const train = writeSynthetic(folder, "train", { ...SHAPE, seed });
  const x = readMatrix(train);
  // Even odds at the start, so that XGBoost's base score has an exact place in its model file.
  const params = { ...defaultGbdtParams, depthMax: 6, trees: Math.max(...TREES), startRate: 0.5 };
  const { model } = trainGbdt({ x, y: readLabels(train), params, seed });
  const forest = trainIsolationForest({ x, seed });
  return TREES.map((trees) => {
    const part = firstTrees(model, trees);
    const file = (ending: string): string => path.join(folder, `${trees}.${ending}`);
    const given = { forest, calibration: { kind: "none" }, anomalyAsFeature: false, names: x.names } as const;
    writeFileSync(file("bin"), encodeGbdt(part));
    writeFileSync(file("onnx"), exportOnnx({ ...given, trees: part }));
    writeFileSync(file("json"), xgboostJson(part));
    return { trees, model: file("bin"), onnx: file("onnx"), xgboost: file("json") };
  });
}

function firstTrees(model: GbdtModel, trees: number): GbdtModel {
  if (trees >= model.roots.length) return model;
  const end = model.roots[trees];
  return {
    ...model,
    roots: model.roots.slice(0, trees),
    feature: model.feature.slice(0, end),
    threshold: model.threshold.slice(0, end),
    left: model.left.slice(0, end),
    right: model.right.slice(0, end),
    missingLeft: model.missingLeft.slice(0, end),
    value: model.value.slice(0, end),
    gain: model.gain.slice(0, end),
    cover: model.cover.slice(0, end),
  };
}

/** Our time over each peer's, by wall time and by processor time; microseconds are ours. */
export function compareScores(rounds: readonly ScoreRound[]): Figures {
  return {
    ...ratiosOf(rounds, "seconds"),
    cpu: ratiosOf(rounds, "cpuSeconds"),
    singleMicros100: micros(rounds, ({ own }) => own.single100),
    singleMicros300: micros(rounds, ({ own }) => own.single300),
    batchMicros300: micros(rounds, ({ own }) => own.batch),
    shapMicros300: micros(rounds, ({ own }) => own.shap),
  };
}

function ratiosOf(rounds: readonly ScoreRound[], key: keyof Timing): Figures {
  const own = (name: string): number => middle(rounds, ({ own }) => own[name][key]);
  const onnxruntime = (name: string): number => own(name) / middle(rounds, (round) => round.onnxruntime[name][key]);
  const xgboost = (name: string, peer: (timings: Timings) => number): number | null =>
    rounds.some((round) => round.xgboost === null) ? null : own(name) / middle(rounds, (round) => peer(round.xgboost!));
  return {
    single100: onnxruntime("single100"),
    single300: onnxruntime("single300"),
    singleXgboost300: xgboost("single300", (timings) => timings.single300[key]),
    batch300: {
      onnxruntime: onnxruntime("batch"),
      // Against the faster of its two ways: rows as they are, or rows made into its matrix first.
      xgboost: xgboost("batch", ({ inplace, matrix }) => Math.min(inplace[key], matrix[key])),
    },
    shap300: { xgboost: xgboost("shap", (timings) => timings.shap[key]) },
  };
}

function middle(rounds: readonly ScoreRound[], of: (round: ScoreRound) => number): number {
  return median(rounds.map(of));
}

function micros(rounds: readonly ScoreRound[], of: (round: ScoreRound) => Timing): number {
  return 1e6 * middle(rounds, (round) => of(round).seconds);
}

function roundsText(rounds: readonly ScoreRound[]): string[] {
  const sides = [
    ["sentinel", (round: ScoreRound) => round.own],
    ["onnxruntime", (round: ScoreRound) => round.onnxruntime],
    ["xgboost", (round: ScoreRound) => round.xgboost ?? {}],
  ] as const;
  return sides.flatMap(([side, timingsOf]) =>
    Object.keys(timingsOf(rounds[0])).map((name) => {
      const micros = (key: keyof Timing): string =>
        (1e6 * middle(rounds, (round) => timingsOf(round)[name][key])).toFixed(2).padStart(10);
      return `  ${side.padEnd(12)} ${name.padEnd(10)}${micros("seconds")}   processor${micros("cpuSeconds")}`;
    }),
  );
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  assert(a.length === b.length, "both sides score the same rows");
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}
