// Choices: what each choice of thresholds does on the evaluation days, for analysts, customers and money; the table and picture of the report.
import { chart, type Point } from "../../core/chart.ts";
import { type Decision, decide, type Thresholds } from "../../core/decision.ts";
import { DAY_MS } from "../../core/duration.ts";
import { escapeHtml } from "../../core/html.ts";
import { lossOf } from "../../metrics/summed.ts";
import type { Trained } from "./trained.ts";

/** What a choice does; rates are per day, amounts in the currency of the transactions. */
export interface Effect {
  readonly name: string;
  readonly thresholds: Thresholds;
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
}

type Judged = Pick<Trained, "evaluation" | "fitted" | "pipeline" | "split">;

/** Today's choice first, then the others, all fitted on the calibration days. */
export function effectsOf(trained: Judged): Effect[] {
  const { fitted } = trained;
  const today = { name: "as trained", thresholds: fitted.thresholds, reached: true };
  return [today, ...fitted.decided.choices].map((choice) => ({ ...choice, ...effectOf(choice.thresholds, trained) }));
}

function effectOf(
  thresholds: Thresholds,
  { evaluation, pipeline, split }: Judged,
): Omit<Effect, "name" | "thresholds" | "reached"> {
  const { scores, y, amount, card, time } = evaluation;
  const { reviewCost, missedShare } = pipeline.decisions;
  const days = Math.max(1 / 24, (split.evaluate.to - split.evaluate.from) / DAY_MS);
  const rows: Record<Decision, number> = { approve: 0, review: 0, block: 0 };
  const frauds: Record<Decision, number> = { approve: 0, review: 0, block: 0 };
  const lost: Record<Decision, number> = { approve: 0, review: 0, block: 0 };
  const bothered = new Set<string>();
  let approved = 0;
  for (let row = 0; row < y.length; row++) {
    const decision = decide(scores[row], thresholds);
    const value = lossOf(amount[row]);
    rows[decision]++;
    if (decision === "approve") approved += value;
    if (y[row] === 1) {
      frauds[decision]++;
      lost[decision] += value;
    } else if (decision !== "approve") bothered.add(`${card[row]} ${Math.floor(time[row] / DAY_MS)}`);
  }
  const allFrauds = frauds.approve + frauds.review + frauds.block;
  const allLost = lost.approve + lost.review + lost.block;
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
  };
}

const COLUMNS: readonly (readonly [name: string, text: (effect: Effect) => string])[] = [
  ["review from", ({ thresholds }) => score(thresholds.review)],
  ["block from", ({ thresholds }) => score(thresholds.block)],
  ["reviewed per day", ({ reviewedPerDay }) => short(reviewedPerDay)],
  ["blocked per day", ({ blockedPerDay }) => short(blockedPerDay)],
  ["genuine customers bothered per day", ({ botheredPerDay }) => short(botheredPerDay)],
  ["frauds caught", ({ caughtShare }) => percent(caughtShare)],
  ["fraud money caught", ({ caughtAmountShare }) => percent(caughtAmountShare)],
  ["fraud money missed per day", ({ missedAmountPerDay }) => short(missedAmountPerDay)],
  ["frauds of the approved money", ({ fraudRate }) => percent(fraudRate)],
  ["of the blocked, frauds", ({ blockPrecision }) => percent(blockPrecision)],
  ["cost per day", ({ costPerDay }) => short(costPerDay)],
];

/** The table with its picture. */
export function choicesHtml(trained: Judged): string {
  const effects = effectsOf(trained);
  const head = COLUMNS.map(([name]) => `<th scope="col">${name}</th>`).join("");
  const rows = effects.map((effect) => {
    const cells = COLUMNS.map(([, text]) => `<td>${effect.reached ? escapeHtml(text(effect)) : "–"}</td>`).join("");
    const name = effect.reached ? effect.name : `${effect.name}: not reached`;
    return `<tr><th scope="row">${escapeHtml(name)}</th>${cells}</tr>`;
  });
  const { certainty } = trained.pipeline.decisions;
  return `<h2>What each choice of thresholds does</h2>
<p>Thresholds are taken from the calibration days, their effects from the evaluation days. A fraud rate or a precision counts as reached where it holds with ${percent(certainty)} certainty (decisions.certainty).</p>
<div class="choices"><table><thead><tr><th scope="col">choice</th>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div>
${choicesPicture(effects) ?? ""}
`;
}

/** What is caught by whom it bothers. Null where there is nothing to catch. */
function choicesPicture(effects: readonly Effect[]): string | null {
  const [today, ...others] = effects.filter(({ reached, caughtAmountShare }) => reached && caughtAmountShare >= 0);
  if (today === undefined) return null;
  const at = ({ botheredPerDay, caughtAmountShare }: Effect): Point => ({ x: botheredPerDay, y: caughtAmountShare });
  const along = (wanted: (effect: Effect) => boolean): Point[] =>
    [today, ...others.filter(wanted)].map(at).sort((a, b) => a.x - b.x || a.y - b.y);
  const isReviewing = ({ thresholds }: Effect): boolean => thresholds.block === today.thresholds.block;
  const most = effects.reduce((x, { reached, botheredPerDay }) => (reached ? Math.max(x, botheredPerDay) : x), 0);
  return chart({
    title: "What is caught, and whom it bothers",
    x: { label: "genuine customers bothered per day", from: 0, to: Math.max(most * 1.05, 1e-6) },
    y: { label: "fraud money caught", from: 0, to: 1, format: "percent" },
    parts: [
      { kind: "line", points: along(isReviewing), tone: "one", dots: true, name: "reviewing more or less" },
      {
        kind: "line",
        points: along((effect) => !isReviewing(effect)),
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

function score(threshold: number): string {
  return threshold > 1 ? "never" : short(threshold);
}

function short(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "–";
}

function percent(value: number): string {
  return Number.isFinite(value) ? `${Number((100 * value).toPrecision(3))} %` : "–";
}
