// Exact TreeSHAP: what each column adds to a boosted model's margin for one vector, in time linear in the nodes.
import type { GbdtModel } from "../gbdt/model.ts";
import { type Layout, layOut, spread, spreadLength } from "./layout.ts";
import { gaussLegendre } from "./quadrature.ts";

/** Explains vectors by the model it was made for. */
export interface Explainer {
  /** The margin before anything is known of a vector: the mean of the leaves by their cover. */
  readonly expected: number;
  /**
   * Writes one attribution a column of the model into `out`, in log-odds; with `expected` they sum to the vector's margin.
   * Allocates nothing.
   */
  explain(vector: Float32Array, out: Float64Array): void;
}

/** Explainers of the models in use; gone when the models are. */
const explainers = new WeakMap<GbdtModel, Explainer>();

/**
 * The explainer of a model, made when it is first asked for.
 *
 * The game is that of path-dependent TreeSHAP (Lundberg, Erion & Lee 2018): a tree is worth the mean of its leaves, where a
 * split on a column that is not known sends the vector both ways by their cover. A Shapley value is the integral over t
 * from 0 to 1 of the game's derivative where every column is known with probability t (Owen 1972, multilinear extensions). On
 * a path with d columns that is a polynomial of degree d − 1, so ⌈d / 2⌉ points of Gauss and Legendre give it exactly. At one
 * t a tree takes one pass down and one up, in which every number is a mean: nothing cancels, however deep the tree.
 */
export function explainerOf(model: GbdtModel): Explainer {
  let explainer = explainers.get(model);
  if (explainer === undefined) {
    explainer = makeExplainer(model);
    explainers.set(model, explainer);
  }
  return explainer;
}

function makeExplainer(model: GbdtModel): Explainer {
  const layout = layOut(model, model.cover);
  const { splitsFrom, leavesFrom, column, asked, threshold, child, share, leafValue } = layout;
  const { above, aboveSide, aboveShare, placesMax, pathColumnsMax } = layout;
  const { nodes: points, weights } = gaussLegendre(Math.max(1, Math.ceil(pathColumnsMax / 2)));
  const values = new Float64Array(spreadLength(model, layout));

  // One tree's numbers for one vector, by place in the tree.
  const numbers = (): Float64Array => new Float64Array(placesMax);
  /** The side that the vector goes to, the place there, and the other. */
  const side = new Int32Array(placesMax);
  const hot = new Int32Array(placesMax);
  const cold = new Int32Array(placesMax);
  /** 1 where the vector passes every split above on the same column, else 0. Nowhere, place 0, it passes. */
  const open = new Int32Array(placesMax).fill(1);
  /** Share of the cover that those splits let through; 1 where it does not count because the vector fails one. */
  const through = numbers();
  /** The same, and then through the other child. */
  const throughCold = numbers();
  // At the t under way:
  /** How likely the place is reached, times the point's weight. */
  const reach = numbers();
  /** Mean value below the place. */
  const mean = numbers();
  /** How likely the other child is taken. */
  const toCold = numbers();
  /** What a difference between the children's means is worth to the split's column. */
  const stake = numbers();

  /** Which way the vector goes at each split, also off its path. Without a branch that a processor could guess wrong. */
  const route = (first: number, end: number): void => {
    for (let split = first, at = 1; split < end; split++, at++) {
      const way = Number(values[asked[split]] >= threshold[split]);
      const other = 2 * split + 1 - way;
      side[at] = way;
      hot[at] = child[2 * split + way];
      cold[at] = child[other];
      const passes = open[above[split]] & (1 ^ side[above[split]] ^ aboveSide[split]);
      open[at] = passes;
      through[at] = passes * aboveShare[split] + (1 - passes);
      throughCold[at] = through[at] * share[other];
    }
  };

  /**
   * A column known with probability t leads through its splits above with probability open·t + through·(1 − t), and through
   * them and on to the other child with throughCold·(1 − t), as the vector itself never goes there. Their quotient is
   * `toCold`; its derivative with respect to the column's own probability makes the stake.
   */
  const descend = (t: number, weight: number, splits: number): void => {
    reach[1] = weight;
    for (let at = 1; at <= splits; at++) {
      const passes = open[at];
      const scale = 1 / (passes * t + through[at] * (1 - t));
      const part = throughCold[at] * scale;
      const reached = reach[at];
      const other = part * (1 - t);
      toCold[at] = other;
      stake[at] = reached * part * scale * passes;
      reach[cold[at]] = reached * other;
      reach[hot[at]] = reached - reached * other;
    }
  };

  const ascend = (first: number, splits: number, out: Float64Array): void => {
    for (let at = splits, split = first + splits - 1; at > 0; at--, split--) {
      const straight = mean[hot[at]];
      const difference = straight - mean[cold[at]];
      mean[at] = straight - toCold[at] * difference;
      out[column[split]] += stake[at] * difference;
    }
  };

  const explainTree = (tree: number, out: Float64Array): void => {
    const first = splitsFrom[tree];
    const splits = splitsFrom[tree + 1] - first;
    for (let leaf = leavesFrom[tree], at = splits + 1; leaf < leavesFrom[tree + 1]; leaf++, at++)
      mean[at] = leafValue[leaf];
    route(first, first + splits);
    for (let q = 0; q < points.length; q++) {
      descend(points[q], weights[q], splits);
      ascend(first, splits, out);
    }
  };

  return {
    expected: model.baseMargin + expectedOf(layout),
    explain(vector, out) {
      spread(model, layout, vector, values);
      out.fill(0);
      for (let tree = 0; tree + 1 < splitsFrom.length; tree++) explainTree(tree, out);
    },
  };
}

/** Mean of the leaves by their cover, summed over the trees. */
function expectedOf({ splitsFrom, leavesFrom, child, share, leafValue, placesMax }: Layout): number {
  const mean = new Float64Array(placesMax);
  let sum = 0;
  for (let tree = 0; tree + 1 < splitsFrom.length; tree++) {
    const first = splitsFrom[tree];
    const splits = splitsFrom[tree + 1] - first;
    mean.set(leafValue.subarray(leavesFrom[tree], leavesFrom[tree + 1]), splits + 1);
    for (let at = splits; at > 0; at--) {
      const left = 2 * (first + at - 1);
      mean[at] = share[left] * mean[child[left]] + share[left + 1] * mean[child[left + 1]];
    }
    sum += mean[1];
  }
  return sum;
}
