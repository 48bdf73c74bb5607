// Choices: what each choice of thresholds does on the evaluation days, for analysts, customers and money; the table and picture of the report.
import { chart, type Point } from "../../core/chart.ts";
import { type Decision, decide, type Thresholds } from "../../core/decision.ts";
import { DAY_MS } from "../../core/duration.ts";
import { escapeHtml } from "../../core/html.ts";
import { type DecisionPolicy, type PolicyAnswer, policyJudge, type Segment } from "../../core/policy.ts";
import { lossOf } from "../../metrics/summed.ts";
import { copyRow } from "../../ml/matrix.ts";
import type { Trained } from "./trained.ts";

/** What a choice does; rates are per day, amounts in the currency of the transactions. */
export interface Effect {
  readonly name: string;
  /** Where thresholds depend on the transaction: those of the typical one. */
  readonly thresholds: Thresholds;
  readonly isPolicy: boolean;
  /** False where the calibration days have no threshold that does what the name says. */
  readonly reached: boolean;
  readonly reviewedPerDay: number;
  readonly blockedPerDay: number;
  /** Customers with a genuine transaction that was reviewed or blocked. */
  readonly botheredPerDay: number;
  /** Of the frauds, and of their amount, reviewed or blocked: NaN without frauds. */
  readonly caughtShare: number;
  readonly caughtAmountShare: number;
  readonly missedAmountPerDay: number;
  /** Frauds of the approved amount: NaN where nothing is approved. */
  readonly fraudRate: number;
  /** Of the blocked, frauds: NaN where nothing is blocked. */
  readonly blockPrecision: number;
  /** Reviews and missed frauds, by `review_cost` and `missed_share`. */
  readonly costPerDay: number;
  /**
   * What approving everything would cost beyond this choice, genuine transactions that are blocked included: by `missed_share`, `missed_cost`,
   * `review_cost`, `false_block_cost` and `customer_factor`.
   */
  readonly savedPerDay: number;
}

/** What a segment's policy does with the segment's transactions of the evaluation days. */
export interface SegmentEffect extends Effect {
  /** Null: all transactions of no segment, which what holds for all judges. */
  readonly segment: Segment | null;
  readonly transactionsPerDay: number;
}

type Judged = Pick<Trained, "evaluation" | "fitted" | "pipeline" | "split">;

/** Today's choice first, then the others, all fitted on the calibration days. */
export function effectsOf(trained: Judged): Effect[] {
  const { fitted } = trained;
  const { thresholds, policy } = fitted;
  const today = { name: "as trained", thresholds, ...(policy === null ? {} : { policy }), reached: true };
  return [today, ...fitted.decided.choices].map(({ policy: by, ...choice }) => {
    const answers = answersOf(choice.thresholds, by, trained);
    return { ...choice, isPolicy: by !== undefined, ...effectOf(answers, trained) };
  });
}

/** A line per segment, and one of what belongs to none; null where the policy has no segments. */
export function segmentEffects(trained: Judged): SegmentEffect[] | null {
  const { thresholds, policy } = trained.fitted;
  if (policy?.segments === undefined) return null;
  const answers = answersOf(thresholds, policy, trained);
  const days = daysOf(trained);
  const { segments, by } = policy.segments;
  return [...segments, null].map((segment): SegmentEffect => {
    const name = segment?.name ?? null;
    const own = (row: number): boolean => answers[row].segment === name;
    return {
      name: name ?? `no segment by ${by}`,
      thresholds: segment?.thresholds ?? thresholds,
      isPolicy: policy.cost !== undefined,
      reached: true,
      segment,
      transactionsPerDay: answers.filter((_, row) => own(row)).length / days,
      ...effectOf(answers, trained, own),
    };
  });
}

type Answer = Pick<PolicyAnswer, "decision" | "segment">;

function answersOf(thresholds: Thresholds, policy: DecisionPolicy | undefined, { evaluation }: Judged): Answer[] {
  const { scores, x } = evaluation;
  if (policy === undefined) {
    return Array.from(scores, (score) => ({ decision: decide(score, thresholds), segment: null }));
  }
  const judge = policyJudge(policy, { thresholds, names: x.names });
  const vector = new Float32Array(x.names.length);
  return Array.from(scores, (score, row) => {
    copyRow(x, row, vector);
    return judge(score, vector);
  });
}

function daysOf({ split }: Judged): number {
  return Math.max(1 / 24, (split.evaluate.to - split.evaluate.from) / DAY_MS);
}

function effectOf(
  answers: readonly Answer[],
  trained: Judged,
  own: (row: number) => boolean = () => true,
): Omit<Effect, "name" | "thresholds" | "reached" | "isPolicy"> {
  const { evaluation, pipeline } = trained;
  const { y, amount, card, time } = evaluation;
  const { reviewCost, missedShare, missedCost, falseBlockCost, customerFactor } = pipeline.decisions;
  const days = daysOf(trained);
  const rows: Record<Decision, number> = { approve: 0, review: 0, block: 0 };
  const frauds: Record<Decision, number> = { approve: 0, review: 0, block: 0 };
  const lost: Record<Decision, number> = { approve: 0, review: 0, block: 0 };
  const bothered = new Set<string>();
  let approved = 0;
  let wrong = 0;
  for (let row = 0; row < y.length; row++) {
    if (!own(row)) continue;
    const { decision } = answers[row];
    const value = lossOf(amount[row]);
    rows[decision]++;
    if (decision === "approve") approved += value;
    if (y[row] === 1) {
      frauds[decision]++;
      lost[decision] += value;
    } else if (decision !== "approve") bothered.add(`${card[row]} ${Math.floor(time[row] / DAY_MS)}`);
    if (y[row] !== 1 && decision === "block") wrong += falseBlockCost + customerFactor * value;
  }
  const allFrauds = frauds.approve + frauds.review + frauds.block;
  const allLost = lost.approve + lost.review + lost.block;
  const found = missedShare * (lost.review + lost.block) + missedCost * (frauds.review + frauds.block);
  return {
    reviewedPerDay: rows.review / days,
    blockedPerDay: rows.block / days,
    botheredPerDay: bothered.size / days,
    caughtShare: (allFrauds - frauds.approve) / allFrauds,
    caughtAmountShare: allLost > 0 ? (allLost - lost.approve) / allLost : Number.NaN,
    missedAmountPerDay: lost.approve / days,
    fraudRate: approved > 0 ? lost.approve / approved : Number.NaN,
    blockPrecision: frauds.block / rows.block,
    costPerDay: (reviewCost * rows.review + missedShare * lost.approve) / days,
    savedPerDay: (found - reviewCost * rows.review - wrong) / days,
  };
}

const COLUMNS: readonly (readonly [name: string, text: (effect: Effect) => string])[] = [
  ["review from", ({ thresholds, isPolicy }) => score(thresholds.review, isPolicy)],
  ["block from", ({ thresholds, isPolicy }) => score(thresholds.block, isPolicy)],
  ["reviewed per day", ({ reviewedPerDay }) => short(reviewedPerDay)],
  ["blocked per day", ({ blockedPerDay }) => short(blockedPerDay)],
  ["genuine customers bothered per day", ({ botheredPerDay }) => short(botheredPerDay)],
  ["frauds caught", ({ caughtShare }) => percent(caughtShare)],
  ["fraud money caught", ({ caughtAmountShare }) => percent(caughtAmountShare)],
  ["fraud money missed per day", ({ missedAmountPerDay }) => short(missedAmountPerDay)],
  ["frauds of the approved money", ({ fraudRate }) => percent(fraudRate)],
  ["of the blocked, frauds", ({ blockPrecision }) => percent(blockPrecision)],
  ["cost per day", ({ costPerDay }) => short(costPerDay)],
  ["saved per day", ({ savedPerDay }) => short(savedPerDay)],
];

const SEGMENT_COLUMNS: readonly (readonly [name: string, text: (effect: SegmentEffect) => string])[] = [
  ["calibration rows", ({ segment }) => (segment === null ? "–" : segment.rows.toLocaleString("en"))],
  ["their frauds", ({ segment }) => (segment === null ? "–" : segment.frauds.toLocaleString("en"))],
  ["own weight", ({ segment }) => (segment === null ? "–" : percent(segment.weight))],
  ["transactions per day", ({ transactionsPerDay }) => short(transactionsPerDay)],
  ...COLUMNS.filter(([name]) => name !== "cost per day"),
];

/** The table with its picture. */
export function choicesHtml(trained: Judged): string {
  const effects = effectsOf(trained);
  const { certainty } = trained.pipeline.decisions;
  return `<h2>What each choice of thresholds does</h2>
<p>Thresholds are taken from the calibration days, their effects from the evaluation days. A fraud rate or a precision counts as reached where it holds with ${percent(certainty)} certainty (decisions.certainty).</p>
${tableHtml("choice", COLUMNS, effects)}
${choicesPicture(effects) ?? ""}
${segmentsHtml(trained)}`;
}

function segmentsHtml(trained: Judged): string {
  const effects = segmentEffects(trained);
  if (effects === null) return "";
  const { segments } = trained.pipeline.decisions;
  return `<h2>What the policy does in each segment</h2>
<p>A segment's own calibration days count by its own weight, frauds ÷ (frauds + ${segments.shrinkage}) (decisions.segments.shrinkage); the rest is what all days say. Effects are from the evaluation days.</p>
${tableHtml("segment", SEGMENT_COLUMNS, effects)}
`;
}

function tableHtml<E extends Effect>(
  what: string,
  columns: readonly (readonly [name: string, text: (effect: E) => string])[],
  effects: readonly E[],
): string {
  const head = columns.map(([name]) => `<th scope="col">${name}</th>`).join("");
  const rows = effects.map((effect) => {
    const cells = columns.map(([, text]) => `<td>${effect.reached ? escapeHtml(text(effect)) : "–"}</td>`).join("");
    const name = effect.reached ? effect.name : `${effect.name}: not reached`;
    return `<tr><th scope="row">${escapeHtml(name)}</th>${cells}</tr>`;
  });
  return `<div class="choices"><table><thead><tr><th scope="col">${what}</th>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

/** What is caught by whom it bothers. Null where there is nothing to catch. */
function choicesPicture(effects: readonly Effect[]): string | null {
  const [today, ...others] = effects.filter(({ reached, caughtAmountShare }) => reached && caughtAmountShare >= 0);
  if (today === undefined) return null;
  const at = ({ botheredPerDay, caughtAmountShare }: Effect): Point => ({ x: botheredPerDay, y: caughtAmountShare });
  const along = (wanted: (effect: Effect) => boolean): Point[] =>
    [today, ...others.filter(wanted)].map(at).sort((a, b) => a.x - b.x || a.y - b.y);
  const isReviewing = ({ thresholds, isPolicy }: Effect): boolean =>
    !isPolicy && thresholds.block === today.thresholds.block;
  const most = effects.reduce((x, { reached, botheredPerDay }) => (reached ? Math.max(x, botheredPerDay) : x), 0);
  return chart({
    title: "What is caught, and whom it bothers",
    x: { label: "genuine customers bothered per day", from: 0, to: Math.max(most * 1.05, 1e-6) },
    y: { label: "fraud money caught", from: 0, to: 1, format: "percent" },
    parts: [
      { kind: "line", points: along(isReviewing), tone: "one", dots: true, name: "reviewing more or less" },
      {
        kind: "line",
        points: along((effect) => !isReviewing(effect) && !effect.isPolicy),
        tone: "two",
        dots: true,
        dashed: true,
        name: "blocking more or less",
      },
      { kind: "limit", axis: "x", at: today.botheredPerDay, label: "as trained", tone: "good" },
    ],
    note: "Each dot is a line of the table.",
  });
}

/** `isPolicy`: the threshold of the typical transaction. */
function score(threshold: number, isPolicy: boolean): string {
  const text = threshold > 1 ? "never" : short(threshold);
  return isPolicy ? `${text}, by transaction` : text;
}

function short(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "–";
}

function percent(value: number): string {
  return Number.isFinite(value) ? `${Number((100 * value).toPrecision(3))} %` : "–";
}
