// A retraining in a process of its own that kills itself with SIGKILL at the beginning of a step; arguments: the workspace, the step, the time.
import { loadConfig } from "../../dist/src/config.js";
import { retrain } from "../../dist/src/lifecycle/retrain.js";
import { loadPipeline } from "../../dist/src/pipeline/pipeline.js";
import { openPorts } from "../../dist/src/wiring.js";

const [workspace, step, time] = process.argv.slice(2);
const pipeline = loadPipeline(workspace, "card");
const { ports } = openPorts(loadConfig({ workspace, environment: {} }), {
  report: { line: () => {}, progress: () => {} },
  pipeline: "card",
  settings: () => pipeline,
  clock: { now: () => Number(time), elapsed: () => performance.now() },
});
await retrain(ports, {
  pipeline,
  path: pipeline.source,
  monitorPath: null,
  workspace,
  actor: "tester",
  packageVersion: "0",
  forced: "a test",
  onStep: (reached) => {
    if (reached === step) process.kill(process.pid, "SIGKILL");
  },
});
