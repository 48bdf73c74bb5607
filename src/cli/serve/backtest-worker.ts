// The thread of a backtest that somebody asked a server for: opens the pipeline's log and rules for itself, reads, and ends.
import { parentPort, workerData } from "node:worker_threads";
import { loadConfig } from "../../config.ts";
import { type ErrorCode, SentinelError } from "../../core/errors.ts";
import { type BacktestRequest, backtestOne } from "../../lifecycle/platform.ts";
import type { Backtest } from "../../lifecycle/rules.ts";
import { loadPipeline } from "../../pipeline/pipeline.ts";
import { openPorts } from "../../wiring.ts";

export interface BacktestTask {
  readonly workspace: string;
  readonly pipeline: string;
  readonly request: BacktestRequest;
}

export type BacktestOutcome =
  | { readonly backtest: Backtest }
  | { readonly code: ErrorCode; readonly message: string; readonly hint: string };

const { workspace, pipeline, request } = workerData as BacktestTask;
const { ports, close } = openPorts(loadConfig({ workspace }), {
  pipeline,
  report: { line: () => {}, progress: () => {} },
});
parentPort!.postMessage(await outcomeOf());
await close();

async function outcomeOf(): Promise<BacktestOutcome> {
  try {
    return { backtest: await backtestOne(ports, loadPipeline(workspace, pipeline), request) };
  } catch (error) {
    if (!(error instanceof SentinelError)) throw error;
    const { code, message, hint } = error;
    return { code, message, hint };
  }
}
