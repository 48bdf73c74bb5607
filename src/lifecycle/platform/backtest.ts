// A backtest that somebody asks a server for: one condition, or a rule that is there, on the log or on the pipeline's own table.
import type { Rule } from "../../core/rule.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import { type Backtest, backtestRules } from "../rules.ts";

export interface BacktestRequest {
  readonly rule: Rule;
  readonly source: "log" | "table";
  readonly from?: number;
  readonly to?: number;
}

/** Of all rules that stand beside it only its own figures are given. Errors: as of `sentinel rules backtest`. */
export async function backtestOne(ports: Ports, pipeline: Pipeline, request: BacktestRequest): Promise<Backtest> {
  const { rule, source, from, to } = request;
  const backtest = await backtestRules(ports, {
    pipeline,
    path: source === "log" ? null : pipeline.source,
    drafts: [rule],
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  });
  return { ...backtest, rules: backtest.rules.filter((one) => one.rule.id === rule.id) };
}
