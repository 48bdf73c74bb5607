// Influence: what each row adds to a metric, against the metric's own change when the row's weight changes, and against the bootstrap.
import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { pairedBootstrap } from "../../src/evidence/bootstrap.ts";
import { cardPrecision } from "../../src/metrics/cards.ts";
import { type Metric, measure, type ScoredRows } from "../../src/metrics/metric.ts";
import { AVERAGE_PRECISION, recallWithinBudget, recallWithinFpr } from "../../src/metrics/ranked.ts";
import { ALERT_RATE, alertsAt, BRIER, F1, PRECISION, RECALL, savings } from "../../src/metrics/summed.ts";
import { simulated } from "./simulated.ts";

const random = new Random(4);
const ROWS = 300;
const scores = Float64Array.from({ length: ROWS }, () => Math.round(40 * random.next()) / 40);
const rows: ScoredRows = {
  scores,
  y: Uint8Array.from(scores, (score) => (random.next() < score / 2 ? 1 : 0)),
  weights: Float64Array.from(scores, () => random.uniform(0.5, 4)),
  alerts: alertsAt(scores, 0.8),
  amounts: Float64Array.from(scores, () => 100 * random.next()),
  days: Int32Array.from(scores, (_, row) => Math.floor(row / 30)),
  cards: Int32Array.from(scores, (_, row) => row % 41),
};

const SMOOTH: readonly Metric[] = [AVERAGE_PRECISION, PRECISION, RECALL, F1, ALERT_RATE, BRIER, savings(5)];

test.each(SMOOTH.map((metric) => [metric.name, metric] as const))("%s: the derivative by each weight", (_, metric) => {
  const influence = metric.influence!(rows);
  for (let row = 0; row < ROWS; row += 7) {
    const at = (factor: number): number => {
      const weights = rows.weights!.slice();
      weights[row] *= factor;
      return measure(metric, { ...rows, weights });
    };
    expect(influence[row]).toBeCloseTo((at(1.0001) - at(0.9999)) / 0.0002, 6);
  }
  // No metric changes when all weights grow alike.
  expect(influence.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 9);
});

test("the standard error from influence is the bootstrap's, for every metric that a gate asks", () => {
  const sample = simulated(3, { rows: 12_000, prevalence: 0.06, rho: 0.9, gapA: 2, gapB: 2.1, perCard: 3 });
  const alerts = { a: alertsAt(sample.a, 1.5), b: alertsAt(sample.b, 1.5) };
  const input = {
    ...sample,
    alerts,
    amount: sample.a.map((_, row) => 1 + (row % 90)),
    card: sample.card,
    seed: 2,
    resamples: 250,
  };
  const day = Int32Array.from(sample.y, (_, row) => Math.floor(row / 600));
  const metrics = [AVERAGE_PRECISION, recallWithinFpr(0.01), recallWithinBudget(0.05), savings(5), BRIER, ALERT_RATE];
  for (const metric of [...metrics, cardPrecision(30)]) {
    const given = metric.name.startsWith("card") ? { ...input, day } : input;
    const own = pairedBootstrap({ ...given, metric });
    const { name, better, prepare } = metric;
    const drawn = pairedBootstrap({ ...given, metric: { name, better, prepare } });
    expect(own.standardError / drawn.standardError, metric.name).toBeGreaterThan(0.75);
    expect(own.standardError / drawn.standardError, metric.name).toBeLessThan(1.33);
  }
});

test("days: a campaign that all cards share makes the interval wider, days that share nothing hardly do", () => {
  const make = (effect: number) => {
    const sample = simulated(9, { rows: 6000, prevalence: 0.1, rho: 0.9, gapA: 2, gapB: 2 });
    const own = new Random(11);
    const day = Int32Array.from(sample.y, (_, row) => Math.floor(row / 200));
    const shift = Float64Array.from({ length: 30 }, () => effect * own.normal());
    return { ...sample, b: sample.b.map((score, row) => score + sample.y[row] * shift[day[row]]), day };
  };
  const ratio = (effect: number): number => {
    const { day, ...sample } = make(effect);
    const use = { ...sample, metric: AVERAGE_PRECISION, resamples: 50, seed: 1 };
    const [plain, widened] = [pairedBootstrap(use), pairedBootstrap({ ...use, day })];
    const ofErrors = widened.standardError / plain.standardError;
    const ofIntervals = (widened.high - widened.low) / (plain.high - plain.low);
    // A bit more than in proportion: thirty days are fewer than the cards.
    expect(ofIntervals).toBeGreaterThan(ofErrors);
    expect(ofIntervals).toBeLessThan(1.2 * ofErrors);
    return ofErrors;
  };
  expect(ratio(0)).toBeLessThan(1.3);
  expect(ratio(1)).toBeGreaterThan(2);
});
