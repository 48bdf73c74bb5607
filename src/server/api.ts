// The platform's routes below /api: sessions, figures, pipelines, rules, lists, alerts, cases, audit.
import { alertRoutes } from "./api/alerts.ts";
import { auditRoute } from "./api/audit.ts";
import { backtestRoute } from "./api/backtest.ts";
import { caseRoutes } from "./api/cases.ts";
import { entityRoute } from "./api/entities.ts";
import { keyRoutes } from "./api/keys.ts";
import { listRoutes } from "./api/lists.ts";
import { modelReportRoutes } from "./api/model-report.ts";
import { modelRoutes } from "./api/models.ts";
import { notificationRoutes } from "./api/notifications.ts";
import { overviewRoutes } from "./api/overview.ts";
import { pipelineRoutes } from "./api/pipelines.ts";
import { ruleDeskRoutes } from "./api/rule-desk.ts";
import { ruleRoutes } from "./api/rules.ts";
import { sessionRoutes } from "./api/session.ts";
import { snoozeRoutes } from "./api/snoozes.ts";
import { tenantRoutes } from "./api/tenants.ts";
import type { ServerRoute } from "./parts.ts";

export const apiRoutes: readonly ServerRoute[] = [
  ...sessionRoutes,
  ...overviewRoutes,
  ...pipelineRoutes,
  // Before the routes of one rule, whose path it would else match.
  backtestRoute,
  ...ruleDeskRoutes,
  ...ruleRoutes,
  ...listRoutes,
  ...alertRoutes,
  ...caseRoutes,
  ...snoozeRoutes,
  entityRoute,
  ...notificationRoutes,
  auditRoute,
  ...modelRoutes,
  ...modelReportRoutes,
  ...keyRoutes,
  ...tenantRoutes,
];
