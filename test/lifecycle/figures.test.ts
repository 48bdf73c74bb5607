// The same rows give the same figures, whoever prints them: train and evaluate, compare, the gates, the shadow report.
import { expect, test } from "vitest";
import { figure } from "../../src/cli/output.ts";
import { decide } from "../../src/core/decision.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import { Random } from "../../src/core/random.ts";
import type { PairedInterval } from "../../src/evidence/bootstrap.ts";
import { labelledMetrics } from "../../src/evidence/labelled.ts";
import { collectPairs } from "../../src/evidence/pairs.ts";
import { shadowReport } from "../../src/evidence/report.ts";
import { trainingGate } from "../../src/evidence/training.ts";
import { metricsOf } from "../../src/lifecycle/train.ts";
import { alertsAt } from "../../src/metrics/summed.ts";
import type { ShadowPair } from "../../src/ports/log.ts";

const ROWS = 200;
/** Five rows; four are above the ten tied ones, six of which are frauds. */
const REVIEW_SHARE = 0.025;
const NOW = Date.parse("2024-06-01");
const thresholds = { review: 0.8, block: 0.95 };

const random = new Random(7);
const scores = Float32Array.from({ length: ROWS }, (_, row) =>
  row < 4 ? 0.99 - row / 100 : row < 14 ? 0.8 : 0.7 * random.next(),
);
const y = Uint8Array.from(scores, (_, row) =>
  row < 14 ? ([0, 1, 0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0][row] ?? 0) : row % 29 === 0 ? 1 : 0,
);
const card = Int32Array.from(scores, (_, row) => row % 37);
const amount = Float64Array.from(scores, () => 100 * random.next());
const time = Float64Array.from(scores, (_, row) => NOW - 40 * DAY_MS + row * 3_600_000);
const opponent = Float32Array.from(scores, () => random.next());

const trained = metricsOf(scores, { y, card, carded: true, amount, time }, { thresholds, reviewShare: REVIEW_SHARE });
const rows = { a: Float64Array.from(opponent), b: Float64Array.from(scores), y, card, amount };
const alerts = { a: alertsAt(opponent, thresholds.review), b: alertsAt(scores, thresholds.review) };
const options = { seed: 1, resamples: 20, reviewShare: REVIEW_SHARE };
const compared = labelledMetrics({ ...rows, alerts }, options)!;

const pairs: ShadowPair[] = Array.from(scores, (score, row) => ({
  transactionId: `t${row}`,
  time: time[row],
  champion: { version: "1", score: opponent[row], decision: decide(opponent[row], thresholds) },
  candidate: { version: "2", score, decision: decide(score, thresholds) },
  bundle: "b",
  latencyMs: 1,
  championLatencyMs: 1,
  vectorHash: "",
  card: `c${card[row]}`,
  amount: amount[row],
  fraud: y[row] === 1,
  labelKnownAt: time[row],
  answered: decide(opponent[row], thresholds),
  propensity: null,
}));
const shadowed = shadowReport(await collectPairs(pairs), { ...options, now: NOW, maturityMs: DAY_MS });

const gate = trainingGate({
  ...rows,
  candidate: { scores: rows.b, threshold: thresholds.review },
  champion: { scores: rows.a, threshold: thresholds.review },
  seed: 1,
  policy: { resamples: 20, reviewShare: REVIEW_SHARE },
});

test("train, compare, the shadow report and the gates say the same of the same rows, ten tied ones among them", () => {
  // By hand: the budget of five rows takes the four above the tie, of which two are frauds; the tie stays out whole.
  const frauds = y.reduce((sum, label) => sum + label, 0);
  expect(trained.recall_at_review_budget).toBe(2 / frauds);
  const same: readonly (readonly [key: string, interval: (of: typeof compared) => PairedInterval])[] = [
    ["average_precision", (of) => of.averagePrecision],
    ["recall_at_review_budget", (of) => of.recallAtReview],
    ["recall_at_fpr_1pct", (of) => of.recallAtFpr],
    ["precision_at_review", (of) => of.precision],
    ["recall_at_review", (of) => of.recall],
    ["f1_at_review", (of) => of.f1],
    ["brier", (of) => of.brier],
  ];
  for (const [key, interval] of same) {
    expect(trained[key], key).not.toBeNaN();
    for (const of of [compared, shadowed.metrics!]) {
      // To the last bit, hence in print too.
      expect(interval(of).observedB, key).toBe(trained[key]);
      expect(figure(interval(of).observedB), key).toBe(figure(trained[key]));
    }
  }
  expect(shadowed.alertRate!.observedB).toBe(trained.alert_rate);
  const gated = gate.comparisons
    .filter(({ against }) => against === "champion")
    .map(({ interval }) => interval.observedB);
  expect(gated).toEqual([trained.average_precision, trained.f1_at_review, trained.recall_at_review_budget]);
});

test("the champion's side is measured as the candidate's is", () => {
  const champion = metricsOf(
    opponent,
    { y, card, carded: true, amount, time },
    { thresholds, reviewShare: REVIEW_SHARE },
  );
  expect(compared.recallAtReview.observedA).toBe(champion.recall_at_review_budget);
  expect(compared.averagePrecision.observedA).toBe(champion.average_precision);
  expect(compared.brier.observedA).toBe(champion.brier);
});
