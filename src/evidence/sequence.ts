// Confidence sequences: an interval around an estimate that holds at every look together, so that one may ask every day.
import { assert } from "../core/errors.ts";

/** How far the estimate may lie from the truth, and how surprising a value is, at any look of a sequence of looks. */
export interface Look {
  /** What has been counted by now: matured frauds, or their effective number where rows have weights. */
  readonly count: number;
  /** The count at which the sequence is narrowest; fixed before anybody looks. */
  readonly planned: number;
}

/**
 * Half the width of the sequence in standard errors, at one look. With probability `level` (0 to 1) the truth lies within
 * factor × standard error of the estimate at all looks together, in the limit of many frauds.
 *
 * Robbins' normal mixture (1970): for a Brownian motion W, sup over t of |W(t)| / √((t + κ) log((t + κ) / (κ α²))) stays below 1 with
 * probability 1 − α. That estimates from growing data follow it, whatever their distribution, is the asymptotic confidence sequence
 * of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (Annals of Statistics 2024). The clock is the number of frauds.
 */
export function sequenceFactor(look: Look, level: number): number {
  const ratio = clockOf(look, level);
  return Math.sqrt((1 + 1 / ratio) * Math.log((1 + ratio) / (1 - level) ** 2));
}

/**
 * The smallest 1 − level (0 to 1) whose sequence leaves out a value that is `distance` standard errors away. Valid at any look, so
 * the smallest over all looks is no cheating: P(it is ever ≤ α) ≤ α where the value is true.
 */
export function sequencePValue(distance: number, look: Look, level: number): number {
  const ratio = clockOf(look, level);
  const logEvidence = ((distance * distance) / 2) * (ratio / (1 + ratio)) - Math.log1p(ratio) / 2;
  return Math.min(1, Math.exp(-logEvidence));
}

/** The clock in units of the mixture's κ, which is chosen so that the sequence is narrowest at `planned` (same paper, appendix C.3). */
function clockOf({ count, planned }: Look, level: number): number {
  assert(level > 0 && level < 1 && planned > 0, "a sequence has a level and a plan");
  const log = -2 * Math.log(1 - level);
  return ((log + Math.log(log + 1)) * Math.max(count, 1)) / planned;
}
