// Folds, known compromised cards and metrics against the Handbook's own functions, whose answers are stored.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  cutFold,
  FOLD_DAYS,
  foldStarts,
  type Labelled,
  meanQuality,
  qualityOf,
  simplestWithinError,
} from "../../bench/protocol.ts";
import { SentinelError } from "../../src/core/errors.ts";

interface Answers {
  readonly day: readonly number[];
  readonly card: readonly number[];
  readonly y: readonly number[];
  readonly score: readonly number[];
  readonly folds: readonly {
    readonly start: number;
    /** Lowest and highest row, and how many. */
    readonly train: readonly [number, number, number];
    readonly test: readonly number[];
    readonly auc: number;
    readonly ap: number;
    readonly cp100: number;
  }[];
}

const answers = JSON.parse(readFileSync(new URL("data/handbook.json", import.meta.url), "utf8")) as Answers;
const data: Labelled = {
  day: Int32Array.from(answers.day),
  card: Int32Array.from(answers.card),
  y: Uint8Array.from(answers.y),
};

test.each(answers.folds)("the fold from day $start is cut as the Handbook cuts it", (wanted) => {
  const fold = cutFold(data, wanted.start);
  expect([fold.train[0], fold.train.at(-1), fold.train.length]).toEqual(wanted.train);
  expect([...fold.test]).toEqual(wanted.test);
  // The example would prove little if no card were known.
  const everyRow = answers.day.filter((day) => day >= wanted.start + 14 && day < wanted.start + 21).length;
  expect(wanted.test.length).toBeLessThan(everyRow);
});

test.each(answers.folds)("the fold from day $start has the Handbook's metrics", (wanted) => {
  const rows = Int32Array.from(wanted.test);
  const quality = qualityOf(
    data,
    rows,
    Float64Array.from(rows, (row) => answers.score[row]),
  );
  expect(quality.auc).toBeCloseTo(wanted.auc, 12);
  expect(quality.ap).toBeCloseTo(wanted.ap, 12);
  expect(quality.cp100).toBeCloseTo(wanted.cp100, 12);
});

test("a card is left out of a test day from the moment its fraud of 8 days before is known", () => {
  // One card, one transaction a day from day 0; its only fraud is on the second day of the delay week.
  const day = Int32Array.from({ length: FOLD_DAYS }, (_, i) => i);
  const y = Uint8Array.from(day, (one) => (one === 8 ? 1 : 0));
  const fold = cutFold({ day, y, card: new Int32Array(FOLD_DAYS) }, 0);
  expect([...fold.test]).toEqual([14, 15]);
});

const days = (first: number, last: number): Int32Array =>
  Int32Array.from({ length: last - first + 1 }, (_, i) => first + i);
const dayOf = (text: string): number => Date.parse(`${text}T00:00:00Z`) / 86_400_000;

test("on the Handbook's calendar the last test fold trains from 2018-08-15, and choosing ends before testing begins", () => {
  const starts = foldStarts(days(dayOf("2018-04-01"), dayOf("2018-09-30")), { validation: 4, test: 4 });
  expect(starts.test).toEqual(["2018-07-25", "2018-08-01", "2018-08-08", "2018-08-15"].map(dayOf));
  expect(starts.validation).toEqual(["2018-06-20", "2018-06-27", "2018-07-04", "2018-07-11"].map(dayOf));
});

test("elsewhere the last fold ends on the last day, and every validation label is known on the first tested day", () => {
  const starts = foldStarts(days(20_000, 20_100), { validation: 3, test: 2 });
  expect(starts.test.at(-1)! + FOLD_DAYS - 1).toBe(20_100);
  const validationEnd = starts.validation.at(-1)! + FOLD_DAYS - 1;
  expect(validationEnd + 7).toBeLessThan(starts.test[0] + 14);
  expect(starts.validation).toHaveLength(3);
});

test("too few days are refused with the number needed", () => {
  const cut = () => foldStarts(days(0, 40), { validation: 1, test: 2 });
  expect(cut).toThrow(SentinelError);
  expect(() => foldStarts(days(0, 41), { validation: 1, test: 2 })).not.toThrow();
});

test("the mean of folds is taken metric by metric", () => {
  const mean = meanQuality([
    { auc: 0.5, ap: 0.2, cp100: 0.1 },
    { auc: 1, ap: 0.4, cp100: 0.3 },
  ]);
  expect(mean.auc).toBeCloseTo(0.75);
  expect(mean.ap).toBeCloseTo(0.3);
  expect(mean.cp100).toBeCloseTo(0.2);
});

test("of choices that the folds cannot tell from the best one the smallest is taken", () => {
  const best = { scores: [0.7, 0.6, 0.8, 0.7], size: 32 };
  // As good in the mean, now above and now below: within the error.
  const close = { scores: [0.71, 0.59, 0.81, 0.688], size: 16 };
  // Short of it in every fold by the same: a difference, however small.
  const worse = { scores: [0.699, 0.599, 0.799, 0.699], size: 1 };
  expect(simplestWithinError([best, close, worse])).toBe(1);
  expect(simplestWithinError([worse, { ...close, size: 64 }, best])).toBe(2);
  // Equally small: the better one, wherever it stands.
  expect(simplestWithinError([close, { ...best, size: 16 }])).toBe(1);
  expect(simplestWithinError([best])).toBe(0);
});
