// The policy: thresholds of one transaction, by what each answer costs at its amount, and by the segment that it belongs to.
import { type Decision, decide, NEVER, type Thresholds } from "./decision.ts";

/** What each answer is expected to cost, in the currency of the amounts. The probability is the calibrated score. */
export interface CostPolicy {
  /** The feature that is the amount. */
  readonly amount: string;
  /** The amount of a transaction that has none: the median of the calibration days. */
  readonly typical: number;
  /** Of a fraud that is approved: this share of its amount, and so much more. */
  readonly missedShare: number;
  readonly missedCost: number;
  readonly reviewCost: number;
  /** Of a genuine transaction that is blocked: so much, and its amount so many times. */
  readonly falseBlockCost: number;
  readonly customerFactor: number;
  /** Nothing with a lower score is blocked. */
  readonly scoreMin: number;
  /** What a review must save beyond its own cost, so that as many are reviewed as the budget takes: those of the highest benefit. */
  readonly price: number;
}

/** What was fitted on the transactions of one segment, drawn to what holds for all by as much as its own frauds are few. */
export interface Segment {
  readonly name: string;
  /** The place among the bands, or the category's number. */
  readonly at: number;
  readonly thresholds: Thresholds;
  /** With costs: how many times the odds of fraud that a score says they are here; absent without costs. */
  readonly odds?: number;
  /** Calibration rows and frauds that it rests on, and how much they count beside all others, from 0 to 1. */
  readonly rows: number;
  readonly frauds: number;
  readonly weight: number;
}

export interface SegmentPolicy {
  /** The feature that says the segment. */
  readonly by: string;
  /** Largest values of the bands, rising; what is over the last one is a band too. Null: the feature is a category. */
  readonly bands: readonly number[] | null;
  readonly segments: readonly Segment[];
}

/** Absent parts do not apply: without both, one pair of thresholds holds for all. */
export interface DecisionPolicy {
  readonly cost?: CostPolicy;
  readonly segments?: SegmentPolicy;
}

/** How one transaction was judged. */
export interface PolicyAnswer {
  readonly decision: Decision;
  readonly thresholds: Thresholds;
  /** Null: the policy has no segments, or none for this transaction; then what holds for all judged it. */
  readonly segment: string | null;
}

/** Judges by score and vector. */
export type PolicyJudge = (score: number, vector: Float32Array) => PolicyAnswer;

/**
 * Why a policy cannot be read, or null: it comes from a file. `names` are the features of the vector.
 */
export function policyFault({ cost, segments }: DecisionPolicy, names: readonly string[]): string | null {
  if (cost !== undefined) {
    if (!names.includes(cost.amount)) return `the policy's amount ${JSON.stringify(cost.amount)} is no feature`;
    const { amount, ...figures } = cost;
    const odd = Object.entries(figures).find(([, value]) => !(Number.isFinite(value) && value >= 0));
    if (odd !== undefined) return `the policy's ${odd[0]} is ${odd[1]}`;
  }
  if (segments === undefined) return null;
  if (!names.includes(segments.by)) return `the policy's segments are by ${JSON.stringify(segments.by)}, no feature`;
  const broken = segments.segments.find(
    ({ thresholds: { review, block }, odds = 1 }) =>
      !(Number.isFinite(review) && Number.isFinite(block) && review <= block && odds > 0),
  );
  return broken === undefined ? null : `the policy's segment ${JSON.stringify(broken.name)} has no two thresholds`;
}

/** The policy over vectors with these features; `thresholds` hold where it names no others. */
export function policyJudge(
  policy: DecisionPolicy,
  given: { readonly thresholds: Thresholds; readonly names: readonly string[] },
): PolicyJudge {
  const { cost, segments } = policy;
  const segmentOf = segments === undefined ? () => null : segmentFinder(segments, given.names);
  const amountAt = cost === undefined ? -1 : given.names.indexOf(cost.amount);
  return (score, vector) => {
    const segment = segmentOf(vector);
    const thresholds =
      cost === undefined
        ? (segment?.thresholds ?? given.thresholds)
        : thresholdsAt(cost, { amount: vector[amountAt], odds: segment?.odds ?? 1 });
    return { decision: decide(score, thresholds), thresholds, segment: segment?.name ?? null };
  };
}

/**
 * From which probabilities on reviewing and blocking an amount is expected to cost least. Approving costs p × missed, a review its cost and
 * the price, a block (1 − p) × wrong: straight lines in p, so that each answer is the cheapest in one stretch of it. A review finds the
 * fraud. Elkan, "The Foundations of Cost-Sensitive Learning" (2001). An amount that is missing or negative is the typical one. `odds`: p has so many
 * times the odds that the score says. Float32.
 */
export function thresholdsAt(
  cost: CostPolicy,
  { amount, odds = 1 }: { readonly amount: number; readonly odds?: number },
): Thresholds {
  const money = amount >= 0 && amount < Number.POSITIVE_INFINITY ? amount : cost.typical;
  const missed = cost.missedShare * money + cost.missedCost;
  const wrong = cost.falseBlockCost + cost.customerFactor * money;
  const review = cost.reviewCost + cost.price;
  const overReview = wrong > 0 ? 1 - review / wrong : 0;
  const overApproval = missed + wrong > 0 ? wrong / (missed + wrong) : NEVER;
  const block = threshold(Math.max(scoreOf(Math.max(overReview, overApproval), odds), cost.scoreMin));
  const from = missed > 0 ? threshold(scoreOf(review / missed, odds)) : NEVER;
  return { review: Math.min(from, block), block };
}

/** The score whose odds, so many times, are those of the probability. Plain arithmetic, so that every machine finds the same. */
function scoreOf(probability: number, odds: number): number {
  if (odds === 1 || !(probability > 0 && probability < 1)) return probability;
  return probability / (probability + odds * (1 - probability));
}

/** As a Float32; over 1 nothing reaches it. */
function threshold(probability: number): number {
  return probability > 1 ? NEVER : Math.fround(probability);
}

/** The segment of a vector, or null. */
function segmentFinder(
  { by, bands, segments }: SegmentPolicy,
  names: readonly string[],
): (vector: Float32Array) => Segment | null {
  const at = names.indexOf(by);
  const byPlace = new Map(segments.map((segment) => [segment.at, segment]));
  return (vector) => byPlace.get(segmentPlace(vector[at], bands)) ?? null;
}

/** Where a value lies: the first band that holds it, or the category's number; −1 where it is missing. Bands are compared as Float32. */
export function segmentPlace(value: number, bands: readonly number[] | null): number {
  if (Number.isNaN(value)) return -1;
  if (bands === null) return value;
  let place = 0;
  while (place < bands.length && value > Math.fround(bands[place])) place++;
  return place;
}
