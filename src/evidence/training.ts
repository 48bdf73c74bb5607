// The training gate: the candidate beats the trivial baselines and is not worse than the champion on later rows.
import { type Check, type Verdict, verdictOf } from "../core/verdict.ts";
import type { Metric } from "../metrics/metric.ts";
import { AVERAGE_PRECISION, recallWithinBudget } from "../metrics/ranked.ts";
import { alertsAt, F1 } from "../metrics/summed.ts";
import { DECISIONS } from "../pipeline/decisions.ts";
import { PROMOTION, TRAINING } from "../pipeline/gates.ts";
import { defaultsOf } from "../pipeline/section.ts";
import { type PairedInterval, pairedBootstrap } from "./bootstrap.ts";

/** One model's scores of the test rows and the threshold from which it alerts. */
export interface ScoredModel {
  readonly scores: Float64Array;
  readonly threshold: number;
}

export interface TrainingPolicy {
  readonly fraudsMin: number;
  /** Absolute losses against the champion that are tolerated, as lower bounds of the difference. */
  readonly averagePrecisionMargin: number;
  readonly f1Margin: number;
  readonly recallMargin: number;
  /** Rows the review team looks at, as a share. */
  readonly reviewShare: number;
  readonly resamples: number;
  readonly level: number;
}

const { margin: MARGIN } = defaultsOf(TRAINING);

/** Wider margins than at promotion: a test period has few frauds, and shadow traffic still has its say. */
export const TRAINING_POLICY: TrainingPolicy = {
  fraudsMin: 30,
  averagePrecisionMargin: MARGIN,
  f1Margin: MARGIN,
  recallMargin: MARGIN,
  reviewShare: defaultsOf(DECISIONS).reviewShare,
  resamples: defaultsOf(PROMOTION).resamples,
  level: 0.95,
};

export interface TrainingGate {
  readonly verdict: Verdict;
  /** A is the opponent, B the candidate. */
  readonly comparisons: readonly {
    readonly against: "prevalence" | "amount" | "champion";
    readonly interval: PairedInterval;
  }[];
}

/** Every row comes later than what the candidate learned from. Throws `evidence.input-invalid`. */
export function trainingGate(input: {
  readonly y: Uint8Array;
  readonly card: Int32Array;
  readonly amount: Float64Array;
  readonly candidate: ScoredModel;
  readonly champion: ScoredModel | null;
  /** Share of the rows that the candidate's own thresholds flag; absent where it has none yet. */
  readonly alertRate?: number;
  /** Rows from days that the champion learned from: they flatter it (default 0). */
  readonly championSeen?: number;
  readonly seed: number;
  readonly policy?: Partial<TrainingPolicy>;
}): TrainingGate {
  const policy = { ...TRAINING_POLICY, ...input.policy };
  const { y, card, candidate, champion } = input;
  const frauds = y.reduce((sum, label) => sum + label, 0);
  const enough: Check = {
    name: "test frauds",
    passed: frauds >= policy.fraudsMin,
    observed: String(frauds),
    required: `at least ${policy.fraudsMin}`,
    reason: `test frauds: ${frauds}, at least ${policy.fraudsMin} are needed to compare; test on a longer period`,
  };
  if (frauds === 0) return { verdict: verdictOf("training", [enough]), comparisons: [] };
  const compare = (opponent: ScoredModel, metric: Metric): PairedInterval =>
    pairedBootstrap({
      ...policy,
      y,
      card,
      a: opponent.scores,
      b: candidate.scores,
      alerts: {
        a: alertsAt(opponent.scores, opponent.threshold),
        b: alertsAt(candidate.scores, candidate.threshold),
      },
      metric,
      seed: input.seed,
    });
  const baselines = [
    { against: "prevalence" as const, scores: new Float64Array(y.length) },
    // Alerting on the highest amounts needs no model.
    { against: "amount" as const, scores: input.amount.map((amount) => (Number.isNaN(amount) ? 0 : amount)) },
  ];
  const trivial = baselines.map(({ against, scores }) => ({
    against,
    margin: 0,
    interval: compare({ scores, threshold: Number.POSITIVE_INFINITY }, AVERAGE_PRECISION),
  }));
  const rival = champion === null ? [] : championComparisons(champion, { policy, compare });
  const all = [...trivial, ...rival];
  const checks = [enough, ...all.map(checkOf)];
  if (champion === null) checks.push(noChampion());
  if (champion !== null && (input.championSeen ?? 0) > 0) checks.push(championSaw(input.championSeen!, y.length));
  if (input.alertRate === 0) checks.push(noAlerts());
  return {
    verdict: verdictOf("training", checks),
    comparisons: all.map(({ against, interval }) => ({ against, interval })),
  };
}

interface Comparison {
  readonly against: "prevalence" | "amount" | "champion";
  readonly margin: number;
  readonly interval: PairedInterval;
}

/** However well it ranks: a model that flags nothing catches nothing. */
function noAlerts(): Check {
  return {
    name: "alerts",
    passed: false,
    observed: "0",
    required: "at least one",
    reason:
      "alerts: its review threshold flags none of these rows; so many share the highest score that the review budget cannot take them (raise it), or a review costs more than any fraud",
  };
}

function championComparisons(
  champion: ScoredModel,
  use: {
    readonly policy: TrainingPolicy;
    readonly compare: (opponent: ScoredModel, metric: Metric) => PairedInterval;
  },
): Comparison[] {
  const { policy, compare } = use;
  const against = "champion" as const;
  return [
    { against, margin: policy.averagePrecisionMargin, interval: compare(champion, AVERAGE_PRECISION) },
    { against, margin: policy.f1Margin, interval: compare(champion, F1) },
    { against, margin: policy.recallMargin, interval: compare(champion, recallWithinBudget(policy.reviewShare)) },
  ];
}

function checkOf({ against, margin, interval }: Comparison): Check {
  const { metric, observedA, observedB, low, high, level } = interval;
  const observed = `${text(observedB)} against ${text(observedA)}, difference ${text(low)} to ${text(high)} (${text(level * 100)} %)`;
  const required = `lower bound over ${text(0 - margin)}`;
  const verb = against === "champion" ? "may be worse than the champion" : "does not clearly beat";
  const opponent = against === "prevalence" ? " guessing" : against === "amount" ? " ranking by amount" : "";
  return {
    name: `${metric} against ${against}`,
    passed: low > -margin,
    observed,
    required,
    reason: `${metric}: the candidate ${verb}${opponent}: ${observed}, required ${required}`,
  };
}

/** No hindrance: whoever beats a champion on rows that it has seen is better still. */
function championSaw(seen: number, rows: number): Check {
  return {
    name: "champion's days",
    passed: true,
    observed: `the champion may have learned from ${seen} of these ${rows} rows, which flatters it`,
    required: "days that are new to both",
  };
}

function noChampion(): Check {
  return { name: "champion", passed: true, observed: "no champion yet", required: "not worse than the champion" };
}

function text(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "unknown";
}
