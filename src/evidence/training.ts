// The training gate: the candidate beats the trivial baselines and is not worse than the champion on later rows.
import { type Check, type Verdict, verdictOf } from "../core/verdict.ts";
import type { Metric } from "../metrics/metric.ts";
import { AVERAGE_PRECISION, recallWithinBudget } from "../metrics/ranked.ts";
import { budgetThreshold, rank } from "../metrics/ranking.ts";
import { alertsAt, BRIER, F1 } from "../metrics/summed.ts";
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

/** Every row comes later than what the candidate learned from, and those of `unlearned` than what the champion did. Throws `evidence.input-invalid`. */
export function trainingGate(input: {
  readonly y: Uint8Array;
  readonly card: Int32Array;
  readonly amount: Float64Array;
  readonly candidate: ScoredModel;
  readonly champion: ScoredModel | null;
  /** The rows that the champion has not learned, where it has learned some; absent: all of them. */
  readonly unlearned?: Int32Array;
  /**
   * What follows where the rows do not tell whether the candidate is worse than an opponent: "refuse" (default), or "shadow", where it is compared
   * again before anything is decided; then only what is surely worse, and by more than the margin, is refused. So it is after a shift of the
   * world, of which the judged days know more than those that were learned.
   */
  readonly undecided?: "refuse" | "shadow";
  /** Share of the rows that the candidate's own thresholds flag; absent where it has none yet. */
  readonly alertRate?: number;
  /** Share of frauds on earlier days: a constant that answers it must not be nearer to what happened than the candidate. Absent: not asked. */
  readonly constant?: number;
  /** Found out elsewhere. */
  readonly checks?: readonly Check[];
  /** Rows from days that the champion learned from: they flatter it (default 0). */
  readonly championSeen?: number;
  readonly seed: number;
  readonly policy?: Partial<TrainingPolicy>;
}): TrainingGate {
  const policy = { ...TRAINING_POLICY, ...input.policy };
  const { y, candidate, champion } = input;
  const frauds = fraudsIn(y);
  const enough: Check = {
    name: "test frauds",
    passed: frauds >= policy.fraudsMin,
    observed: String(frauds),
    required: `at least ${policy.fraudsMin}`,
    reason: `test frauds: ${frauds}, at least ${policy.fraudsMin} are needed to compare; test on a longer period`,
  };
  if (frauds === 0) return { verdict: verdictOf("training", [enough]), comparisons: [] };
  const comparing =
    (rows: Pick<typeof input, "y" | "card">, of: ScoredModel) =>
    (opponent: ScoredModel, metric: Metric): PairedInterval =>
      pairedBootstrap({
        ...policy,
        y: rows.y,
        card: rows.card,
        a: opponent.scores,
        b: of.scores,
        alerts: {
          a: alertsAt(opponent.scores, opponent.threshold),
          b: alertsAt(of.scores, of.threshold),
        },
        metric,
        seed: input.seed,
      });
  const compare = comparing(input, candidate);
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
  const fair = champion === null ? null : unlearnedBy(champion, input);
  // Where all rows are fair, whether they are enough is said already.
  const comparable = fair !== null && (input.unlearned === undefined || fraudsIn(fair.y) >= policy.fraudsMin);
  const rival = comparable
    ? championComparisons(fair.champion, { policy, compare: comparing(fair, fair.candidate) })
    : [];
  const all = [...trivial, ...rival];
  const checks = [enough, ...all.map((one) => checkOf(one, input.undecided ?? "refuse"))];
  if (fair === null) checks.push(noChampion());
  else if (!comparable) checks.push(nothingUnlearned(fraudsIn(fair.y), policy));
  if (champion !== null && (input.championSeen ?? 0) > 0) checks.push(championSaw(input.championSeen!, y.length));
  if (input.constant !== undefined) {
    const scores = new Float64Array(y.length).fill(input.constant);
    checks.push(constantCheck(compare({ scores, threshold: Number.POSITIVE_INFINITY }, BRIER), input.constant));
  }
  if (input.alertRate === 0) checks.push(noAlerts());
  checks.push(...(input.checks ?? []));
  return {
    verdict: verdictOf("training", checks),
    comparisons: all.map(({ against, interval }) => ({ against, interval })),
  };
}

/**
 * The squared error of the probabilities beside that of a constant (Brier 1950): a model may rank well and still say what never comes true, as
 * after a season that the calibration days did not know. Refused where that is sure.
 */
function constantCheck(
  { observedA, observedB, difference, low, high, level }: PairedInterval,
  constant: number,
): Check {
  const observed = `${text(observedB)}, of a constant ${text(constant)}: ${text(observedA)}, difference ${text(low)} to ${text(high)} (${text(level * 100)} %)`;
  const required = "not surely above the constant's";
  return {
    name: "Brier score against a constant",
    passed: !(difference > 0 && low > 0),
    observed,
    required,
    reason: `Brier score: the candidate's probabilities are further from what happened than the share of frauds on the calibration days, said of every row: ${observed}, required ${required}; the judged days differ from the calibration days, or those have too few frauds to calibrate on`,
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

function checkOf({ against, margin, interval }: Comparison, undecided: "refuse" | "shadow"): Check {
  const { metric, observedA, observedB, difference, low, high, level } = interval;
  const observed = `${text(observedB)} against ${text(observedA)}, difference ${text(low)} to ${text(high)} (${text(level * 100)} %)`;
  const opponent =
    against === "champion" ? "the champion" : against === "prevalence" ? "guessing" : "ranking by amount";
  const check = (passed: boolean, required: string, verb: string): Check => {
    const reason = `${metric}: the candidate ${verb} ${opponent}: ${observed}, required ${required}`;
    return { name: `${metric} against ${against}`, passed, observed, required, reason };
  };
  if (undecided === "shadow") {
    const required = `not surely worse by more than ${text(margin)}: the shadow compares again`;
    return check(difference >= -margin || high >= 0, required, "is worse than");
  }
  const verb = against === "champion" ? "may be worse than" : "does not clearly beat";
  return check(low > -margin, `lower bound over ${text(0 - margin)}`, verb);
}

/** What both models are compared on: the rows that neither has learned, at thresholds of these rows' own budget. */
function unlearnedBy(
  champion: ScoredModel,
  { y, card, candidate, unlearned, policy }: Parameters<typeof trainingGate>[0],
): Pick<Parameters<typeof trainingGate>[0], "y" | "card" | "candidate"> & { readonly champion: ScoredModel } {
  if (unlearned === undefined) return { y, card, candidate, champion };
  const share = policy?.reviewShare ?? TRAINING_POLICY.reviewShare;
  const own = Uint8Array.from(unlearned, (row) => y[row]);
  const reduced = ({ scores }: ScoredModel): ScoredModel => {
    const part = Float64Array.from(unlearned, (row) => scores[row]);
    const ranking = rank(Float32Array.from(part), own);
    const threshold =
      part.length === 0 ? Number.POSITIVE_INFINITY : budgetThreshold(ranking, Math.max(share, 1 / part.length));
    return { scores: part, threshold };
  };
  return {
    y: own,
    card: Int32Array.from(unlearned, (row) => card[row]),
    candidate: reduced(candidate),
    champion: reduced(champion),
  };
}

/** The shadow compares the two on days that neither knows. */
function nothingUnlearned(frauds: number, { fraudsMin }: TrainingPolicy): Check {
  return {
    name: "champion",
    passed: true,
    observed: `it has learned newer days than the judged model, but for ${frauds} frauds: the shadow compares the two`,
    required: `at least ${fraudsMin} frauds to compare on`,
  };
}

function fraudsIn(y: Uint8Array): number {
  return y.reduce((sum, label) => sum + label, 0);
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
