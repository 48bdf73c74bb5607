// The pages: one line each, with the letter that leads there after g and the role that sees it.
import type { FunctionComponent } from "preact";
import { Alerts } from "./pages/alerts.tsx";
import { Audit } from "./pages/audit.tsx";
import { Cases } from "./pages/cases.tsx";
import { Drift } from "./pages/drift.tsx";
import { Models } from "./pages/models.tsx";
import { Notices } from "./pages/notices.tsx";
import { Overview } from "./pages/overview.tsx";
import { People } from "./pages/people.tsx";
import { Pipelines } from "./pages/pipelines.tsx";
import { ApiRoutes } from "./pages/routes.tsx";
import { Rules } from "./pages/rules.tsx";
import type { IconName } from "./parts/icon.tsx";
import type { Role } from "./session.ts";

export interface Page {
  readonly name: string;
  readonly title: string;
  readonly icon: IconName;
  readonly letter: string;
  readonly need: Role;
  /** A heading before it. */
  readonly part?: string;
  readonly View: FunctionComponent;
}

export const PAGES: readonly Page[] = [
  { name: "overview", title: "Overview", icon: "overview", letter: "o", need: "viewer", View: Overview },
  { name: "alerts", title: "Alerts", icon: "alerts", letter: "a", need: "viewer", View: Alerts },
  { name: "cases", title: "Cases", icon: "cases", letter: "c", need: "viewer", View: Cases },
  { name: "rules", title: "Rules", icon: "rules", letter: "r", need: "viewer", part: "Decide", View: Rules },
  { name: "pipelines", title: "Pipelines", icon: "pipelines", letter: "p", need: "viewer", View: Pipelines },
  { name: "models", title: "Models", icon: "models", letter: "m", need: "viewer", part: "Learn", View: Models },
  { name: "drift", title: "Drift", icon: "drift", letter: "d", need: "viewer", View: Drift },
  { name: "audit", title: "Audit", icon: "audit", letter: "u", need: "viewer", part: "Govern", View: Audit },
  { name: "notices", title: "Notifications", icon: "bell", letter: "n", need: "viewer", View: Notices },
  { name: "people", title: "Keys and people", icon: "people", letter: "k", need: "admin", View: People },
  { name: "api", title: "API", icon: "api", letter: "i", need: "viewer", View: ApiRoutes },
];
