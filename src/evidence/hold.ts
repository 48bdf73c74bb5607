// HOLD, and for how long: the labelled frauds and days still needed to decide.
import { PLANNED_FRAUDS } from "./bootstrap.ts";
import { normalQuantile } from "./normal.ts";
import { sequenceFactor } from "./sequence.ts";

export interface HoldEstimate {
  /** Labelled frauds in all and still to come; null when more labels may never decide. */
  readonly fraudsNeeded: number | null;
  readonly fraudsMore: number | null;
  /** At the rate of matured frauds so far; null when that is unknown. */
  readonly daysMore: number | null;
}

/** Beyond a hundred times today's frauds an answer is "not in practice". */
const GROWTH_MAX = 100;

/**
 * The sequence decides once the truth lies (its factor + z_power) standard errors from the boundary, and the standard error
 * falls with the square root of the frauds. `effect` is the distance from the boundary that is assumed true: the
 * margin for "not worse" (two equal models), the smallest gain worth having for "better"; the observed distance, where that is larger,
 * and where so many frauds are there already and the sequence still straddles.
 */
export function holdEstimate(input: {
  readonly standardError: number;
  readonly effect: number;
  readonly observedDistance: number;
  readonly frauds: number;
  readonly days: number;
  readonly fraudsMin: number;
  readonly level: number;
  readonly power: number;
}): HoldEstimate {
  const { standardError, frauds, days, fraudsMin } = input;
  const observed = Math.abs(input.observedDistance);
  const planned = neededFor(Math.max(input.effect, observed), input);
  const wanted = planned > frauds ? planned : neededFor(observed, input);
  // Without a standard error (no frauds yet) only the floor is known.
  const total = Math.max(fraudsMin, Number.isFinite(standardError) && frauds > 0 ? wanted : 0);
  if (frauds > 0 && total > Math.max(fraudsMin, frauds * GROWTH_MAX)) {
    return { fraudsNeeded: null, fraudsMore: null, daysMore: null };
  }
  const more = Math.max(0, total - frauds);
  return {
    fraudsNeeded: total,
    fraudsMore: more,
    daysMore: frauds > 0 && days > 0 ? Math.ceil((more * days) / frauds) : null,
  };
}

/** The fewest frauds at which a truth so far from the boundary is mostly decided; infinite where that is not in practice. */
function neededFor(
  distance: number,
  { standardError, frauds, level, power }: Parameters<typeof holdEstimate>[0],
): number {
  const reach = normalQuantile(power);
  const isEnough = (count: number): boolean =>
    standardError * Math.sqrt(frauds / count) * (sequenceFactor({ count, planned: PLANNED_FRAUDS }, level) + reach) <=
    distance;
  let low = 0;
  let high = 1;
  while (!isEnough(high)) {
    low = high;
    high *= 2;
    if (high > 4 * GROWTH_MAX * Math.max(frauds, 1)) return Number.POSITIVE_INFINITY;
  }
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (isEnough(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** "about 310 more labelled frauds (some 12 days at the present rate)". */
export function holdWords(estimate: HoldEstimate): string {
  if (estimate.fraudsMore === null) {
    return "the difference lies so close to the limit that more labels will hardly decide";
  }
  const days = estimate.daysMore === null ? "" : ` (some ${estimate.daysMore} days at the present rate)`;
  return `about ${estimate.fraudsMore} more labelled frauds are needed${days}`;
}
