// A thread for reasons that never answers, or dies: its first word is the version it is asked about.
import { parentPort } from "node:worker_threads";

parentPort.on("message", ({ version }) => {
  if (version === "dies") process.exit(3);
});
