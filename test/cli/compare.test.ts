// What `sentinel compare` prints of a shadow: every figure of the report that decides, McNemar, segments with Holm and the alert rate among them.
import { expect, test } from "vitest";
import { showShadow } from "../../src/cli/compare.ts";
import { figure, type Output } from "../../src/cli/output.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import { collectPairs } from "../../src/evidence/pairs.ts";
import { promotionGate } from "../../src/evidence/promotion.ts";
import { type ShadowReport, shadowReport } from "../../src/evidence/report.ts";
import { NOW, shadowed } from "../evidence/shadowed.ts";
import { simulated } from "../evidence/simulated.ts";

const SHAPE = { rows: 10_000, prevalence: 0.06, rho: 0.9, gapA: 3, gapB: 1.5, perCard: 4 };

/** Tables and lines by their first cell, as they are printed. */
function printed(report: ShadowReport): {
  readonly rows: ReadonlyMap<string, readonly string[]>;
  readonly text: string;
} {
  const rows = new Map<string, readonly string[]>();
  const lines: string[] = [];
  const output: Output = {
    json: false,
    heading: (text) => lines.push(text),
    line: (text) => lines.push(text),
    warn: (text) => lines.push(text),
    table: (table) => {
      for (const row of table) rows.set(row[0], row.slice(1));
    },
    verdict: () => {},
    progress: () => {},
  };
  showShadow(output, report);
  return { rows, text: lines.join("\n") };
}

async function reportOf(maturityDays: number): Promise<ShadowReport> {
  const pairs = await collectPairs(shadowed(simulated(3, SHAPE)));
  return shadowReport(pairs, { now: NOW, maturityMs: maturityDays * DAY_MS, seed: 1, resamples: 100 });
}

test("McNemar on frauds and on genuine ones apart, the alert rate, and each segment with Holm's p", async () => {
  const report = await reportOf(1);
  const { rows, text } = printed(report);
  const { frauds, genuine } = report.metrics!.decisions;
  expect(frauds.onlyA).not.toBe(genuine.onlyA);
  expect(rows.get("on frauds")?.slice(0, 2)).toEqual([frauds.onlyA, frauds.onlyB].map(String));
  expect(rows.get("on genuine ones")?.slice(0, 2)).toEqual([genuine.onlyA, genuine.onlyB].map(String));
  expect(rows.get("on frauds")?.slice(2)).toEqual(["< 0.0001", figure(frauds.anytimePValue)]);
  const { alertRate } = report;
  expect(rows.get("alert rate")?.slice(0, 2)).toEqual([figure(alertRate!.observedA), figure(alertRate!.observedB)]);
  expect(report.segments).toHaveLength(4);
  for (const { name, frauds: count, interval } of report.segments)
    expect(rows.get(name)?.slice(0, 3), name).toEqual([
      String(count),
      figure(interval!.observedA),
      figure(interval!.observedB),
    ]);
  // The smallest p that is printed is the one that the gate judges by.
  const said = promotionGate({ report, coverage: null }).checks.find(({ name }) => name === "worst segment")!;
  const worst = report.segments.find(({ name }) => said.observed.startsWith(name))!;
  expect(said.passed).toBe(false);
  const p = Number(/, p ([\de.-]+) \(Holm, 4 segments\)/.exec(said.observed)![1]);
  const cell = rows.get(worst.name)![4];
  if (p < 0.0001) expect(cell).toBe("< 0.0001");
  else expect(Number(cell)).toBeCloseTo(p, 3);
  expect(text).toContain("p worse: that a segment loses no more than 0.1, adjusted for all of them");
});

test("without mature labels the alert rate is known all the same, and no decision is compared", async () => {
  const { rows, text } = printed(await reportOf(100));
  expect(text).toContain("no labelled frauds to compare on yet");
  expect([...rows.keys()]).toContain("alert rate");
  expect([...rows.keys()]).not.toContain("on frauds");
  expect([...rows.keys()]).not.toContain("average precision");
});
