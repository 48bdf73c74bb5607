// The paired bootstrap: determinism, nominal coverage, dependence within cards, the known size of its standard error.
import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { mean, standardDeviation } from "../../src/core/stats.ts";
import { pairedBootstrap, pairedBootstraps } from "../../src/evidence/bootstrap.ts";
import { AVERAGE_PRECISION, recallWithinFpr } from "../../src/metrics/ranked.ts";
import { alertsAt, BRIER, RECALL } from "../../src/metrics/summed.ts";
import { simulated } from "./simulated.ts";

const SHAPE = { rows: 4000, prevalence: 0.05, rho: 0.8, gapA: 1.8, gapB: 2 };

test("the same seed gives the same interval, another seed another; order of metrics does not matter", () => {
  const rows = simulated(1, SHAPE);
  const run = (seed: number) => pairedBootstrap({ ...rows, metric: AVERAGE_PRECISION, resamples: 200, seed });
  expect(run(7)).toEqual(run(7));
  expect(run(8).low).not.toBe(run(7).low);
  const both = pairedBootstraps({
    ...rows,
    metrics: [recallWithinFpr(0.01), AVERAGE_PRECISION],
    resamples: 200,
    seed: 7,
  });
  expect(both[1]).toEqual(run(7));
});

test("a model against itself differs by nothing; against a better one it loses; swapping sides mirrors", () => {
  const rows = simulated(2, SHAPE);
  const use = { metric: AVERAGE_PRECISION, resamples: 300, seed: 3 };
  const same = pairedBootstrap({ ...rows, b: rows.a, ...use });
  expect([same.difference, same.low, same.high, same.standardError, same.probabilityBetter]).toEqual([0, 0, 0, 0, 0.5]);
  const better = { ...rows, b: rows.a.map((score, row) => score + 2 * rows.y[row]) };
  const win = pairedBootstrap({ ...better, ...use });
  expect(win.low).toBeGreaterThan(0);
  expect(win.probabilityBetter).toBe(1);
  const mirrored = pairedBootstrap({ ...better, a: better.b, b: better.a, ...use });
  expect(mirrored.difference).toBe(-win.difference);
  expect(mirrored.high).toBeCloseTo(-win.low, 12);
});

test("for a metric where lower is better, a lower B is the better one", () => {
  const rows = simulated(3, { ...SHAPE, rows: 500 });
  const labels = Float64Array.from(rows.y);
  const away = labels.map((label) => (label === 1 ? 0.6 : 0.3));
  const result = pairedBootstrap({ ...rows, a: away, b: labels, metric: BRIER, resamples: 100, seed: 1 });
  expect(result.difference).toBeLessThan(0);
  expect(result.probabilityBetter).toBe(1);
});

test("codes of cards are only names, and weights of one are no weights", () => {
  const rows = simulated(4, { ...SHAPE, perCard: 4 });
  const use = { metric: AVERAGE_PRECISION, resamples: 100, seed: 5 };
  const plain = pairedBootstrap({ ...rows, ...use });
  const renamed = pairedBootstrap({ ...rows, card: rows.card.map((code) => 5_000_000 - 7 * code), ...use });
  const weighted = pairedBootstrap({ ...rows, weights: new Float64Array(4000).fill(1), ...use });
  expect(renamed).toEqual(plain);
  expect(weighted).toEqual(plain);
  expect(plain.cards).toBe(1000);
});

test("the interval covers the truth about as often as it says", () => {
  // Recall at a fixed threshold has a known truth: P(N(gap, 1) ≥ 1.5), which is Φ(0.2) − Φ(0).
  const shape = { rows: 800, prevalence: 0.15, rho: 0.7, gapA: 1.5, gapB: 1.7 };
  const truth = 0.57925971 - 0.5;
  const repetitions = 300;
  let covered = 0;
  for (let i = 0; i < repetitions; i++) {
    const rows = simulated(1000 + i, shape);
    const alerts = { a: alertsAt(rows.a, 1.5), b: alertsAt(rows.b, 1.5) };
    const { low, high } = pairedBootstrap({ ...rows, alerts, metric: RECALL, resamples: 200, seed: i, level: 0.9 });
    if (low <= truth && truth <= high) covered++;
  }
  // 90 % nominal; three standard errors of 300 repetitions are 5 points, the percentile interval loses one or two.
  expect(covered / repetitions).toBeGreaterThan(0.84);
  expect(covered / repetitions).toBeLessThan(0.96);
});

test("few resamples cover as often as many: the ends are those between which the next one lies", () => {
  const shape = { rows: 800, prevalence: 0.15, rho: 0.7, gapA: 1.5, gapB: 1.7 };
  const truth = 0.57925971 - 0.5;
  const repetitions = 400;
  let covered = 0;
  for (let i = 0; i < repetitions; i++) {
    const rows = simulated(5000 + i, shape);
    const alerts = { a: alertsAt(rows.a, 1.5), b: alertsAt(rows.b, 1.5) };
    const { low, high } = pairedBootstrap({ ...rows, alerts, metric: RECALL, resamples: 39, seed: i });
    if (low <= truth && truth <= high) covered++;
  }
  // 95 % nominal with a standard error of 1.1 points; the quantiles of a sample of 39 would cover 90 %.
  expect(covered / repetitions).toBeGreaterThan(0.925);
  expect(covered / repetitions).toBeLessThan(0.975);
});

test("few days: the interval is as wide as Student's t asks, and covers", () => {
  const shape = { rows: 480, prevalence: 0.3, rho: 0.5, gapA: 1.5, gapB: 1.5 };
  const days = 6;
  const repetitions = 250;
  let covered = 0;
  for (let i = 0; i < repetitions; i++) {
    const rows = simulated(9000 + i, shape);
    const day = Int32Array.from(rows.y, (_, row) => row % days);
    // What a day's campaign does to each model's scores of frauds.
    const random = new Random(77_000 + i);
    const shifts = { a: normals(random, days), b: normals(random, days) };
    const shifted = (scores: Float64Array, by: Float64Array): Float64Array =>
      scores.map((score, row) => score + 0.5 * rows.y[row] * by[day[row]]);
    const [a, b] = [shifted(rows.a, shifts.a), shifted(rows.b, shifts.b)];
    const alerts = { a: alertsAt(a, 1.5), b: alertsAt(b, 1.5) };
    const { low, high } = pairedBootstrap({ ...rows, a, b, day, alerts, metric: RECALL, resamples: 199, seed: i });
    if (low <= 0 && 0 <= high) covered++;
  }
  expect(covered / repetitions).toBeGreaterThan(0.925);
});

test("rows of one card move together: resampling cards is wider than rows, and right", () => {
  const shape = { rows: 4000, prevalence: 0.1, rho: 0.5, gapA: 1.6, gapB: 1.6, perCard: 20, cardEffect: 0.6 };
  const differences: number[] = [];
  const byCard: number[] = [];
  const byRow: number[] = [];
  for (let i = 0; i < 40; i++) {
    const rows = simulated(2000 + i, shape);
    const use = { ...rows, metric: AVERAGE_PRECISION, resamples: 150, seed: i };
    const result = pairedBootstrap(use);
    differences.push(result.difference);
    byCard.push(result.standardError);
    byRow.push(pairedBootstrap({ ...use, card: rows.card.map((_, row) => row) }).standardError);
  }
  const truth = standardDeviation(differences);
  expect(mean(byCard) / mean(byRow)).toBeGreaterThan(1.8);
  expect(mean(byCard) / truth).toBeGreaterThan(0.7);
  expect(mean(byCard) / truth).toBeLessThan(1.35);
});

test("the standard error has the size known from simulation, and pairing is what makes it small", () => {
  // Prevalence 0.5 %, AP about 0.42, 200 frauds in 40 000 rows: about .014 at correlation .95, .028 at .80, .050 unpaired.
  const at = (rho: number): number => {
    const rows = simulated(11, { rows: 40_000, prevalence: 0.005, rho, gapA: 2.55, gapB: 2.65 });
    return pairedBootstrap({ ...rows, metric: AVERAGE_PRECISION, resamples: 200, seed: 1 }).standardError;
  };
  const [close, looser, unrelated] = [at(0.95), at(0.8), at(0)];
  for (const [measured, known] of [
    [close, 0.014],
    [looser, 0.028],
    [unrelated, 0.05],
  ]) {
    expect(measured / known).toBeGreaterThan(1 / 1.8);
    expect(measured / known).toBeLessThan(1.8);
  }
  expect(looser).toBeGreaterThan(1.3 * close);
  expect(unrelated).toBeGreaterThan(1.3 * looser);
});

test("the standard error falls with the square root of the frauds", () => {
  const at = (rows: number): number =>
    pairedBootstrap({
      ...simulated(21, { ...SHAPE, rows }),
      metric: AVERAGE_PRECISION,
      resamples: 300,
      seed: 1,
    }).standardError;
  const ratio = at(2500) / at(40_000);
  expect(ratio).toBeGreaterThan(4 / 1.5);
  expect(ratio).toBeLessThan(4 * 1.5);
});

test("without frauds, or with one class only, nothing is claimed", () => {
  const rows = simulated(5, { ...SHAPE, rows: 100, prevalence: 0 });
  const result = pairedBootstrap({ ...rows, metric: AVERAGE_PRECISION, resamples: 50, seed: 1 });
  expect(result.resamples).toBe(0);
  for (const value of [result.difference, result.low, result.high, result.standardError]) expect(value).toBeNaN();
});

test("input that cannot be compared is refused with what and where", () => {
  const good = {
    a: Float64Array.of(1, 2),
    b: Float64Array.of(1, 2),
    y: Uint8Array.of(0, 1),
    card: Int32Array.of(0, 1),
    metric: BRIER,
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
  expect(refused({ alerts: { a: Uint8Array.of(1, 0), b: Uint8Array.of(1) } })).toMatch(/alerts of b has 1 rows/);
  expect(refused({ amount: Float64Array.of(1) })).toMatch(/amount has 1 rows/);
  expect(refused({ a: Float64Array.of(1, Number.NaN) })).toMatch(/a is NaN in row 1/);
  expect(refused({ weights: Float64Array.of(1, -1) })).toMatch(/weight in row 1 is negative/);
  expect(refused({ y: Uint8Array.of(0, 2) })).toMatch(/label in row 1 is 2/);
  expect(refused({ resamples: 1e9 })).toMatch(/resamples/);
  expect(refused({ level: 1 })).toMatch(/level/);
});

function normals(random: Random, count: number): Float64Array {
  return Float64Array.from({ length: count }, () => random.normal());
}
