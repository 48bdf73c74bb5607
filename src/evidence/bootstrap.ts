// Is B better than A on the same rows? The paired bootstrap that resamples cards, with its interval.

import { Codes } from "../core/codes.ts";
import { SentinelError } from "../core/errors.ts";
import { Random } from "../core/random.ts";
import { quantileSorted, standardDeviation } from "../core/stats.ts";
import { type Clusters, type Metric, measure, type ScoredRows } from "../metrics/metric.ts";
import { PROMOTION } from "../pipeline/gates.ts";
import { defaultsOf, rangesOf } from "../pipeline/section.ts";

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
  /** B − A, with the percentile interval [low, high] at `level`. */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  readonly level: number;
  readonly standardError: number;
  /** Share of resamples on which B is the better one, ties counted half. */
  readonly probabilityBetter: number;
  /** Resamples on which the metric was defined for both. */
  readonly resamples: number;
  readonly rows: number;
  readonly frauds: number;
  readonly cards: number;
}

const { resamples: RESAMPLES } = defaultsOf(PROMOTION);
const { to: RESAMPLES_MAX } = rangesOf(PROMOTION).resamples;

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
 * makes an interval from resampled rows too narrow. Percentile interval (Efron & Tibshirani 1993, ch. 13); the
 * bias-corrected one (BCa) is left out: its acceleration needs a jackknife over cards for a small gain here.
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
  const cards = cardsOf(input.card);
  const rows = { y: input.y, weights: input.weights, amounts: input.amount };
  const rowsA: ScoredRows = { ...rows, scores: a, alerts: input.alerts?.a };
  const rowsB: ScoredRows = { ...rows, scores: b, alerts: input.alerts?.b };
  const prepared = metrics.map((metric) => ({
    metric,
    // Not a draw of every card once: summed card by card, the last bit would differ from what `train` prints.
    observed: { a: measure(metric, rowsA), b: measure(metric, rowsB) },
    evaluateA: metric.prepare(rowsA, cards),
    evaluateB: metric.prepare(rowsB, cards),
    differences: new Float64Array(resamples),
  }));
  const drawn = new Float64Array(cards.count);
  const random = new Random(input.seed);
  for (let i = 0; i < resamples; i++) {
    drawCards(drawn, random);
    for (const { evaluateA, evaluateB, differences } of prepared) differences[i] = evaluateB(drawn) - evaluateA(drawn);
  }
  let frauds = 0;
  for (const label of input.y) frauds += label;
  const counts = { level, rows: input.y.length, frauds, cards: cards.count };
  return prepared.map(({ metric, observed, differences }) => ({
    metric: metric.name,
    better: metric.better,
    observedA: observed.a,
    observedB: observed.b,
    difference: observed.b - observed.a,
    ...spread(differences, { level, better: metric.better }),
    ...counts,
  }));
}

/** Interval and spread of the resampled differences; those where the metric was undefined are left out. */
function spread(
  differences: Float64Array,
  of: { readonly level: number; readonly better: "higher" | "lower" },
): Pick<PairedInterval, "low" | "high" | "standardError" | "probabilityBetter" | "resamples"> {
  const sorted = differences.filter((difference) => !Number.isNaN(difference)).sort();
  return {
    low: quantileSorted(sorted, (1 - of.level) / 2),
    high: quantileSorted(sorted, (1 + of.level) / 2),
    standardError: standardDeviation(sorted),
    probabilityBetter: shareBetter(sorted, of.better),
    resamples: sorted.length,
  };
}

/** Codes become 0 … cards − 1, so that only cards that occur can be drawn. */
function cardsOf(card: Int32Array): Clusters {
  const codes = new Codes<number>();
  let count = 0;
  const of = new Int32Array(card.length);
  for (let row = 0; row < card.length; row++) {
    let code = codes.get(card[row]);
    if (code === undefined) {
      code = count++;
      codes.set(card[row], code);
    }
    of[row] = code;
  }
  return { of, count };
}

function drawCards(drawn: Float64Array, random: Random): void {
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
