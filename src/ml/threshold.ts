// Thresholds: from which score a transaction is reviewed, and from which it is blocked.
import type { Thresholds } from "../core/decision.ts";
import { checkLabels, refuseParameter } from "./faults.ts";
import type { Scores } from "./metrics.ts";
import { type Ranking, rank } from "./ranking.ts";

/** Transactions a block threshold must rest on: the precision of fewer is mostly luck. */
export const BLOCK_SUPPORT_MIN = 20;

/** The Float32 after 1: no score reaches it. */
export const NEVER = 1 + 2 ** -23;

/** Keeps 0.1 × 30 (2.9999…) from losing a transaction of the budget. */
const BUDGET_SLACK = 1e-9;

/**
 * Thresholds from a slice of matured transactions. Review: the lowest score at which no more than `reviewShare` of the
 * transactions are flagged (those to block included); a tie that would exceed it stays out whole. Block: the lowest score
 * from which on at least `blockPrecision` of the flagged are frauds, resting on at least {@link BLOCK_SUPPORT_MIN} of
 * them, and never below review. Either is {@link NEVER} when no score qualifies; so is block when review is. Scores are
 * compared as Float32, as decisions are. Errors: `ml.parameter-invalid`.
 */
export function thresholdsFor(input: {
  readonly scores: Scores;
  readonly y: Uint8Array;
  readonly reviewShare: number;
  readonly blockPrecision: number;
}): Thresholds {
  checkInput(input);
  const ranking = rank(Float32Array.from(input.scores), input.y);
  const review = reviewThreshold(ranking, input.reviewShare);
  return { review, block: Math.max(review, blockThreshold(ranking, input.blockPrecision)) };
}

function reviewThreshold(ranking: Ranking, share: number): number {
  const budget = Math.floor(share * ranking.rows + BUDGET_SLACK);
  let threshold = NEVER;
  for (let g = 0; g < ranking.groups && ranking.flagged[g] <= budget; g++) threshold = ranking.score[g];
  return threshold;
}

function blockThreshold(ranking: Ranking, precision: number): number {
  let threshold = NEVER;
  for (let g = 0; g < ranking.groups; g++) {
    const { flagged, caught, score } = ranking;
    if (flagged[g] >= BLOCK_SUPPORT_MIN && caught[g] >= precision * flagged[g]) threshold = score[g];
  }
  return threshold;
}

function checkInput(input: Parameters<typeof thresholdsFor>[0]): void {
  const { scores, y, reviewShare, blockPrecision } = input;
  if (scores.length === 0) refuseParameter("scores.length", { value: 0, wanted: "at least 1" });
  checkLabels(y, { rows: scores.length, name: "y" });
  for (let r = 0; r < scores.length; r++) {
    if (!(scores[r] >= 0 && scores[r] <= 1))
      refuseParameter(`scores, row ${r}`, { value: scores[r], wanted: "from 0 to 1" });
  }
  for (const [name, value] of Object.entries({ reviewShare, blockPrecision })) {
    if (!(value >= 0 && value <= 1)) refuseParameter(name, { value, wanted: "from 0 to 1" });
  }
}
