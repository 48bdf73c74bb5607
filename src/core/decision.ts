// The decision: what a score means for the payment.

export type Decision = "approve" | "review" | "block";

/** By rising severity. */
export const DECISIONS: readonly Decision[] = ["approve", "review", "block"];

/** The Float32 after 1: no score reaches it. */
export const NEVER = 1 + 2 ** -23;

/** Scores from `review` up are reviewed, from `block` up are blocked; both are Float32 values. */
export interface Thresholds {
  readonly review: number;
  readonly block: number;
}

/** Compares as Float32, so that every runtime of the model agrees at the boundary. */
export function decide(score: number, thresholds: Thresholds): Decision {
  const rounded = Math.fround(score);
  if (rounded >= Math.fround(thresholds.block)) return "block";
  if (rounded >= Math.fround(thresholds.review)) return "review";
  return "approve";
}
