// Review thresholds: from which score a transaction that is not blocked is worth a look.
import { NEVER } from "../../core/decision.ts";
import type { Scores } from "../../metrics/metric.ts";
import { budgetThreshold, groupsFrom, type Ranking, rank } from "../../metrics/ranking.ts";
import { f1Of, lossOf } from "../../metrics/summed.ts";
import { checkLabels, refuseParameter } from "../faults.ts";

/** From which score on a transaction is worth a look. */
export type ReviewPolicy =
  /** As many as the analysts can look at beside what is blocked: a share of all transactions, from 0 to 1. */
  | { readonly kind: "budget"; readonly share: number }
  /** Where F1 of the flagged is highest. */
  | { readonly kind: "max-f1" }
  /**
   * Where the slice costs least: `reviewCost` for each one flagged, and for each fraud that is not, `missedShare` of its amount. An
   * amount that is missing or negative counts as 0. Elkan, "The Foundations of Cost-Sensitive Learning" (2001): costs differ by row.
   */
  | {
      readonly kind: "cost";
      readonly reviewCost: number;
      readonly missedShare: number;
      /** One per row. */
      readonly amounts: Float64Array;
    };

/**
 * From which score on a slice of matured transactions is reviewed, `block` being from where it is blocked: as the policy says, at the lowest
 * score that is as good. What is blocked is nobody's work: it takes nothing of a budget, and costs no review. A tie that would exceed a budget
 * stays out whole. The answer is `block` where no score below it qualifies, and {@link NEVER} where nothing is blocked either. Scores
 * are compared as Float32, as decisions are. Errors: `ml.parameter-invalid`.
 */
export function reviewFrom(input: {
  readonly scores: Scores;
  readonly y: Uint8Array;
  readonly review: ReviewPolicy;
  readonly block: number;
}): number {
  checkInput(input);
  const scores = Float32Array.from(input.scores);
  const block = Math.min(NEVER, Math.fround(input.block));
  const { y, review: policy } = input;
  const ranking = rank(scores, y);
  if (policy.kind === "budget") return budgetThreshold(ranking, policy.share, block);
  if (policy.kind === "max-f1") return bestThreshold(ranking, block, (g) => f1At(ranking, g));
  const lost = lostBelow(ranking, { scores, y, amounts: policy.amounts });
  return bestThreshold(
    ranking,
    block,
    (g) => -(policy.reviewCost * flaggedAt(ranking, g) + policy.missedShare * lost[g + 1]),
  );
}

/** The lowest score below `block` whose group g has the highest worth; `block` where flagging none but the blocked is worth more. */
function bestThreshold(ranking: Ranking, block: number, worth: (g: number) => number): number {
  const blocked = groupsFrom(ranking, block) - 1;
  let best = blocked;
  for (let g = blocked + 1; g < ranking.groups; g++) {
    const gained = worth(g) - worth(best);
    if (gained > 0 || (gained === 0 && best > blocked)) best = g;
  }
  return best === blocked ? block : ranking.score[best];
}

function flaggedAt({ flagged }: Ranking, g: number): number {
  return g < 0 ? 0 : flagged[g];
}

function f1At({ flagged, caught, frauds }: Ranking, g: number): number {
  if (g < 0) return 0;
  return f1Of({
    truePositives: caught[g],
    falsePositives: flagged[g] - caught[g],
    falseNegatives: frauds - caught[g],
  });
}

/** Amount of frauds below group g at g + 1; below all, hence all of it, at 0. */
function lostBelow(
  ranking: Ranking,
  given: { readonly scores: Float32Array; readonly y: Uint8Array; readonly amounts: Float64Array },
): Float64Array {
  const groupOf = new Map(Array.from(ranking.score, (score, g) => [score, g]));
  const inGroup = new Float64Array(ranking.groups);
  for (let row = 0; row < given.scores.length; row++) {
    if (given.y[row] === 1) inGroup[groupOf.get(given.scores[row])!] += lossOf(given.amounts[row]);
  }
  const lost = new Float64Array(ranking.groups + 1);
  for (let g = ranking.groups - 1; g >= 0; g--) lost[g] = lost[g + 1] + inGroup[g];
  return lost;
}

function checkInput(input: Parameters<typeof reviewFrom>[0]): void {
  const { scores, y, review, block } = input;
  if (scores.length === 0) refuseParameter("scores.length", { value: 0, wanted: "at least 1" });
  checkLabels(y, { rows: scores.length, name: "y" });
  for (let r = 0; r < scores.length; r++) {
    if (!(scores[r] >= 0 && scores[r] <= 1))
      refuseParameter(`scores, row ${r}`, { value: scores[r], wanted: "from 0 to 1" });
  }
  if (!(block >= 0)) refuseParameter("block", { value: block, wanted: "0 or more" });
  if (review.kind === "budget") checkShare("review.share", review.share);
  if (review.kind !== "cost") return;
  checkShare("review.missedShare", review.missedShare);
  const { reviewCost, amounts } = review;
  if (!(reviewCost >= 0 && reviewCost < Number.POSITIVE_INFINITY))
    refuseParameter("review.reviewCost", { value: reviewCost, wanted: "0 or more" });
  if (amounts.length !== scores.length)
    refuseParameter("review.amounts.length", { value: amounts.length, wanted: `${scores.length}, one per score` });
}

function checkShare(name: string, value: number): void {
  if (!(value >= 0 && value <= 1)) refuseParameter(name, { value, wanted: "from 0 to 1" });
}
