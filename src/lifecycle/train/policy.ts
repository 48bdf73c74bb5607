// The policy's figures: what a review must save so that the budget is kept, and thresholds of segments, drawn to those of all where frauds are few.
import { decide, NEVER, type Thresholds } from "../../core/decision.ts";
import { assert, SentinelError } from "../../core/errors.ts";
import { nearestName } from "../../core/nearest.ts";
import { type CostPolicy, type Segment, type SegmentPolicy, segmentPlace, thresholdsAt } from "../../core/policy.ts";
import type { FeatureSpec } from "../../features/spec.ts";
import type { Matrix } from "../../ml/matrix.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";

/** Segments that are fitted, at most: those with the most rows. All others are judged by what holds for all. */
export const SEGMENTS_MAX = 50;

/** The features that a policy reads. */
export interface PolicyFeatures {
  /** The pipeline's amount as a feature; null where the spec has none. */
  readonly amount: string | null;
  /** Null without segments. */
  readonly segment: { readonly by: string; readonly values: readonly string[] | null } | null;
}

/** Where one pair of thresholds holds for all. */
export const NO_FEATURES: PolicyFeatures = { amount: null, segment: null };

/** What a policy reads of the rows; of the features in {@link PolicyFeatures}. */
export interface PolicyInputs {
  readonly amount: Float32Array | null;
  readonly segment: Float32Array | null;
}

type Keys = Pipeline["decisions"];

/**
 * What the pipeline's decisions read of a spec. Errors: `pipeline.invalid` where costs are asked for and no feature is the amount, or where segments
 * are by no feature, by bands of a category, or by a number without bands.
 */
export function policyFeatures(
  spec: FeatureSpec,
  pipeline: Pick<Pipeline, "decisions" | "columns" | "file">,
): PolicyFeatures {
  const { decisions, columns } = pipeline;
  const { by, bands } = decisions.segments;
  const refuse = (fault: string, hint: string): never => {
    throw new SentinelError("pipeline.invalid", `${pipeline.file}: decisions.${fault}`, { hint });
  };
  const amount = spec.features.find((feature) => feature.kind === "column" && feature.column === columns.amount);
  if (decisions.reviewPolicy === "expected-cost" && amount === undefined) {
    const column = columns.amount ?? "amount";
    refuse(
      "review_policy: expected-cost needs the amount among the features, so that what was logged can be judged again",
      columns.amount === null
        ? "name the column under columns.amount, and add it to the features"
        : `add f.column(${JSON.stringify(column)}) to the features of ${spec.name}`,
    );
  }
  if (by === undefined) return { amount: amount?.name ?? null, segment: null };
  const feature = spec.features.find(({ name }) => name === by);
  if (feature === undefined) {
    const names = spec.features.map(({ name }) => name);
    const near = nearestName(by, names);
    refuse(
      `segments.by: spec ${spec.name} has no feature ${JSON.stringify(by)}`,
      near === null ? "name a category, or a number with `bands`" : `did you mean ${near}?`,
    );
  }
  const values = feature?.kind === "category" ? feature.values : null;
  if (values !== null && bands.length > 0) {
    refuse(
      `segments.bands: ${by} is a category, which has no order`,
      "leave `bands` out: each of its values is a segment",
    );
  }
  if (values === null && bands.length === 0) {
    refuse(`segments.bands: ${by} is a number`, "write the bands' largest values, such as `bands: [50, 250, 1000]`");
  }
  return { amount: amount?.name ?? null, segment: { by, values } };
}

/** The policy's columns of these rows. */
export function policyInputs(x: Matrix, rows: Int32Array | null, features: PolicyFeatures): PolicyInputs {
  const column = (name: string | null): Float32Array | null => {
    if (name === null) return null;
    const from = x.names.indexOf(name) * x.rows;
    assert(from >= 0, "the policy's features are those of the spec");
    const all = x.values.subarray(from, from + x.rows);
    return rows === null ? all : Float32Array.from(rows, (row) => all[row]);
  };
  return { amount: column(features.amount), segment: column(features.segment?.by ?? null) };
}

/** What a policy is fitted on; equal lengths. */
export interface PolicyRows {
  readonly scores: Float32Array;
  readonly y: Uint8Array;
  readonly inputs: PolicyInputs;
}

/** The pipeline's costs, with the price of a review that keeps the budget on these rows. */
export function fitCost(rows: PolicyRows, decisions: Keys, feature: string): CostPolicy {
  const { missedShare, missedCost, reviewCost, falseBlockCost, customerFactor, blockScoreMin: scoreMin } = decisions;
  const costs = { missedShare, missedCost, reviewCost, falseBlockCost, customerFactor, scoreMin };
  const free = { amount: feature, typical: medianOf(rows.inputs.amount!), ...costs, price: 0 };
  return { ...free, price: priceOf(rows, free, { share: decisions.reviewShare, oddsOf: () => 1 }) };
}

/**
 * Costs by segment: what a score says is held against the frauds that a segment had. Its odds are (frauds + shrinkage) ÷ (frauds that the
 * scores say + shrinkage) times theirs, the mean of a Poisson rate with a gamma prior (Gelman et al., Bayesian Data Analysis, 2.7). The price
 * is one for all: reviews go where they save most, whatever the segment.
 */
export function fitCostSegments(
  rows: PolicyRows,
  given: {
    readonly decisions: Keys;
    readonly segment: NonNullable<PolicyFeatures["segment"]>;
    readonly cost: CostPolicy;
  },
): { readonly cost: CostPolicy; readonly segments: SegmentPolicy } {
  const { decisions, segment, cost } = given;
  const { shrinkage } = decisions.segments;
  const { bands, groups } = groupsOf(rows, decisions, segment);
  const rowOdds = new Float64Array(rows.scores.length).fill(1);
  const fitted = groups.map(({ place, rows: only }) => {
    const frauds = only.reduce((sum, row) => sum + rows.y[row], 0);
    const expected = only.reduce((sum, row) => sum + rows.scores[row], 0);
    const odds = (frauds + shrinkage + ODDS_PRIOR) / (expected + shrinkage + ODDS_PRIOR);
    for (const row of only) rowOdds[row] = odds;
    const weight = expected / (expected + shrinkage + ODDS_PRIOR);
    return { name: nameOf(place, { bands, segment }), at: place, rows: only.length, frauds, weight, odds };
  });
  const price = priceOf(rows, cost, { share: decisions.reviewShare, oddsOf: (row) => rowOdds[row] });
  const priced = { ...cost, price };
  const segments = fitted.map((one): Segment => {
    return { ...one, thresholds: thresholdsAt(priced, { amount: Number.NaN, odds: one.odds }) };
  });
  return { cost: priced, segments: { by: segment.by, bands, segments } };
}

/** Frauds that every segment is taken to have had: without shrinkage, a segment without any would never be looked at again. */
const ODDS_PRIOR = 0.5;

/**
 * The lowest price at which no more than the share of these rows is reviewed: a review's benefit is what the cheaper of approving and blocking
 * would cost beyond it, and those of the highest benefit are reviewed. Rows of one benefit stay out together where not all fit.
 */
function priceOf(
  { scores, inputs }: PolicyRows,
  cost: CostPolicy,
  { share, oddsOf }: { readonly share: number; readonly oddsOf: (row: number) => number },
): number {
  const benefits = Float64Array.from(scores, (score, row) =>
    benefitOf(cost, { score, odds: oddsOf(row), amount: inputs.amount![row] }),
  );
  benefits.sort();
  benefits.reverse();
  const most = Math.floor(share * scores.length);
  if (!(benefits[most] >= 0)) return 0;
  const over = benefits.subarray(0, most).findLast((benefit) => benefit > benefits[most]);
  return over === undefined ? benefits[most] * (1 + PRICE_STEP) + PRICE_STEP : (benefits[most] + over) / 2;
}

/** Finer than any amount that somebody pays. */
const PRICE_STEP = 1e-6;

function benefitOf(
  cost: CostPolicy,
  { score, odds, amount }: { readonly score: number; readonly odds: number; readonly amount: number },
): number {
  const money = amount >= 0 && amount < Number.POSITIVE_INFINITY ? amount : cost.typical;
  const probability = (odds * score) / (1 - score + odds * score);
  const approved = probability * (cost.missedShare * money + cost.missedCost);
  const wrong = cost.falseBlockCost + cost.customerFactor * money;
  const blocked = score >= Math.fround(cost.scoreMin) ? (1 - probability) * wrong : Number.POSITIVE_INFINITY;
  return Math.min(approved, blocked) - cost.reviewCost;
}

/** Thresholds of a segment's own rows; `reached` says whether some score blocks as precisely as asked. */
export interface OwnFit {
  readonly thresholds: Thresholds;
  readonly reached: boolean;
}

/**
 * One pair of thresholds per segment: what its own calibration rows say counts frauds ÷ (frauds + `shrinkage`), what all rows say the rest, on
 * the scale of log-odds. All segments together stay within the review budget, where the policy has one.
 */
export function fitSegments(
  rows: PolicyRows,
  given: {
    readonly decisions: Keys;
    readonly segment: NonNullable<PolicyFeatures["segment"]>;
    readonly global: Thresholds;
    /** Thresholds of these rows alone. */
    readonly fit: (only: Int32Array) => OwnFit;
    /** Rows that blocking must rest on. */
    readonly supportMin: number;
  },
): SegmentPolicy {
  const { decisions, segment, global } = given;
  const { bands, groups } = groupsOf(rows, decisions, segment);
  const segments = groups.map(({ place, rows: only }): Segment => {
    const frauds = only.reduce((sum, row) => sum + rows.y[row], 0);
    const weight = frauds === 0 ? 0 : frauds / (frauds + decisions.segments.shrinkage);
    const facts = { name: nameOf(place, { bands, segment }), at: place, rows: only.length, frauds, weight };
    if (weight === 0) return { ...facts, thresholds: global };
    const above = only.reduce((sum, row) => sum + (rows.scores[row] >= global.block ? 1 : 0), 0);
    const own = given.fit(only);
    return { ...facts, thresholds: drawn(own, { global, weight, isKnown: above >= given.supportMin }) };
  });
  const policy = { by: segment.by, bands, segments };
  const isBudgeted = decisions.reviewPolicy !== "max-f1" && decisions.reviewPolicy !== "cost";
  return isBudgeted ? withinBudget(policy, { rows, decisions, global }) : policy;
}

/** `isKnown`: enough of the segment scores so high that its own "not reached" is known, and not a lack of rows. */
function drawn(
  own: OwnFit,
  { global, weight, isKnown }: { readonly global: Thresholds; readonly weight: number; readonly isKnown: boolean },
): Thresholds {
  const isGlobal = global.block < NEVER;
  let block = global.block;
  if (own.reached) block = isGlobal ? between(own.thresholds.block, global.block, weight) : own.thresholds.block;
  else if (isKnown) block = NEVER;
  return { review: Math.min(block, between(own.thresholds.review, global.review, weight)), block };
}

/** Log-odds beyond which nobody decides anything. */
const LOGIT_MAX = 14;

function between(own: number, global: number, weight: number): number {
  if (own === global) return own;
  return fromLogit(weight * logit(own) + (1 - weight) * logit(global));
}

function logit(p: number): number {
  return Math.max(-LOGIT_MAX, Math.min(LOGIT_MAX, Math.log(p / Math.max(0, 1 - p))));
}

function fromLogit(value: number): number {
  return value >= LOGIT_MAX ? NEVER : Math.fround(1 / (1 + Math.exp(-value)));
}

/** Halvings of the way to a shift: a thousandth of a thousandth of it. */
const HALVINGS = 30;

/** Moved up by as little as it takes that no more than the budget is reviewed: drawing segments to all may review more than each by itself. */
function withinBudget(
  policy: SegmentPolicy,
  given: { readonly rows: PolicyRows; readonly decisions: Keys; readonly global: Thresholds },
): SegmentPolicy {
  const { rows, decisions, global } = given;
  const most = Math.floor(decisions.reviewShare * rows.scores.length);
  const counted = (shift: number): number => reviewed(moved(policy, shift), rows, global);
  if (counted(0) <= most) return policy;
  let low = 0;
  let high = 2 * LOGIT_MAX;
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (counted(middle) <= most) high = middle;
    else low = middle;
  }
  return moved(policy, high);
}

function moved(policy: SegmentPolicy, shift: number): SegmentPolicy {
  if (shift === 0) return policy;
  const segments = policy.segments.map((segment): Segment => {
    const { review, block } = segment.thresholds;
    return { ...segment, thresholds: { review: Math.min(block, fromLogit(logit(review) + shift)), block } };
  });
  return { ...policy, segments };
}

function reviewed({ bands, segments }: SegmentPolicy, rows: PolicyRows, global: Thresholds): number {
  const byPlace = new Map(segments.map((segment) => [segment.at, segment.thresholds]));
  let count = 0;
  for (let row = 0; row < rows.scores.length; row++) {
    const place = segmentPlace(rows.inputs.segment![row], bands);
    if (decide(rows.scores[row], byPlace.get(place) ?? global) === "review") count++;
  }
  return count;
}

function groupsOf(rows: PolicyRows, decisions: Keys, segment: NonNullable<PolicyFeatures["segment"]>) {
  const bands = segment.values === null ? decisions.segments.bands : null;
  const end = segment.values?.length ?? Number.POSITIVE_INFINITY;
  return { bands, groups: groupRows(rows.inputs.segment!, bands, end) };
}

/** Rows by segment, the most frequent ones, in the order of their places. */
function groupRows(
  values: Float32Array,
  bands: readonly number[] | null,
  end: number,
): { readonly place: number; readonly rows: Int32Array }[] {
  const groups = new Map<number, number[]>();
  for (let row = 0; row < values.length; row++) {
    const place = segmentPlace(values[row], bands);
    // A category's last number is any value that its list does not name: what was never seen is there too.
    if (place < 0 || place >= end) continue;
    const group = groups.get(place);
    if (group === undefined) groups.set(place, [row]);
    else group.push(row);
  }
  return [...groups]
    .sort(([a, x], [b, y]) => y.length - x.length || a - b)
    .slice(0, SEGMENTS_MAX)
    .sort(([a], [b]) => a - b)
    .map(([place, rows]) => ({ place, rows: Int32Array.from(rows) }));
}

function nameOf(
  place: number,
  {
    bands,
    segment,
  }: { readonly bands: readonly number[] | null; readonly segment: NonNullable<PolicyFeatures["segment"]> },
): string {
  if (bands === null) return segment.values![place];
  if (place === bands.length) return `${segment.by} over ${bands[place - 1]}`;
  return place === 0
    ? `${segment.by} up to ${bands[0]}`
    : `${segment.by} over ${bands[place - 1]} up to ${bands[place]}`;
}

function medianOf(values: Float32Array): number {
  const known = values.filter((value) => value >= 0 && value < Number.POSITIVE_INFINITY).sort();
  return known.length === 0 ? 0 : known[Math.floor(known.length / 2)];
}
