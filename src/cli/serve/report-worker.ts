// The thread of a shadow report: opens the pipeline's log and registry for itself, reads, and ends.
import { parentPort, workerData } from "node:worker_threads";
import { loadConfig } from "../../config.ts";
import { type ErrorCode, SentinelError } from "../../core/errors.ts";
import { reportShadows, type ShadowReportRequest } from "../../lifecycle/shadow-report.ts";
import { openPorts } from "../../wiring.ts";

export interface ReportTask {
  readonly workspace: string;
  readonly pipeline: string;
  readonly request: ShadowReportRequest;
}

export type ReportOutcome =
  | { readonly report: object }
  | { readonly code: ErrorCode; readonly message: string; readonly hint: string };

const { workspace, pipeline, request } = workerData as ReportTask;
const { ports, close } = openPorts(loadConfig({ workspace }), {
  pipeline,
  report: { line: () => {}, progress: () => {} },
});
parentPort!.postMessage(await outcomeOf());
await close();

async function outcomeOf(): Promise<ReportOutcome> {
  try {
    return { report: await reportShadows(ports, request) };
  } catch (error) {
    if (!(error instanceof SentinelError)) throw error;
    const { code, message, hint } = error;
    return { code, message, hint };
  }
}
