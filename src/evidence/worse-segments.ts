// Where the candidate is worse by more than a margin: every segment's own question, and Holm's adjustment over all of them.
import { type PairedInterval, PLANNED_FRAUDS } from "./bootstrap.ts";
import { holm } from "./holm.ts";
import type { SegmentInterval } from "./segments.ts";
import { sequencePValue } from "./sequence.ts";

export interface JudgedSegment extends SegmentInterval {
  /** That the candidate is not worse by more than the margin, adjusted for all judged segments, at any look; null where too few frauds tell. */
  readonly pValue: number | null;
}

/** All segments in their order. `margin` is in average precision; with fewer than `fraudsMin` frauds a segment is not judged. */
export function judgeSegments(
  segments: readonly SegmentInterval[],
  { margin, fraudsMin }: { readonly margin: number; readonly fraudsMin: number },
): JudgedSegment[] {
  const own = segments.map(({ interval, frauds }) =>
    interval === null || frauds < fraudsMin ? Number.NaN : pValueBelow(interval, -margin),
  );
  const adjusted = holm(own);
  return segments.map((segment, i) => ({ ...segment, pValue: Number.isNaN(adjusted[i]) ? null : adjusted[i] }));
}

/** That the difference is not below the limit, at any look; 1 where it is not observed below. */
function pValueBelow({ difference, standardError, effective, level }: PairedInterval, limit: number): number {
  if (!(difference < limit)) return 1;
  return sequencePValue((limit - difference) / standardError, { count: effective, planned: PLANNED_FRAUDS }, level);
}
