// The thread of a shadow report: opens the pipeline's log and registry for itself, reads, and ends.
import { parentPort, workerData } from "node:worker_threads";
import { loadConfig } from "../../config.ts";
import { reportShadows, type ShadowReportRequest } from "../../lifecycle/shadow-report.ts";
import { openPorts } from "../../wiring.ts";
import { outcomeOf, type Whose } from "./aside.ts";

export interface ReportTask extends Whose {
  readonly pipeline: string;
  readonly request: ShadowReportRequest;
}

const { workspace, tenant, pipeline, request } = workerData as ReportTask;
const config = loadConfig({ workspace, tenant });
const { ports, close } = openPorts(config, {
  pipeline,
  report: { line: () => {}, progress: () => {} },
});
parentPort!.postMessage(await outcomeOf(() => reportShadows(ports, request)));
await close();
