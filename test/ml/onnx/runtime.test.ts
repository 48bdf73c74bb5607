// The exported ONNX model in onnxruntime-node, on 100,000 rows of missing and extreme values; and the runtime's own errors.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { SentinelError } from "../../../src/core/errors.ts";
import { exportOnnx } from "../../../src/ml/onnx/export.ts";
import { ONNX_INPUT, ONNX_OUTPUT } from "../../../src/ml/onnx/graph.ts";
import { openGraph } from "../../../src/ml/onnx/runtime.ts";
import { exportedModels, extremeRows, handMade, ourScore } from "./models.ts";

const ROWS = 100_000;
const TOLERANCE = 1e-6;
const MODELS = exportedModels();

describe("the export in onnxruntime-node", () => {
  test.each(Object.keys(MODELS))("%s", (name) => {
    const model = MODELS[name];
    const width = model.names.length;
    const rows = extremeRows(model, ROWS);
    const session = openGraph(exportOnnx(model), { input: ONNX_INPUT, output: ONNX_OUTPUT, width });
    const theirs = session.run(rows, ROWS);
    let largest = 0;
    for (let r = 0; r < ROWS; r++) {
      const difference = Math.abs(theirs[r] - ourScore(model, rows.subarray(r * width, (r + 1) * width)));
      if (!(difference <= largest)) largest = difference;
    }
    expect(largest).toBeLessThanOrEqual(TOLERANCE);
  });
});

test("the binding answers what the public interface answers, in a worker too", async () => {
  const model = handMade();
  const bytes = exportOnnx(model);
  const rows = extremeRows(model, 500);
  const width = model.names.length;
  const own = openGraph(bytes, { input: ONNX_INPUT, output: ONNX_OUTPUT, width }).run(rows, 500);
  const session = await InferenceSession.create(bytes);
  const { score } = await session.run({ [ONNX_INPUT]: new Tensor("float32", rows, [500, width]) });
  expect([...own]).toEqual([...(score.data as Float32Array)]);
  const script = `const { parentPort, workerData } = require("node:worker_threads");
const { binding, initOrt } = require(workerData.folder + "/dist/binding.js");
initOrt();
new binding.InferenceSession().loadModel(workerData.bytes.buffer, workerData.bytes.byteOffset, workerData.bytes.length, {});
parentPort.postMessage("loaded");`;
  const folder = fileURLToPath(new URL("../../../node_modules/onnxruntime-node", import.meta.url));
  const worker = new Worker(script, { eval: true, workerData: { folder, bytes } });
  await expect(new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject))).resolves.toBe(
    "loaded",
  );
  await worker.terminate();
});

test("bytes that are no graph, and a name that is none, are refused as the model's fault", () => {
  const ends = { input: ONNX_INPUT, output: ONNX_OUTPUT, width: 4 };
  const text = new Uint8Array(readFileSync(fileURLToPath(import.meta.url)));
  expect(() => openGraph(text, ends)).toThrowError(SentinelError);
  const session = openGraph(exportOnnx(handMade()), { ...ends, output: "nobody" });
  expect(() => session.run(new Float32Array(4), 1)).toThrowError(/onnxruntime refuses the graph/);
});
