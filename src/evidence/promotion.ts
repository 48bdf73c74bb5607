// The promotion gate: may the candidate become champion? PROMOTE, HOLD (and for how long) or REJECT.
import { DECISIONS } from "../core/decision.ts";
import type { Check, Verdict } from "../core/verdict.ts";
import { PROMOTION, type PromotionKeys } from "../pipeline/gates.ts";
import { defaultsOf } from "../pipeline/section.ts";
import type { Coverage } from "../ports/log.ts";
import type { PairedInterval } from "./bootstrap.ts";
import { coverageShare, coverageWords } from "./coverage.ts";
import { type HoldEstimate, holdEstimate, holdWords } from "./hold.ts";
import type { PrimaryMetric } from "./labelled.ts";
import type { ShadowReport } from "./report.ts";
import { selectionWords, unknownShare } from "./selection.ts";
import { judgeSegments } from "./worse-segments.ts";

/**
 * What the gate demands; fixed before anybody looks. Margins are absolute differences of the metric. A pipeline tunes what
 * {@link PromotionKeys} names; the rest is the same for all.
 */
export interface PromotionPolicy extends Omit<PromotionKeys, "resamples"> {
  /** Smallest gain worth having; sizes the HOLD estimate under "superiority". */
  readonly gain: number;
  readonly power: number;
  /** Largest rise of the alert rate, relative to the champion's: every alert costs an analyst time. */
  readonly alertRateRiseMax: number;
  /** Largest fall of it; what fewer alerts miss, the recall checks judge, so this only catches a candidate gone silent. */
  readonly alertRateFallMax: number;
  readonly recallAtFprMargin: number;
  /** Largest rise of the Brier score, relative to the champion's. */
  readonly brierRiseMax: number;
  readonly latencyP99MsMax: number;
  /** Pairs from which a 99th percentile is taken seriously. */
  readonly latencyPairsMin: number;
  /**
   * Frauds on fewer cards are one story, however many they are: what is resampled is cards, and from so few no interval is to be believed
   * (Cameron, Gelbach & Miller 2008).
   */
  readonly fraudCardsMin: number;
  readonly segmentMargin: number;
  /** Segments with fewer frauds are not judged. */
  readonly segmentFraudsMin: number;
}

/**
 * The pipeline's defaults, and guard rails. Margins of guard rails are wider than that of the primary metric, because they must catch
 * harm rather than prove equality: they pass on what was observed, and reject when the whole interval lies beyond the margin.
 */
export const PROMOTION_POLICY: PromotionPolicy = {
  ...defaultsOf(PROMOTION),
  gain: 0.02,
  power: 0.8,
  alertRateRiseMax: 0.25,
  alertRateFallMax: 0.6,
  recallAtFprMargin: 0.05,
  brierRiseMax: 0.1,
  latencyP99MsMax: 25,
  latencyPairsMin: 1000,
  fraudCardsMin: 10,
  segmentMargin: 0.1,
  segmentFraudsMin: 50,
};

export interface PromotionEvidence {
  readonly report: ShadowReport;
  readonly coverage: Coverage | null;
  /** From elsewhere (logic gate, feature parity); one that failed means REJECT. */
  readonly checks?: readonly Check[];
  readonly policy?: Partial<PromotionPolicy>;
  readonly budget?: AlertBudget | null;
}

/** What analysts can look at, where the thresholds aim at that. */
export interface AlertBudget {
  /** Share of the traffic: a candidate within it costs nobody more than was agreed, however few alerts the champion gives. */
  readonly share: number;
  /** Whether whoever answers keeps to it by itself (`decisions.adapt`): then what a candidate flags in shadow says nothing. */
  readonly kept: boolean;
}

/** Everything the verdict is given by, for the journal: what a pipeline says, over what is the same for all. */
export function promotionPolicy(keys: Partial<PromotionPolicy> = {}): PromotionPolicy {
  const known = Object.keys(PROMOTION_POLICY) as (keyof PromotionPolicy)[];
  const given = known.flatMap((name) => (keys[name] === undefined ? [] : [[name, keys[name]] as const]));
  return { ...PROMOTION_POLICY, ...Object.fromEntries(given) };
}

/**
 * The verdict on a candidate that wants to become champion. Asked every day until it decides, it is wrong no more often than asked once:
 * what it concludes from labels and alerts it concludes from confidence sequences (sequence.ts), which hold at all looks together.
 */
export function promotionGate(input: PromotionEvidence): Verdict {
  const findings = findingsOf(input);
  const has = (state: State): boolean => findings.some((finding) => finding.state === state);
  const verdict = has("no") ? "REJECT" : has("unsure") ? "HOLD" : "PROMOTE";
  // The reasons of a rejection first; what is merely missing comes after.
  const reasons = [...of(findings, "no"), ...of(findings, "unsure")];
  return {
    gate: "promotion",
    verdict,
    reasons: verdict === "PROMOTE" ? [`all ${findings.length} checks passed`] : reasons,
    checks: findings.map((finding) => finding.check),
  };
}

/**
 * The same findings about a champion that serves already, in the place of the candidate: "fail" where the promotion gate would reject
 * it, with the broken guard rails alone as reasons. What is not known yet breaks none, but on too few pairs, or on too small a share of
 * the traffic, none is broken either.
 */
export function rollbackGate(input: PromotionEvidence & { readonly pairsMin: number }): Verdict {
  const { report, coverage, pairsMin } = input;
  // A champion has no better one to prove: whatever a promotion aims at, it must only not be worse than the one before.
  const policy = { ...input.policy, mode: "non-inferiority" } as const;
  const findings = findingsOf({ ...input, policy });
  const broken = of(findings, "no");
  const comparable: Finding[] = [
    finding(report.pairs >= pairsMin ? "yes" : "unsure", "pairs", {
      observed: `${report.pairs}`,
      required: `at least ${pairsMin}`,
    }),
    coverageFinding(coverage, promotionPolicy(policy)),
  ];
  const missing = of(comparable, "unsure");
  const checks = [comparable[0], ...findings].map(({ check }) => check);
  if (missing.length > 0) return { gate: "rollback", verdict: "pass", reasons: missing, checks };
  const unknown = of(findings, "unsure");
  const whole =
    unknown.length === 0 ? ["no guard rail is broken"] : ["no guard rail is broken as far as is known", ...unknown];
  return {
    gate: "rollback",
    verdict: broken.length > 0 ? "fail" : "pass",
    reasons: broken.length > 0 ? broken : whole,
    checks,
  };
}

function findingsOf(input: PromotionEvidence): Finding[] {
  const { report } = input;
  const policy = promotionPolicy(input.policy);
  return [
    ...(input.checks ?? []).map((check): Finding => ({ check, state: check.passed ? "yes" : "no" })),
    coverageFinding(input.coverage, policy),
    ...maturityFindings(report, policy),
    blockedFinding(report, policy),
    primaryFinding(report, policy),
    input.budget?.kept === true ? budgetFinding(report) : alertRateFinding(report, policy, input.budget?.share ?? 0),
    recallFinding(report, policy),
    brierFinding(report, policy),
    latencyFinding(report, policy),
    segmentFinding(report, policy),
  ];
}

/** "unsure" is what more evidence can cure; "no" is what it cannot. */
type State = "yes" | "unsure" | "no";

interface Finding {
  readonly state: State;
  readonly check: Check;
}

function of(findings: readonly Finding[], state: State): string[] {
  return findings
    .filter((finding) => finding.state === state)
    .map(({ check }) => check.reason ?? `${check.name}: ${check.observed}, required ${check.required}`);
}

function finding(
  state: State,
  name: string,
  words: { readonly observed: string; readonly required: string; readonly reason?: string },
): Finding {
  const { observed, required, reason } = words;
  const check = { name, passed: state === "yes", observed, required };
  return { state, check: state === "yes" || reason === undefined ? check : { ...check, reason } };
}

function coverageFinding(coverage: Coverage | null, policy: PromotionPolicy): Finding {
  const required = `at least ${percent(policy.coverageMin)} of traffic scored`;
  if (coverage === null) return finding("unsure", "coverage", { observed: "no shadow traffic", required });
  const share = coverageShare(coverage);
  const observed = coverageWords(share);
  return finding(share.share >= policy.coverageMin ? "yes" : "unsure", "coverage", {
    observed,
    required,
    reason: `coverage: the candidate missed too much traffic to be compared fairly (${observed}; required ${required})`,
  });
}

function maturityFindings(report: ShadowReport, policy: PromotionPolicy): Finding[] {
  const { days } = report.matured;
  const frauds = fraudsOf(report);
  const { fraudCards } = report.matured;
  const pending = report.provisional.frauds;
  const isFew = fraudCards < policy.fraudCardsMin;
  return [
    finding(isEnough(report, policy) ? "yes" : "unsure", "matured frauds", {
      observed: `${frauds} on ${fraudCards} cards (and ${pending} provisional)`,
      required: `at least ${policy.fraudsMin}, on ${policy.fraudCardsMin} cards`,
      reason:
        frauds >= policy.fraudsMin && isFew
          ? `matured frauds: all ${frauds} are on ${fraudCards} cards, and from fewer than ${policy.fraudCardsMin} nobody can tell how other cards would fare`
          : `matured frauds: ${frauds} of ${policy.fraudsMin}, ${policy.fraudsMin - frauds} more are needed (${pending} are maturing)${daysUntil(report, policy)}${learnedWords(report)}`,
    }),
    finding(days >= policy.daysMin ? "yes" : "unsure", "matured days", {
      observed: days.toFixed(1),
      required: `at least ${policy.daysMin}`,
      reason: `matured days: ${days.toFixed(1)} of ${policy.daysMin}, so it is too early to judge`,
    }),
  ];
}

function learnedWords({ learned }: ShadowReport): string {
  return learned === 0
    ? ""
    : `; ${learned} transactions do not count, because one of the two models has learned from their days`;
}

/** Whether there are frauds enough, on cards enough, to conclude from. */
function isEnough(report: ShadowReport, policy: PromotionPolicy): boolean {
  return fraudsOf(report) >= policy.fraudsMin && report.matured.fraudCards >= policy.fraudCardsMin;
}

/** Matured frauds, or what they are worth where some stand for others. */
function fraudsOf({ matured, selection }: ShadowReport): number {
  return selection.weightMax > 1 ? Math.floor(selection.effectiveFrauds) : matured.frauds;
}

function daysUntil(report: ShadowReport, policy: PromotionPolicy): string {
  const frauds = fraudsOf(report);
  const { days } = report.matured;
  if (frauds === 0 || days === 0) return "";
  return `, some ${Math.ceil(((policy.fraudsMin - frauds) * days) / frauds)} days at the present rate`;
}

function blockedFinding({ selection }: ShadowReport, policy: PromotionPolicy): Finding {
  const share = unknownShare(selection);
  const observed = selectionWords(selection);
  return finding(share <= policy.blockedUnknownMax ? "yes" : "unsure", "blocked traffic", {
    observed,
    required: `at most ${percent(policy.blockedUnknownMax)} of what is blocked without an outcome or a stand-in`,
    reason: `blocked traffic: ${observed}`,
  });
}

const PRIMARY: Readonly<Record<PromotionKeys["metric"], PrimaryMetric>> = {
  "average-precision": "averagePrecision",
  "recall-at-fpr": "recallAtFpr",
  "card-precision": "cardPrecision",
  savings: "savings",
};

function primaryFinding(report: ShadowReport, policy: PromotionPolicy): Finding {
  const name = "primary metric";
  const interval = report.metrics?.[PRIMARY[policy.metric]] ?? null;
  const boundary = policy.mode === "superiority" ? 0 : -policy.margin;
  const required = `surely over ${signed(boundary)}`;
  if (interval === null || !Number.isFinite(interval.anytimeLow)) {
    return finding("unsure", name, { observed: "no matured frauds to compare on", required });
  }
  const observed = sequenceWords(interval);
  const { metric } = interval;
  if (interval.anytimeLow > boundary) return finding("yes", name, { observed, required });
  if (interval.anytimeHigh >= boundary) {
    const more = holdWords(primaryEstimate(interval, report, policy));
    const aim = policy.mode === "superiority" ? "to be better" : `to be worse by ${number(policy.margin)} at most`;
    const reason = `${metric}: undecided: ${observed}; the candidate has ${aim}; ${more}${meaningOf(metric)}`;
    return finding("unsure", name, { observed, required, reason });
  }
  // An interval from a handful of frauds is too narrow to condemn on.
  if (!isEnough(report, policy)) {
    const reason = `${metric}: the candidate looks worse: ${observed}; too few frauds to reject on${meaningOf(metric)}`;
    return finding("unsure", name, { observed, required, reason });
  }
  const word = policy.mode === "superiority" ? "worse" : `worse by more than ${number(policy.margin)}`;
  const reason = `${metric}: the candidate is ${word}: ${observed}${meaningOf(metric)}`;
  return finding("no", name, { observed, required, reason });
}

function primaryEstimate(interval: PairedInterval, report: ShadowReport, policy: PromotionPolicy): HoldEstimate {
  const superior = policy.mode === "superiority";
  return holdEstimate({
    standardError: interval.standardError,
    effect: superior ? policy.gain : policy.margin,
    observedDistance: interval.difference + (superior ? 0 : policy.margin),
    frauds: fraudsOf(report),
    days: report.matured.days,
    fraudsMin: policy.fraudsMin,
    level: interval.level,
    power: policy.power,
  });
}

function budgetFinding({ alertRate }: ShadowReport): Finding {
  const observed =
    alertRate === null ? "no pairs" : `${percent(alertRate.observedA)} → ${percent(alertRate.observedB)}`;
  return finding("yes", "alert rate", {
    observed: `${observed}, kept to the budget once it answers`,
    required: "kept to the budget (decisions.adapt)",
  });
}

/**
 * After a shift of the frauds a champion that misses them gives few alerts, and a better candidate many more: that is no harm while analysts
 * have the time that was agreed.
 */
function alertRateFinding(report: ShadowReport, policy: PromotionPolicy, budget: number): Finding {
  const name = "alert rate";
  const agreed = budget > 0 ? `, or above the review budget of ${percent(budget)} beside what it blocks` : "";
  const required = `at most ${percent(policy.alertRateRiseMax)} above the champion's${agreed}; ${percent(policy.alertRateFallMax)} below`;
  const rate = report.alertRate;
  if (rate === null) return finding("unsure", name, { observed: "no pairs", required });
  // What is blocked is alerted on, but nobody's work.
  const within = budget > 0 ? budget + blockedShare(report) : 0;
  const rise = (1 + policy.alertRateRiseMax) * Math.max(rate.observedA, within) - rate.observedA;
  const fall = -policy.alertRateFallMax * rate.observedA;
  const observed = `${percent(rate.observedA)} → ${percent(rate.observedB)}`;
  const inside = rate.difference <= rise && rate.difference >= fall;
  const outside = rate.anytimeLow > rise || rate.anytimeHigh < fall;
  return finding(inside ? "yes" : outside ? "no" : "unsure", name, {
    observed,
    required,
    reason: `alert rate: the champion flags ${percent(rate.observedA)} of the payments, the candidate ${percent(rate.observedB)}, required ${required}; move the candidate's thresholds`,
  });
}

/** Share of the pairs that the candidate blocks. */
function blockedShare({ agreement, pairs }: ShadowReport): number {
  const blocked = agreement.reduce((sum, row) => sum + row[DECISIONS.indexOf("block")], 0);
  return pairs > 0 ? blocked / pairs : 0;
}

function recallFinding(report: ShadowReport, policy: PromotionPolicy): Finding {
  return guardFinding(report.metrics?.recallAtFpr ?? null, {
    name: "recall at fixed false positives",
    margin: policy.recallAtFprMargin,
    enough: isEnough(report, policy),
  });
}

function brierFinding(report: ShadowReport, policy: PromotionPolicy): Finding {
  const interval = report.metrics?.brier ?? null;
  return guardFinding(interval, {
    name: "calibration",
    margin: policy.brierRiseMax * (interval?.observedA ?? 0),
    enough: isEnough(report, policy),
  });
}

/** Passes when the observed loss is within the margin and the interval does not lie beyond it; rejects when it does. */
function guardFinding(
  interval: PairedInterval | null,
  guard: { readonly name: string; readonly margin: number; readonly enough: boolean },
): Finding {
  const required = `not worse by more than ${number(guard.margin)}`;
  if (interval === null)
    return finding("unsure", guard.name, { observed: "no matured frauds to compare on", required });
  const lower = interval.better === "lower";
  const loss = lower ? interval.difference : -interval.difference;
  const lossLeast = lower ? interval.anytimeLow : -interval.anytimeHigh;
  const state: State = loss <= guard.margin ? "yes" : lossLeast > guard.margin && guard.enough ? "no" : "unsure";
  const observed = sequenceWords(interval);
  return finding(state, guard.name, {
    observed,
    required,
    reason: `${interval.metric}: ${observed}, required ${required}${meaningOf(interval.metric)}`,
  });
}

function latencyFinding(report: ShadowReport, policy: PromotionPolicy): Finding {
  const { p99 } = report.latencyMs.candidate;
  const required = `p99 at most ${policy.latencyP99MsMax} ms`;
  const observed = `p99 ${number(p99)} ms over ${report.pairs} pairs`;
  const enough = report.pairs >= policy.latencyPairsMin;
  const state: State = !enough || Number.isNaN(p99) ? "unsure" : p99 <= policy.latencyP99MsMax ? "yes" : "no";
  return finding(state, "latency", {
    observed,
    required: enough ? required : `${required}, from ${policy.latencyPairsMin} pairs on`,
  });
}

/** A segment is clearly worse where its adjusted p value says so, however many segments and looks there are. */
function segmentFinding(report: ShadowReport, policy: PromotionPolicy): Finding {
  const name = "worst segment";
  const required = `no segment clearly worse by more than ${number(policy.segmentMargin)}`;
  if (report.segments.length === 0) return finding("unsure", name, { observed: "no segments", required });
  const asked = { margin: policy.segmentMargin, fraudsMin: policy.segmentFraudsMin };
  const judged = judgeSegments(report.segments, asked).flatMap(({ interval, pValue, ...segment }) =>
    interval === null || pValue === null ? [] : [{ ...segment, interval, pValue }],
  );
  if (judged.length === 0) {
    const observed = `no segment has ${policy.segmentFraudsMin} matured frauds`;
    const reason = `worst segment: ${observed} yet, so whether one group of payments would be judged worse is not known`;
    return finding("unsure", name, { observed, required, reason });
  }
  const worst = judged.reduce((least, segment) => (segment.pValue < least.pValue ? segment : least));
  const observed = `${worst.name}: ${sequenceWords(worst.interval)}, p ${number(worst.pValue)} (Holm, ${judged.length} segments)`;
  const alpha = 1 - (report.metrics?.averagePrecision.level ?? 0.95);
  const reason = `worst segment: in ${worst.name} the candidate is clearly worse: ${observed}`;
  return finding(worst.pValue <= alpha ? "no" : "yes", name, { observed, required, reason });
}

/** What a figure says, for whoever decides and computes none. */
const MEANINGS: readonly (readonly [metric: RegExp, says: string])[] = [
  [/^average precision/, "how well a model puts frauds before genuine payments, 1 being without a mistake"],
  [/^recall at/, "the share of frauds that is found while so many genuine payments are flagged in vain"],
  [/^card precision/, "how many of the cards that analysts look at each day are really compromised"],
  [/^savings/, "the share of the cost of fraud that is saved, reviews paid for"],
  [/^Brier/, "how far the probabilities that a model states are from what happened, lower being better"],
];

function meaningOf(metric: string): string {
  const says = MEANINGS.find(([pattern]) => pattern.test(metric))?.[1];
  return says === undefined ? "" : `; ${metric} is ${says}`;
}

function sequenceWords(interval: PairedInterval): string {
  const { observedA, observedB, difference, anytimeLow, anytimeHigh, level } = interval;
  return `champion ${number(observedA)}, candidate ${number(observedB)}, difference ${signed(difference)} (between ${signed(anytimeLow)} and ${signed(anytimeHigh)}, ${percent(level)} sure however often one looks)`;
}

function signed(value: number): string {
  return `${value > 0 ? "+" : ""}${number(value)}`;
}

function number(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "unknown";
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}
