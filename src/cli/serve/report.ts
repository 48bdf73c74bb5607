// Reports of a server's shadows, each in a thread of its own: the traffic does not wait for them.
import type { Config } from "../../config.ts";
import { asBuilt } from "../../core/built.ts";
import type { ShadowReporter } from "../../lifecycle/shadow-report.ts";
import { aside } from "./aside.ts";
import type { ReportTask } from "./report-worker.ts";

const WORKER = asBuilt(new URL("./report-worker.js", import.meta.url));
/** Two million pairs take a minute or two. */
const REPORT_MS_MAX = 600_000;
/** JavaScript heap of a report: the names of its cards. Its columns lie outside, some 200 MB at most. */
const HEAP_MB_MAX = 512;

const FAILED = {
  what: "the shadow report failed",
  hint: "ask again, or run `sentinel compare`, which has more time and memory",
};

/** Errors: those of the report; server.too-slow. The process does not stay alive for it. */
export function reporterIn({ root, tenant }: Pick<Config, "root" | "tenant">): ShadowReporter {
  return (pipeline, request) => {
    const task: ReportTask = { workspace: root, tenant, pipeline, request };
    return aside({ worker: WORKER, task, msMax: REPORT_MS_MAX, heapMbMax: HEAP_MB_MAX, failed: FAILED });
  };
}
