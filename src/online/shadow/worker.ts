// A candidate's worker thread: loads the bundle, proves its golden rows, then scores batches of vectors.
import { parentPort, workerData } from "node:worker_threads";
import { loadScorer } from "../score.ts";
import { DECISIONS, WORKER_READY, type WorkerAnswers, type WorkerBatch, type WorkerStart } from "./messages.ts";

const { files, model, version } = workerData as WorkerStart;
const scorer = loadScorer(files, { model, version });
const { width } = scorer.plan;

parentPort!.on("message", ({ id, rows, vectors }: WorkerBatch) => {
  const scores = new Float32Array(rows);
  const anomalyScores = new Float32Array(rows);
  const decisions = new Uint8Array(rows);
  const latencyMs = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const begun = performance.now();
    const answer = scorer.score(vectors.subarray(row * width, (row + 1) * width));
    scores[row] = answer.score;
    anomalyScores[row] = answer.anomalyScore;
    decisions[row] = DECISIONS.indexOf(answer.decision);
    latencyMs[row] = performance.now() - begun;
  }
  parentPort!.postMessage({ id, scores, anomalyScores, decisions, latencyMs } satisfies WorkerAnswers);
});
parentPort!.postMessage(WORKER_READY);
