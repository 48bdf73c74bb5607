// Since when an alarm lasts: the same question asked for each day before, as far as the log's summaries reach.
import { DAY_MS } from "../../core/duration.ts";
import { type DriftReport, type DriftWindow, driftReport } from "../../drift/monitor.ts";
import type { DriftPolicy } from "../../drift/policy.ts";
import type { Reference } from "../../drift/reference.ts";
import type { Swing } from "../../drift/swing.ts";

/** Days looked back on, at most: so many are summed up by hour. */
const DAYS_BACK_MAX = 63;

/**
 * When the drift of a report began: the earliest beginning of a movement in this window and in those that ended on the days before it, back
 * to the first one without an alarm. A window alone cannot say of a drift that is older than it. Null without drift.
 */
export function onsetOf(
  report: DriftReport,
  given: {
    readonly reference: Reference;
    readonly swing: Swing | null;
    readonly policy: Partial<DriftPolicy>;
    readonly until: number;
    /** The window that ends at an instant; null where nothing is known of it. */
    readonly windowAt: (until: number) => DriftWindow | null;
  },
): number | null {
  if (report.verdict !== "drifted") return null;
  const { reference, swing, policy, until, windowAt } = given;
  let onset = beginningOf(report);
  for (let day = 1; day <= DAYS_BACK_MAX; day++) {
    const window = windowAt(until - day * DAY_MS);
    if (window === null) break;
    const before = driftReport({ reference, swing, window, policy });
    if (before.verdict !== "drifted") break;
    onset = Math.min(onset, beginningOf(before));
  }
  return onset;
}

/** Where only the alert rate moved, which has no beginning of its own, that of the window. */
function beginningOf({ features, score, strip }: DriftReport): number {
  const starts = [...features, score].flatMap(({ drifted, since }) => (drifted && since !== null ? [since] : []));
  return starts.length > 0 ? Math.min(...starts) : strip.from[0];
}
