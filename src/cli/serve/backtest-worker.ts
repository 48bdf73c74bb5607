// The thread of a backtest that somebody asked a server for: opens the pipeline's log and rules for itself, reads, and ends.
import { parentPort, workerData } from "node:worker_threads";
import { loadConfig } from "../../config.ts";
import { type BacktestRequest, backtestOne } from "../../lifecycle/platform.ts";
import { loadPipeline } from "../../pipeline/pipeline.ts";
import { openPorts } from "../../wiring.ts";
import { outcomeOf } from "./aside.ts";

export interface BacktestTask {
  readonly workspace: string;
  readonly pipeline: string;
  readonly request: BacktestRequest;
}

const { workspace, pipeline, request } = workerData as BacktestTask;
const { ports, close } = openPorts(loadConfig({ workspace }), {
  pipeline,
  report: { line: () => {}, progress: () => {} },
});
parentPort!.postMessage(await outcomeOf(() => backtestOne(ports, loadPipeline(workspace, pipeline), request)));
await close();
