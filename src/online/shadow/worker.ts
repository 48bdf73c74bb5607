// A candidate's worker thread: loads the bundle, proves its golden rows, then scores batches of vectors.
import { parentPort, workerData } from "node:worker_threads";
import { loadScorer } from "../score.ts";
import { WORKER_READY, type WorkerAnswers, type WorkerBatch, type WorkerStart } from "./messages.ts";

const { files, model, version } = workerData as WorkerStart;
const scorer = loadScorer(files, { model, version });
const { width } = scorer.plan;

parentPort!.on("message", (batch: WorkerBatch) => {
  const answers: WorkerAnswers["answers"][number][] = [];
  for (let row = 0; row < batch.rows; row++) {
    const begun = performance.now();
    const answer = scorer.score(batch.vectors.subarray(row * width, (row + 1) * width));
    answers.push({ ...answer, latencyMs: performance.now() - begun });
  }
  parentPort!.postMessage({ id: batch.id, answers } satisfies WorkerAnswers);
});
parentPort!.postMessage(WORKER_READY);
