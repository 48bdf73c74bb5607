// Backtests that somebody asks a server for, each in a thread of its own: the traffic does not wait for them.
import { asBuilt } from "../../core/built.ts";
import type { Backtester } from "../../lifecycle/platform.ts";
import { aside } from "./aside.ts";
import type { BacktestTask } from "./backtest-worker.ts";

const WORKER = asBuilt(new URL("./backtest-worker.js", import.meta.url));
/** Two million transactions by fifty rules take a quarter of it. */
const BACKTEST_MS_MAX = 60_000;
/** JavaScript heap; the columns lie outside. */
const HEAP_MB_MAX = 1024;

const FAILED = {
  what: "the backtest was given up",
  hint: "name a shorter time with from and to, or run `sentinel rules backtest`, which has more time and memory",
};

/** Errors: those of a backtest; server.too-slow. The process does not stay alive for it. */
export function backtesterIn(workspace: string): Backtester {
  return (pipeline, request) => {
    const task: BacktestTask = { workspace, pipeline, request };
    return aside({ worker: WORKER, task, msMax: BACKTEST_MS_MAX, heapMbMax: HEAP_MB_MAX, failed: FAILED });
  };
}
