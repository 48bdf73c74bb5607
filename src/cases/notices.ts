// Notices: who hears of a happening, and how long to wait before a receiver is tried again.
import type { RuleSeverity } from "../core/rule.ts";
import type { Notice, NotificationsFile } from "../pipeline/notifications.ts";

/** What routes choose by. */
export interface Happening {
  readonly notice: Notice;
  /** Of alerts. */
  readonly severity?: RuleSeverity;
  /** Slug; null where it is about no pipeline: then only routes that name none fit. */
  readonly pipeline: string | null;
}

/** Names of the targets that hear of it, each once, in the order of the routes. */
export function toldTo(
  { routes }: Pick<NotificationsFile, "routes">,
  { notice, severity, pipeline }: Happening,
): readonly string[] {
  const fitting = routes.filter(
    (route) =>
      route.events.includes(notice) &&
      (notice !== "alert" || (severity !== undefined && route.severities.includes(severity))) &&
      (route.pipelines.length === 0 || (pipeline !== null && route.pipelines.includes(pipeline))),
  );
  return [...new Set(fitting.flatMap(({ to }) => to))];
}

const WAIT_MS_FIRST = 1000;
const WAIT_MS_MAX = 300_000;
/** A receiver that is away for longer has lost what was meant for it; a person decides then. */
export const TRIED_FOR_MS = 86_400_000;

/** Milliseconds to wait after so many tries: a second, then twice as long each time, five minutes at most. */
export function waitAfter(tries: number): number {
  return Math.min(WAIT_MS_MAX, WAIT_MS_FIRST * 2 ** Math.min(Math.max(0, tries - 1), 20));
}

/** The last time of day `HH:MM` (UTC) at or before an instant; milliseconds. */
export function dailyBefore(at: number, daily: string): number {
  const [hours, minutes] = daily.split(":").map(Number);
  const begin = Math.floor(at / TRIED_FOR_MS) * TRIED_FOR_MS + (hours * 60 + minutes) * 60_000;
  return begin <= at ? begin : begin - TRIED_FOR_MS;
}
