// HOLD, and for how long: the labelled frauds and days still needed to decide.
import { normalQuantile } from "./normal.ts";

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
 * The interval decides once the truth lies (z₁₋α/₂ + z_power) standard errors from the boundary, and the standard error
 * falls with the square root of the frauds. `effect` is the distance from the boundary that is assumed true: the
 * margin for "not worse" (two equal models), the smallest gain worth having for "better". When that many frauds are
 * there already and the interval still straddles, the observed distance is used instead.
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
  const z = normalQuantile((1 + input.level) / 2) + normalQuantile(input.power);
  const needed = (distance: number): number => frauds * ((z * standardError) / distance) ** 2;
  const planned = needed(input.effect);
  const wanted = planned > frauds ? planned : needed(Math.abs(input.observedDistance));
  // Without a standard error (no frauds yet) only the floor is known.
  const total = Math.ceil(Math.max(fraudsMin, Number.isNaN(wanted) ? 0 : wanted));
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

/** "about 310 more labelled frauds (some 12 days at the present rate)". */
export function holdWords(estimate: HoldEstimate): string {
  if (estimate.fraudsMore === null) {
    return "the difference lies so close to the limit that more labels will hardly decide";
  }
  const days = estimate.daysMore === null ? "" : ` (some ${estimate.daysMore} days at the present rate)`;
  return `about ${estimate.fraudsMore} more labelled frauds are needed${days}`;
}
