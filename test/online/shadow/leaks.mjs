// A candidate's worker that takes memory without end.
import { parentPort } from "node:worker_threads";

const kept = [];
parentPort.on("message", () => {
  for (;;) kept.push(new Array(1000).fill(kept.length));
});
parentPort.postMessage("ready");
