// Every route of the server, one line each.
import { reloadRoute } from "./admin.ts";
import { batchRoute } from "./batch.ts";
import { explainRoute } from "./explain.ts";
import { feedbackRoute } from "./feedback.ts";
import { invocationRoutes } from "./invocations.ts";
import { metricsRoute } from "./metrics.ts";
import { modelRoute } from "./model.ts";
import { oipRoutes } from "./oip.ts";
import { describingRoutes } from "./openapi.ts";
import type { Route } from "./parts.ts";
import { predictRoute } from "./predict.ts";
import { circuitRoute, healthRoute, livezRoute, readyzRoute } from "./probes.ts";
import { shadowReportRoute } from "./shadow-report.ts";

const OWN: readonly Route[] = [
  predictRoute,
  batchRoute,
  explainRoute,
  feedbackRoute,
  shadowReportRoute,
  modelRoute,
  livezRoute,
  readyzRoute,
  healthRoute,
  metricsRoute,
  circuitRoute,
  reloadRoute,
  ...oipRoutes,
  ...invocationRoutes,
];

export const ROUTES: readonly Route[] = [...OWN, ...describingRoutes(OWN)];
