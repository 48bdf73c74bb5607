// Kernels: each WebAssembly loop against plain, slow arithmetic.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../../../src/core/random.ts";
import { PAIR_BYTES, SUMS_BYTES } from "../../../../src/ml/gbdt/train/arena.ts";
import { BIN_SLOTS, MISSING_BIN } from "../../../../src/ml/gbdt/train/bins.ts";
import { derivativeUnits, deriveRows, packRows, type Scales } from "../../../../src/ml/gbdt/train/gradients.ts";
import { type ColumnKind, kindNumber } from "../../../../src/ml/gbdt/train/kinds.ts";
import { defaultGbdtParams, type GbdtParams } from "../../../../src/ml/gbdt/train/params.ts";
import { bestSplit, searchColumns, UNBOUNDED, writeRules } from "../../../../src/ml/gbdt/train/split.ts";
import type { Workspace } from "../../../../src/ml/gbdt/train/workspace.ts";
import type { Matrix } from "../../../../src/ml/matrix.ts";
import { fraudProblem, matrixOf } from "../../arbitraries.ts";
import { binAt, spaceFor } from "./space.ts";

interface Problem {
  readonly space: Workspace;
  readonly thresholds: readonly Float32Array[];
  readonly x: Matrix;
  readonly y: Uint8Array;
  readonly margins: Float64Array;
  readonly loss: number;
  /** Per row hessian and gradient, before they were packed. */
  readonly pairs: Float64Array;
  readonly scales: Scales;
}

/** Rows at random margins, with their derivatives. */
function someProblem(
  rows: number,
  seed: number,
  options: { binsMax?: number; weights?: Float32Array; scalePositive?: number } = {},
): Problem {
  const { x, y } = fraudProblem(rows, seed);
  const { space, thresholds } = spaceFor(x, { binsMax: options.binsMax, weighted: options.weights !== undefined });
  const random = new Random(seed);
  const margins = Float64Array.from({ length: rows }, () => random.normal(-2, 2));
  const { arena, views } = space;
  views.u8.set(y, arena.training.labels);
  views.f64.set(margins.map(Math.exp), arena.training.odds / 8);
  views.f64[space.own.factors / 8] = 1;
  if (options.weights) views.f32.set(options.weights, arena.weights / 4);
  const units = derivativeUnits(options.scalePositive ?? 1, options.weights);
  const sums = deriveRows(space, units);
  const stored = views.f32.slice(arena.pairs / 4, (arena.pairs + PAIR_BYTES * rows) / 4);
  const pairs = Float64Array.from(stored, (value) => value / units.genuine);
  const scales = packRows(space, { sums, units, kept: rows, round: seed });
  const { loss } = sums;
  return { space, thresholds, x, y, margins, loss, pairs, scales };
}

/** Hessian and gradient of a row, unrounded. */
function pairOf({ pairs }: Problem, row: number): readonly [number, number] {
  return [pairs[2 * row], pairs[2 * row + 1]];
}

/** Integers of a 64-bit sum: hessian below, gradient above. */
function sumsAt(space: Workspace, address: number): readonly [number, number] {
  return [space.views.i32[address / 4], space.views.i32[address / 4 + 1]];
}

function logLossOf(margins: ArrayLike<number>, y: ArrayLike<number>): number {
  let loss = 0;
  for (let r = 0; r < y.length; r++) loss += Math.log1p(Math.exp(y[r] === 1 ? -margins[r] : margins[r]));
  return loss / y.length;
}

test("the loss taken from products of odds is the mean log-loss, with and without weights", () => {
  const { margins, y, loss } = someProblem(5000, 3);
  expect(loss).toBeCloseTo(logLossOf(margins, y), 12);
  expect(someProblem(5000, 3, { weights: new Float32Array(5000).fill(2) }).loss).toBeCloseTo(loss, 12);
});

test("derivatives are those of the log-loss", () => {
  const problem = someProblem(200, 5);
  const step = 1e-4;
  for (let r = 0; r < 200; r++) {
    const m = problem.margins[r];
    const at = (margin: number): number => logLossOf([margin], [problem.y[r]]);
    const [hessian, gradient] = pairOf(problem, r);
    expect(gradient).toBeCloseTo((at(m + step) - at(m - step)) / (2 * step), 6);
    expect(hessian).toBeCloseTo((at(m + step) - 2 * at(m) + at(m - step)) / step ** 2, 5);
  }
});

test("derivatives are multiplied by weights of any size, frauds' by their scale too, to Float32's precision", () => {
  for (const size of [1e-38, 1e-3, 1, 1e38]) {
    const random = new Random(3);
    const weights = Float32Array.from({ length: 333 }, () => size * (0.1 + random.next()));
    const plain = someProblem(333, 2);
    const weighted = someProblem(333, 2, { weights, scalePositive: 50 });
    for (let r = 0; r < 333; r++) {
      const factor = weights[r] * (plain.y[r] === 1 ? 50 : 1);
      for (const half of [0, 1]) {
        const expected = pairOf(plain, r)[half] * factor;
        expect(Math.abs(pairOf(weighted, r)[half] / expected - 1)).toBeLessThan(3e-7);
      }
    }
  }
});

test("odds are multiplied by the factor of the row's leaf, and far beyond certainty stay finite", () => {
  const { space } = someProblem(5, 1);
  const { arena, kernels, own, views } = space;
  const { odds, leaves, labels, blocks } = arena.training;
  const { pairs } = arena;
  const before = views.f64.slice(odds / 8, odds / 8 + 5);
  views.i32.set([0, 3, 4, 1, 2], arena.list / 4);
  kernels.markLeaf(arena.list, 1, leaves, 1);
  kernels.markLeaf(arena.list + 4, 2, leaves, 2);
  kernels.markLeaf(arena.list + 12, 2, leaves, 0);
  views.f64.set([1, 2.5, 0.25], own.factors / 8);
  kernels.derive(0, 5, odds, leaves, own.factors, labels, 0, pairs, 1, 1, blocks);
  const after = [...views.f64.subarray(odds / 8, odds / 8 + 5)];
  expect(after).toEqual([before[0] * 2.5, before[1], before[2], before[3] * 0.25, before[4] * 0.25]);
  views.f64.set([1, Math.exp(500), Math.exp(-1e6)], own.factors / 8);
  for (let i = 0; i < 3; i++) kernels.derive(0, 5, odds, leaves, own.factors, labels, 0, pairs, 1, 1, blocks);
  for (let r = 0; r < 5; r++)
    expect(views.f64[odds / 8 + r] > 0 && Number.isFinite(views.f64[odds / 8 + r])).toBe(true);
  for (let i = 0; i < SUMS_BYTES / 8; i++) expect(Number.isFinite(views.f64[blocks / 8 + i])).toBe(true);
});

test("packed sums give back both sums, to a unit a row, and fit their halves", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3000 }), fc.nat(), (rows, seed) => {
      const problem = someProblem(rows, seed);
      const { space, scales } = problem;
      const sums = [0, 0];
      const exact = [0, 0];
      for (let r = 0; r < rows; r++) {
        const [hessian, gradient] = sumsAt(space, space.arena.pairs + PAIR_BYTES * r);
        expect(hessian).toBeGreaterThanOrEqual(0);
        sums[0] += hessian;
        sums[1] += gradient;
        exact[0] += pairOf(problem, r)[0];
        exact[1] += pairOf(problem, r)[1];
      }
      expect(sums[0]).toBeLessThan(2 ** 31);
      expect(Math.abs(sums[1])).toBeLessThan(2 ** 31);
      expect(Math.abs(sums[0] / scales.hessian - exact[0])).toBeLessThanOrEqual(rows / scales.hessian);
      expect(Math.abs(sums[1] / scales.gradient - exact[1])).toBeLessThanOrEqual(rows / scales.gradient);
    }),
    { numRuns: 30 },
  );
});

test("packed sums fit their halves when they come as near to the limit as they can", () => {
  for (const rows of [1, 2, 3, 4097, 2 ** 20]) {
    // What all weights come to: nearly the most that is scaled to fill a half, a little more being scaled to fill half of it.
    const most = (2 ** 31 - 2 ** 11 - rows) / 2 ** 31;
    const even = new Float32Array(rows).fill(most / rows);
    const uneven = new Float32Array(rows).fill((most * 1e-9) / rows);
    uneven[rows - 1] = most * (1 - 1e-9);
    for (const weights of [even, uneven]) {
      const { space } = spaceFor(matrixOf(rows, [new Float32Array(rows)]), { weighted: true });
      const { arena, views } = space;
      views.f32.set(weights, arena.weights / 4);
      views.f64.fill(1, arena.training.odds / 8, arena.training.odds / 8 + rows);
      views.f64[space.own.factors / 8] = 1;
      const units = derivativeUnits(1, weights);
      packRows(space, { sums: deriveRows(space, units), units, kept: rows, round: 1 });
      const sums = [0, 0];
      for (let r = 0; r < rows; r++) {
        const halves = sumsAt(space, arena.pairs + PAIR_BYTES * r);
        for (const half of [0, 1]) sums[half] += halves[half];
      }
      // Near the limit, and not above.
      for (const sum of sums) {
        expect(sum).toBeLessThan(2 ** 31);
        expect(sum).toBeGreaterThan(2 ** 31 - 2 ** 21 - 2 ** 12);
      }
    }
  }
});

test("a histogram holds each bin's sum whatever the rows, their order and the number of columns", () => {
  const task = fc.record({
    columns: fc.integer({ min: 1, max: 19 }),
    rows: fc.integer({ min: 1, max: 2500 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(task, ({ columns, rows, share, seed }) => {
      const random = new Random(seed);
      const x = matrixOf(
        rows,
        Array.from({ length: columns }, () => Float32Array.from({ length: rows }, () => random.integer(300))),
      );
      const { space } = spaceFor(x);
      const { arena, kernels, own, views } = space;
      const values = Array.from({ length: rows }, () => [random.integer(1000), random.integer(2001) - 1000]);
      values.forEach((pair, r) => {
        views.i32.set(pair, arena.pairs / 4 + 2 * r);
      });
      const list = Int32Array.from({ length: rows }, (_, r) => r);
      random.shuffle(list);
      const count = Math.floor(share * rows);
      views.i32.set(list, arena.list / 4);
      const expected = new Float64Array(2 * columns * BIN_SLOTS);
      const all = new Float64Array(2 * columns * BIN_SLOTS);
      list.forEach((row, i) => {
        for (let c = 0; c < columns; c++) {
          const at = 2 * (c * BIN_SLOTS + binAt(space, row, c));
          for (const half of [0, 1]) {
            all[at + half] += values[row][half];
            if (i < count) expected[at + half] += values[row][half];
          }
        }
      });
      const read = (slot: number): number[] => {
        const address = arena.histograms + slot * arena.histogramBytes;
        return Array.from({ length: columns * BIN_SLOTS }, (_, i) => sumsAt(space, address + 8 * i)).flat();
      };
      const add = (slot: number, from: number, rowCount: number): void => {
        const address = arena.histograms + slot * arena.histogramBytes;
        kernels.clear(address, arena.histogramBytes);
        const { rowMajor } = arena;
        kernels.addRows(address, from, rowCount, rowMajor, arena.pairs, arena.stride, columns, 0, own.buffer);
      };
      // Sums of both halves as integers: gradients below zero borrow nothing, since hessians are not negative.
      add(0, arena.list, count);
      expect(read(0)).toEqual([...expected]);
      add(1, 0, rows);
      expect(read(1)).toEqual([...all]);
      add(2, arena.list + 4 * count, rows - count);
      // Columns picked apart stand side by side, each with the sums it has among all.
      const chosen = Int32Array.from({ length: columns }, (_, c) => c).filter(() => random.next() < 0.6);
      views.i32.set(chosen, arena.sampledColumns / 4);
      const apart = arena.histograms + 3 * arena.histogramBytes;
      kernels.clear(apart, arena.histogramBytes);
      const { sampledColumns, pairs, stride, rowMajor } = arena;
      kernels.addRows(apart, arena.list, count, rowMajor, pairs, stride, chosen.length, sampledColumns, own.buffer);
      const sums = read(3);
      chosen.forEach((column, i) => {
        const own = sums.slice(2 * i * BIN_SLOTS, 2 * (i + 1) * BIN_SLOTS);
        expect(own).toEqual([...expected.subarray(2 * column * BIN_SLOTS, 2 * (column + 1) * BIN_SLOTS)]);
      });
      kernels.subtract(arena.histograms + arena.histogramBytes, arena.histograms, arena.histogramBytes);
      expect(read(1)).toEqual(read(2));
      kernels.add(arena.histograms, arena.histograms + 2 * arena.histogramBytes, arena.histogramBytes);
      expect(read(0)).toEqual([...all]);
    }),
    { numRuns: 40 },
  );
});

test("partition puts exactly the rows that go left first and keeps the order of both sides", () => {
  const { space } = spaceFor(matrixOf(200, [new Float32Array(200)]));
  const { arena, kernels, views } = space;
  const task = fc.record({
    bins: fc.uint8Array({ minLength: 1, maxLength: 200 }),
    splitBin: fc.integer({ min: 0, max: 254 }),
    missingLeft: fc.boolean(),
  });
  fc.assert(
    fc.property(task, ({ bins, splitBin, missingLeft }) => {
      const { columnMajor } = arena.training;
      views.u8.set(bins, columnMajor);
      const all = Array.from(bins, (_, r) => r);
      views.i32.set(all, arena.list / 4);
      const args = [arena.list, bins.length, columnMajor, splitBin, missingLeft ? 1 : 0, arena.scratch] as const;
      const middle = kernels.partition(...args);
      const goesLeft = (r: number): boolean => (bins[r] === MISSING_BIN ? missingLeft : bins[r] <= splitBin);
      const rows = [...views.i32.subarray(arena.list / 4, arena.list / 4 + bins.length)];
      expect(rows).toEqual([...all.filter(goesLeft), ...all.filter((r) => !goesLeft(r))]);
      expect(middle).toBe(all.filter(goesLeft).length);
    }),
  );
});

test("rows marked by side are those marked after a partition", () => {
  const { space } = spaceFor(matrixOf(200, [new Float32Array(200)]));
  const { arena, kernels, views } = space;
  const { columnMajor, leaves } = arena.training;
  const task = fc.record({
    bins: fc.uint8Array({ minLength: 1, maxLength: 200 }),
    splitBin: fc.integer({ min: 0, max: 254 }),
    missingLeft: fc.integer({ min: 0, max: 1 }),
    left: fc.integer({ min: 0, max: 65_535 }),
    right: fc.integer({ min: 0, max: 65_535 }),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(task, ({ bins, splitBin, missingLeft, left, right, seed }) => {
      const random = new Random(seed);
      const list = Int32Array.from(bins, (_, r) => r);
      random.shuffle(list);
      const count = random.integer(bins.length + 1);
      const marked = (mark: () => void): Uint8Array => {
        views.u8.set(bins, columnMajor);
        views.i32.set(list, arena.list / 4);
        views.u8.fill(7, leaves, leaves + 2 * bins.length);
        mark();
        return views.u8.slice(leaves, leaves + 2 * bins.length);
      };
      const bySide = marked(() =>
        kernels.markSides(arena.list, count, columnMajor, splitBin, missingLeft, leaves, left, right),
      );
      const afterwards = marked(() => {
        const middle = kernels.partition(arena.list, count, columnMajor, splitBin, missingLeft, arena.scratch);
        kernels.markLeaf(arena.list, middle, leaves, left);
        kernels.markLeaf(arena.list + 4 * middle, count - middle, leaves, right);
      });
      expect(bySide).toEqual(afterwards);
    }),
  );
});

test("the split found has the largest gain of all, by a slow search over values", () => {
  const rules = { lambda: 0.5, alpha: 0.1, gamma: 0, minChildWeight: 0.5 };
  for (const seed of [1, 2, 3, 4, 5]) {
    const problem = someProblem(300, seed, { binsMax: 12 });
    const { space, thresholds, x } = problem;
    const { arena, kernels, own, views } = space;
    const { rowMajor } = arena;
    kernels.clear(arena.histograms, arena.histogramBytes);
    kernels.addRows(arena.histograms, 0, 300, rowMajor, arena.pairs, arena.stride, 4, 0, own.buffer);
    views.i32.set([0, 1, 2, 3], arena.sampledColumns / 4);
    writeRules(space, { ...defaultGbdtParams, ...rules }, problem.scales);
    for (const group of [0, 1]) {
      const columns = { from: 2 * group, to: 2 * group + 2 };
      searchColumns(space, arena.histograms, { columns, group, number: 0, bounds: UNBOUNDED });
    }
    const split = bestSplit(space, { number: 0, groups: 2, thresholds })!;
    const gains: number[] = [];
    for (let c = 0; c < 4; c++) {
      for (const threshold of [...thresholds[c], Number.POSITIVE_INFINITY]) {
        for (const missingLeft of [true, false]) gains.push(slowGain({ column: c, threshold, missingLeft }));
      }
    }
    expect(split.gain).toBeCloseTo(Math.max(...gains), 3);
    expect(slowGain(split)).toBeCloseTo(split.gain, 3);

    function slowGain(s: { column: number; threshold: number; missingLeft: boolean }): number {
      const sums = [0, 0, 0, 0];
      for (let r = 0; r < 300; r++) {
        const value = x.values[s.column * 300 + r];
        const side = (Number.isNaN(value) ? s.missingLeft : value < s.threshold) ? 0 : 2;
        const [hessian, gradient] = pairOf(problem, r);
        sums[side] += gradient;
        sums[side + 1] += hessian;
      }
      if (sums[1] < rules.minChildWeight || sums[3] < rules.minChildWeight) return Number.NEGATIVE_INFINITY;
      const score = (g: number, h: number): number => Math.max(0, Math.abs(g) - rules.alpha) ** 2 / (h + rules.lambda);
      return score(sums[0], sums[1]) + score(sums[2], sums[3]) - score(sums[0] + sums[2], sums[1] + sums[3]);
    }
  }
});

/** Sums of a column's bins and of its missing values, as whole numbers. */
interface Sums {
  readonly gradient: number;
  readonly hessian: number;
}

test("a search of any histogram finds the first cut of the largest gain, as trying every one does", () => {
  const { space } = spaceFor(matrixOf(1, [[1]]));
  const { arena, views } = space;
  const histogram = (): Buffer =>
    Buffer.from(views.u8.slice(arena.histograms, arena.histograms + arena.histogramBytes));
  const bins = fc.oneof(fc.integer({ min: 1, max: 255 }), fc.constantFrom(1, 2, 3, 253, 254, 255));
  // None to all of the bins are filled; up to 2^31 - 1 in a sum of hessians, of either sign in one of gradients.
  const filled = fc.constantFrom(0, 0.02, 0.5, 1);
  const sizes = fc.constantFrom(1, 3, 1000, 2 ** 23 - 1);
  const task = fc.record({
    kind: fc.constantFrom<ColumnKind>("number", "number", "category", "category", "increasing", "decreasing"),
    bins,
    filled,
    sizes,
    missing: fc.boolean(),
    // Of 1, all means are equal; near it, the node is worth far more than any split gains.
    tilt: fc.constantFrom(0, 0.99),
    lambda: fc.constantFrom(0, 1, 100),
    alpha: fc.constantFrom(0, 0.5, 30),
    gamma: fc.constantFrom(0, 2.5),
    minChildWeight: fc.constantFrom(0, 1, 50),
    low: fc.constantFrom(Number.NEGATIVE_INFINITY, -0.5, 0.25),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(task, (t) => {
      const params = { ...defaultGbdtParams, ...t, categoryLambda: 3, categorySmoothing: 2 };
      const random = new Random(t.seed);
      const some = (): Sums => {
        const hessian = random.integer(t.sizes) + 1;
        const gradient = random.integer(2 * t.sizes + 1) - t.sizes;
        return { hessian, gradient: Math.round(t.tilt * hessian + (1 - t.tilt) * gradient) };
      };
      const empty: Sums = { gradient: 0, hessian: 0 };
      const column = Array.from({ length: t.bins }, () => (random.next() < t.filled ? some() : empty));
      const missing = t.missing ? some() : empty;
      const scales: Scales = { hessian: 2 ** 5, gradient: 2 ** 4 };
      views.i32.fill(0, arena.histograms / 4, (arena.histograms + arena.histogramBytes) / 4);
      [...column.entries(), [MISSING_BIN, missing] as const].forEach(([bin, { gradient, hessian }]) => {
        views.i32.set([hessian, gradient], (arena.histograms + 8 * bin) / 4);
      });
      const before = histogram();
      views.i32[arena.binCounts / 4] = t.bins;
      views.i32[arena.kinds / 4] = kindNumber(t.kind);
      writeRules(space, params, scales);
      const bounds = { low: t.low, high: Number.POSITIVE_INFINITY };
      searchColumns(space, arena.histograms, { columns: { from: 0, to: 1 }, group: 0, number: 0, bounds });
      expect(histogram().equals(before)).toBe(true);

      const found = slowSearch({ column, missing, kind: t.kind, bounds, params, scales });
      const at = arena.candidates;
      expect(views.i32[at / 4 + 2]).toBe(found === null ? -1 : 0);
      if (found === null) return;
      expect(views.f64[at / 8]).toBe(found.gain);
      expect([...views.f64.subarray(at / 8 + 4, at / 8 + 6)]).toEqual([found.left.gradient, found.left.hessian]);
      expect(views.i32[at / 4 + 5]).toBe(found.missingLeft ? 1 : 0);
      if (t.kind === "category") {
        const binsAt = (side: number): number[] =>
          [...column.keys()].filter((bin) => (views.i32[side / 4 + (bin >>> 5)] >>> (bin & 31)) & 1);
        const others = [...column.keys()].filter((bin) => column[bin].hessian > 0 && !found.bins.has(bin));
        expect(binsAt(at + 64)).toEqual([...found.bins].sort((a, b) => a - b));
        expect(binsAt(at + 96)).toEqual(others);
      } else {
        expect(views.i32[at / 4 + 3]).toBe(Math.max(...found.bins));
      }
    }),
    { numRuns: 1500 },
  );
});

interface Found {
  readonly gain: number;
  readonly left: Sums;
  readonly missingLeft: boolean;
  /** Filled bins on the left. */
  readonly bins: ReadonlySet<number>;
}

/** The search written as its definition reads: every cut, the missing on either side, one at a time. */
function slowSearch(of: {
  readonly column: readonly Sums[];
  readonly missing: Sums;
  readonly kind: ColumnKind;
  readonly bounds: { readonly low: number; readonly high: number };
  readonly params: GbdtParams;
  readonly scales: Scales;
}): Found | null {
  const { params, scales, kind, missing } = of;
  const isBounded = of.bounds.low > Number.NEGATIVE_INFINITY;
  const weightOf = (sums: Sums): number => sums.hessian / scales.hessian;
  const slopeOf = (sums: Sums): number => sums.gradient / scales.gradient;
  const plus = (a: Sums, b: Sums): Sums => ({ gradient: a.gradient + b.gradient, hessian: a.hessian + b.hessian });
  const node = of.column.reduce(plus, missing);
  const filled = [...of.column.keys()].filter((bin) => of.column[bin].hessian > 0);
  if (kind === "category") {
    const mean = (bin: number): number =>
      slopeOf(of.column[bin]) / (weightOf(of.column[bin]) + params.categorySmoothing);
    filled.sort((a, b) => mean(a) - mean(b) || a - b);
  }
  const worthOf = (sums: Sums, lambda: number): number => {
    const shrunk = Math.max(Math.abs(slopeOf(sums)) - params.alpha, 0);
    const best = shrunk === 0 ? 0 : (-Math.sign(sums.gradient) * shrunk) / (weightOf(sums) + lambda);
    return Math.min(Math.max(best, of.bounds.low), of.bounds.high);
  };
  const scoreOf = (sums: Sums, lambda: number): number => {
    const value = worthOf(sums, lambda);
    if (isBounded || kind === "increasing" || kind === "decreasing") {
      const slope = 2 * (slopeOf(sums) * value + params.alpha * Math.abs(value));
      return -(slope + (weightOf(sums) + lambda) * value * value);
    }
    return Math.max(Math.abs(slopeOf(sums)) - params.alpha, 0) ** 2 / (weightOf(sums) + lambda);
  };
  const parent = isBounded
    ? scoreOf(node, params.lambda)
    : Math.max(Math.abs(slopeOf(node)) - params.alpha, 0) ** 2 / (weightOf(node) + params.lambda);
  const lambda = params.lambda + (kind === "category" ? params.categoryLambda : 0);
  let best: Found | null = null;
  let left: Sums = { gradient: 0, hessian: 0 };
  filled.forEach((bin, i) => {
    left = plus(left, of.column[bin]);
    for (const missingLeft of missing.hessian > 0 ? [false, true] : [false]) {
      const side = missingLeft ? plus(left, missing) : left;
      const other = { gradient: node.gradient - side.gradient, hessian: node.hessian - side.hessian };
      const lightest = Math.min(weightOf(side), weightOf(other));
      // Sums of fewer than 64 units are mostly rounding.
      if (lightest < Math.max(params.minChildWeight, 64 / scales.hessian)) continue;
      const rise = worthOf(other, lambda) - worthOf(side, lambda);
      const isFree = !missingLeft && i === filled.length - 1;
      if (!isFree && ((kind === "increasing" && rise < 0) || (kind === "decreasing" && rise > 0))) continue;
      const gain = scoreOf(side, lambda) + scoreOf(other, lambda) - parent;
      // Larger by less than a millionth counts as equal: the first one stays.
      if (gain <= (best?.gain ?? Math.max(1e-6, params.gamma - 1e-6)) * (1 + 2 ** -20)) continue;
      best = { gain, left: side, missingLeft, bins: new Set(filled.slice(0, i + 1)) };
    }
  });
  return best;
}
