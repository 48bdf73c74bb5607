// The platform's routes below /api: pipelines, rules, lists, alerts, cases, audit.
import { alertRoutes } from "./api/alerts.ts";
import { auditRoute } from "./api/audit.ts";
import { backtestRoute } from "./api/backtest.ts";
import { caseRoutes } from "./api/cases.ts";
import { listRoutes } from "./api/lists.ts";
import { pipelineRoutes } from "./api/pipelines.ts";
import { ruleRoutes } from "./api/rules.ts";
import { snoozeRoutes } from "./api/snoozes.ts";
import type { ServerRoute } from "./parts.ts";

export const apiRoutes: readonly ServerRoute[] = [
  ...pipelineRoutes,
  // Before the routes of one rule, whose path it would else match.
  backtestRoute,
  ...ruleRoutes,
  ...listRoutes,
  ...alertRoutes,
  ...caseRoutes,
  ...snoozeRoutes,
  auditRoute,
];
