// Sampling of rows and columns: what is drawn, that one-side sampling is right in the mean, and what it is worth.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../../../src/core/random.ts";
import { averagePrecision, logLoss } from "../../../../src/metrics/metrics.ts";
import { scoreMatrix, sigmoid } from "../../../../src/ml/gbdt/score.ts";
import { BLOCK_ROWS, PAIR_BYTES } from "../../../../src/ml/gbdt/train/arena.ts";
import { derivativeUnits, deriveRows } from "../../../../src/ml/gbdt/train/gradients.ts";
import { defaultGbdtParams, type GbdtParams } from "../../../../src/ml/gbdt/train/params.ts";
import { sampleRows } from "../../../../src/ml/gbdt/train/sampling.ts";
import { trainGbdt } from "../../../../src/ml/gbdt/train/train.ts";
import { fraudProblem } from "../../arbitraries.ts";
import { spaceFor } from "./space.ts";

const goss: GbdtParams = { ...defaultGbdtParams, gossTop: 0.1, gossRest: 0.1 };

/** A workspace whose rows stand at random margins, and what sampling in it gives. */
function sampler(rows: number, params: GbdtParams) {
  const { x, y } = fraudProblem(rows, 3);
  const { space } = spaceFor(x, { params });
  const { arena, views } = space;
  views.u8.set(y, arena.training.labels);
  views.f64[space.own.factors / 8] = 1;
  const random = new Random(7);
  const odds = Float64Array.from({ length: rows }, () => Math.exp(random.normal(-2, 1)));
  return (seed: number) => {
    views.f64.set(odds, arena.training.odds / 8);
    const all = deriveRows(space, derivativeUnits(1, undefined));
    const pairs = (): Float32Array => views.f32.slice(arena.pairs / 4, (arena.pairs + PAIR_BYTES * rows) / 4);
    const before = pairs();
    const sampled = sampleRows(space, { params, random: new Random(seed), round: 11, sums: all });
    const list = views.i32.slice(arena.list / 4, arena.list / 4 + rows);
    return { ...sampled, all, list, before, after: pairs() };
  };
}

test("a list holds every row once, those kept first, both parts ascending", () => {
  const variants = [{ rowSample: 0.3 }, { gossTop: 0.2, gossRest: 0.1 }, { gossTop: 0, gossRest: 0.5 }, {}];
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9000 }), fc.constantFrom(...variants), fc.nat(), (rows, variant, seed) => {
      const { kept, list } = sampler(rows, { ...defaultGbdtParams, ...variant })(seed);
      const rising = (part: Int32Array): boolean => part.every((row, i) => i === 0 || part[i - 1] < row);
      expect(rising(list.subarray(0, kept))).toBe(true);
      expect(rising(list.subarray(kept))).toBe(true);
      expect([...list].sort((a, b) => a - b)).toEqual(Array.from(list, (_, r) => r));
    }),
    { numRuns: 40 },
  );
});

test("rows are drawn as a Random of each block draws them", () => {
  const rows = 2 * BLOCK_ROWS + 100;
  const { kept, list } = sampler(rows, { ...defaultGbdtParams, rowSample: 0.4 })(5);
  const random = new Random(5);
  const seed = random.bits();
  const always = random.integer(rows);
  const expected: number[] = [];
  for (let block = 0; block * BLOCK_ROWS < rows; block++) {
    const draws = new Random(seed).fork(block);
    for (let row = block * BLOCK_ROWS; row < Math.min(rows, (block + 1) * BLOCK_ROWS); row++) {
      if (draws.bits() < 0.4 * 2 ** 32 || row === always) expected.push(row);
    }
  }
  expect([...list.subarray(0, kept)]).toEqual(expected);
});

test("one-side sampling keeps the largest gradients as they are, and as many rows as asked", () => {
  const rows = 20_000;
  const { kept, list, before, after } = sampler(rows, goss)(1);
  expect(kept).toBeGreaterThan(0.18 * rows);
  expect(kept).toBeLessThan(0.22 * rows);
  const sizes = Array.from({ length: rows }, (_, r) => Math.abs(before[2 * r + 1]));
  const unchanged = [...list.subarray(0, kept)].filter((r) => after[2 * r + 1] === before[2 * r + 1]);
  expect(unchanged.length).toBeGreaterThan(0.095 * rows);
  expect(unchanged.length).toBeLessThanOrEqual(0.1 * rows);
  const smallest = Math.min(...unchanged.map((r) => sizes[r]));
  const top = new Set(unchanged);
  for (let r = 0; r < rows; r++) if (!top.has(r)) expect(sizes[r]).toBeLessThan(smallest);
});

test("sums over the rows kept are those of all rows in the mean, also over a part of the rows", () => {
  const rows = 3000;
  const sample = sampler(rows, goss);
  for (const part of [1, 3]) {
    for (const half of [0, 1]) {
      const sums: number[] = [];
      let exact = 0;
      for (let seed = 0; seed < 200; seed++) {
        const { kept, list, before, after } = sample(seed);
        let sum = 0;
        for (const row of list.subarray(0, kept)) if (row % part === 0) sum += after[2 * row + half];
        sums.push(sum);
        exact = 0;
        for (let row = 0; row < rows; row += part) exact += before[2 * row + half];
      }
      const mean = sums.reduce((a, b) => a + b, 0) / sums.length;
      const variance = sums.reduce((a, b) => a + (b - mean) ** 2, 0) / (sums.length - 1);
      expect(Math.abs(mean - exact)).toBeLessThan(4 * Math.sqrt(variance / sums.length));
    }
  }
});

test("the sums that fix the packing are those of the rows kept", () => {
  const { kept, list, after, sums } = sampler(5000, goss)(2);
  let hessians = 0;
  let gradients = 0;
  for (const row of list.subarray(0, kept)) {
    hessians += after[2 * row];
    gradients += Math.abs(after[2 * row + 1]);
  }
  expect(sums.hessians).toBeCloseTo(hessians, 8);
  expect(sums.gradients).toBeCloseTo(gradients, 8);
});

test("a fifth of the rows learns nearly what all of them teach", () => {
  const problem = fraudProblem(20_000, 1);
  const later = fraudProblem(20_000, 2);
  const quality = (params: GbdtParams): readonly [number, number] => {
    const { model } = trainGbdt({ ...problem, params: { ...params, trees: 40, depthMax: 4 }, seed: 1 });
    const scores = scoreMatrix(model, later.x).map(sigmoid);
    return [averagePrecision(scores, later.y), logLoss(scores, later.y)];
  };
  const all = quality(defaultGbdtParams);
  const sampled = quality(goss);
  expect(sampled).not.toEqual(all);
  expect(sampled[0]).toBeGreaterThan(all[0] - 0.01);
  expect(sampled[1]).toBeLessThan(all[1] + 0.003);
});

test("one-side sampling is refused half given, over the whole, and beside another sampling of rows", () => {
  const problem = fraudProblem(500, 1);
  const train = (change: Partial<GbdtParams>) => () =>
    trainGbdt({ ...problem, params: { ...defaultGbdtParams, trees: 1, ...change }, seed: 1 });
  expect(train({ gossTop: 0.2 })).toThrow("gossRest is undefined; it must be given with gossTop");
  expect(train({ gossRest: 0.2 })).toThrow("gossTop is undefined; it must be given with gossRest");
  expect(train({ gossTop: 0.6, gossRest: 0.5 })).toThrow("gossRest is 0.5; it must be at most 1 − gossTop");
  expect(train({ gossTop: 0.2, gossRest: 0.1, rowSample: 0.5 })).toThrow("rowSample is 0.5; it must be 1 with gossTop");
});
