// The training and promotion gates: yes, not yet, and no, each for its reason.
import { expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { PLANNED_FRAUDS, pairedBootstrap } from "../../src/evidence/bootstrap.ts";
import { coverageShare, coverageWords } from "../../src/evidence/coverage.ts";
import { holdEstimate, holdWords } from "../../src/evidence/hold.ts";
import { collectPairs } from "../../src/evidence/pairs.ts";
import { type PromotionPolicy, promotionGate } from "../../src/evidence/promotion.ts";
import { type ShadowReport, shadowReport } from "../../src/evidence/report.ts";
import { sequenceFactor } from "../../src/evidence/sequence.ts";
import { trainingGate } from "../../src/evidence/training.ts";
import { AVERAGE_PRECISION } from "../../src/metrics/ranked.ts";
import type { Coverage } from "../../src/ports/log.ts";
import { NOW, shadowed } from "./shadowed.ts";
import { simulated } from "./simulated.ts";

const NO_MISS = { "sampled-out": 0, "queue-full": 0, timeout: 0, "breaker-open": 0, error: 0, "spec-not-warm": 0 };
const COVERED: Coverage = { version: "2", scored: 10_000, missed: NO_MISS };
const SHAPE = { rows: 20_000, prevalence: 0.03, rho: 0.95, gapA: 2.5, gapB: 2.6 };

async function reportOf(shape: Partial<typeof SHAPE>, seed = 1): Promise<ShadowReport> {
  const pairs = await collectPairs(shadowed(simulated(seed, { ...SHAPE, ...shape })));
  return shadowReport(pairs, { now: NOW, maturityMs: 10 * DAY_MS, seed: 1, resamples: 120 });
}

const good = await reportOf({});

function gate(changes: {
  readonly report?: ShadowReport;
  readonly coverage?: Coverage | null;
  readonly policy?: Partial<PromotionPolicy>;
}) {
  const policy = { fraudsMin: 200, daysMin: 7, ...changes.policy };
  return promotionGate({ report: good, coverage: COVERED, ...changes, policy });
}

test("a candidate as good as the champion on plenty of evidence is promoted", () => {
  const verdict = gate({});
  expect(verdict.checks.filter((check) => !check.passed)).toEqual([]);
  expect(verdict).toMatchObject({ gate: "promotion", verdict: "PROMOTE" });
  expect(verdict.checks.map((check) => check.name)).toEqual([
    "coverage",
    "matured frauds",
    "matured days",
    "blocked traffic",
    "primary metric",
    "alert rate",
    "recall at fixed false positives",
    "calibration",
    "latency",
    "worst segment",
  ]);
});

test("too little traffic scored, or none: HOLD with the reasons it was missed for", () => {
  const thin = gate({ coverage: { version: "2", scored: 900, missed: { ...NO_MISS, timeout: 80, error: 20 } } });
  expect(thin.verdict).toBe("HOLD");
  expect(thin.reasons).toHaveLength(1);
  expect(thin.reasons[0]).toMatch(/90\.00 % of 1000 scored \(timeout 80, error 20\)/);
  expect(gate({ coverage: null }).verdict).toBe("HOLD");
});

test("many frauds of one card: HOLD, since nobody can tell how other cards would fare; nor is a worse candidate condemned on them", async () => {
  const pairs = await collectPairs(shadowed(simulated(1, SHAPE)));
  const card = pairs.card.map((own, row) => (pairs.label[row] === 1 ? 0 : own + 1));
  const options = { now: NOW, maturityMs: 10 * DAY_MS, seed: 1, resamples: 120 };
  const report = shadowReport({ ...pairs, card, cards: pairs.cards + 1 }, options);
  expect(report.matured).toMatchObject({ fraudCards: 1, frauds: good.matured.frauds });
  const held = gate({ report });
  expect(held).toMatchObject({ verdict: "HOLD" });
  expect(held.reasons).toContainEqual(expect.stringMatching(/^matured frauds: all \d+ are on 1 cards, and from fewer/));
  const bad = { ...report.metrics!.averagePrecision, difference: -0.3, anytimeLow: -0.4, anytimeHigh: -0.2 };
  const worse = { ...report, metrics: { ...report.metrics!, averagePrecision: bad } };
  expect(gate({ report: worse }).verdict).toBe("HOLD");
});

test("few frauds: HOLD, with how many more are needed", async () => {
  const few = gate({ report: await reportOf({ rows: 2000 }) });
  expect(few.verdict).toBe("HOLD");
  expect(few.reasons.some((reason) => /matured frauds: \d+ of 200, \d+ more are needed/.test(reason))).toBe(true);
  const none = gate({ report: await reportOf({ rows: 500, prevalence: 0 }) });
  expect(none.verdict).toBe("HOLD");
});

test("a sequence that straddles the limit: HOLD, with an estimate that more frauds would decide", async () => {
  const verdict = gate({ report: await reportOf({ gapB: 2.5, rho: 0.5 }), policy: { mode: "superiority" } });
  const reason = verdict.reasons.find((text) => text.startsWith("average precision"));
  expect(verdict.verdict).toBe("HOLD");
  expect(reason).toMatch(
    /undecided: .* has to be better; about \d+ more labelled frauds are needed \(some \d+ days at the present rate\)/,
  );
});

test("clearly worse: REJECT; the same with too few frauds to condemn: HOLD", async () => {
  const worse = gate({ report: await reportOf({ gapB: 1.5 }) });
  expect(worse.verdict).toBe("REJECT");
  expect(worse.reasons[0]).toMatch(/^average precision: the candidate is worse/);
  const hasty = gate({ report: await reportOf({ gapB: 1.5, rows: 4000 }) });
  expect(hasty.verdict).toBe("HOLD");
  expect(hasty.reasons.some((reason) => /looks worse: .* too few frauds to reject on/.test(reason))).toBe(true);
});

test("superiority asks for more than equality", async () => {
  const mode = "superiority" as const;
  const better = gate({ report: await reportOf({ gapB: 3.2 }), policy: { mode } });
  expect(better.checks.find((check) => check.name === "primary metric")!.passed).toBe(true);
  const equal = gate({ report: await reportOf({ gapB: 2.5 }), policy: { mode } });
  expect(equal.checks.find((check) => check.name === "primary metric")!.passed).toBe(false);
});

test("more alerts than a champion that misses the frauds are no harm within the review budget, nor where it is kept by itself", () => {
  const alertRate = {
    ...good.alertRate!,
    observedA: 0.002,
    observedB: 0.009,
    difference: 0.007,
    anytimeLow: 0.006,
    anytimeHigh: 0.008,
  };
  const blocking = (blocked: number): ShadowReport => ({
    ...good,
    alertRate,
    agreement: [
      [good.pairs - blocked, 0, blocked],
      [0, 0, 0],
      [0, 0, 0],
    ],
  });
  const verdict = (budget: { readonly share: number; readonly kept: boolean } | null, report = blocking(0)) =>
    promotionGate({ report, coverage: COVERED, policy: { fraudsMin: 200, daysMin: 7 }, budget });
  expect(verdict(null).verdict).toBe("REJECT");
  expect(verdict({ share: 0.01, kept: false }).verdict).toBe("PROMOTE");
  expect(verdict({ share: 0.005, kept: false })).toMatchObject({
    verdict: "REJECT",
    reasons: [expect.stringMatching(/at most 25.* above the champion's, or above the review budget of 0\.5/)],
  });
  expect(verdict({ share: 0.005, kept: true }).verdict).toBe("PROMOTE");
  // What it blocks takes nothing of the budget.
  expect(verdict({ share: 0.005, kept: false }, blocking(0.004 * good.pairs)).verdict).toBe("PROMOTE");
});

test.each<[string, Partial<ShadowReport>, string]>([
  [
    "alert rate",
    { alertRate: { ...good.alertRate!, observedB: 0.02, difference: 0.01, anytimeLow: 0.009, anytimeHigh: 0.011 } },
    "REJECT",
  ],
  [
    "alert rate",
    {
      alertRate: { ...good.alertRate!, observedB: 0.0127, difference: 0.0027, anytimeLow: 0.002, anytimeHigh: 0.0035 },
    },
    "HOLD",
  ],
  ["latency", { latencyMs: { ...good.latencyMs, candidate: { p50: 1, p95: 20, p99: 40 } } }, "REJECT"],
  ["latency", { pairs: 50 }, "HOLD"],
  ["matured days", { matured: { ...good.matured, days: 3 } }, "HOLD"],
  ["matured frauds", { matured: { ...good.matured, fraudCards: 9 } }, "HOLD"],
  ["worst segment", { segments: [] }, "HOLD"],
  [
    "worst segment",
    {
      segments: good.segments.map((s, i) =>
        i === 1 ? { ...s, interval: { ...s.interval!, difference: -0.3, standardError: 0.05 } } : s,
      ),
    },
    "REJECT",
  ],
  [
    "recall at fixed false positives",
    {
      metrics: {
        ...good.metrics!,
        recallAtFpr: { ...good.metrics!.recallAtFpr, difference: -0.1, anytimeLow: -0.13, anytimeHigh: -0.07 },
      },
    },
    "REJECT",
  ],
  [
    "calibration",
    {
      metrics: {
        ...good.metrics!,
        brier: { ...good.metrics!.brier, difference: 0.1, anytimeLow: 0.09, anytimeHigh: 0.11 },
      },
    },
    "REJECT",
  ],
])("the guard rail %s alone decides: %#", (name, changes, word) => {
  const verdict = gate({ report: { ...good, ...changes } });
  expect(verdict.checks.filter((check) => !check.passed).map((check) => check.name)).toEqual([name]);
  expect(verdict.verdict).toBe(word);
  expect(verdict.reasons).toHaveLength(1);
});

test("a failed check from elsewhere rejects, and stands first", () => {
  const parity = { name: "feature parity", passed: false, observed: "3 vectors differ", required: "none differs" };
  const verdict = promotionGate({ report: good, coverage: null, checks: [parity] });
  expect(verdict.verdict).toBe("REJECT");
  expect(verdict.reasons[0]).toBe("feature parity: 3 vectors differ, required none differs");
  expect(verdict.reasons).toHaveLength(2);
});

test("coverage: sampling is no gap, everything else is; reasons by size", () => {
  const share = coverageShare({
    version: "4",
    scored: 90,
    missed: { ...NO_MISS, "sampled-out": 100, timeout: 2, error: 8 },
  });
  expect(share.share).toBe(0.9);
  expect(share.missed.map((miss) => miss.reason)).toEqual(["sampled-out", "error", "timeout"]);
  expect(share.missed.reduce((sum, miss) => sum + miss.share, 0)).toBeCloseTo(110 / 200, 12);
  expect(coverageWords(coverageShare({ version: "4", scored: 0, missed: NO_MISS }))).toBe("nothing of 0 scored");
});

test("HOLD: at the frauds it names, the sequence and its power fit into the distance, and one fraud fewer does not", () => {
  const ask = {
    standardError: 0.02,
    effect: 0.02,
    observedDistance: 0.02,
    frauds: 100,
    days: 10,
    fraudsMin: 50,
    level: 0.95,
    power: 0.8,
  };
  const at = holdEstimate(ask);
  // 0.8416 is the 80 % quantile of the normal distribution.
  const reach = (count: number): number =>
    0.02 * Math.sqrt(100 / count) * (sequenceFactor({ count, planned: PLANNED_FRAUDS }, 0.95) + 0.841621);
  expect(reach(at.fraudsNeeded!)).toBeLessThanOrEqual(0.02);
  expect(reach(at.fraudsNeeded! - 1)).toBeGreaterThan(0.02);
  expect(at.fraudsMore).toBe(at.fraudsNeeded! - 100);
  expect(at.daysMore).toBe(Math.ceil(at.fraudsMore! / 10));
  expect(holdEstimate({ ...ask, power: 0.9 }).fraudsNeeded).toBeGreaterThan(at.fraudsNeeded!);
  expect(holdEstimate({ ...ask, standardError: 0.01 }).fraudsNeeded).toBeLessThan(at.fraudsNeeded! / 3);
  // Farther away than the plan assumed: fewer are needed.
  expect(holdEstimate({ ...ask, observedDistance: -0.04 }).fraudsNeeded).toBeLessThan(at.fraudsNeeded! / 3);
  // Enough by plan, yet undecided: the observed distance counts.
  expect(holdEstimate({ ...ask, standardError: 0.004, observedDistance: 0.01 }).fraudsNeeded).toBeGreaterThan(100);
  const hopeless = holdEstimate({ ...ask, standardError: 0.005, observedDistance: 1e-5, effect: 1e-5 });
  expect(hopeless.fraudsMore).toBeNull();
  expect(holdWords(hopeless)).toMatch(/hardly decide/);
  expect(holdEstimate({ ...ask, frauds: 0, standardError: Number.NaN })).toEqual({
    fraudsNeeded: 50,
    fraudsMore: 50,
    daysMore: null,
  });
});

test("the HOLD estimate is about right: with the frauds it asks for, the gate mostly decides", () => {
  // Two equal models; the margin is what 80 % of samples of the estimated size should resolve.
  const shape = { prevalence: 0.05, rho: 0.9, gapA: 2, gapB: 2 };
  const margin = 0.05;
  const interval = (rows: number, seed: number) => {
    const sample = simulated(seed, { ...shape, rows });
    return pairedBootstrap({ ...sample, metric: AVERAGE_PRECISION, resamples: 120, seed });
  };
  const pilot = interval(3000, 1);
  const estimate = holdEstimate({
    standardError: pilot.standardError,
    effect: margin,
    observedDistance: margin,
    frauds: pilot.frauds,
    days: 1,
    fraudsMin: 1,
    level: 0.95,
    power: 0.8,
  });
  const rows = Math.round(estimate.fraudsNeeded! / shape.prevalence);
  let decided = 0;
  for (let i = 0; i < 50; i++) if (interval(rows, 100 + i).anytimeLow > -margin) decided++;
  expect(decided / 50).toBeGreaterThan(0.6);
  expect(decided / 50).toBeLessThan(0.97);
});

test("training: a useful candidate passes without a champion; a useless one fails against guessing and amounts", () => {
  const rows = simulated(31, { rows: 5000, prevalence: 0.03, rho: 0.5, gapA: 2, gapB: 2 });
  const amount = rows.a.map((score) => Math.exp(score / 3));
  const noise = simulated(32, { rows: 5000, prevalence: 0.03, rho: 0, gapA: 0, gapB: 0 });
  const common = { y: rows.y, card: rows.card, champion: null, seed: 1, policy: { resamples: 200 } };
  const yes = trainingGate({ ...common, amount: noise.b, candidate: { scores: rows.b, threshold: 2 } });
  expect(yes.verdict).toMatchObject({ gate: "training", verdict: "pass" });
  expect(yes.comparisons.map(({ against }) => against)).toEqual(["prevalence", "amount"]);
  // The best ranking is worth nothing where its own thresholds flag no row.
  const idle = trainingGate({ ...common, amount: noise.b, alertRate: 0, candidate: { scores: rows.b, threshold: 2 } });
  expect(idle.verdict.checks.filter(({ passed }) => !passed).map(({ name }) => name)).toEqual(["alerts"]);
  const no = trainingGate({ ...common, amount, candidate: { scores: noise.a, threshold: 2 } });
  expect(no.verdict.verdict).toBe("fail");
  expect(no.verdict.reasons).toHaveLength(2);
  expect(no.verdict.reasons[1]).toMatch(/does not clearly beat ranking by amount/);
});

test("training: probabilities surely further from the truth than a constant are refused, however well they rank", () => {
  const rows = simulated(31, { rows: 5000, prevalence: 0.03, rho: 0.5, gapA: 2, gapB: 2 });
  const run = (scores: Float64Array) =>
    trainingGate({
      y: rows.y,
      card: rows.card,
      amount: new Float64Array(5000),
      champion: null,
      candidate: { scores, threshold: 0.5 },
      constant: 0.03,
      seed: 1,
      policy: { resamples: 200 },
    }).verdict;
  const calibrated = rows.b.map((score) => 1 / (1 + Math.exp(5 - 2 * score)));
  expect(run(calibrated).verdict).toBe("pass");
  // The same order, said far too loudly.
  const loud = run(calibrated.map((score) => score ** 0.1));
  expect(loud.verdict).toBe("fail");
  expect(loud.reasons).toEqual([expect.stringMatching(/^Brier score: the candidate's probabilities are further/)]);
  expect(loud.checks.at(-1)!.observed).toMatch(/of a constant 0\.03: /);
});

test("training: not worse than the champion in ranking, at the threshold and within the review budget", () => {
  const rows = simulated(33, { rows: 8000, prevalence: 0.03, rho: 0.9, gapA: 2.5, gapB: 2.5 });
  const run = (candidate: Float64Array, threshold = 2) =>
    trainingGate({
      y: rows.y,
      card: rows.card,
      amount: new Float64Array(8000),
      candidate: { scores: candidate, threshold },
      champion: { scores: rows.a, threshold: 2 },
      seed: 1,
      policy: { resamples: 200 },
    }).verdict;
  expect(run(rows.b).verdict).toBe("pass");
  const weak = run(rows.b.map((score, row) => score - 1.2 * rows.y[row]));
  expect(weak.verdict).toBe("fail");
  expect(weak.reasons[0]).toMatch(/may be worse than the champion/);
  const misplaced = run(rows.b, 6);
  expect(misplaced.checks.filter((check) => !check.passed).map((check) => check.name)).toEqual(["F1 against champion"]);
});

test("training: a champion that has learned some of the rows is compared on the others, and left to the shadow without frauds there", () => {
  const rows = simulated(33, { rows: 8000, prevalence: 0.03, rho: 0.9, gapA: 2.5, gapB: 2.5 });
  // What it has learned it knows by heart.
  const learned = 5000;
  const byHeart = rows.a.map((score, row) => (row < learned ? 10 * rows.y[row] : score));
  const run = (unlearned?: Int32Array, candidate = rows.a) =>
    trainingGate({
      y: rows.y,
      card: rows.card,
      amount: new Float64Array(8000),
      candidate: { scores: candidate, threshold: 2 },
      champion: { scores: byHeart, threshold: 2 },
      ...(unlearned === undefined ? {} : { unlearned }),
      seed: 1,
      policy: { resamples: 200 },
    }).verdict;
  const from = (first: number): Int32Array => Int32Array.from({ length: 8000 - first }, (_, i) => first + i);
  expect(run().verdict).toBe("fail");
  expect(run(from(learned)).verdict).toBe("pass");
  const worse = rows.a.map((score, row) => score - 1.5 * rows.y[row]);
  expect(run(from(learned), worse).verdict).toBe("fail");
  const few = run(from(7900));
  expect(few.verdict).toBe("pass");
  expect(few.checks.find(({ name }) => name === "champion")?.observed).toMatch(
    /learned newer days .* but for \d frauds/,
  );
  expect(run(new Int32Array(0)).verdict).toBe("pass");
});

test("training: without test frauds there is nothing to say, and it says so", () => {
  const rows = simulated(34, { rows: 200, prevalence: 0, rho: 0, gapA: 0, gapB: 0 });
  const { verdict } = trainingGate({
    y: rows.y,
    card: rows.card,
    amount: rows.a,
    candidate: { scores: rows.b, threshold: 0 },
    champion: null,
    seed: 1,
  });
  expect(verdict.verdict).toBe("fail");
  expect(verdict.reasons[0]).toMatch(/test frauds: 0, at least 30/);
});
