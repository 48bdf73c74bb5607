// A candidate's worker that leaves at its first batch.
import { parentPort } from "node:worker_threads";

parentPort.on("message", () => process.exit(0));
parentPort.postMessage("ready");
