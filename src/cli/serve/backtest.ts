// Backtests that somebody asks a server for, each in a thread of its own: the traffic does not wait for them.
import { Worker } from "node:worker_threads";
import { asBuilt } from "../../core/built.ts";
import { messageOf, SentinelError } from "../../core/errors.ts";
import type { Backtester } from "../../lifecycle/platform.ts";
import type { BacktestOutcome, BacktestTask } from "./backtest-worker.ts";

const WORKER = asBuilt(new URL("./backtest-worker.js", import.meta.url));
/** Two million transactions by fifty rules take a quarter of it. */
const BACKTEST_MS_MAX = 60_000;
/** JavaScript heap; the columns lie outside. */
const HEAP_MB_MAX = 1024;

/** Errors: those of a backtest; server.too-slow. The process does not stay alive for it. */
export function backtesterIn(workspace: string): Backtester {
  return (pipeline, request) =>
    new Promise((resolve, reject) => {
      const task: BacktestTask = { workspace, pipeline, request };
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
          new SentinelError("server.too-slow", `the backtest was given up: ${what}`, {
            hint: "name a shorter time with from and to, or run `sentinel rules backtest`, which has more time and memory",
          }),
        );
      };
      const timer = setTimeout(() => fail(`it took ${BACKTEST_MS_MAX / 1000} s`), BACKTEST_MS_MAX).unref();
      worker.once("error", (error) => fail(messageOf(error)));
      worker.once("exit", () => fail("its thread ended"));
      worker.once("message", (outcome: BacktestOutcome) => {
        worker.removeAllListeners("exit");
        end();
        if ("backtest" in outcome) resolve(outcome.backtest);
        else reject(new SentinelError(outcome.code, outcome.message, { hint: outcome.hint }));
      });
    });
}
