// Metrics under resampling weights: equal to scikit-learn's with sample_weight, and to their own definition.
import fc from "fast-check";
import { expect, test } from "vitest";
import { clustered, type PairedMetric, pairedBootstrap } from "../../src/evidence/bootstrap.ts";
import { averagePrecision, recallAtFpr, recallAtReview } from "../../src/evidence/metrics-rank.ts";
import { alertRate, alertsAt, brier, f1, precision, recall, savings } from "../../src/evidence/metrics-sum.ts";
import { answers } from "../reference/answers.ts";

/** A metric of one model: every row its own card, drawn `weight` times. */
function evaluate(
  metric: PairedMetric,
  rows: { readonly y: ArrayLike<number>; readonly score: ArrayLike<number>; readonly weight: ArrayLike<number> },
): number {
  const card = Int32Array.from(rows.y, (_, row) => row);
  const prepared = metric.prepare(clustered({ y: Uint8Array.from(rows.y), card }), Float64Array.from(rows.score), "a");
  return prepared(Float64Array.from(rows.weight));
}

test.each(answers.ranking.map((answer, i) => [i, answer] as const))("scikit-learn's answers, case %i", (_, answer) => {
  expect(evaluate(averagePrecision(), answer)).toBeCloseTo(answer.average_precision, 12);
  const alerted = alertsAt(Float64Array.from(answer.score), answer.threshold);
  const alerts = { a: alerted, b: alerted };
  expect(evaluate(precision(alerts), answer)).toBeCloseTo(answer.precision, 12);
  expect(evaluate(f1(alerts), answer)).toBeCloseTo(answer.f1, 12);
  expect(evaluate(brier(), answer)).toBeCloseTo(answer.brier, 12);
  // The ROC curve at its own corners and between them.
  for (let i = 1; i < answer.fpr.length; i++) {
    const [x0, x1] = [answer.fpr[i - 1], answer.fpr[i]];
    if (x1 - x0 < 1e-9) continue;
    const middle = (answer.tpr[i - 1] + answer.tpr[i]) / 2;
    expect(evaluate(recallAtFpr((x0 + x1) / 2), answer)).toBeCloseTo(middle, 9);
  }
});

test("row weights and card draws multiply", () => {
  const { y, score, weight } = answers.ranking[1];
  const rows = { y: Uint8Array.from(y), card: Int32Array.from(y, (_, row) => row) };
  const scores = Float64Array.from(score);
  const half = Float64Array.from(weight, (value) => value / 2);
  const byRow = averagePrecision().prepare(clustered({ ...rows, weights: half }), scores, "a");
  expect(byRow(new Float64Array(y.length).fill(2))).toBeCloseTo(answers.ranking[1].average_precision, 12);
});

const labelledRows = fc
  .array(fc.record({ y: fc.nat(1), score: fc.integer({ min: 0, max: 8 }), weight: fc.nat(3) }), {
    minLength: 2,
    maxLength: 40,
  })
  .map((rows) => ({
    y: rows.map((row) => row.y),
    score: rows.map((row) => row.score / 8),
    weight: rows.map((row) => row.weight),
  }));

test("drawing a row k times is the same as having it k times", () => {
  const metrics = [averagePrecision(), recallAtFpr(0.2), recallAtReview(0.3), brier()];
  fc.assert(
    fc.property(labelledRows, (rows) => {
      const index = rows.weight.flatMap((weight, row) => new Array<number>(weight).fill(row));
      fc.pre(index.length > 0);
      const repeated = {
        y: index.map((row) => rows.y[row]),
        score: index.map((row) => rows.score[row]),
        weight: index.map(() => 1),
      };
      for (const metric of metrics) {
        const [weighted, plain] = [evaluate(metric, rows), evaluate(metric, repeated)];
        expect(Number.isNaN(weighted)).toBe(Number.isNaN(plain));
        if (!Number.isNaN(plain)) expect(weighted).toBeCloseTo(plain, 10);
      }
    }),
  );
});

test("a ranking metric does not change under a rising transformation of the scores", () => {
  const metrics = [averagePrecision(), recallAtFpr(0.2), recallAtReview(0.3)];
  fc.assert(
    fc.property(labelledRows, (rows) => {
      const moved = { ...rows, score: rows.score.map((score) => Math.exp(3 * score) - 7) };
      for (const metric of metrics) expect(evaluate(metric, moved)).toBe(evaluate(metric, rows));
    }),
  );
});

test("recall at a review budget by hand, ties shared out", () => {
  const rows = { y: [1, 0, 1, 0, 0], score: [0.9, 0.8, 0.5, 0.5, 0.1], weight: [1, 1, 1, 1, 1] };
  expect(evaluate(recallAtReview(0.2), rows)).toBe(0.5);
  expect(evaluate(recallAtReview(0.4), rows)).toBe(0.5);
  // The third place goes to one of two tied rows, one of them fraud.
  expect(evaluate(recallAtReview(0.6), rows)).toBeCloseTo(0.75, 12);
  expect(evaluate(recallAtReview(1), rows)).toBe(1);
});

test("savings by hand: against approving all and alerting on all", () => {
  const alerts = { a: Uint8Array.of(1, 0, 1, 0), b: Uint8Array.of(0, 0, 0, 0) };
  const rows = { y: Uint8Array.of(1, 1, 0, 0), card: Int32Array.of(0, 1, 2, 3) };
  const metric = savings(alerts, { amounts: Float64Array.of(100, 30, 50, Number.NaN), reviewCost: 5 });
  const scores = new Float64Array(4);
  const once = new Float64Array(4).fill(1);
  // Alerts cost 2 × 5, the missed fraud 30; alerting on all costs 20, approving all 130.
  expect(metric.prepare(clustered(rows), scores, "a")(once)).toBeCloseTo(1 - 40 / 20, 12);
  expect(metric.prepare(clustered(rows), scores, "b")(once)).toBeCloseTo(1 - 130 / 20, 12);
});

test("undefined stays undefined: no fraud, no alert, nothing drawn", () => {
  const none = { y: [0, 0], score: [0.1, 0.2], weight: [1, 1] };
  const alerts = { a: Uint8Array.of(0, 0), b: Uint8Array.of(0, 0) };
  for (const metric of [
    averagePrecision(),
    recallAtFpr(0.1),
    recallAtReview(0.1),
    precision(alerts),
    recall(alerts),
    f1(alerts),
  ]) {
    expect(evaluate(metric, none)).toBeNaN();
  }
  expect(evaluate(alertRate(alerts), none)).toBe(0);
  expect(evaluate(averagePrecision(), { ...none, y: [1, 0], weight: [0, 0] })).toBeNaN();
});

test("a threshold compares as Float32, like a decision", () => {
  expect([...alertsAt(Float64Array.of(0.1, Math.fround(0.1), 0.09999999), 0.1)]).toEqual([1, 1, 0]);
});

test("input that cannot be compared is refused with what and where", () => {
  const good = {
    a: Float64Array.of(1, 2),
    b: Float64Array.of(1, 2),
    y: Uint8Array.of(0, 1),
    card: Int32Array.of(0, 1),
    metric: brier(),
    seed: 1,
  };
  const refused = (changes: object): string => {
    try {
      pairedBootstrap({ ...good, ...changes });
      return "accepted";
    } catch (error) {
      return `${(error as { code: string }).code}: ${(error as Error).message}`;
    }
  };
  expect(refused({ resamples: 10 })).toBe("accepted");
  expect(refused({ b: Float64Array.of(1) })).toMatch(/^evidence.input-invalid: .*b has 1 rows, y has 2/);
  expect(refused({ a: Float64Array.of(1, Number.NaN) })).toMatch(/a is NaN in row 1/);
  expect(refused({ weights: Float64Array.of(1, -1) })).toMatch(/weight in row 1 is negative/);
  expect(refused({ y: Uint8Array.of(0, 2) })).toMatch(/label in row 1 is 2/);
  expect(refused({ resamples: 1e9 })).toMatch(/resamples/);
  expect(refused({ level: 1 })).toMatch(/level/);
});
