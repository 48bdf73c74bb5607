// Isolation forests that the product does not have: cuts over several columns at once, other depths, other samples; measured beside its own.
import { assert } from "../src/core/errors.ts";
import { Random } from "../src/core/random.ts";
import { mean, standardDeviation } from "../src/core/stats.ts";
import { meanPath } from "../src/ml/iforest/model.ts";
import type { Matrix } from "../src/ml/matrix.ts";

export interface ForestShape {
  readonly trees: number;
  /** Rows that each tree is grown on. */
  readonly sample: number;
  readonly depthMax: number;
  /** Columns that a cut weighs together; one is the plain forest (Liu, Ting & Zhou 2008). */
  readonly columnsPerCut: number;
}

interface Cut {
  readonly columns: Int32Array;
  readonly weights: Float64Array;
  readonly offset: number;
  readonly left: Node;
  readonly right: Node;
}

type Node = Cut | { readonly path: number };

/**
 * Anomaly scores of `test` in [0, 1] by a forest that `train` has grown. A cut is a random direction over some standardised columns (the extended
 * isolation forest: Hariri, Carrasco Kind & Brunner 2019) at a place drawn evenly between the least and largest projection of its rows, so that neither side is
 * empty. A missing value counts as the column's mean.
 */
export function extendedScores(
  { train, test, seed }: { readonly train: Matrix; readonly test: Matrix; readonly seed: number },
  shape: ForestShape,
): Float64Array {
  assert(train.names.length === test.names.length, "both tables have the same columns");
  const [from, to] = standardised(train, test);
  const columns = train.names.length;
  const random = new Random(seed);
  const sample = Math.min(shape.sample, train.rows);
  const paths = new Float64Array(test.rows);
  for (let tree = 0; tree < shape.trees; tree++) {
    const own = random.fork(tree);
    const rows = Int32Array.from({ length: sample }, () => own.integer(train.rows));
    const root = grown({ values: from, columns, shape, random: own }, rows, 0);
    for (let row = 0; row < test.rows; row++) paths[row] += pathOf(root, to, row * columns);
  }
  const decay = -Math.LN2 / (shape.trees * meanPath(sample));
  return paths.map((path) => Math.exp(decay * path));
}

/** Both tables row by row, each column by the mean and deviation of the first table. */
function standardised(train: Matrix, test: Matrix): readonly Float32Array[] {
  const columns = train.names.length;
  const out = [train, test].map(({ rows }) => new Float32Array(rows * columns));
  for (let column = 0; column < columns; column++) {
    const present = train.values.subarray(column * train.rows, (column + 1) * train.rows).filter(Number.isFinite);
    const center = present.length === 0 ? 0 : mean(present);
    const spread = present.length < 2 ? 0 : standardDeviation(present);
    [train, test].forEach(({ rows, values }, side) => {
      for (let row = 0; row < rows; row++) {
        const value = values[column * rows + row];
        out[side][row * columns + column] = Number.isFinite(value) && spread > 0 ? (value - center) / spread : 0;
      }
    });
  }
  return out;
}

interface Growing {
  readonly values: Float32Array;
  readonly columns: number;
  readonly shape: ForestShape;
  readonly random: Random;
}

/** Directions that are tried before rows that look alike become a leaf. */
const TRIES = 10;

function grown(growing: Growing, rows: Int32Array, depth: number): Node {
  const { values, columns, shape, random } = growing;
  const leaf = { path: depth + meanPath(rows.length) };
  if (rows.length < 2 || depth >= shape.depthMax) return leaf;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const drawn = Int32Array.from({ length: Math.min(shape.columnsPerCut, columns) }, () => random.integer(columns));
    const weights = Float64Array.from(drawn, () => random.normal(0, 1));
    const projected = Float64Array.from(rows, (row) => projection({ columns: drawn, weights }, values, row * columns));
    const low = projected.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    const high = projected.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    if (!(low < high)) continue;
    const at = random.uniform(low, high);
    const offset = at > low ? at : high;
    const isLeft = (_: number, place: number): boolean => projected[place] < offset;
    return {
      columns: drawn,
      weights,
      offset,
      left: grown(growing, rows.filter(isLeft), depth + 1),
      right: grown(
        growing,
        rows.filter((row, place) => !isLeft(row, place)),
        depth + 1,
      ),
    };
  }
  return leaf;
}

function pathOf(root: Node, values: Float32Array, start: number): number {
  let node = root;
  while (!("path" in node)) node = projection(node, values, start) < node.offset ? node.left : node.right;
  return node.path;
}

function projection(
  { columns, weights }: Pick<Cut, "columns" | "weights">,
  values: Float32Array,
  start: number,
): number {
  let sum = 0;
  for (let i = 0; i < columns.length; i++) sum += weights[i] * values[start + columns[i]];
  return sum;
}
