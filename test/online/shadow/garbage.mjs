// A candidate's worker whose answers are no scores.
import { parentPort } from "node:worker_threads";

parentPort.on("message", ({ id, rows }) => {
  const answer = { score: Number.NaN, anomalyScore: 2, decision: "maybe", latencyMs: -1 };
  parentPort.postMessage({ id, answers: Array.from({ length: rows }, () => answer) });
});
parentPort.postMessage("ready");
