// The platform: pipelines, rules and alerts that people and programs manage while servers run.
export { type BacktestRequest, backtestOne } from "./platform/backtest.ts";
export { daysOf } from "./platform/days.ts";
export { Platform } from "./platform/follow.ts";
export { checkCondition, type LanguageOf, vocabularyOf } from "./platform/language.ts";
export { settingsOf } from "./platform/made.ts";
export { rulePerformance, rulesPerformance } from "./platform/performance.ts";
export { changePipeline, createPipeline, setStatus } from "./platform/pipelines.ts";
export { Retention } from "./platform/retention.ts";
export { deleteRule, liveRule, patchRule, postRule, type RulePatch, readsOf, ruleTag } from "./platform/rules.ts";
export type { Task, TaskAnswers, TaskRunner } from "./platform/tasks.ts";
