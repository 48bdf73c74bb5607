// Measured scoring of ours and of onnxruntime-node, in one process of its own: reads raw files, prints one line of JSON.
import { readFileSync, writeFileSync } from "node:fs";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { explainerOf } from "../src/ml/explain/shap.ts";
import { decodeGbdt, type GbdtModel } from "../src/ml/gbdt/model.ts";
import { scoreMatrix, scoreRow, sigmoid } from "../src/ml/gbdt/score.ts";
import { ONNX_INPUT, ONNX_OUTPUT } from "../src/ml/onnx/graph.ts";
import type { ScoreMeasured, ScoreTask, Timing } from "./score.ts";
import { timed, timedAsync } from "./stopwatch.ts";
import { readFloat32, readMatrix } from "./synthetic.ts";

/** Of each measured call, before it is measured: what both sides do once, they have done. */
const WARM_UP_CALLS = 300;

const task = JSON.parse(process.argv[2]) as ScoreTask;
const x = readMatrix(task.table);
const byRow = readFloat32(task.table.byRow);
const columns = x.names.length;
const vectors = Array.from({ length: Math.max(task.singleRows, task.explainedRows) }, (_, r) =>
  byRow.slice(r * columns, (r + 1) * columns),
);
const own: Record<string, Timing> = {};
const onnxruntime: Record<string, Timing> = {};
for (const { trees, model, onnx } of task.models) {
  const gbdt = decodeGbdt(readFileSync(model));
  const session = await InferenceSession.create(onnx, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: "sequential",
  });
  own[`single${trees}`] = singleOwn(gbdt);
  onnxruntime[`single${trees}`] = await singleOnnx(session);
  if (trees !== task.batchTrees) continue;
  own.batch = batchOwn(gbdt);
  onnxruntime.batch = await batchOnnx(session);
  own.shap = shapOwn(gbdt);
}
const measured: ScoreMeasured = { own, onnxruntime };
console.log(JSON.stringify(measured));

/** Seconds of a call, from one measurement of many. */
function each(count: number, measured: Timing): Timing {
  return { seconds: measured.seconds / count, cpuSeconds: measured.cpuSeconds / count };
}

function singleOwn(model: GbdtModel): Timing {
  let sum = 0;
  const score = (count: number): void => {
    for (let r = 0; r < count; r++) sum += sigmoid(scoreRow(model, vectors[r]));
  };
  score(WARM_UP_CALLS);
  score(task.singleRows);
  const { measured } = timed(() => score(task.singleRows));
  if (!Number.isFinite(sum)) throw new Error("a score is no number");
  return each(task.singleRows, measured);
}

async function singleOnnx(session: InferenceSession): Promise<Timing> {
  const score = async (count: number): Promise<void> => {
    for (let r = 0; r < count; r++) {
      await session.run({ [ONNX_INPUT]: new Tensor("float32", vectors[r], [1, columns]) });
    }
  };
  await score(WARM_UP_CALLS);
  const { measured } = await timedAsync(() => score(task.singleRows));
  return each(task.singleRows, measured);
}

function batchOwn(model: GbdtModel): Timing {
  const score = (): Float32Array => Float32Array.from(scoreMatrix(model, x), sigmoid);
  writeFileSync(task.scores, score());
  const { measured } = timed(() => {
    for (let pass = 0; pass < task.batchPasses; pass++) score();
  });
  return each(task.batchPasses * x.rows, measured);
}

async function batchOnnx(session: InferenceSession): Promise<Timing> {
  const input = { [ONNX_INPUT]: new Tensor("float32", byRow, [x.rows, columns]) };
  const result = await session.run(input);
  if (result[ONNX_OUTPUT].size !== x.rows) throw new Error("onnxruntime gives another number of scores");
  const { measured } = await timedAsync(async () => {
    for (let pass = 0; pass < task.batchPasses; pass++) await session.run(input);
  });
  return each(task.batchPasses * x.rows, measured);
}

function shapOwn(model: GbdtModel): Timing {
  const explainer = explainerOf(model);
  const all = new Float32Array(task.explainedRows * columns);
  const out = new Float64Array(columns);
  const explain = (count: number): void => {
    for (let r = 0; r < count; r++) {
      explainer.explain(vectors[r], out);
      all.set(out, r * columns);
    }
  };
  explain(WARM_UP_CALLS);
  const { measured } = timed(() => explain(task.explainedRows));
  writeFileSync(task.attributions, all);
  return each(task.explainedRows, measured);
}
