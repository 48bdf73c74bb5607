// The queue: which case is reviewed next: those that can still be in time, else most loss prevented per minute, a share for what was drawn.
import type { CaseFields } from "../core/case.ts";

/** Loss that a minute of review is expected to prevent. */
export function worthOf({ loss, minutes }: Pick<CaseFields, "loss" | "minutes">): number {
  return loss / minutes;
}

/** A case may begin so many reviews of its own before it is due. */
const REVIEWS_BEFORE_DUE = 3;
const MINUTE_MS = 60_000;

export interface QueueAt<C> {
  /** Milliseconds, by the clock. */
  readonly at: number;
  /** Uniform in [0, 1). */
  readonly chance: number;
  /** `cases.explore.picks` of a case's pipeline. */
  readonly picksOf: (one: C) => number;
}

/**
 * The case to review next of those that are free; null where there are none. First, with the chance `picks`, one that a draw opened: these
 * are worth little today and teach what nothing else can. Then whichever would be overdue if it had to wait any longer, by due time. Then
 * most loss prevented per minute. Overdue cases have no precedence: a queue that is too long would serve its oldest and cheapest only.
 */
export function pick<C extends CaseFields & { readonly id: number }>(
  free: readonly C[],
  { at, chance, picksOf }: QueueAt<C>,
): C | null {
  const drawn = free.filter((one) => one.why === "exploration" && chance < picksOf(one));
  if (drawn.length > 0) {
    // The oldest: whichever was drawn first waited longest, and no draw is worth more than another.
    return least(drawn, (a, b) => a.openedAt - b.openedAt || a.id - b.id);
  }
  const pressing = free.filter(
    ({ dueAt, minutes }) => dueAt > at && dueAt - at <= REVIEWS_BEFORE_DUE * minutes * MINUTE_MS,
  );
  if (pressing.length > 0) return least(pressing, (a, b) => a.dueAt - b.dueAt || a.id - b.id);
  return least(free, (a, b) => worthOf(b) - worthOf(a) || a.dueAt - b.dueAt || a.id - b.id);
}

function least<C>(all: readonly C[], compare: (a: C, b: C) => number): C | null {
  let best: C | null = null;
  for (const one of all) if (best === null || compare(one, best) < 0) best = one;
  return best;
}
