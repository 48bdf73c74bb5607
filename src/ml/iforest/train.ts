// Training the isolation forest: trees of random cuts over small random samples (Liu, Ting & Zhou 2008).
import { Random } from "../../core/random.ts";
import { checkMatrix, refuseParameter } from "../faults.ts";
import type { Matrix } from "../matrix.ts";
import { type IsolationForest, meanPath } from "./model.ts";

const TREES_MAX = 10_000;
const SAMPLE_MAX = 65_536;

/**
 * Grows `trees` trees, each on `sample` rows drawn without putting back (all rows when there are fewer) and no deeper than
 * log2(sample). A cut is uniform over a random column's range within the node. A missing value says nothing about a row, so
 * it goes where most of the node's rows go; columns with nothing to cut are passed over. The same seed gives the same
 * forest. Errors: `ml.parameter-invalid`.
 */
export function trainIsolationForest(task: {
  readonly x: Matrix;
  readonly trees?: number;
  readonly sample?: number;
  readonly seed: number;
}): IsolationForest {
  const { x, trees = 100, sample = 256 } = task;
  checkMatrix(x, "x");
  if (x.rows < 2) refuseParameter("x.rows", { value: x.rows, wanted: "at least 2" });
  checkWhole("trees", { value: trees, low: 1, high: TREES_MAX });
  checkWhole("sample", { value: sample, low: 2, high: SAMPLE_MAX });
  const size = Math.min(sample, x.rows);
  const random = new Random(task.seed);
  const all = new Int32Array(x.rows);
  for (let r = 0; r < x.rows; r++) all[r] = r;
  const columns = Int32Array.from({ length: x.names.length }, (_, c) => c);
  const nodes: ForestNode[] = [];
  const roots = new Int32Array(trees);
  for (let t = 0; t < trees; t++) {
    roots[t] = nodes.length;
    const rows = drawRows(all, size, random.fork(t));
    growTree({ x, rows, columns, nodes, depthMax: Math.ceil(Math.log2(size)), random: random.fork(t) });
  }
  return flatten(nodes, { roots, names: x.names, sample: size });
}

interface ForestNode {
  column: number;
  threshold: number;
  missingLeft: boolean;
  left: number;
  path: number;
}

interface Growing {
  readonly x: Matrix;
  readonly rows: Int32Array;
  readonly columns: Int32Array;
  readonly nodes: ForestNode[];
  readonly depthMax: number;
  readonly random: Random;
}

interface Place {
  readonly node: number;
  readonly from: number;
  readonly to: number;
  readonly depth: number;
}

/** Grows one tree at the end of `nodes`; children stand side by side after their parent. */
function growTree(growing: Growing): void {
  const { nodes } = growing;
  const open: Place[] = [{ node: nodes.length, from: 0, to: growing.rows.length, depth: 0 }];
  nodes.push(newNode());
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const node = nodes[place.node];
    const cut = place.depth < growing.depthMax ? drawCut(growing, place) : null;
    if (cut === null) {
      node.path = place.depth + meanPath(place.to - place.from);
      continue;
    }
    node.column = cut.column;
    node.threshold = cut.threshold;
    node.missingLeft = cut.missingLeft;
    node.left = nodes.length;
    const middle = partRows(growing, place, cut);
    nodes.push(newNode(), newNode());
    open.push({ node: node.left + 1, from: middle, to: place.to, depth: place.depth + 1 });
    open.push({ node: node.left, from: place.from, to: middle, depth: place.depth + 1 });
  }
}

type Cut = Pick<ForestNode, "column" | "threshold" | "missingLeft">;

/** A random cut of a random column that has two values or more here; null when none has. */
function drawCut(growing: Growing, place: Place): Cut | null {
  if (place.to - place.from < 2) return null;
  const { columns, random } = growing;
  for (let untried = columns.length; untried > 0; untried--) {
    const at = random.integer(untried);
    const column = columns[at];
    columns[at] = columns[untried - 1];
    columns[untried - 1] = column;
    const { low, high } = rangeOf(growing, place, column);
    if (!(low < high)) continue;
    const drawn = Math.fround(random.uniform(low, high));
    // Above the lowest and up to the highest value, so that neither side is empty.
    const threshold = drawn > low && drawn <= high ? drawn : high;
    return { column, threshold, missingLeft: mostGoLeft(growing, place, { column, threshold }) };
  }
  return null;
}

/** Lowest and highest present value; low is +Infinity when all are missing. */
function rangeOf(growing: Growing, place: Place, column: number): { readonly low: number; readonly high: number } {
  const { x, rows } = growing;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = place.from; i < place.to; i++) {
    const value = x.values[column * x.rows + rows[i]];
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high };
}

function mostGoLeft(growing: Growing, place: Place, cut: Omit<Cut, "missingLeft">): boolean {
  const { x, rows } = growing;
  let balance = 0;
  for (let i = place.from; i < place.to; i++) {
    const value = x.values[cut.column * x.rows + rows[i]];
    if (!Number.isNaN(value)) balance += value < cut.threshold ? 1 : -1;
  }
  return balance > 0;
}

/** Rows that go left come first; returns where the right side begins. */
function partRows(growing: Growing, place: Place, cut: Cut): number {
  const { x, rows } = growing;
  let middle = place.from;
  for (let i = place.from; i < place.to; i++) {
    const row = rows[i];
    const value = x.values[cut.column * x.rows + row];
    if (!(value < cut.threshold || (Number.isNaN(value) && cut.missingLeft))) continue;
    rows[i] = rows[middle];
    rows[middle++] = row;
  }
  return middle;
}

/** The first `size` of a partial Fisher-Yates shuffle. */
function drawRows(all: Int32Array, size: number, random: Random): Int32Array {
  for (let i = 0; i < size; i++) {
    const j = i + random.integer(all.length - i);
    const kept = all[i];
    all[i] = all[j];
    all[j] = kept;
  }
  return all.slice(0, size);
}

function flatten(
  nodes: readonly ForestNode[],
  parts: { readonly roots: Int32Array; readonly names: readonly string[]; readonly sample: number },
): IsolationForest {
  return {
    names: [...parts.names],
    sample: parts.sample,
    roots: parts.roots,
    feature: Int32Array.from(nodes, (node) => node.column),
    threshold: Float32Array.from(nodes, (node) => node.threshold),
    left: Int32Array.from(nodes, (node) => node.left),
    right: Int32Array.from(nodes, (node) => (node.left < 0 ? -1 : node.left + 1)),
    missingLeft: Uint8Array.from(nodes, (node) => (node.missingLeft ? 1 : 0)),
    value: Float32Array.from(nodes, (node) => node.path),
  };
}

function newNode(): ForestNode {
  return { column: -1, threshold: 0, missingLeft: false, left: -1, path: 0 };
}

function checkWhole(
  name: string,
  range: { readonly value: number; readonly low: number; readonly high: number },
): void {
  const { value, low, high } = range;
  if (Number.isInteger(value) && value >= low && value <= high) return;
  refuseParameter(name, { value, wanted: `a whole number from ${low} to ${high}` });
}
