// The drift statistics against SciPy and statsmodels, and against their own algebra.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { chiSquareTest, shareTest } from "../../src/drift/categories.ts";
import { chiSquareQuantile, chiSquareTail } from "../../src/drift/chi-square.ts";
import { kolmogorovTail, ksTest } from "../../src/drift/ks.ts";
import { benjaminiHochberg, psiNoise } from "../../src/drift/limits.ts";
import { poolRare, psi, sum } from "../../src/drift/psi.ts";
import { answers } from "../reference/answers.ts";
import { binned } from "./worlds.ts";

test.each(answers.chi_square)("chi-square tail at $x with $df degrees", ({ x, df, tail }) => {
  expect(Math.abs(chiSquareTail(x, df) - tail)).toBeLessThan(1e-12 + 1e-9 * tail);
  if (tail > 1e-6 && tail < 1) expect(chiSquareQuantile(tail, df)).toBeCloseTo(x, 6);
});

test("the Kolmogorov distribution", () => {
  const { t, tail } = answers.kolmogorov;
  for (let i = 0; i < t.length; i++) expect(kolmogorovTail(t[i])).toBeCloseTo(tail[i], 12);
});

test.each(answers.ks.map((answer, i) => [i, answer] as const))("KS as SciPy, case %i", (_, { x, y, statistic, p }) => {
  const sketch = [...x].sort((a, b) => a - b);
  const { grid, bins } = binned(sketch, y);
  const result = ksTest(bins, { grid, sketch, rows: x.length });
  expect(result.statistic).toBeCloseTo(statistic, 12);
  // SciPy uses the exact one-sample distribution here; Stephens' correction is within a few percent of it.
  expect(Math.abs(result.pValue - p)).toBeLessThan(0.005 + 0.05 * p);
});

test.each(answers.categorical)("chi-square of a table with statistic $statistic", ({ table, statistic, df, p }) => {
  const result = chiSquareTest({ reference: table[0], window: table[1] });
  expect(result.statistic).toBeCloseTo(statistic, 9);
  expect(result.df).toBe(df);
  expect(Math.abs(result.pValue - p)).toBeLessThan(1e-12 + 1e-8 * p);
});

test.each(answers.share)("Fisher's exact tail for $a of $n against $b of $m", ({ a, n, b, m, p }) => {
  const pValue = shareTest({ events: a, rows: n }, { events: b, rows: m });
  expect(Math.abs(pValue - p)).toBeLessThan(1e-10 + 1e-6 * p);
});

test.each(answers.benjamini_hochberg)("Benjamini-Hochberg as statsmodels", ({ p, adjusted }) => {
  const ours = benjaminiHochberg(p);
  for (let i = 0; i < p.length; i++) expect(ours[i]).toBeCloseTo(adjusted[i], 12);
  const withGap = benjaminiHochberg([Number.NaN, ...p]);
  expect(withGap[0]).toBeNaN();
  expect(withGap.slice(1)).toEqual(ours);
});

const counts = fc.array(fc.nat(1000), { minLength: 2, maxLength: 12 });

test("PSI is never negative, zero for equal shares, and finite whatever is empty", () => {
  fc.assert(
    fc.property(counts, counts, (reference, other) => {
      const window = reference.map((_, bin) => other[bin % other.length]);
      fc.pre(sum(reference) > 0 && sum(window) > 0);
      const value = psi({ reference, window });
      expect(Number.isFinite(value)).toBe(true);
      expect(value).toBeGreaterThanOrEqual(-1e-12);
      expect(psi({ reference, window: reference.map((count) => 3 * count) })).toBeCloseTo(0, 12);
    }),
  );
});

test("PSI by hand for filled bins", () => {
  const value = psi({ reference: [500_000, 500_000], window: [600_000, 400_000] });
  expect(value).toBeCloseTo(0.1 * Math.log(0.6 / 0.5) - 0.1 * Math.log(0.4 / 0.5), 5);
  expect(psi({ reference: [1, 1], window: [0, 0] })).toBeNaN();
});

test("pooling keeps every row and leaves no bin too small to test while there is more than one", () => {
  fc.assert(
    fc.property(counts, counts, (reference, other) => {
      const window = reference.map((_, bin) => other[bin % other.length]);
      const pooled = poolRare({ reference, window });
      expect(sum([...pooled.reference])).toBe(sum(reference));
      expect(sum([...pooled.window])).toBe(sum(window));
      const scale = Math.min(1, sum(window) / Math.max(1, sum(reference)));
      if (pooled.reference.length > 1) expect(Math.min(...pooled.reference) * scale).toBeGreaterThanOrEqual(8);
    }),
  );
});

test("the PSI limit follows the size of the window: near 0.28 at 100 rows, 0.003 at 10 000", () => {
  const reference = new Array<number>(10).fill(10_000);
  const limitAt = (rows: number): number =>
    psiNoise(0, { reference, window: new Array<number>(10).fill(rows / 10) }, { alpha: 0.001, designEffect: 1 }).limit;
  expect(limitAt(100) / (27.88 * (1 / 100 + 1 / 100_000))).toBeGreaterThan(1);
  expect(limitAt(100)).toBeLessThan(0.32);
  expect(limitAt(10_000)).toBeCloseTo(27.88 * (1 / 10_000 + 1 / 100_000), 4);
});

test("simulated PSI without drift has the mean that is expected", () => {
  const random = new Random(3);
  const reference = new Array<number>(10).fill(10_000);
  for (const rows of [100, 1000]) {
    let total = 0;
    const repetitions = 2000;
    for (let i = 0; i < repetitions; i++) {
      const window = new Array<number>(10).fill(0);
      for (let row = 0; row < rows; row++) window[random.integer(10)]++;
      total += psi({ reference, window });
    }
    const bins = { reference, window: new Array<number>(10).fill(rows / 10) };
    const { mean } = psiNoise(0, bins, { alpha: 0.01, designEffect: 1 });
    // The reference is fixed here, so its own 1/m is not drawn; it is 1 % of the mean at most. 3 standard errors: 3 %.
    expect(total / repetitions / mean).toBeGreaterThan(0.93);
    expect(total / repetitions / mean).toBeLessThan(1.05);
  }
});
