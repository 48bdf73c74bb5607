// How much of the traffic a candidate really scored, and why not the rest.
import { type Coverage, SHADOW_MISSES, type ShadowMiss } from "../ports/log.ts";

export interface CoverageShare {
  readonly version: string;
  readonly seen: number;
  readonly scored: number;
  /** scored / (seen − sampled out); NaN when nothing was to be scored. */
  readonly share: number;
  /** Reasons that occurred, the most frequent first; shares of all seen. */
  readonly missed: readonly { readonly reason: ShadowMiss; readonly count: number; readonly share: number }[];
}

/**
 * Rows left out by sampling are chosen blindly and do not bias the comparison, so they do not count against the share; all
 * others may be missing for a reason that has to do with the answer.
 */
export function coverageShare(coverage: Coverage): CoverageShare {
  const missed = SHADOW_MISSES.map((reason) => ({ reason, count: coverage.missed[reason] }));
  const seen = missed.reduce((sum, miss) => sum + miss.count, coverage.scored);
  return {
    version: coverage.version,
    seen,
    scored: coverage.scored,
    share: coverage.scored / (seen - coverage.missed["sampled-out"]),
    missed: missed
      .filter((miss) => miss.count > 0)
      .sort((a, b) => b.count - a.count)
      .map((miss) => ({ ...miss, share: miss.count / seen })),
  };
}

/** "97.3 % of 10432 scored (timeout 201, error 80)". */
export function coverageWords(share: CoverageShare): string {
  const reasons = share.missed.map((miss) => `${miss.reason} ${miss.count}`).join(", ");
  const part = Number.isNaN(share.share) ? "nothing" : `${(share.share * 100).toFixed(2)} %`;
  return `${part} of ${share.seen} scored${reasons === "" ? "" : ` (${reasons})`}`;
}
