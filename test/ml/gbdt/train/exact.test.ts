// Against boosting in doubles, written as its definition reads: leaves are worth what exact sums say, splits gain the most.
import { expect, test } from "vitest";
import { Random } from "../../../../src/core/random.ts";
import type { GbdtModel } from "../../../../src/ml/gbdt/model.ts";
import { sigmoid } from "../../../../src/ml/gbdt/score.ts";
import { defaultGbdtParams, type GbdtParams } from "../../../../src/ml/gbdt/train/params.ts";
import { type GbdtTask, startMargin } from "../../../../src/ml/gbdt/train/task.ts";
import { trainGbdt } from "../../../../src/ml/gbdt/train/train.ts";
import { fraudProblem } from "../../arbitraries.ts";

const params: GbdtParams = { ...defaultGbdtParams, depthMax: 4, trees: 30 };

interface Case {
  readonly rows: number;
  readonly change?: Partial<GbdtParams>;
  /** Decimal digits that weights differ by. */
  readonly weightDigits?: number;
  /** Frauds kept, one of so many. */
  readonly rarity?: number;
  /** What a leaf may be off, as a share of what it could be worth were all its gradients of one sign. */
  readonly tolerance: number;
}

const CASES: Readonly<Record<string, Case>> = {
  "one block": { rows: 250, tolerance: 1e-6 },
  "no penalty": { rows: 250, change: { lambda: 0, minChildWeight: 0 }, tolerance: 1e-6 },
  "an L1 penalty": { rows: 251, change: { alpha: 0.5, lambda: 0 }, tolerance: 1e-6 },
  "frauds a thousand times as heavy": { rows: 250, change: { scalePositive: 1000 }, tolerance: 1e-4 },
  "late rounds of rare frauds": { rows: 8193, rarity: 100, change: { trees: 250 }, tolerance: 1e-4 },
  "late rounds of rare, heavy frauds": {
    rows: 8191,
    rarity: 100,
    change: { trees: 150, scalePositive: 1000 },
    tolerance: 1e-4,
  },
  "weights from 1e-2 to 1e2": { rows: 250, weightDigits: 4, tolerance: 1e-5 },
  // The lightest rows are below what a unit of the sums stands for: no leaf may be of them alone.
  "weights from 1e-6 to 1e6, no penalty": {
    rows: 250,
    weightDigits: 12,
    change: { lambda: 0, minChildWeight: 0 },
    tolerance: 0.05,
  },
};

for (const [name, given] of Object.entries(CASES)) {
  test(`leaves are worth what exact sums of their rows say: ${name}`, () => {
    const task = taskOf(given);
    let leaves = 0;
    followTrees(task, trainGbdt(task).model, (node) => {
      if (!node.isLeaf) return;
      leaves++;
      const { learningRate, lambda, alpha } = task.params;
      const { gradient, size, hessian } = sumsOf(node.rows, node.pairs);
      const shrunk = Math.max(0, Math.abs(gradient) - alpha);
      const exact = (-learningRate * Math.sign(gradient) * shrunk) / (hessian + lambda);
      const most = (learningRate * size) / (hessian + lambda);
      expect(Math.abs(node.value - exact)).toBeLessThan(given.tolerance * most + 1e-12);
      expect(Math.abs(node.cover / hessian - 1)).toBeLessThan(given.tolerance);
    });
    expect(leaves).toBeGreaterThan(40);
  });
}

test("every split gains what the best of all ways to part its rows does", () => {
  for (const change of [
    {},
    { lambda: 0, minChildWeight: 0 },
    { alpha: 0.5, minChildWeight: 3 },
    { scalePositive: 20 },
  ]) {
    // Fewer rows than bins: every value has a bin of its own.
    const task = taskOf({ rows: 250, change: { ...change, trees: 10 }, tolerance: 0 });
    let splits = 0;
    followTrees(task, trainGbdt(task).model, (node) => {
      if (node.isLeaf) return;
      splits++;
      const best = bestGain(task, node.rows, node.pairs);
      const gain = gainOf(task, node.pairs, node.rows, node.left);
      // Small gains are differences of large scores.
      expect(gain / best).toBeGreaterThan(1 - 1e-4);
      expect(Math.abs(node.gain / gain - 1)).toBeLessThan(1e-4);
    });
    expect(splits).toBeGreaterThan(20);
  }
});

function taskOf({ rows, change, weightDigits, rarity }: Case): GbdtTask {
  const { x, y } = fraudProblem(rows, rows);
  const random = new Random(rows);
  const rarer = y.map((label) => (label === 1 && random.integer(rarity ?? 1) === 0 ? 1 : 0));
  const half = (weightDigits ?? 0) / 2;
  const weights = Float32Array.from({ length: rows }, () => 10 ** random.uniform(-half, half));
  const weighted = weightDigits === undefined ? {} : { weights };
  return { x, y: rarer, ...weighted, params: { ...params, ...change }, seed: 1 };
}

/** Exact derivatives of all rows before a tree. */
interface Pairs {
  readonly gradients: Float64Array;
  readonly hessians: Float64Array;
}

interface Visited {
  readonly isLeaf: boolean;
  readonly rows: readonly number[];
  readonly left: readonly number[];
  readonly pairs: Pairs;
  readonly value: number;
  readonly gain: number;
  readonly cover: number;
}

/** Shows all nodes with the rows that reach them and exact derivatives at the margins of the trees before. */
function followTrees(task: GbdtTask, model: GbdtModel, visit: (node: Visited) => void): void {
  const { rows, values } = task.x;
  const margins = new Float64Array(rows).fill(startMargin(task));
  for (const root of model.roots) {
    const pairs = pairsAt(task, margins);
    follow(
      root,
      Array.from({ length: rows }, (_, r) => r),
    );
    function follow(node: number, reached: readonly number[]): void {
      const column = model.feature[node];
      const goesLeft = (r: number): boolean => {
        const value = values[column * rows + r];
        return Number.isNaN(value) ? model.missingLeft[node] === 1 : value < model.threshold[node];
      };
      const isLeaf = column < 0;
      const left = isLeaf ? [] : reached.filter(goesLeft);
      const [value, gain, cover] = [model.value[node], model.gain[node], model.cover[node]];
      visit({ isLeaf, rows: reached, left, pairs, value, gain, cover });
      if (isLeaf) {
        for (const r of reached) margins[r] += value;
        return;
      }
      follow(model.left[node], left);
      follow(
        model.right[node],
        reached.filter((r) => !goesLeft(r)),
      );
    }
  }
}

function pairsAt({ y, weights, params: { scalePositive } }: GbdtTask, margins: Float64Array): Pairs {
  const weightOf = (r: number): number => (weights?.[r] ?? 1) * (y[r] === 1 ? scalePositive : 1);
  return {
    gradients: margins.map((margin, r) => weightOf(r) * (sigmoid(margin) - y[r])),
    hessians: margins.map((margin, r) => weightOf(r) * sigmoid(margin) * sigmoid(-margin)),
  };
}

function sumsOf(rows: readonly number[], { gradients, hessians }: Pairs) {
  let [gradient, size, hessian] = [0, 0, 0];
  for (const r of rows) {
    gradient += gradients[r];
    size += Math.abs(gradients[r]);
    hessian += hessians[r];
  }
  return { gradient, size, hessian };
}

function gainOf(task: GbdtTask, pairs: Pairs, rows: readonly number[], left: readonly number[]): number {
  const { lambda, alpha } = task.params;
  const node = sumsOf(rows, pairs);
  const side = sumsOf(left, pairs);
  const score = (g: number, h: number): number => Math.max(0, Math.abs(g) - alpha) ** 2 / (h + lambda);
  const other = score(node.gradient - side.gradient, node.hessian - side.hessian);
  return score(side.gradient, side.hessian) + other - score(node.gradient, node.hessian);
}

/** The largest gain of all thresholds between values of all columns, the missing on either side. */
function bestGain(task: GbdtTask, rows: readonly number[], pairs: Pairs): number {
  const { x, params } = task;
  const whole = sumsOf(rows, pairs).hessian;
  let best = 0;
  x.names.forEach((_, column) => {
    const cellOf = (r: number): number => x.values[column * x.rows + r];
    const missing = rows.filter((r) => Number.isNaN(cellOf(r)));
    const present = rows.filter((r) => !Number.isNaN(cellOf(r))).sort((a, b) => cellOf(a) - cellOf(b));
    for (let count = 1; count <= present.length; count++) {
      if (count < present.length && cellOf(present[count]) === cellOf(present[count - 1])) continue;
      for (const left of [present.slice(0, count), [...present.slice(0, count), ...missing]]) {
        const { hessian } = sumsOf(left, pairs);
        if (left.length === rows.length || Math.min(hessian, whole - hessian) < params.minChildWeight) continue;
        best = Math.max(best, gainOf(task, pairs, rows, left));
      }
    }
  });
  return best;
}
