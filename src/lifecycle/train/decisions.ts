// Decisions: from scores of the calibration days to calibration and thresholds, with what they promise there and what other choices would be.
import { NEVER, type Thresholds } from "../../core/decision.ts";
import { type DecisionPolicy, thresholdsAt } from "../../core/policy.ts";
import { blockFrom, type Promised, passBelow } from "../../evidence/promise.ts";
import { budgetThreshold, rank } from "../../metrics/ranking.ts";
import { type Calibration, calibrate } from "../../ml/calibration/apply.ts";
import { chooseCalibration, fitCalibration } from "../../ml/calibration/train/fit.ts";
import { reviewFrom } from "../../ml/train/threshold.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import {
  fitCost,
  fitCostSegments,
  fitSegments,
  type OwnFit,
  type PolicyFeatures,
  type PolicyInputs,
} from "./policy.ts";

/** Transactions a block threshold must rest on: the precision of fewer is mostly luck. */
export const BLOCK_SUPPORT_MIN = 20;

/** Labelled rows that thresholds are taken from; equal lengths. */
export interface DecidingRows {
  readonly y: Uint8Array;
  /** NaN where one is missing. */
  readonly amounts: Float64Array;
  readonly cards: Int32Array;
  readonly features: PolicyFeatures;
  /** The features' values. */
  readonly inputs: PolicyInputs;
}

/** What the thresholds keep on the calibration days. */
export interface Decided {
  readonly calibration: Calibration;
  /** With costs: those of the typical amount. */
  readonly thresholds: Thresholds;
  /** Where thresholds depend on the transaction; null where one pair holds for all. */
  readonly policy: DecisionPolicy | null;
  /** Of `block_precision`. */
  readonly block: Promised;
  /** Of `fraud_rate_max`; null where the policy is another. */
  readonly pass: Promised | null;
  /** What else could be chosen, by the same days: for the report. */
  readonly choices: readonly Choice[];
}

export interface Choice {
  readonly name: string;
  readonly thresholds: Thresholds;
  /** Absent where one pair of thresholds holds for all. */
  readonly policy?: DecisionPolicy;
  /** False where no threshold does what the name says: then these are the nearest, or none. */
  readonly reached: boolean;
}

type Keys = Pipeline["decisions"];

/** From margins of labelled rows that the model has not learned: the calibration, and the thresholds that the pipeline's policy asks for. */
export function fitDecisions(margins: Float64Array, given: DecidingRows & { readonly pipeline: Pipeline }): Decided {
  const { pipeline, y } = given;
  const { decisions } = pipeline;
  const { calibration: kind } = pipeline.modelParameters;
  const calibration =
    kind === "choose" ? chooseCalibration({ margins, y }).calibration : fitCalibration({ margins, y, kind });
  const rows = { ...given, scores: Float32Array.from(margins, (margin) => calibrate(calibration, margin)) };
  const block = blockBy(rows, decisions);
  const from = blockingFrom(block);
  const { review, pass } = reviewBy(rows, decisions, from);
  const global = { review, block: from };
  const { thresholds, policy } = policyBy(rows, decisions, global);
  return { calibration, thresholds, policy, block, pass, choices: choicesOf(rows, decisions, { global, policy }) };
}

/** The policy, and the thresholds of what it does not name. */
function policyBy(
  rows: ScoredRows,
  decisions: Keys,
  global: Thresholds,
): { readonly thresholds: Thresholds; readonly policy: DecisionPolicy | null } {
  const { features } = rows;
  const cost = decisions.reviewPolicy === "expected-cost" ? fitCost(rows, decisions, features.amount!) : null;
  const fit = (only: Int32Array): OwnFit => {
    const own = takeRows(rows, only);
    const block = blockBy(own, decisions);
    const from = blockingFrom(block);
    return { thresholds: { review: reviewBy(own, decisions, from).review, block: from }, reached: block.reached };
  };
  const { segment } = features;
  if (cost !== null) {
    const policy: DecisionPolicy = segment === null ? { cost } : fitCostSegments(rows, { decisions, segment, cost });
    return { thresholds: thresholdsAt(policy.cost!, { amount: cost.typical }), policy };
  }
  if (segment === null) return { thresholds: global, policy: null };
  const segments = fitSegments(rows, { decisions, segment, global, fit, supportMin: BLOCK_SUPPORT_MIN });
  return { thresholds: global, policy: { segments } };
}

function takeRows({ scores, y, amounts, cards, features, inputs }: ScoredRows, only: Int32Array): ScoredRows {
  return {
    scores: Float32Array.from(only, (row) => scores[row]),
    y: Uint8Array.from(only, (row) => y[row]),
    amounts: Float64Array.from(only, (row) => amounts[row]),
    cards: Int32Array.from(only, (row) => cards[row]),
    features,
    inputs,
  };
}

/** Sentences on promises that the calibration days do not keep; none where all are. */
export function unkeptText({ block, pass }: Pick<Decided, "block" | "pass">, decisions: Keys): readonly string[] {
  const percent = (value: number): string => `${Number((100 * value).toPrecision(3))} %`;
  const certain = `with ${percent(decisions.certainty)} certainty`;
  const lines: string[] = [];
  if (!block.reached && decisions.reviewPolicy !== "expected-cost") {
    const nearest = Number.isNaN(block.share)
      ? `fewer than ${BLOCK_SUPPORT_MIN} calibration rows score ${decisions.blockScoreMin} or more`
      : `the nearest score has ${percent(block.share)} of ${block.rows} rows, and surely ${percent(block.bound)}`;
    lines.push(
      `nothing is blocked: no score reaches a precision of ${percent(decisions.blockPrecision)} ${certain}; ${nearest}`,
    );
  }
  if (pass !== null && !pass.reached) {
    lines.push(
      `a fraud rate of ${percent(decisions.fraudRateMax)} is not reached ${certain} within the review budget: the budget decides`,
    );
  }
  return lines;
}

type ScoredRows = DecidingRows & { readonly scores: Float32Array };

function blockBy({ scores, y, cards }: ScoredRows, decisions: Keys, precision = decisions.blockPrecision): Promised {
  return blockFrom(
    { scores, y, entity: cards },
    // Precision is a mean over all that is blocked; the least certain of them must still be likely enough by itself.
    { precision, certainty: decisions.certainty, scoreMin: decisions.blockScoreMin, rowsMin: BLOCK_SUPPORT_MIN },
  );
}

function blockingFrom({ reached, threshold }: Promised): number {
  return reached ? threshold : NEVER;
}

function reviewBy(
  rows: ScoredRows,
  decisions: Keys,
  block: number,
): { readonly review: number; readonly pass: Promised | null } {
  const { scores, y, amounts } = rows;
  // Costs have no threshold of their own here: the budget's stands for them until they are weighed.
  const kind = decisions.reviewPolicy === "expected-cost" ? "budget" : decisions.reviewPolicy;
  const { reviewShare, reviewCost, missedShare } = decisions;
  const byBudget = (share: number): number => reviewFrom({ scores, y, block, review: { kind: "budget", share } });
  if (kind === "budget") return { review: byBudget(reviewShare), pass: null };
  if (kind === "max-f1") return { review: reviewFrom({ scores, y, block, review: { kind } }), pass: null };
  if (kind === "cost") {
    const review = { kind, reviewCost, missedShare, amounts } as const;
    return { review: reviewFrom({ scores, y, block, review }), pass: null };
  }
  const pass = passBy(rows, decisions, decisions.fraudRateMax);
  const affordable = byBudget(reviewShare);
  return {
    review: pass.reached ? Math.min(block, Math.max(pass.threshold, affordable)) : affordable,
    pass: heldBy(pass, affordable),
  };
}

/** A rate that takes more reviews than there are is not reached. */
function heldBy(pass: Promised, affordable: number): Promised {
  return pass.reached && pass.threshold < affordable ? { ...pass, reached: false, threshold: Number.NaN } : pass;
}

function passBy({ scores, y, cards, amounts }: ScoredRows, decisions: Keys, rate: number): Promised {
  return passBelow({ scores, y, entity: cards, amounts }, { rate, certainty: decisions.certainty, never: NEVER });
}

/** Shares of the review budget that are shown beside it. */
const BUDGETS_SHOWN = [0.5, 2] as const;
/** Reference fraud rates of the regulation (EU) 2018/389, annex: remote card payments up to 100, 250 and 500 €. */
const RATES_SHOWN = [0.0013, 0.0006, 0.0001] as const;
const PRECISIONS_SHOWN = [0.8, 0.95, 0.99] as const;

/** Each choice changes one thing: the review threshold below today's block threshold, or the block threshold with today's budget. */
function choicesOf(
  rows: ScoredRows,
  decisions: Keys,
  { global, policy }: { readonly global: Thresholds; readonly policy: DecisionPolicy | null },
): Choice[] {
  const { block } = global;
  const { scores, y, amounts } = rows;
  const { reviewShare, reviewCost, missedShare } = decisions;
  const ranking = rank(scores, y);
  const percent = (value: number): string => `${Number((100 * value).toPrecision(3))} %`;
  const budgets = BUDGETS_SHOWN.map((factor): Choice => {
    const share = Math.min(1, factor * reviewShare);
    const review = budgetThreshold(ranking, share, block);
    return { name: `review ${percent(share)} of the traffic`, thresholds: { review, block }, reached: true };
  });
  const rates = RATES_SHOWN.map((rate): Choice => {
    const pass = passBy(rows, decisions, rate);
    const review = Math.min(block, pass.reached ? pass.threshold : block);
    return { name: `fraud rate of ${percent(rate)}`, thresholds: { review, block }, reached: pass.reached };
  });
  const precisions = PRECISIONS_SHOWN.map((precision): Choice => {
    const promised = blockBy(rows, decisions, precision);
    const from = blockingFrom(promised);
    const thresholds = { review: budgetThreshold(ranking, reviewShare, from), block: from };
    return { name: `block at ${percent(precision)} precision`, thresholds, reached: promised.reached };
  });
  const best = (review: Parameters<typeof reviewFrom>[0]["review"]): Thresholds => ({
    review: reviewFrom({ scores, y, block, review }),
    block,
  });
  return [
    ...budgets,
    { name: "highest F1", thresholds: best({ kind: "max-f1" }), reached: true },
    { name: "lowest cost", thresholds: best({ kind: "cost", reviewCost, missedShare, amounts }), reached: true },
    ...rates,
    ...precisions,
    ...policyChoices(rows, decisions, { global, policy }),
  ];
}

/** What a policy would do instead, or the policy without its segments. */
function policyChoices(
  rows: ScoredRows,
  decisions: Keys,
  { global, policy }: { readonly global: Thresholds; readonly policy: DecisionPolicy | null },
): Choice[] {
  const { amount } = rows.features;
  const choices: Choice[] = [];
  if (amount !== null && policy?.cost === undefined) {
    const cost = fitCost(rows, decisions, amount);
    const thresholds = thresholdsAt(cost, { amount: cost.typical });
    choices.push({ name: "lowest expected cost, by amount", thresholds, policy: { cost }, reached: true });
  }
  if (policy?.segments === undefined) return choices;
  const { segments } = policy;
  // What reviews must save is another price without segments.
  const cost = policy.cost === undefined ? undefined : fitCost(rows, decisions, amount!);
  choices.push({
    name: `one policy for all, without segments by ${segments.by}`,
    thresholds: cost === undefined ? global : thresholdsAt(cost, { amount: cost.typical }),
    ...(cost === undefined ? {} : { policy: { cost } }),
    reached: true,
  });
  return choices;
}
