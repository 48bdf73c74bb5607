// Is B better than A on the same rows? The paired bootstrap that resamples cards, and days, with intervals for one look and for many.

import { Codes } from "../core/codes.ts";
import { SentinelError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { standardDeviation } from "../core/stats.ts";
import { type Clusters, type Metric, measure, type ScoredRows } from "../metrics/metric.ts";
import { descending } from "../metrics/ranking.ts";
import { PROMOTION } from "../pipeline/gates.ts";
import { defaultsOf, rangesOf } from "../pipeline/section.ts";
import { sequenceFactor } from "./sequence.ts";
import { expandedTail } from "./student.ts";

/** The rows both models scored. */
export interface PairedRows {
  /** 1 fraud, 0 genuine. */
  readonly y: Uint8Array;
  /** Any code per card; rows of one card stand or fall together. */
  readonly card: Int32Array;
  /** Weight per row (1 / propensity of a let-through row); ones when absent. */
  readonly weights?: Float64Array;
  /** For metrics of decisions. */
  readonly alerts?: Alerts;
  /** For metrics of money. */
  readonly amount?: Float64Array;
  /** Days since 1970 UTC. Where they are given, rows of one day count as dependent too; metrics of days need them. */
  readonly day?: Int32Array;
}

/** Which rows each model alerts on (reviews or blocks): 0 or 1 per row. */
export interface Alerts {
  readonly a: Uint8Array;
  readonly b: Uint8Array;
}

export interface PairedInterval {
  readonly metric: string;
  readonly better: "higher" | "lower";
  readonly observedA: number;
  readonly observedB: number;
  /** B − A, with the percentile interval [low, high] at `level`, which holds at one look. */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  readonly level: number;
  /** The interval that holds at all looks together, however many. */
  readonly anytimeLow: number;
  readonly anytimeHigh: number;
  readonly standardError: number;
  /** Share of resamples on which B is the better one, ties counted half. */
  readonly probabilityBetter: number;
  /** Resamples on which the metric was defined for both. */
  readonly resamples: number;
  readonly rows: number;
  readonly frauds: number;
  readonly cards: number;
  /** What the frauds are worth, weights considered: (Σw)² / Σw². Rows, where no row is a fraud. */
  readonly effective: number;
}

const { resamples: RESAMPLES } = defaultsOf(PROMOTION);
const { to: RESAMPLES_MAX } = rangesOf(PROMOTION).resamples;
/** Effective frauds at which {@link PairedInterval.anytimeLow} and its fellow are narrowest: where gates mostly decide. */
export const PLANNED_FRAUDS = 500;
/** With fewer days their spread is noise. */
const DAYS_MIN = 5;

interface PairedInput extends PairedRows {
  /** Scores of both models on the rows. */
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly resamples?: number;
  readonly seed: number;
  readonly level?: number;
}

/**
 * Paired cluster bootstrap: each resample draws as many cards as there are, with replacement, and evaluates both models on
 * it, so that what the two share cancels out. Rows of one card are dependent (one stolen card, many frauds), which
 * makes an interval from resampled rows too narrow. Percentile interval (Efron & Tibshirani 1993, ch. 13), expanded for few groups
 * ({@link expandedTail}): of cards, or of days where they are fewer and count (Cameron, Gelbach & Miller 2011, section 4). The
 * bias-corrected one (BCa) is left out: its acceleration needs a jackknife over cards for a small gain here.
 *
 * The standard error, and with it the interval for many looks, comes from the metrics' influence where they have one: exact where the
 * bootstrap draws, and the same for every seed. With `day`, rows of one day are dependent too (one campaign, many cards): the variance is
 * that of cards plus that of days less that of both together (Cameron, Gelbach & Miller 2011), never below that of cards, and the
 * percentile interval widens in proportion.
 * Everything is NaN where the metric is undefined on the rows themselves. Throws `evidence.input-invalid`.
 */
export function pairedBootstrap(input: PairedInput & { readonly metric: Metric }): PairedInterval {
  return pairedBootstraps({ ...input, metrics: [input.metric] })[0];
}

/** The same for several metrics on the same resamples, in the order given. */
export function pairedBootstraps(
  input: PairedInput & { readonly metrics: readonly Metric[] },
): readonly PairedInterval[] {
  const { a, b, metrics, resamples = RESAMPLES, level = 0.95 } = input;
  checkInput(input, resamples, level);
  const cards = clustersOf(input.card);
  const rows = { y: input.y, weights: input.weights, amounts: input.amount, days: input.day, cards: input.card };
  const sides: Sides = {
    a: sideOf(rows, a, input.alerts?.a),
    b: sideOf(rows, b, input.alerts?.b),
  };
  const byCard = differencesOf(sides, { metrics, resamples, seed: input.seed, clusters: cards });
  const groups = { cards, shared: input.day === undefined ? null : daysOf(cards, input.day) };
  const { frauds, effective } = countsOf(input);
  const counts = { level, rows: input.y.length, frauds, cards: cards.count, effective };
  return metrics.map((metric, at) => {
    // Not a draw of every card once: summed card by card, the last bit would differ from what `train` prints.
    const [observedA, observedB] = [measure(metric, sides.a), measure(metric, sides.b)];
    const difference = observedB - observedA;
    return {
      metric: metric.name,
      better: metric.better,
      observedA,
      observedB,
      difference,
      ...spread(byCard[at], {
        level,
        better: metric.better,
        difference,
        errors: errorsOf(metric, sides, groups),
        groups: Math.min(cards.count, groups.shared?.days.count ?? cards.count),
        effective,
      }),
      ...counts,
    };
  });
}

interface Sides {
  readonly a: ScoredRows;
  readonly b: ScoredRows;
}

/** Sorted once for all metrics, and only if one of them ranks. */
function sideOf(
  rows: Omit<ScoredRows, "scores" | "alerts" | "order">,
  scores: Float64Array,
  alerts: Uint8Array | undefined,
): ScoredRows {
  let order: Int32Array | null = null;
  return {
    ...rows,
    scores,
    alerts,
    get order() {
      order ??= descending(scores);
      return order;
    },
  };
}

/** By metric, the differences on resampled clusters; NaN where a metric was undefined. */
function differencesOf(
  sides: Sides,
  given: {
    readonly metrics: readonly Metric[];
    readonly resamples: number;
    readonly seed: number;
    readonly clusters: Clusters;
  },
): Float64Array[] {
  const { clusters, resamples } = given;
  const prepared = given.metrics.map((metric) => ({
    evaluateA: metric.prepare(sides.a, clusters),
    evaluateB: metric.prepare(sides.b, clusters),
    differences: new Float64Array(resamples),
  }));
  const drawn = new Float64Array(clusters.count);
  const random = new Random(given.seed);
  for (let i = 0; i < resamples; i++) {
    drawClusters(drawn, random);
    for (const { evaluateA, evaluateB, differences } of prepared) differences[i] = evaluateB(drawn) - evaluateA(drawn);
  }
  return prepared.map(({ differences }) => differences);
}

interface Groups {
  readonly cards: Clusters;
  /** What rows of different cards have in common; null where nothing is known of it. */
  readonly shared: { readonly days: Clusters; readonly cells: Clusters } | null;
}

/** Null where the days are too few to tell how they differ. */
function daysOf(cards: Clusters, day: Int32Array): Groups["shared"] {
  const days = clustersOf(day);
  return days.count < DAYS_MIN ? null : { days, cells: clustersOf(cellsOf(cards, days)) };
}

/** Standard errors of a metric's difference: over cards alone, and over cards and days. Null where the metric has no influence. */
interface Errors {
  readonly cards: number;
  readonly both: number;
}

function errorsOf(metric: Metric, sides: Sides, { cards, shared }: Groups): Errors | null {
  const [ofA, ofB] = [metric.influence?.(sides.a), metric.influence?.(sides.b)];
  if (ofA === undefined || ofB === undefined) return null;
  const difference = ofB.map((value, row) => value - ofA[row]);
  const ofCards = varianceOver(difference, cards);
  if (shared === null) return { cards: Math.sqrt(ofCards), both: Math.sqrt(ofCards) };
  const ofBoth = ofCards + varianceOver(difference, shared.days) - varianceOver(difference, shared.cells);
  return { cards: Math.sqrt(ofCards), both: Math.sqrt(Math.max(ofCards, ofBoth)) };
}

/** Of a sum of independent groups; the factor makes up for groups that are few. */
function varianceOver(influence: Float64Array, { of, count }: Clusters): number {
  const sums = new Float64Array(count);
  for (let row = 0; row < influence.length; row++) sums[of[row]] += influence[row];
  return sums.reduce((sum, value) => sum + value * value, 0) * (count > 1 ? count / (count - 1) : Number.NaN);
}

function defined(differences: Float64Array): Float64Array {
  return differences.filter((difference) => !Number.isNaN(difference));
}

/** Intervals and spread of the resampled differences; those where the metric was undefined are left out. */
function spread(
  differences: Float64Array,
  of: {
    readonly level: number;
    readonly better: "higher" | "lower";
    readonly difference: number;
    readonly errors: Errors | null;
    /** What is independent of each other: the fewest of what the rows were grouped by. */
    readonly groups: number;
    readonly effective: number;
  },
): Pick<
  PairedInterval,
  "low" | "high" | "anytimeLow" | "anytimeHigh" | "standardError" | "probabilityBetter" | "resamples"
> {
  const { level, difference, errors, effective } = of;
  const sorted = defined(differences).sort();
  const standardError = sorted.length === 0 ? Number.NaN : (errors?.both ?? standardDeviation(sorted));
  const width = errors !== null && errors.cards > 0 ? errors.both / errors.cards : 1;
  const wide = (end: number): number => (width === 1 ? end : difference + width * (end - difference));
  const tail = expandedTail((1 - level) / 2, of.groups);
  const reach = sequenceFactor({ count: effective, planned: PLANNED_FRAUDS }, level) * standardError;
  return {
    low: wide(resampledQuantile(sorted, tail)),
    high: wide(resampledQuantile(sorted, 1 - tail)),
    anytimeLow: difference - reach,
    anytimeHigh: difference + reach,
    standardError,
    probabilityBetter: shareBetter(sorted, of.better),
    resamples: sorted.length,
  };
}

/**
 * The resample with number (R + 1) q of R, ascending (Davison & Hinkley 1997, section 2.4), between two of them in proportion: below it the next
 * resample, and so the truth, lies with probability q. The customary quantile of a sample, which has its ends at 0 and 1, cuts 3.4 % instead of 2.5 % off each side
 * of a hundred resamples. NaN without resamples.
 */
function resampledQuantile(sorted: Float64Array, q: number): number {
  const count = sorted.length;
  if (count === 0) return Number.NaN;
  const position = Math.min(Math.max((count + 1) * q - 1, 0), count - 1);
  const below = Math.floor(position);
  const above = Math.min(below + 1, count - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below);
}

/** Kish's effective number: what weighted frauds are worth in frauds of equal weight; of rows where no row is a fraud. */
function countsOf({ y, weights }: PairedRows): { readonly frauds: number; readonly effective: number } {
  let frauds = 0;
  for (const label of y) frauds += label;
  const counted = frauds > 0 ? 1 : 0;
  let sum = 0;
  let squares = 0;
  for (let row = 0; row < y.length; row++) {
    const weight = y[row] === counted ? (weights?.[row] ?? 1) : 0;
    sum += weight;
    squares += weight * weight;
  }
  return { frauds, effective: squares > 0 ? (sum * sum) / squares : 0 };
}

/** Codes become 0 … clusters − 1, so that only clusters that occur can be drawn. */
function clustersOf(codes: Int32Array | Float64Array): Clusters {
  const numbers = new Codes<number>();
  let count = 0;
  const of = new Int32Array(codes.length);
  for (let row = 0; row < codes.length; row++) {
    let number = numbers.get(codes[row]);
    if (number === undefined) {
      number = count++;
      numbers.set(codes[row], number);
    }
    of[row] = number;
  }
  return { of, count };
}

/** One code per card and day. */
function cellsOf(cards: Clusters, days: Clusters): Float64Array {
  return Float64Array.from(cards.of, (card, row) => card * days.count + days.of[row]);
}

function drawClusters(drawn: Float64Array, random: Random): void {
  const cards = drawn.length;
  drawn.fill(0);
  // Scaling 32 bits instead of rejecting: the bias is below cards / 2³² and the loop runs millions of times.
  const scale = cards / 4294967296;
  for (let i = 0; i < cards; i++) drawn[(random.bits() * scale) | 0]++;
}

function shareBetter(differences: Float64Array, better: "higher" | "lower"): number {
  let wins = 0;
  for (const difference of differences) {
    if (difference === 0) wins += 0.5;
    else if (difference > 0 === (better === "higher")) wins++;
  }
  return wins / differences.length;
}

function checkInput(
  input: PairedRows & { readonly a: Float64Array; readonly b: Float64Array },
  resamples: number,
  level: number,
): void {
  const rows = input.y.length;
  const lengths = {
    a: input.a,
    b: input.b,
    card: input.card,
    weights: input.weights ?? input.y,
    "alerts of a": input.alerts?.a ?? input.y,
    "alerts of b": input.alerts?.b ?? input.y,
    amount: input.amount ?? input.y,
    day: input.day ?? input.y,
  };
  for (const [name, values] of Object.entries(lengths)) {
    if (values.length !== rows) invalid(`${name} has ${values.length} rows, y has ${rows}`);
  }
  for (const [name, values] of Object.entries({ a: input.a, b: input.b, weights: input.weights ?? input.a })) {
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) invalid(`${name} is ${values[bad]} in row ${bad}`);
  }
  const negative = input.weights?.findIndex((weight) => weight < 0) ?? -1;
  if (negative >= 0) invalid(`the weight in row ${negative} is negative`);
  const label = input.y.findIndex((value) => value > 1);
  if (label >= 0) invalid(`the label in row ${label} is ${input.y[label]}, neither 0 nor 1`);
  if (!(Number.isInteger(resamples) && resamples > 1 && resamples <= RESAMPLES_MAX)) {
    invalid(`resamples is ${resamples}, not a whole number from 2 to ${RESAMPLES_MAX}`);
  }
  if (!(level > 0 && level < 1)) invalid(`level is ${level}, not between 0 and 1`);
}

function invalid(what: string): never {
  throw new SentinelError("evidence.input-invalid", `cannot compare two models: ${what}`, {
    hint: "give both models' finite scores, the labels and the cards of the same rows",
  });
}
