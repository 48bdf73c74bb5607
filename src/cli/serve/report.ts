// Reports of a server's shadows, each in a thread of its own: the traffic does not wait for them.
import { Worker } from "node:worker_threads";
import { asBuilt } from "../../core/built.ts";
import { messageOf, SentinelError } from "../../core/errors.ts";
import type { ShadowReporter } from "../../lifecycle/shadow-report.ts";
import type { ReportOutcome, ReportTask } from "./report-worker.ts";

const WORKER = asBuilt(new URL("./report-worker.js", import.meta.url));
/** Two million pairs take a minute or two. */
const REPORT_MS_MAX = 600_000;
/** JavaScript heap of a report: the names of its cards. Its columns lie outside, some 200 MB at most. */
const HEAP_MB_MAX = 512;

/** Errors: those of the report; server.too-slow. The process does not stay alive for it. */
export function reporterIn(workspace: string): ShadowReporter {
  return (pipeline, request) =>
    new Promise((resolve, reject) => {
      const task: ReportTask = { workspace, pipeline, request };
      const worker = new Worker(WORKER, {
        workerData: task,
        resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
      });
      worker.unref();
      const end = (): void => {
        clearTimeout(timer);
        void worker.terminate();
      };
      const fail = (what: string): void => {
        end();
        reject(
          new SentinelError("server.too-slow", `the shadow report failed: ${what}`, {
            hint: "ask again, or run `sentinel compare`, which has more time and memory",
          }),
        );
      };
      const timer = setTimeout(() => fail(`it took ${REPORT_MS_MAX / 1000} s`), REPORT_MS_MAX).unref();
      worker.once("error", (error) => fail(messageOf(error)));
      worker.once("exit", () => fail("its thread ended"));
      worker.once("message", (outcome: ReportOutcome) => {
        worker.removeAllListeners("exit");
        end();
        if ("report" in outcome) resolve(outcome.report);
        else reject(new SentinelError(outcome.code, outcome.message, { hint: outcome.hint }));
      });
    });
}
