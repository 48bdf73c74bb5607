// Every route of the server, one line each.
import { reloadRoute } from "./admin.ts";
import { apiRoutes } from "./api.ts";
import { batchRoute } from "./batch.ts";
import { explainRoute } from "./explain.ts";
import { feedbackRoute } from "./feedback.ts";
import { invocationRoutes } from "./invocations.ts";
import { featuresRoute } from "./known.ts";
import { metricsRoute } from "./metrics.ts";
import { modelRoute } from "./model.ts";
import { oipRoutes } from "./oip.ts";
import { describingRoutes } from "./openapi.ts";
import { pageRoutes } from "./pages.ts";
import { PREFIX, type Route, type ServerRoute } from "./parts.ts";
import { pipelinesRoute } from "./pipelines.ts";
import { predictRoute } from "./predict.ts";
import { circuitRoute, probeRoutes } from "./probes.ts";
import { shadowReportRoute } from "./shadow-report.ts";

const OWN: readonly (Route | ServerRoute)[] = [
  predictRoute,
  batchRoute,
  explainRoute,
  feedbackRoute,
  featuresRoute,
  shadowReportRoute,
  modelRoute,
  pipelinesRoute,
  ...probeRoutes,
  metricsRoute,
  circuitRoute,
  reloadRoute,
  ...oipRoutes,
  ...invocationRoutes,
  ...apiRoutes,
  ...pageRoutes,
];

export const ROUTES: readonly (Route | ServerRoute)[] = [...OWN, ...describingRoutes(OWN)];

/** A route and one of the places where it is found. */
export interface Mounted {
  readonly route: Route | ServerRoute;
  /** As OpenAPI has it. */
  readonly path: string;
  /** Whether the path names the pipeline. */
  readonly isPrefixed: boolean;
}

export const MOUNTED: readonly Mounted[] = ROUTES.flatMap((route): readonly Mounted[] => {
  const plain = { route, path: route.path, isPrefixed: route.path.startsWith(PREFIX) };
  return "runServer" in route ? [plain] : [plain, { route, path: `${PREFIX}${route.path}`, isPrefixed: true }];
});
