// The drift report: quiet when nothing moved, at every size of window; loud and right when something did.
import { expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { Random } from "../../src/core/random.ts";
import { psi } from "../../src/drift/psi.ts";
import { binColumn, buildReference, type Reference } from "../../src/drift/reference.ts";
import { NAMES, REVIEW, referenceOf, reportOf, world } from "./worlds.ts";

const REFERENCE = referenceOf(100_000);

test.each([
  [100, 1500],
  [300, 1000],
  [1000, 400],
  [10_000, 60],
])("without drift a window of %i rows alarms no more often than it may", (rows, repetitions) => {
  const random = new Random(rows);
  let alarms = 0;
  for (let i = 0; i < repetitions; i++) {
    if (reportOf({ reference: REFERENCE, window: world(random, rows), policy: { falseDiscoveryRate: 0.02 } }).alarm)
      alarms++;
  }
  // Nominal 2 %, and two and a half standard errors of the count.
  expect(alarms).toBeLessThanOrEqual(0.02 * repetitions + 2.5 * Math.sqrt(0.02 * repetitions));
});

test("doubled log-normal amounts: deciles show PSI near 0.27, and the report names them", () => {
  const window = world(new Random(7), 5000, 2);
  const amount = REFERENCE.features[1];
  const value = psi({ reference: amount.counts, window: binColumn(amount, window.columns[1]).counts });
  expect(value).toBeGreaterThan(0.22);
  expect(value).toBeLessThan(0.32);
  const report = reportOf({ reference: REFERENCE, window });
  expect(report.verdict).toBe("drifted");
  expect(report.alarm).toBe(true);
  expect(report.features[0].name).toBe("amount");
  expect(report.features.filter((feature) => feature.drifted).map((feature) => feature.name)).toEqual(["amount"]);
  expect(report.reasons[0]).toMatch(/^amount drifted \(PSI 0\.2\d/);
});

test("doubled amounts are found in a window of 300 rows nine times of ten", () => {
  const random = new Random(8);
  let found = 0;
  for (let i = 0; i < 100; i++) if (reportOf({ reference: REFERENCE, window: world(random, 300, 2) }).alarm) found++;
  expect(found).toBeGreaterThanOrEqual(90);
});

test("a movement that is certain but of no consequence raises no alarm in a huge window", () => {
  const report = reportOf({ reference: REFERENCE, window: world(new Random(9), 200_000, 1.05) });
  const amount = report.features.find((feature) => feature.name === "amount")!;
  expect(amount.adjusted).toBeLessThan(1e-6);
  expect(report.verdict).toBe("steady");
  expect(report.alarm).toBe(false);
});

test("a broken feed is said first, and is not called drift", () => {
  const window = world(new Random(10), 2000, 2);
  for (let row = 0; row < 600; row++) window.columns[0][row] = Number.NaN;
  window.columns[2].fill(3);
  window.columns[3][5] = Number.POSITIVE_INFINITY;
  const report = reportOf({ reference: REFERENCE, window });
  expect(report.verdict).toBe("broken feed");
  expect(report.dataQuality.map((fault) => [fault.feature, fault.fault])).toEqual([
    ["normal", "missing"],
    ["count", "stuck"],
    ["sparse", "infinite"],
  ]);
  expect(report.reasons.slice(0, 3).every((reason) => reason.startsWith("broken feed: "))).toBe(true);
  expect(report.reasons.slice(3)).toHaveLength(1);
  expect(report.reasons[3]).toMatch(/^amount drifted/);
});

test("what nearly always is one value, or mostly missing, and now is always so, is no broken feed: frauds of a kind have ended", () => {
  const random = new Random(21);
  const made = (rows: number, share: number, present: number) => {
    const flag = Float64Array.from({ length: rows }, () => (random.next() < share ? 1 : 0));
    const since = Float64Array.from({ length: rows }, () =>
      random.next() < present ? random.uniform(0, 30) : Number.NaN,
    );
    return { columns: [flag, since], scores: Float64Array.from({ length: rows }, () => random.next()) };
  };
  const before = made(20_000, 0.05, 0.3);
  const reference = buildReference({ names: ["flag", "since"], ...before, alerts: 200 });
  const ended = reportOf({ reference, window: made(6000, 0, 0) });
  expect(ended.dataQuality).toEqual([]);
  expect(ended.verdict).toBe("drifted");
  // What half of the rows had, and what few lacked, still is one.
  const usual = buildReference({ names: ["flag", "since"], ...made(20_000, 0.5, 0.8), alerts: 200 });
  const broken = reportOf({ reference: usual, window: made(6000, 0, 0.1) });
  expect(broken.dataQuality.map(({ feature, fault }) => [feature, fault])).toEqual([
    ["flag", "stuck"],
    ["since", "missing"],
  ]);
});

test("a value that does not change in a part of the window is not stuck: a champion of yesterday has seen no weekend", () => {
  const window = world(new Random(10), 2000);
  window.columns[2].fill(3);
  const whole = reportOf({ reference: REFERENCE, window });
  expect(whole.dataQuality).toMatchObject([{ feature: "count", fault: "stuck" }]);
  const times = Float64Array.from({ length: 2000 }, (_, row) => 7 * DAY_MS - row * 1000);
  const yesterday = reportOf({ reference: REFERENCE, window, times, until: 7 * DAY_MS, windowMs: 7 * DAY_MS });
  expect(yesterday.dataQuality).toEqual([]);
});

test("scores and alerts may have a reference of other rows", () => {
  const random = new Random(31);
  const [known, answered] = [world(random, 20_000), world(random, 3000)];
  const shifted = answered.scores.map((score) => Math.sqrt(score));
  const given = { names: NAMES, columns: known.columns, scores: known.scores, categories: ["category"] };
  const alerts = shifted.filter((score) => score >= REVIEW).length;
  const reference = buildReference({ ...given, scored: shifted, alerts });
  const later = world(random, 3000);
  const window = { ...later, scores: later.scores.map((score) => Math.sqrt(score)) };
  const report = reportOf({ reference, window });
  expect(report.verdict, report.reasons.join()).toBe("steady");
  expect(report.alertRate.reference).toBeCloseTo(alerts / 3000, 6);
  expect(report.scores.reference.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 6);
});

test("the score and the alert rate are watched like features", () => {
  const window = world(new Random(11), 3000);
  const risen = window.scores.map((score) => Math.sqrt(score));
  const report = reportOf({ reference: REFERENCE, window: { ...window, scores: risen } });
  expect(report.score.drifted).toBe(true);
  expect(report.alertRate.drifted).toBe(true);
  expect(report.reasons[0]).toMatch(/^alert rate moved from 1\.7\d? % to /);
  expect(report.reasons[1]).toMatch(/^score drifted/);
});

test("categories that were never seen are found", () => {
  const window = world(new Random(12), 1000);
  for (let row = 0; row < 400; row++) window.columns[4][row] = 500 + row;
  const report = reportOf({ reference: REFERENCE, window });
  expect(report.features[0]).toMatchObject({ name: "category", kind: "category", drifted: true });
});

test("too few rows: no judgement, but a broken feed is still told; no rows at all is no crash", () => {
  const few = reportOf({ reference: REFERENCE, window: world(new Random(13), 60, 50) });
  expect(few).toMatchObject({ alarm: false, verdict: "too few rows" });
  const broken = world(new Random(14), 60);
  broken.columns[0].fill(Number.NaN);
  expect(reportOf({ reference: REFERENCE, window: broken }).verdict).toBe("broken feed");
  const stray = world(new Random(14), 2);
  stray.columns[0].fill(Number.NaN);
  expect(reportOf({ reference: REFERENCE, window: stray })).toMatchObject({ alarm: false, verdict: "too few rows" });
  const none = reportOf({ reference: REFERENCE, window: world(new Random(15), 0) });
  expect(none).toMatchObject({ alarm: false, verdict: "too few rows", rows: 0 });
});

test("rows that repeat each other are not mistaken for drift when the design effect is told", () => {
  const random = new Random(16);
  let naive = 0;
  let told = 0;
  for (let i = 0; i < 60; i++) {
    const drawn = world(random, 100);
    const columns = drawn.columns.map((column) => Float64Array.from({ length: 1000 }, (_, row) => column[row % 100]));
    const scores = Float64Array.from({ length: 1000 }, (_, row) => drawn.scores[row % 100]);
    const window = { columns, scores };
    if (reportOf({ reference: REFERENCE, window }).alarm) naive++;
    if (reportOf({ reference: REFERENCE, window, policy: { designEffect: 10 } }).alarm) told++;
  }
  expect(naive).toBeGreaterThan(20);
  expect(told).toBeLessThanOrEqual(4);
});

test("a window of other columns is refused", () => {
  const window = world(new Random(17), 200);
  expect(() => reportOf({ reference: REFERENCE, window: { ...window, columns: window.columns.slice(1) } })).toThrow(
    expect.objectContaining({ code: "drift.reference-missing" }),
  );
});

test("the reference survives JSON and stays small", () => {
  const text = JSON.stringify(REFERENCE);
  expect(JSON.parse(text) as Reference).toEqual(REFERENCE);
  expect(text.length / (NAMES.length + 1)).toBeLessThan(8000);
});

test("reference bins: every row in one bin, ties merged, constants and empty columns without edges", () => {
  const rows = 1000;
  const columns = [
    Float64Array.from({ length: rows }, (_, row) => row),
    Float64Array.from({ length: rows }, (_, row) => (row < 700 ? 0 : row)),
    new Float64Array(rows).fill(4),
    new Float64Array(rows).fill(Number.NaN),
    Float32Array.from({ length: rows }, (_, row) => (row % 2 === 0 ? 1 : Number.NaN)),
  ];
  const reference = buildReference({
    names: ["even", "tied", "constant", "missing", "half"],
    columns,
    scores: new Float64Array(rows),
    alerts: 0,
  });
  const [even, tied, constant, missing, half] = reference.features;
  expect(even.counts).toEqual(new Array<number>(10).fill(100));
  expect(tied.counts[0]).toBe(700);
  for (const feature of reference.features) {
    expect(feature.counts.reduce((total, count) => total + count, 0) + feature.missing).toBe(rows);
  }
  expect([constant.counts, missing.counts, missing.missing, half.missing]).toEqual([[1000], [0], 1000, 500]);
  expect(() => buildReference({ names: [], columns: [], scores: new Float64Array(0), alerts: 0 })).toThrow(
    expect.objectContaining({ code: "drift.reference-missing" }),
  );
});
