// The pictures of a training report: what the scores are worth on the evaluation slice, at today's budget and thresholds.
import { chart, heightAxis, nameBars, type Part, type Point } from "../../core/chart.ts";
import { DAY_MS } from "../../core/duration.ts";
import { reliabilityCurve } from "../../metrics/curves.ts";
import { rank } from "../../metrics/ranking.ts";
import { lossOf } from "../../metrics/summed.ts";
import type { Trained } from "./trained.ts";

const CURVE_POINTS = 160;
const SCORE_BINS = 40;
/** Features drawn; the card names all. */
const FEATURES_SHOWN = 20;
/** Alerts are drawn up to so many times the budget. */
const BUDGETS_DRAWN = 4;
const WEEK_MS = 7 * DAY_MS;
/** Fewer frauds in a group say nothing about it. */
const GROUP_FRAUDS_MIN = 5;
/** Bands of the amount, by these shares of the frauds. */
const AMOUNT_BANDS = [0, 0.25, 0.5, 0.75, 1] as const;

/** All pictures, in the order of the page; what cannot be drawn (no trees, no amounts) is left out. */
export function trainingPictures(trained: Trained): string {
  const slice = sliceOf(trained);
  const pictures = [
    alertsPicture(trained, slice),
    scorePicture(trained, slice),
    reliabilityPicture(trained),
    costPicture(trained, slice),
    learningPicture(trained),
    weeksPicture(trained, slice),
    amountsPicture(trained, slice),
    weekdaysPicture(trained, slice),
    importancePicture(trained),
  ];
  return `<div class="charts">${pictures.filter((picture) => picture !== null).join("\n")}</div>`;
}

/** What several pictures need of the evaluation slice. */
interface Slice {
  readonly days: number;
  readonly frauds: number;
  /** Alerts per day that the budget allows. */
  readonly budget: number;
  readonly review: number;
  readonly from: number;
}

function sliceOf({ evaluation, fitted, pipeline, split }: Trained): Slice {
  const { y } = evaluation;
  const days = Math.max(1 / 24, (split.evaluate.to - split.evaluate.from) / DAY_MS);
  return {
    days,
    frauds: y.reduce((sum, label) => sum + label, 0),
    budget: (pipeline.decisions.reviewShare * y.length) / days,
    review: fitted.thresholds.review,
    from: split.evaluate.from,
  };
}

/** Precision and recall by how many alerts a day analysts look at. */
function alertsPicture({ evaluation }: Trained, { days, frauds, budget }: Slice): string | null {
  if (frauds === 0) return null;
  const ranking = rank(evaluation.scores, evaluation.y);
  const to = Math.max(BUDGETS_DRAWN * budget, 1 / days);
  const precision: Point[] = [];
  const recall: Point[] = [];
  let drawn = -1;
  for (let g = 0; g < ranking.groups; g++) {
    const alerts = ranking.flagged[g] / days;
    if (alerts > to && drawn >= 0) break;
    const step = Math.floor((alerts / to) * CURVE_POINTS);
    if (step <= drawn) continue;
    drawn = step;
    precision.push({ x: alerts, y: ranking.caught[g] / ranking.flagged[g] });
    recall.push({ x: alerts, y: ranking.caught[g] / frauds });
  }
  return chart({
    title: "Precision and recall by alerts a day",
    x: { label: "alerts per day", from: 0, to },
    y: { label: "share", from: 0, to: 1, format: "percent" },
    parts: [
      { kind: "line", points: precision, tone: "one", name: "precision: of the alerts, frauds" },
      { kind: "line", points: recall, tone: "two", name: "recall: of the frauds, alerted" },
      { kind: "limit", axis: "x", at: budget, label: `budget ${short(budget)}`, tone: "good" },
    ],
    note: `Today's budget is ${short(budget)} alerts per day (decisions.review_share of the traffic).`,
  });
}

/** How scores of frauds and of genuine transactions lie, with the thresholds. */
function scorePicture({ evaluation, fitted }: Trained, { frauds }: Slice): string | null {
  const { scores, y } = evaluation;
  const counts = [new Float64Array(SCORE_BINS), new Float64Array(SCORE_BINS)];
  for (let row = 0; row < y.length; row++) {
    counts[y[row]][Math.min(SCORE_BINS - 1, Math.max(0, Math.floor(scores[row] * SCORE_BINS)))]++;
  }
  const bars = (values: Float64Array, from: number, to: number): Extract<Part, { kind: "bars" }>["bars"] =>
    Array.from(values, (value, i) => ({ from: (i + from) / SCORE_BINS, to: (i + to) / SCORE_BINS, value }));
  const { review, block } = fitted.thresholds;
  const most = counts[0].reduce((sum, count) => Math.max(sum, count), frauds);
  return chart({
    title: "Scores by label",
    x: { label: "score (calibrated probability of fraud)", from: 0, to: 1 },
    y: { label: "transactions (logarithmic)", from: 0.7, to: Math.max(10, most * 1.3), scale: "log" },
    parts: [
      { kind: "bars", bars: bars(counts[0], 0, 0.5), tone: "dim", name: "genuine" },
      { kind: "bars", bars: bars(counts[1], 0.5, 1), tone: "two", name: "fraud" },
      { kind: "limit", axis: "x", at: review, label: `review from ${short(review)}`, tone: "good" },
      { kind: "limit", axis: "x", at: block, label: `block from ${short(block)}`, tone: "bad" },
    ],
  });
}

/** Whether the score is the probability that it says it is. */
function reliabilityPicture({ evaluation }: Trained): string | null {
  const { promised, happened, rows } = reliabilityCurve(evaluation.scores, evaluation.y);
  const points = promised.map((x, i) => ({ x, y: happened[i] })).filter((_, i) => rows[i] > 0);
  if (points.length < 2) return null;
  const low = Math.min(...points.flatMap(({ x, y }) => [x, y]).filter((value) => value > 0));
  const from = 10 ** Math.floor(Math.log10(low));
  return chart({
    title: "Is a score the probability it says?",
    x: { label: "mean score of a bin", from, to: 1, scale: "log", format: "percent" },
    y: { label: "frauds in the bin", from, to: 1, scale: "log", format: "percent" },
    parts: [
      {
        kind: "line",
        points: [
          { x: from, y: from },
          { x: 1, y: 1 },
        ],
        tone: "dim",
        dashed: true,
        name: "as promised",
      },
      { kind: "line", points, tone: "one", dots: true, name: "as it happened" },
    ],
    note: "Bins of about equally many frauds. Above the dashed line the score is too low, below it too high.",
  });
}

/** What alerts and missed frauds cost together, by how many alerts a day there are. */
function costPicture({ evaluation, pipeline }: Trained, { days, budget, frauds }: Slice): string | null {
  const { scores, y, amount } = evaluation;
  const { reviewCost, missedShare } = pipeline.decisions;
  const order = Int32Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
  let missed = 0;
  for (let row = 0; row < y.length; row++) if (y[row] === 1) missed += missedShare * lossOf(amount[row]);
  if (frauds === 0 || missed === 0) return null;
  const to = Math.max(BUDGETS_DRAWN * budget, 1 / days);
  const points: Point[] = [{ x: 0, y: missed / days }];
  let best = points[0];
  const step = Math.max(1, Math.ceil((to * days) / CURVE_POINTS));
  for (let i = 0; i < order.length && (i + 1) / days <= to; i++) {
    const row = order[i];
    if (y[row] === 1) missed -= missedShare * lossOf(amount[row]);
    const point = { x: (i + 1) / days, y: (missed + reviewCost * (i + 1)) / days };
    if (point.y < best.y) best = point;
    // A group of one score is flagged as a whole.
    const tied = i + 1 < order.length && scores[order[i + 1]] === scores[row];
    if (!tied && (i + 1) % step < 1) points.push(point);
  }
  return chart({
    title: "What alerts and missed frauds cost together",
    x: { label: "alerts per day", from: 0, to },
    y: heightAxis(
      "cost per day, in the amounts' currency",
      points.map((point) => point.y),
    ),
    parts: [
      { kind: "line", points, tone: "one" },
      { kind: "limit", axis: "x", at: budget, label: `budget ${short(budget)}`, tone: "good" },
      { kind: "limit", axis: "x", at: best.x, label: `lowest at ${short(best.x)}`, tone: "two" },
    ],
    note: `A review costs ${short(reviewCost)} (decisions.review_cost), a missed fraud ${short(100 * missedShare)} % of its amount (decisions.missed_share).`,
  });
}

function learningPicture({ fitted }: Trained): string | null {
  const { train, validation } = fitted.curve;
  if (train.length === 0) return null;
  const points = (values: readonly number[]): Point[] => values.map((y, i) => ({ x: i + 1, y }));
  const all = [...train, ...validation];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const room = (high - low || high || 1) * 0.08;
  return chart({
    title: "Learning curve",
    x: { label: "trees", from: 0, to: Math.max(train.length, validation.length) },
    y: { label: "log-loss", from: Math.max(0, low - room), to: high + room },
    parts: [
      { kind: "line", points: points(train), tone: "one", name: "days it learned from" },
      { kind: "line", points: points(validation), tone: "two", name: "later days" },
      ...(fitted.rounds > 0
        ? [
            {
              kind: "limit" as const,
              axis: "x" as const,
              at: fitted.rounds,
              label: `${fitted.rounds} kept`,
              tone: "good" as const,
            },
          ]
        : []),
    ],
  });
}

/** Whether the weeks of the evaluation slice are alike. */
function weeksPicture({ evaluation }: Trained, { review, from }: Slice): string | null {
  const { y, scores, time } = evaluation;
  const weeks = new Map<number, Group>();
  for (let row = 0; row < y.length; row++) {
    const week = Math.floor((time[row] - from) / WEEK_MS);
    count(groupOf(weeks, week), y[row], scores[row] >= review);
  }
  const known = [...weeks].sort(([a], [b]) => a - b);
  if (known.length < 2) return null;
  const at = (week: number): number => from + (week + 0.5) * WEEK_MS;
  const points = (value: (group: Group) => number): Point[] =>
    known.map(([week, group]) => ({ x: at(week), y: value(group) }));
  const last = known[known.length - 1][0];
  return chart({
    title: "Week by week, at the review threshold",
    x: { label: "week (UTC)", from, to: from + (last + 1) * WEEK_MS, format: "day" },
    y: { label: "share", from: 0, to: 1, format: "percent" },
    parts: [
      { kind: "line", points: points((g) => g.caught / g.alerts), tone: "one", dots: true, name: "precision" },
      {
        kind: "line",
        points: points((g) => (g.frauds < GROUP_FRAUDS_MIN ? Number.NaN : g.caught / g.frauds)),
        tone: "two",
        dots: true,
        name: "recall",
      },
    ],
    note: `Alerts are ${known.map(([, { alerts, rows }]) => `${short((100 * alerts) / rows)} %`).join(", ")} of the traffic, week by week.`,
  });
}

/** Recall by the size of the amount. */
function amountsPicture({ evaluation }: Trained, { review }: Slice): string | null {
  const { y, scores, amount } = evaluation;
  const sizes = Float64Array.from(
    [...y.keys()].filter((row) => y[row] === 1 && amount[row] >= 0),
    (row) => amount[row],
  ).sort();
  if (sizes.length < GROUP_FRAUDS_MIN * (AMOUNT_BANDS.length - 1)) return null;
  const edges = AMOUNT_BANDS.slice(1, -1).map((share) => sizes[Math.floor(share * sizes.length)]);
  const groups = new Map<number, Group>();
  for (let row = 0; row < y.length; row++) {
    if (!(amount[row] >= 0)) continue;
    const band = edges.filter((edge) => amount[row] >= edge).length;
    count(groupOf(groups, band), y[row], scores[row] >= review);
  }
  const name = (band: number): string => {
    if (band === 0) return `below ${short(edges[0])}`;
    return band === edges.length
      ? `${short(edges[band - 1])} and more`
      : `${short(edges[band - 1])} to ${short(edges[band])}`;
  };
  return segmentBars("Frauds caught, by amount", groups, name);
}

function weekdaysPicture({ evaluation }: Trained, { review }: Slice): string | null {
  const { y, scores, time } = evaluation;
  const groups = new Map<number, Group>();
  for (let row = 0; row < y.length; row++) {
    // 1970 began on a Thursday; here Monday is 0.
    const day = (Math.floor(time[row] / DAY_MS) + 3) % 7;
    count(groupOf(groups, day), y[row], scores[row] >= review);
  }
  const names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
  return segmentBars("Frauds caught, by weekday (UTC)", groups, (day) => names[day]);
}

function segmentBars(
  title: string,
  groups: ReadonlyMap<number, Group>,
  name: (group: number) => string,
): string | null {
  const known = [...groups].sort(([a], [b]) => a - b).filter(([, { frauds }]) => frauds >= GROUP_FRAUDS_MIN);
  if (known.length < 2) return null;
  return nameBars({
    title,
    label: "recall at the review threshold",
    bars: known.map(([group, { caught, frauds }]) => ({
      name: name(group),
      value: caught / frauds,
      shown: `${Math.round((100 * caught) / frauds)} % of ${frauds}`,
    })),
    note: `Groups with fewer than ${GROUP_FRAUDS_MIN} frauds are left out.`,
  });
}

function importancePicture({ importance }: Trained): string | null {
  if (importance.length === 0) return null;
  return nameBars({
    title: "What the trees look at",
    label: "share of what all splits gained",
    bars: importance
      .slice(0, FEATURES_SHOWN)
      .map(({ name, gain }) => ({ name, value: gain, shown: `${(100 * gain).toFixed(1)} %` })),
    ...(importance.length > FEATURES_SHOWN
      ? { note: `${importance.length - FEATURES_SHOWN} more features are in the card.` }
      : {}),
  });
}

interface Group {
  rows: number;
  frauds: number;
  alerts: number;
  caught: number;
}

function groupOf(groups: Map<number, Group>, of: number): Group {
  const group = groups.get(of) ?? { rows: 0, frauds: 0, alerts: 0, caught: 0 };
  groups.set(of, group);
  return group;
}

function count(group: Group, label: number, alerted: boolean): void {
  group.rows++;
  group.frauds += label;
  if (!alerted) return;
  group.alerts++;
  group.caught += label;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
