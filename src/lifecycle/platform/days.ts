// Days of a log: what was answered and what became known of it, counted at most every so often, however many ask.
import type { LoggedDay, PredictionLog } from "../../ports/log.ts";

/** A count is given again for so long, or longer where counting took long: at most a tenth of a core goes there. */
const KEPT_MS = 10_000;
const KEPT_TIMES_ITS_MAKING = 9;

interface Kept {
  until: number;
  readonly days: Promise<readonly LoggedDay[]>;
}

const kept = new WeakMap<PredictionLog, Kept>();

/** `elapsed` is the steady clock. Errors: log.unreadable. */
export function daysOf(
  log: PredictionLog,
  { rows, elapsed }: { readonly rows: number; readonly elapsed: () => number },
): Promise<readonly LoggedDay[]> {
  const last = kept.get(log);
  const begun = elapsed();
  if (last !== undefined && begun < last.until) return last.days;
  const days = log.days(rows);
  const one: Kept = { until: Number.POSITIVE_INFINITY, days };
  kept.set(log, one);
  days.then(
    () => {
      const ended = elapsed();
      one.until = ended + Math.max(KEPT_MS, KEPT_TIMES_ITS_MAKING * (ended - begun));
    },
    () => kept.delete(log),
  );
  return days;
}
