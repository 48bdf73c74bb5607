// Tasks that somebody asks a server for, as plain data, so that a thread can do them; lifecycle/tasks.ts does.
import type { monitor } from "../monitor.ts";
import type { promote, rollback } from "../promote.ts";
import type { Backtest, conflictsOf, suggestRules } from "../rules.ts";
import type { BacktestRequest } from "./backtest.ts";

export type Task =
  | { readonly kind: "backtest"; readonly request: BacktestRequest }
  /** What can be proven of the rules, and how often they fired together in the log. */
  | { readonly kind: "conflicts" }
  | { readonly kind: "suggest" }
  | { readonly kind: "drift" }
  /** What the promotion gate says of a version; nothing moves. */
  | { readonly kind: "gate"; readonly to: string | null }
  | { readonly kind: "promote"; readonly to: string | null; readonly actor: string; readonly forced: string | null }
  | { readonly kind: "rollback"; readonly to: string | null; readonly actor: string; readonly reason: string };

/** What each task answers. */
export interface TaskAnswers {
  readonly backtest: Backtest;
  readonly conflicts: Awaited<ReturnType<typeof conflictsOf>>;
  readonly suggest: Awaited<ReturnType<typeof suggestRules>>;
  readonly drift: Awaited<ReturnType<typeof monitor>>;
  readonly gate: Awaited<ReturnType<typeof promote>>;
  readonly promote: Awaited<ReturnType<typeof promote>>;
  readonly rollback: Awaited<ReturnType<typeof rollback>>;
}

/** Does a pipeline's task elsewhere, such as in a thread. */
export type TaskRunner = <K extends Task["kind"]>(
  pipeline: string,
  task: Extract<Task, { readonly kind: K }>,
) => Promise<TaskAnswers[K]>;
