// A candidate's worker whose answers are no scores.
import { parentPort } from "node:worker_threads";

parentPort.on("message", ({ id, rows }) => {
  const scores = new Float32Array(rows).fill(Number.NaN);
  const anomalyScores = new Float32Array(rows).fill(2);
  const decisions = new Uint8Array(rows).fill(7);
  parentPort.postMessage({ id, scores, anomalyScores, decisions, latencyMs: new Float64Array(rows).fill(-1) });
});
parentPort.postMessage("ready");
