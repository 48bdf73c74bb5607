// Selective labels: what is blocked has no outcome, what is let through by chance stands for it, and what nobody knows is said.
import { expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { Random } from "../../src/core/random.ts";
import { collectPairs } from "../../src/evidence/pairs.ts";
import { promotionGate } from "../../src/evidence/promotion.ts";
import { shadowReport } from "../../src/evidence/report.ts";
import { selectionWords, selectRows, unknownShare, WEIGHT_MAX } from "../../src/evidence/selection.ts";
import type { ShadowPair } from "../../src/ports/log.ts";
import { NOW, shadowed } from "./shadowed.ts";
import { simulated } from "./simulated.ts";

const NONE = Number.NaN;

test("each kind of row: what it weighs, and what it is counted as", () => {
  const { weights, selection } = selectRows({
    //                        plain  no label  through  held back  reported  silent  young  through, tiny chance
    blocked: Uint8Array.from([0, 0, 0, 1, 1, 1, 1, 0]),
    propensity: Float64Array.of(NONE, NONE, 0.1, 0.1, NONE, NONE, NONE, 0.001),
    label: Uint8Array.from([1, 2, 1, 1, 1, 0, 1, 0]),
    reported: Uint8Array.from([1, 0, 1, 1, 1, 0, 1, 1]),
    asked: Uint8Array.from([1, 1, 1, 1, 1, 1, 0, 1]),
  });
  expect([...weights]).toEqual([1, 0, 10, 0, 1, 0, 0, WEIGHT_MAX]);
  expect(selection).toMatchObject({
    blocked: 5,
    letThrough: 2,
    represented: 1,
    reported: 1,
    unknown: 1,
    clipped: 1,
    weightMax: WEIGHT_MAX,
  });
  // Frauds of weights 1, 10 and 1: 12² / 102.
  expect(selection.effectiveFrauds).toBeCloseTo(144 / 102, 12);
  expect(unknownShare(selection)).toBe(1 / 5);
});

test("silence about what was blocked is no outcome, also where silence counts as genuine", async () => {
  const sample = simulated(1, { rows: 6000, prevalence: 0.05, rho: 0.9, gapA: 2.5, gapB: 2.5 });
  const pairs = shadowed(sample);
  const silent = pairs.map((pair) => (pair.answered === "block" ? { ...pair, fraud: null, labelKnownAt: null } : pair));
  const report = shadowReport(await collectPairs(silent), { ...OPTIONS, unlabelledIsGenuine: true });
  expect(report.selection.blocked).toBeGreaterThan(0);
  expect(report.selection.unknown).toBe(report.selection.blocked);
  expect(report.metrics!.rows).toBe(report.matured.rows - report.selection.unknown);
  expect(selectionWords(report.selection)).toMatch(/have no outcome: .* cannot be known/);
  const coverage = { version: "2", scored: 6000, missed: NO_MISS };
  const gate = (blockedUnknownMax: number) =>
    promotionGate({ report, coverage, policy: { blockedUnknownMax } }).checks.find(
      ({ name }) => name === "blocked traffic",
    )!;
  expect(gate(1)).toMatchObject({ passed: true });
  expect(gate(0.5)).toMatchObject({ passed: false });
});

test("weighted, the figures are those of the whole traffic; without the weights they are not", async () => {
  const sample = simulated(5, { rows: 16_000, prevalence: 0.05, rho: 0.5, gapA: 2.5, gapB: 2.5 });
  // This champion blocks all that it would else have reviewed.
  const pairs = shadowed(sample).map((pair): ShadowPair => {
    if (pair.champion.decision === "approve") return pair;
    return { ...pair, champion: { ...pair.champion, decision: "block" }, answered: "block" };
  });
  const truth = shadowReport(await collectPairs(pairs), OPTIONS).metrics!.averagePrecision;
  const random = new Random(9);
  const share = 0.25;
  const drawn = pairs.map((pair): ShadowPair => {
    if (pair.champion.decision !== "block") return pair;
    const through = random.next() < share;
    return { ...pair, answered: through ? "approve" : "block", propensity: share, ...(through ? {} : UNKNOWN) };
  });
  const report = shadowReport(await collectPairs(drawn), OPTIONS);
  const weighted = report.metrics!.averagePrecision;
  expect(Math.abs(weighted.difference - truth.difference)).toBeLessThan(3 * weighted.standardError);
  expect(Math.abs(weighted.observedA - truth.observedA)).toBeLessThan(0.05);
  expect(weighted.effective).toBeLessThan(truth.effective);
  expect(report.selection.letThrough + report.selection.represented).toBe(report.selection.blocked);
  // What the champion is best at is missing: it looks worse than it is, by more than the margin of the gate.
  const silent = pairs.map((pair) => (pair.answered === "block" ? { ...pair, ...UNKNOWN } : pair));
  const biased = shadowReport(await collectPairs(silent), OPTIONS).metrics!.averagePrecision;
  expect(biased.difference - truth.difference).toBeGreaterThan(0.02);
});

const UNKNOWN = { fraud: null, labelKnownAt: null };
const OPTIONS = { now: NOW, maturityMs: 10 * DAY_MS, seed: 1, resamples: 60, segments: [] };
const NO_MISS = { "sampled-out": 0, "queue-full": 0, timeout: 0, "breaker-open": 0, error: 0, "spec-not-warm": 0 };
