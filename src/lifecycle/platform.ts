// The platform: pipelines, rules and alerts that people and programs manage while servers run.
export { type Backtester, type BacktestRequest, backtestOne } from "./platform/backtest.ts";
export { Platform } from "./platform/follow.ts";
export { settingsOf } from "./platform/made.ts";
export { rulePerformance } from "./platform/performance.ts";
export { changePipeline, createPipeline, setStatus } from "./platform/pipelines.ts";
export { type Kept, Retention } from "./platform/retention.ts";
export { deleteRule, liveRule, patchRule, postRule, type RulePatch, ruleTag } from "./platform/rules.ts";
