// A candidate's worker that never comes back from a batch.
import { parentPort } from "node:worker_threads";

parentPort.on("message", () => {
  for (;;);
});
parentPort.postMessage("ready");
