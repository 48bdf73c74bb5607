// The Handbook's protocol: weekly folds cut by day, known compromised cards left out, three metrics.
import { DAY_MS } from "../src/core/duration.ts";
import { SentinelError } from "../src/core/errors.ts";
import { mean, spanOf } from "../src/core/stats.ts";
import { cardPrecisionAtK } from "../src/metrics/cards.ts";
import { averagePrecision, rocAuc } from "../src/metrics/metrics.ts";

const TRAIN_DAYS = 7;
const DELAY_DAYS = 7;
const TEST_DAYS = 7;
/** Days from a fold to the next. */
const STEP_DAYS = 7;
/** From a fold's first training day, so many days are needed. */
export const FOLD_DAYS = TRAIN_DAYS + DELAY_DAYS + TEST_DAYS;
/** Cards looked at each day. */
const CARDS_K = 100;

/** What the protocol looks at, one entry a row. */
export interface Labelled {
  /** Days since 1970 UTC. */
  readonly day: Int32Array;
  /** A code a card. */
  readonly card: Int32Array;
  readonly y: Uint8Array;
}

export interface Fold {
  /** First training day, days since 1970 UTC. */
  readonly start: number;
  /** Row numbers, ascending. */
  readonly train: Int32Array;
  readonly test: Int32Array;
}

/** AUC ROC, average precision, Card Precision@100. */
export interface Quality {
  readonly auc: number;
  readonly ap: number;
  readonly cp100: number;
}

/**
 * One fold, as `get_train_test_set` of the Fraud Detection Handbook cuts it (Le Borgne et al. 2022, ch. 5): train 7 days, skip 7,
 * test 7. A card with a fraud in the training days is known and left out of the test; each test day adds the cards with
 * a fraud 8 days before, whose label has just arrived.
 */
export function cutFold(data: Labelled, start: number): Fold {
  const testFrom = start + TRAIN_DAYS + DELAY_DAYS;
  const train = rowsOfDays(data, start, start + TRAIN_DAYS);
  const known = new Set<number>();
  for (const row of train) if (data.y[row] === 1) known.add(data.card[row]);
  const test: number[] = [];
  for (let day = testFrom; day < testFrom + TEST_DAYS; day++) {
    for (const row of rowsOfDays(data, day - DELAY_DAYS - 1, day - DELAY_DAYS)) {
      if (data.y[row] === 1) known.add(data.card[row]);
    }
    for (const row of rowsOfDays(data, day, day + 1)) if (!known.has(data.card[row])) test.push(row);
  }
  return { start, train, test: Int32Array.from(test) };
}

/** First training days of the test folds and, wholly before them, of the folds that parameters are chosen on; oldest first. */
export interface FoldStarts {
  readonly validation: readonly number[];
  readonly test: readonly number[];
}

/** The Handbook's last training week on its own calendar begins here. */
const HANDBOOK_LAST_START = Date.UTC(2018, 7, 15) / DAY_MS;

/**
 * Where the folds begin: on the Handbook's days where the data covers them, else as late as the data allows. The last validation fold begins
 * a delay and a test week before the first test fold, so that its labels are known on the first day that is tested.
 * Errors: lifecycle.not-enough-data.
 */
export function foldStarts(
  day: Int32Array,
  counts: { readonly validation: number; readonly test: number },
): FoldStarts {
  const { first, last } = spanOf(day);
  const oldestOf = (start: number): number =>
    start - STEP_DAYS * (counts.test - 1) - (DELAY_DAYS + TEST_DAYS) - STEP_DAYS * (counts.validation - 1);
  const handbook = last >= HANDBOOK_LAST_START + FOLD_DAYS - 1 && first <= oldestOf(HANDBOOK_LAST_START);
  const lastStart = handbook ? HANDBOOK_LAST_START : last - FOLD_DAYS + 1;
  if (oldestOf(lastStart) < first) {
    const needed = lastStart - oldestOf(lastStart) + FOLD_DAYS;
    throw new SentinelError("lifecycle.not-enough-data", `the data spans ${last - first + 1} days`, {
      hint: `the protocol needs ${needed} days, and windows want 37 more before them`,
    });
  }
  const series = (count: number, end: number): number[] =>
    Array.from({ length: count }, (_, i) => end - STEP_DAYS * (count - 1 - i));
  const test = series(counts.test, lastStart);
  return { test, validation: series(counts.validation, test[0] - DELAY_DAYS - TEST_DAYS) };
}

/** The three metrics of one fold's test rows, `scores` in their order. */
export function qualityOf(data: Labelled, rows: Int32Array, scores: Float64Array): Quality {
  const y = Uint8Array.from(rows, (row) => data.y[row]);
  const card = rows.map((row) => data.card[row]);
  const day = rows.map((row) => data.day[row]);
  return {
    auc: rocAuc(scores, y),
    ap: averagePrecision(scores, y),
    cp100: cardPrecisionAtK({ scores, y, card, day, k: CARDS_K }),
  };
}

export function meanQuality(all: readonly Quality[]): Quality {
  const meanOf = (of: (one: Quality) => number): number => mean(all.map(of));
  return { auc: meanOf((one) => one.auc), ap: meanOf((one) => one.ap), cp100: meanOf((one) => one.cp100) };
}

/** "2018-08-15" of a day's number. */
export function dayText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

function rowsOfDays({ day }: Labelled, from: number, to: number): Int32Array {
  const rows: number[] = [];
  for (let r = 0; r < day.length; r++) if (day[r] >= from && day[r] < to) rows.push(r);
  return Int32Array.from(rows);
}

/**
 * The place of the simplest choice that no fold can tell from the best one: whose mean score falls short of the best mean by at most
 * one standard error of the differences fold by fold (the rule of Breiman, Friedman, Olshen & Stone 1984, section 3.4.3, paired). A
 * few folds do not order choices that close, and then the smaller model is the safer one. Equally simple ones: the better.
 */
export function simplestWithinError(
  choices: readonly { readonly scores: readonly number[]; readonly size: number }[],
): number {
  const best = choices.reduce((a, b) => (mean(b.scores) > mean(a.scores) ? b : a));
  let chosen = choices.indexOf(best);
  choices.forEach((choice, place) => {
    const gaps = choice.scores.map((score, fold) => best.scores[fold] - score);
    if (mean(gaps) > standardError(gaps)) return;
    const { size, scores } = choices[chosen];
    if (choice.size < size || (choice.size === size && mean(choice.scores) > mean(scores))) chosen = place;
  });
  return chosen;
}

function standardError(values: readonly number[]): number {
  const center = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1);
  return Math.sqrt(variance / values.length);
}
