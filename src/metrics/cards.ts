// Card Precision@k: how many of the cards that a team looks at each day are compromised.
import { assert } from "../core/errors.ts";
import { type Clusters, type Metric, type ScoredRows, type Scores, weightsOf } from "./metric.ts";
import { descending } from "./ranking.ts";

/**
 * Card Precision@k of the Fraud Detection Handbook (Le Borgne et al. 2022, ch. 4): each day, in order, the k cards with
 * the highest transaction score are looked at; a card is compromised when one of its transactions that day is a fraud, and
 * once found it is left out of the later days. The mean over days of compromised cards found / k. Ties go to the smaller
 * card code. A card is looked at once however often its rows count, so that weights only tell which rows are there: those
 * over 0. NaN without days.
 */
export function cardPrecisionAtK(input: {
  readonly scores: Scores;
  readonly y: Uint8Array;
  readonly card: Int32Array;
  readonly day: Int32Array;
  readonly k: number;
  readonly weights?: Float64Array;
}): number {
  const rowsOfDay = new Map<number, number[]>();
  for (let r = 0; r < input.scores.length; r++) {
    if (input.weights?.[r] === 0) continue;
    const rows = rowsOfDay.get(input.day[r]);
    if (rows === undefined) rowsOfDay.set(input.day[r], [r]);
    else rows.push(r);
  }
  const found = new Set<number>();
  let sum = 0;
  for (const day of [...rowsOfDay.keys()].sort((a, b) => a - b)) {
    const hits = topCards(input, { rows: rowsOfDay.get(day)!, leftOut: found });
    sum += hits.length / input.k;
    for (const card of hits) found.add(card);
  }
  return sum / rowsOfDay.size;
}

/** The compromised among one day's top k cards. */
function topCards(
  input: Parameters<typeof cardPrecisionAtK>[0],
  day: { readonly rows: readonly number[]; readonly leftOut: ReadonlySet<number> },
): number[] {
  const cards = new Map<number, { score: number; fraud: boolean }>();
  for (const r of day.rows) {
    if (day.leftOut.has(input.card[r])) continue;
    const seen = cards.get(input.card[r]) ?? { score: Number.NEGATIVE_INFINITY, fraud: false };
    cards.set(input.card[r], {
      score: Math.max(seen.score, input.scores[r]),
      fraud: seen.fraud || input.y[r] === 1,
    });
  }
  const codes = Int32Array.from(cards.keys()).sort();
  const order = descending(Float64Array.from(codes, (code) => cards.get(code)!.score));
  return Array.from(order.subarray(0, input.k), (at) => codes[at]).filter((code) => cards.get(code)!.fraud);
}

/** The last part of a day's list, whose hits stand for those of the cards just beyond it. */
const MARGIN_SHARE = 0.25;

/**
 * {@link cardPrecisionAtK} as a metric for draws. A card's weight is that of its highest row of the day, and the list takes weight up to
 * `k`. Drawing does not order a day's list anew: where the listed cards were drawn more or less often than the rest, the list is cut, or
 * filled, with cards that are hit as often as those at its end. That is the metric's linear part, exact for the rows as they are.
 */
export function cardPrecision(k: number): Metric {
  return {
    name: `card precision at ${Number(k.toPrecision(3))} a day`,
    better: "higher",
    prepare(rows, clusters) {
      const listed = listedCards(rows, k);
      const marginal = ratio(listed.marginal.hits, listed.marginal.weight);
      const weights = weightsOf(rows);
      const hits = new Float64Array(clusters.count);
      const onList = new Float64Array(clusters.count);
      for (const { row, weight, hit } of listed.cards) {
        onList[clusters.of[row]] += weight;
        if (hit) hits[clusters.of[row]] += weight;
      }
      const all = sumsBy(clusters, weights);
      const whole = weights.reduce((sum, weight) => sum + weight, 0);
      const room = listed.cards.reduce((sum, { weight }) => sum + weight, 0);
      return (drawn) => {
        const size = dot(all, drawn) / whole;
        const value = (dot(hits, drawn) + marginal * (room * size - dot(onList, drawn))) / (k * listed.days * size);
        return Number.isFinite(value) ? value : Number.NaN;
      };
    },
    influence(rows) {
      const listed = listedCards(rows, k);
      const marginal = ratio(listed.marginal.hits, listed.marginal.weight);
      const weights = weightsOf(rows);
      const whole = weights.reduce((sum, weight) => sum + weight, 0);
      const room = listed.cards.reduce((sum, { weight }) => sum + weight, 0);
      const found = listed.cards.reduce((sum, { weight, hit }) => sum + (hit ? weight : 0), 0);
      const places = k * listed.days;
      // What a row more anywhere does: the lists of all days become that much shorter a part of the whole.
      const size = (marginal * room - found) / places / whole;
      const influence = weights.map((weight) => weight * size);
      for (const { row, weight, hit } of listed.cards) influence[row] += (weight * ((hit ? 1 : 0) - marginal)) / places;
      return influence;
    },
  };
}

interface Listed {
  readonly days: number;
  /** The row that stands for the card, the part of its weight that the list has room for, and whether the card is compromised. */
  readonly cards: readonly { readonly row: number; readonly weight: number; readonly hit: boolean }[];
  /** At the ends of the lists. */
  readonly marginal: { readonly hits: number; readonly weight: number };
}

/** Day by day the cards with the highest score, found ones left out from then on. */
function listedCards(rows: ScoredRows, k: number): Listed {
  const { scores, y, days, cards } = rows;
  assert(days !== undefined && cards !== undefined, "a metric of cards per day has the rows' cards and days");
  const weights = weightsOf(rows);
  const { order = descending(scores) } = rows;
  const byDay = new Map<number, Map<number, { row: number; hit: boolean }>>();
  for (const row of order) {
    if (weights[row] === 0) continue;
    const ofDay = byDay.get(days[row]) ?? new Map<number, { row: number; hit: boolean }>();
    byDay.set(days[row], ofDay);
    const known = ofDay.get(cards[row]);
    // Rows come by falling score: the first of a card is its highest.
    if (known === undefined) ofDay.set(cards[row], { row, hit: y[row] === 1 });
    else if (y[row] === 1) known.hit = true;
  }
  const found = new Set<number>();
  const listed: Listed["cards"][number][] = [];
  const marginal = { hits: 0, weight: 0 };
  for (const [, ofDay] of [...byDay].sort(([a], [b]) => a - b)) {
    const hits: number[] = [];
    let sum = 0;
    for (const [card, { row, hit }] of ofDay) {
      if (sum >= k) break;
      if (found.has(card)) continue;
      const weight = Math.min(weights[row], k - sum);
      sum += weight;
      listed.push({ row, weight, hit });
      if (hit) hits.push(card);
      if (sum > (1 - MARGIN_SHARE) * k) {
        marginal.weight += weight;
        if (hit) marginal.hits += weight;
      }
    }
    for (const card of hits) found.add(card);
  }
  return { days: byDay.size, cards: listed, marginal };
}

function sumsBy(clusters: Clusters, weights: Float64Array): Float64Array {
  const sums = new Float64Array(clusters.count);
  for (let row = 0; row < weights.length; row++) sums[clusters.of[row]] += weights[row];
  return sums;
}

function dot(values: Float64Array, drawn: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < drawn.length; i++) sum += values[i] * drawn[i];
  return sum;
}

function ratio(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}
