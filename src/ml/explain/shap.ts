// Exact TreeSHAP: what each column adds to a boosted model's margin for one vector, in time linear in the nodes.
import type { GbdtModel } from "../gbdt/model.ts";
import { gaussLegendre } from "./quadrature.ts";
import { sharesOf } from "./shares.ts";

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
  const { feature, threshold, left, right, missingLeft, value } = model;
  const { leftShare, above, aboveChild, aboveShare, expected, pathColumnsMax, treeNodesMax } = sharesOf(
    model,
    model.cover,
  );
  const { nodes: points, weights } = gaussLegendre(Math.max(1, Math.ceil(pathColumnsMax / 2)));
  const trees = Array.from(model.roots, (from, t) => ({ from, to: model.roots[t + 1] ?? feature.length }));

  // One tree's numbers for one vector, by node counted from the root.
  const numbers = (): Float64Array => new Float64Array(treeNodesMax);
  /** The child that the vector goes to, and the other. */
  const hot = new Int32Array(treeNodesMax);
  const cold = new Int32Array(treeNodesMax);
  /** 1 where the vector passes every split above on the node's own column, else 0. */
  const open = numbers();
  /** Share of the cover that those splits let through; 1 where it does not count because the vector fails one. */
  const through = numbers();
  /** The same, through the other child as well. */
  const throughCold = numbers();
  // At the t under way:
  /** How likely the node is reached, times the point's weight. */
  const reach = numbers();
  /** Mean value below the node. */
  const mean = numbers();
  /** How likely the other child is taken. */
  const toCold = numbers();
  /** What a difference between the children's means is worth to the node's column. */
  const stake = numbers();

  /** Which way the vector goes at each node, also off its path. */
  const route = (vector: Float32Array, from: number, to: number): void => {
    for (let node = from, i = 0; node < to; node++, i++) {
      const column = feature[node];
      if (column < 0) {
        mean[i] = value[node];
        continue;
      }
      const asked = vector[column];
      const goesLeft = asked < threshold[node] || (Number.isNaN(asked) && missingLeft[node] === 1);
      hot[i] = (goesLeft ? left[node] : right[node]) - from;
      cold[i] = (goesLeft ? right[node] : left[node]) - from;
      const split = above[node];
      const passes = split < 0 || (open[split] === 1 && hot[split] === aboveChild[node]);
      open[i] = passes ? 1 : 0;
      through[i] = passes ? aboveShare[node] : 1;
      throughCold[i] = through[i] * (goesLeft ? 1 - leftShare[node] : leftShare[node]);
    }
  };

  /**
   * A column known with probability t leads through its splits above with probability open·t + through·(1 − t), and through
   * them and on to the other child with throughCold·(1 − t), as the vector itself never goes there. Their quotient is
   * `toCold`; its derivative with respect to the column's own probability makes the stake.
   */
  const descend = (t: number, weight: number, from: number, to: number): void => {
    reach[0] = weight;
    for (let node = from, i = 0; node < to; node++, i++) {
      if (feature[node] < 0) continue;
      const known = open[i] * t;
      const scale = 1 / (known + through[i] * (1 - t));
      const share = throughCold[i] * scale;
      const other = share * (1 - t);
      const reached = reach[i];
      toCold[i] = other;
      stake[i] = reached * share * scale * open[i];
      reach[cold[i]] = reached * other;
      reach[hot[i]] = reached - reached * other;
    }
  };

  const ascend = (from: number, to: number, out: Float64Array): void => {
    for (let node = to - 1, i = to - from - 1; node >= from; node--, i--) {
      const column = feature[node];
      if (column < 0) continue;
      const hotMean = mean[hot[i]];
      const difference = hotMean - mean[cold[i]];
      mean[i] = hotMean - toCold[i] * difference;
      out[column] += stake[i] * difference;
    }
  };

  return {
    expected: model.baseMargin + expected,
    explain(vector, out) {
      out.fill(0);
      for (const { from, to } of trees) {
        route(vector, from, to);
        for (let q = 0; q < points.length; q++) {
          descend(points[q], weights[q], from, to);
          ascend(from, to, out);
        }
      }
    },
  };
}
