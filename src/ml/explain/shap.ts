// Exact TreeSHAP: what each column adds to a boosted model's margin for one vector, in time linear in the nodes.

import { type KernelMemory, loadKernels, makeMemory } from "../../core/kernels.ts";
import type { GbdtModel } from "../gbdt/model.ts";
import { type Layout, layOut, spread, spreadLength } from "./layout.ts";
import { gaussLegendre, type Quadrature } from "./quadrature.ts";

/** Explains vectors by the model it was made for. */
export interface Explainer {
  /** The margin before anything is known of a vector: the mean of the leaves by their cover. */
  readonly expected: number;
  /**
   * Writes one attribution per column of the model into `out`, in log-odds; with `expected` they sum to the vector's margin.
   * Allocates nothing.
   */
  explain(vector: Float32Array, out: Float64Array): void;
}

/** Explainers of the models in use; gone when the models are. */
const explainers = new WeakMap<GbdtModel, Explainer>();

/**
 * The explainer of a model, made when it is first asked for. Errors: `ml.kernel-unusable`, `ml.memory-short`.
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

interface ExplainKernel {
  explain(
    trees: number,
    treeCount: number,
    splits: number,
    leaves: number,
    points: number,
    pointCount: number,
    places: number,
  ): void;
}

function makeExplainer(model: GbdtModel): Explainer {
  const layout = layOut(model, model.cover);
  const quadrature = gaussLegendre(Math.max(1, Math.ceil(layout.pathColumnsMax / 2)));
  const at = placeAll(layout, quadrature);
  const memory = makeMemory(at.bytes, { shared: false });
  const kernel = loadKernels<ExplainKernel>(new URL("../kernels/explain.wasm", import.meta.url), memory);
  fill(memory, { layout, quadrature, at });
  const values = new Float64Array(memory.buffer, at.values, spreadLength(layout));
  const sums = new Float64Array(memory.buffer, at.sums, model.names.length);
  const treeCount = model.roots.length;
  const pointCount = quadrature.points.length;
  return {
    expected: model.baseMargin + expectedOf(layout),
    explain(vector, out) {
      spread(layout, vector, values);
      sums.fill(0);
      kernel.explain(at.trees, treeCount, at.splits, at.leaves, at.points, pointCount, at.places);
      out.set(sums);
    },
  };
}

/** Sizes of the kernel's records; see `kernels/assembly/explain.ts` for what is in them. */
const SPLIT_BYTES = 56;
const PLACE_BYTES = 64;
const POINT_BYTES = 16;

/** Where the kernel finds what, in bytes. */
interface Addresses {
  readonly values: number;
  readonly sums: number;
  readonly points: number;
  readonly places: number;
  readonly splits: number;
  readonly leaves: number;
  readonly trees: number;
  readonly bytes: number;
}

function placeAll(layout: Layout, { points }: Quadrature): Addresses {
  let next = 0;
  const take = (bytes: number): number => {
    next += bytes;
    return next - bytes;
  };
  return {
    values: take(8 * spreadLength(layout)),
    sums: take(8 * layout.trees.names.length),
    points: take(POINT_BYTES * points.length),
    places: take(PLACE_BYTES * layout.placesMax),
    splits: take(SPLIT_BYTES * layout.column.length),
    leaves: take(8 * layout.leafValue.length),
    trees: take(4 * layout.trees.roots.length),
    bytes: next,
  };
}

function fill(
  memory: KernelMemory,
  from: { readonly layout: Layout; readonly quadrature: Quadrature; readonly at: Addresses },
): void {
  const { layout, quadrature, at } = from;
  const view = new DataView(memory.buffer);
  const place = (number: number): number => at.places + PLACE_BYTES * number;
  quadrature.points.forEach((point, q) => {
    view.setFloat64(at.points + POINT_BYTES * q, point, true);
    view.setFloat64(at.points + POINT_BYTES * q + 8, quadrature.weights[q], true);
  });
  // Place 0 stands for no split: the vector passes it.
  view.setUint32(place(0) + PLACE_BYTES - 4, 1, true);
  for (let split = 0, to = at.splits; split < layout.column.length; split++, to += SPLIT_BYTES) {
    const left = 2 * split;
    view.setFloat64(to, layout.threshold[split], true);
    view.setFloat64(to + 8, layout.share[left], true);
    view.setFloat64(to + 16, layout.share[left + 1], true);
    view.setFloat64(to + 24, layout.aboveShare[split], true);
    view.setUint32(to + 32, at.values + 8 * layout.asked[split], true);
    view.setUint32(to + 36, at.sums + 8 * layout.column[split], true);
    view.setUint32(to + 40, place(layout.child[left]), true);
    view.setUint32(to + 44, place(layout.child[left + 1]), true);
    view.setUint32(to + 48, place(layout.above[split]), true);
    view.setUint32(to + 52, layout.aboveSide[split], true);
  }
  new Float64Array(memory.buffer, at.leaves, layout.leafValue.length).set(layout.leafValue);
  for (let tree = 0; tree < layout.trees.roots.length; tree++) {
    view.setInt32(at.trees + 4 * tree, layout.splitsFrom[tree + 1] - layout.splitsFrom[tree], true);
  }
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
