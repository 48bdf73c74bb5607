// Simulated shadows for `bench -- evidence`: two models on sixty days of cards and campaigns, with labels that blocking hides.
import { DAY_MS } from "../src/core/duration.ts";
import { Random } from "../src/core/random.ts";
import type { PairColumns } from "../src/evidence/pairs.ts";

export interface World {
  readonly days: number;
  /** How much higher the candidate's scores of frauds lie than the champion's, in standard deviations of a genuine score. */
  readonly gain: number;
  /**
   * What blocking does: nothing to the labels; it hides them, but for a share that is let through by chance; or it hides them all. */
  readonly blocking: "seen" | "explored" | "hidden";
  /** Cards; more than a few hundred only where a long stretch stands for the truth. */
  readonly cards?: number;
}

export const ROWS_A_DAY = 50;
const CARDS = 300;
/** Mean share of frauds. It is high so that four hundred candidates can be simulated in minutes; only frauds and what outscores them count. */
const PREVALENCE = 0.1;
/** Correlation of the two models' scores within a row. */
const RHO = 0.97;
/** How far frauds lie above genuine transactions. */
const GAP = 2.2;
/** Standard deviation of what a card, or a day's campaign, adds to a model's scores: each model's own, so pairing does not cancel it. */
const CARD_EFFECT = 0.1;
const DAY_EFFECT = 0.1;
/** About one row in eight is alerted, and a quarter of them blocked. */
const REVIEW_FROM = 1.6;
const BLOCK_FROM = 2.6;
/** Let through by chance: small amounts more often. */
const PROPENSITY = { small: 0.5, large: 0.2, limit: 40 } as const;

const GENUINE = 0;
const UNLABELLED = 2;

/** Day by day; the same seed gives the same. */
export function simulate(seed: number, world: World): PairColumns {
  const random = new Random(seed);
  const { days, gain, blocking, cards = CARDS } = world;
  const rows = days * ROWS_A_DAY;
  const risk = Float64Array.from({ length: cards }, () => -Math.log(1 - random.next()));
  const shifts = { a: normals(random, cards), b: normals(random, cards) };
  const columns = {
    a: new Float64Array(rows),
    b: new Float64Array(rows),
    decisionA: new Uint8Array(rows),
    decisionB: new Uint8Array(rows),
    label: new Uint8Array(rows),
    labelKnownAt: new Float64Array(rows),
    blocked: new Uint8Array(rows),
    propensity: new Float64Array(rows).fill(Number.NaN),
    time: new Float64Array(rows),
    amount: new Float64Array(rows),
    card: new Int32Array(rows),
    latencyMsA: new Float64Array(rows).fill(1),
    latencyMsB: new Float64Array(rows).fill(1),
  };
  const campaign = { a: 0, b: 0 };
  for (let row = 0; row < rows; row++) {
    if (row % ROWS_A_DAY === 0) {
      campaign.a = random.normal() * DAY_EFFECT;
      campaign.b = random.normal() * DAY_EFFECT;
    }
    const card = random.integer(cards);
    const isFraud = random.next() < PREVALENCE * risk[card];
    const shared = Math.sqrt(RHO) * random.normal();
    const own = (): number => Math.sqrt(1 - RHO) * random.normal();
    const a = shared + own() + CARD_EFFECT * shifts.a[card] + (isFraud ? GAP + campaign.a : 0);
    const b = shared + own() + CARD_EFFECT * shifts.b[card] + (isFraud ? GAP + gain + campaign.b : 0);
    const amount = 100 * -Math.log(1 - random.next());
    columns.a[row] = probability(a);
    columns.b[row] = probability(b);
    columns.decisionA[row] = decision(a);
    columns.decisionB[row] = decision(b);
    columns.time[row] = (row / ROWS_A_DAY) * DAY_MS;
    columns.labelKnownAt[row] = columns.time[row];
    columns.amount[row] = amount;
    columns.card[row] = card;
    const draw = random.next();
    const hides = blocking !== "seen" && columns.decisionA[row] === 2;
    const chance = amount <= PROPENSITY.limit ? PROPENSITY.small : PROPENSITY.large;
    if (hides && blocking === "explored") columns.propensity[row] = chance;
    columns.blocked[row] = hides && !(blocking === "explored" && draw < chance) ? 1 : 0;
    columns.label[row] = columns.blocked[row] === 1 ? UNLABELLED : isFraud ? 1 : GENUINE;
  }
  return { ...columns, rows, cards, championVersions: ["1"], truncated: false, unusable: 0, learned: 0 };
}

/** The first rows of a shadow: what was there by the end of a day. */
export function until(pairs: PairColumns, day: number): PairColumns {
  const rows = day * ROWS_A_DAY;
  const part = <T extends { subarray(from: number, to: number): T }>(values: T): T => values.subarray(0, rows);
  return {
    ...pairs,
    rows,
    a: part(pairs.a),
    b: part(pairs.b),
    decisionA: part(pairs.decisionA),
    decisionB: part(pairs.decisionB),
    label: part(pairs.label),
    labelKnownAt: part(pairs.labelKnownAt),
    blocked: part(pairs.blocked),
    propensity: part(pairs.propensity),
    time: part(pairs.time),
    amount: part(pairs.amount),
    card: part(pairs.card),
    latencyMsA: part(pairs.latencyMsA),
    latencyMsB: part(pairs.latencyMsB),
  };
}

function normals(random: Random, count: number): Float64Array {
  return Float64Array.from({ length: count }, () => random.normal());
}

/** Near the true chance of fraud, so that calibration has something to say. */
function probability(score: number): number {
  return 1 / (1 + Math.exp(4.9 - 2.2 * score));
}

function decision(score: number): number {
  return score >= BLOCK_FROM ? 2 : score >= REVIEW_FROM ? 1 : 0;
}
