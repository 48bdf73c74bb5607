// A candidate's worker that throws at its first batch.
import { parentPort } from "node:worker_threads";

parentPort.on("message", () => {
  throw new Error("this candidate throws");
});
parentPort.postMessage("ready");
