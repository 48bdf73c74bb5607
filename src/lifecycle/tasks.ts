// Tasks that somebody asks a server for, done: each is a verb's operation and nothing else. Threads run them; no door reaches what they need.
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { monitor } from "./monitor.ts";
import { backtestOne, type Task, type TaskAnswers } from "./platform.ts";
import { promote, rollback } from "./promote.ts";
import { conflictsOf, suggestRules } from "./rules.ts";

/** Errors: those of the verb behind the task. */
export async function runTask(ports: Ports, pipeline: Pipeline, task: Task): Promise<TaskAnswers[Task["kind"]]> {
  const { seed } = pipeline.modelParameters;
  switch (task.kind) {
    case "backtest":
      return backtestOne(ports, pipeline, task.request);
    case "conflicts":
      return conflictsOf(ports, { pipeline, past: { path: null } });
    case "suggest":
      return suggestRules(ports, { pipeline, path: pipeline.source, seed });
    case "drift":
      return monitor(ports, { pipeline, path: null, until: null });
    case "gate":
      return promote(ports, { pipeline, to: task.to, actor: "", forced: null, seed, dryRun: true });
    case "promote":
      return promote(ports, { pipeline, to: task.to, actor: task.actor, forced: task.forced, seed });
    case "rollback":
      return rollback(ports, { pipeline, to: task.to, actor: task.actor, reason: task.reason });
  }
}
