// The thread of a task that somebody asks a server for: opens the pipeline's log, rules and registry for itself, works, and ends.
import { parentPort, workerData } from "node:worker_threads";
import { loadConfig } from "../../config.ts";
import type { Task } from "../../lifecycle/platform.ts";
import { runTask } from "../../lifecycle/tasks.ts";
import { loadPipeline } from "../../pipeline/pipeline.ts";
import { openPorts } from "../../wiring.ts";
import { outcomeOf, type Whose } from "./aside.ts";

export interface TaskOrder extends Whose {
  readonly pipeline: string;
  readonly task: Task;
}

const { workspace, tenant, pipeline, task } = workerData as TaskOrder;
const config = loadConfig({ workspace, tenant });
const { ports, close } = openPorts(config, {
  pipeline,
  report: { line: () => {}, progress: () => {} },
});
parentPort!.postMessage(await outcomeOf(() => runTask(ports, loadPipeline(config.workspace, pipeline), task)));
await close();
