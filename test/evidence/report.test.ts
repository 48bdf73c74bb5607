// The shadow report: counts, agreement, maturity, and labelled metrics from matured rows only.
import { expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { collectPairs } from "../../src/evidence/pairs.ts";
import { shadowReport } from "../../src/evidence/report.ts";
import { amountBands } from "../../src/evidence/segments.ts";
import { NOW, shadowed } from "./shadowed.ts";
import { simulated } from "./simulated.ts";

const SHAPE = { rows: 8000, prevalence: 0.02, rho: 0.9, gapA: 2.4, gapB: 2.6, perCard: 4 };
const OPTIONS = { now: NOW, maturityMs: 10 * DAY_MS, seed: 1, resamples: 100 };

test("counts, agreement and maturity add up to the pairs", async () => {
  const rows = simulated(1, SHAPE);
  const pairs = await collectPairs(shadowed(rows, { labelled: (row) => row % 2 === 0 }));
  const report = shadowReport(pairs, OPTIONS);
  expect(report.pairs).toBe(8000);
  expect(report.cards).toBe(2000);
  expect(report.agreement.flat().reduce((sum, count) => sum + count, 0)).toBe(8000);
  const same = report.agreement.reduce((sum, row, i) => sum + row[i], 0);
  expect(report.agreementShare).toBe(same / 8000);
  // Thirty of forty days are matured; every second row has a label.
  expect(report.matured.rows).toBe(6001);
  expect(report.matured.labelled).toBe(3001);
  expect(report.matured.days).toBeCloseTo(30, 1);
  expect(report.provisional).toMatchObject({ rows: 1999, labelled: 999 });
  expect(report.metrics!.rows).toBe(3001);
  expect(report.metrics!.frauds).toBe(report.matured.frauds);
  expect(report.latencyMs.candidate.p99).toBeCloseTo(2.98, 3);
  expect(report.championVersions).toEqual(["1"]);
  expect(report.segments.map((segment) => segment.rows).reduce((sum, count) => sum + count, 0)).toBe(3001);
  expect(report.scoreDifference.quantiles[4].value).toBeTypeOf("number");
});

test("the two models change places when the pairs do", async () => {
  const pairs = shadowed(simulated(2, SHAPE));
  const swapped = pairs.map((pair) => ({ ...pair, champion: pair.candidate, candidate: pair.champion }));
  const there = shadowReport(await collectPairs(pairs), OPTIONS);
  const back = shadowReport(await collectPairs(swapped), OPTIONS);
  for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) expect(back.agreement[j][i]).toBe(there.agreement[i][j]);
  expect(back.metrics!.averagePrecision.difference).toBe(-there.metrics!.averagePrecision.difference);
  expect(back.metrics!.decisions.frauds.pValue).toBe(there.metrics!.decisions.frauds.pValue);
  expect(back.scoreDifference.mean).toBeCloseTo(-there.scoreDifference.mean, 12);
});

test("labels that are not known yet, and rows too young, play no part in the metrics", async () => {
  const pairs = shadowed(simulated(3, SHAPE));
  const tomorrow = pairs.map((pair) => ({ ...pair, labelKnownAt: NOW + 1 }));
  expect(shadowReport(await collectPairs(tomorrow), OPTIONS).metrics).toBeNull();
  const young = shadowReport(await collectPairs(pairs), { ...OPTIONS, maturityMs: 100 * DAY_MS });
  expect(young.metrics).toBeNull();
  expect(young.matured).toMatchObject({ rows: 0, frauds: 0, days: 0 });
  expect(young.provisional.rows).toBe(8000);
});

test("where only fraud is ever reported, an old row without a label counts as genuine", async () => {
  const rows = simulated(4, SHAPE);
  const pairs = await collectPairs(shadowed(rows, { labelled: (row) => rows.y[row] === 1 }));
  expect(shadowReport(pairs, OPTIONS).metrics).toBeNull();
  const report = shadowReport(pairs, { ...OPTIONS, unlabelledIsGenuine: true });
  expect(report.metrics!.rows).toBe(report.matured.rows);
});

test("no pairs, useless pairs and too many pairs are reported as such", async () => {
  const pairs = shadowed(simulated(5, { ...SHAPE, rows: 40 }));
  const none = shadowReport(await collectPairs([]), OPTIONS);
  expect(none).toMatchObject({ pairs: 0, from: null, alertRate: null, metrics: null, segments: [] });
  const spoiled = pairs.map((pair, i) =>
    i === 3 ? { ...pair, candidate: { ...pair.candidate, score: Number.NaN } } : pair,
  );
  expect(shadowReport(await collectPairs(spoiled), OPTIONS)).toMatchObject({ pairs: 39, unusable: 1 });
  const newest = await collectPairs(pairs, { rowsMax: 10 });
  expect(newest).toMatchObject({ rows: 10, truncated: true });
  expect([...newest.a]).toEqual(pairs.slice(-10).map(({ champion }) => champion.score));
  expect(newest.cards).toBe(new Set(pairs.slice(-10).map(({ card }) => card)).size);
  expect(Math.max(...newest.card)).toBe(newest.cards - 1);
  expect(await collectPairs(pairs, { rowsMax: 40 })).toMatchObject({ rows: 40, truncated: false });
});

test("segments given by row numbers of all pairs are looked at on matured rows", async () => {
  const pairs = await collectPairs(shadowed(simulated(6, SHAPE)));
  const odd = Int32Array.from({ length: 4000 }, (_, i) => 2 * i + 1);
  const report = shadowReport(pairs, { ...OPTIONS, segments: [{ name: "odd", rows: odd }] });
  expect(report.segments).toHaveLength(1);
  expect(report.segments[0].rows).toBe(3000);
  expect(report.segments[0].interval!.level).toBe(0.95);
});

test("amount bands hold every known amount once, also where amounts are all equal", () => {
  const amount = Float64Array.from({ length: 101 }, (_, i) => (i === 7 ? Number.NaN : i));
  const bands = amountBands({ amount });
  expect(bands.map((band) => band.rows.length)).toEqual([25, 25, 25, 25]);
  const equal = amountBands({ amount: new Float64Array(10).fill(5) });
  expect(equal.map((band) => band.rows.length)).toEqual([10]);
  expect(amountBands({ amount: new Float64Array(0) })).toEqual([]);
});
