// The platform's routes below /api: pipelines, rules, lists, alerts, audit.
import { alertRoutes } from "./api/alerts.ts";
import { auditRoute } from "./api/audit.ts";
import { backtestRoute } from "./api/backtest.ts";
import { listRoutes } from "./api/lists.ts";
import { pipelineRoutes } from "./api/pipelines.ts";
import { ruleRoutes } from "./api/rules.ts";
import type { ServerRoute } from "./parts.ts";

export const apiRoutes: readonly ServerRoute[] = [
  ...pipelineRoutes,
  // Before the routes of one rule, whose path it would else match.
  backtestRoute,
  ...ruleRoutes,
  ...listRoutes,
  ...alertRoutes,
  auditRoute,
];
