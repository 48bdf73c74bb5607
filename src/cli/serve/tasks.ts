// Tasks that somebody asks a server for (backtests, drift, gates, suggestions), each in a thread of its own: the traffic does not wait for them.
import type { Config } from "../../config.ts";
import { asBuilt } from "../../core/built.ts";
import type { TaskRunner } from "../../lifecycle/platform.ts";
import { aside } from "./aside.ts";
import type { TaskOrder } from "./task-worker.ts";

const WORKER = asBuilt(new URL("./task-worker.js", import.meta.url));
/** A backtest of two million transactions by fifty rules takes a quarter of it. */
const TASK_MS_MAX = 60_000;
/** JavaScript heap; the columns lie outside. */
const HEAP_MB_MAX = 1024;

/** What to do instead, by task. */
const HINTS = {
  backtest: "name a shorter time with from and to, or run `sentinel rules backtest`, which has more time and memory",
  conflicts: "run `sentinel rules conflicts`, which has more time and memory",
  suggest: "run `sentinel rules suggest`, which has more time and memory",
  drift: "run `sentinel monitor`, which has more time and memory",
  gate: "run `sentinel promote --dry-run`, which has more time and memory",
  promote: "look at the journal first: `sentinel registry history`; then run `sentinel promote`",
  rollback: "look at the journal first: `sentinel registry history`; then run `sentinel rollback`",
} as const;

/** Errors: those of the task; server.too-slow. The process does not stay alive for it. */
export function tasksIn({ root, tenant }: Pick<Config, "root" | "tenant">): TaskRunner {
  return (pipeline, task) => {
    const order: TaskOrder = { workspace: root, tenant, pipeline, task };
    const failed = { what: `${task.kind} was given up`, hint: HINTS[task.kind] };
    return aside({ worker: WORKER, task: order, msMax: TASK_MS_MAX, heapMbMax: HEAP_MB_MAX, failed });
  };
}
