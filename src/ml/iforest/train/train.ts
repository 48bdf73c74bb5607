// Training the isolation forest: trees of random cuts over small random samples (Liu, Ting & Zhou 2008).
import { Random } from "../../../core/random.ts";
import { MODEL_PARAMETERS } from "../../../pipeline/model-parameters.ts";
import { defaultsOf, rangesOf } from "../../../pipeline/section.ts";
import { checkRange, checkShape, refuseParameter, refuseValue } from "../../faults.ts";
import type { Matrix } from "../../matrix.ts";
import { type IsolationForest, meanPath } from "../model.ts";
import { DEALT_PLACES, type Decks, makeDecks } from "./decks.ts";
import { NodeColumns } from "./nodes.ts";

const { anomalyTrees: TREES, anomalySample: SAMPLE } = defaultsOf(MODEL_PARAMETERS);
const RANGES = rangesOf(MODEL_PARAMETERS);

/**
 * Grows `trees` trees, each on `sample` rows drawn without putting back (all rows when there are fewer) and no deeper than
 * log2(sample). A cut is uniform over a random column's range within the node. A missing value says nothing about a row, so
 * it goes where most of the node's rows go; columns with nothing to cut are passed over. The upper cuts of all trees share
 * out the columns evenly. With `columns`, only these are cut, all others say nothing. The same seed gives the same
 * forest. Only values that a cut is drawn from are looked at, so that a forest takes no longer on a longer table; an
 * infinite one among them is refused. Errors: `ml.parameter-invalid`.
 */
export function trainIsolationForest(task: {
  readonly x: Matrix;
  readonly trees?: number;
  readonly sample?: number;
  /** Places of the columns that may be cut, one at least; absent: all. */
  readonly columns?: Int32Array;
  readonly seed: number;
  /** The table that `x` holds only the {@link drawnRows} of: its rows, and where each of those stands in `x`. Absent: `x` is the table. */
  readonly of?: { readonly rows: number; readonly placeOf: (row: number) => number };
}): IsolationForest {
  const { x, trees = TREES, sample = SAMPLE, seed, of } = task;
  checkShape(x, "x");
  const table = { rows: of?.rows ?? x.rows, trees, sample, seed };
  checkDraws(table);
  const size = Math.min(sample, table.rows);
  const depthMax = Math.ceil(Math.log2(size));
  const random = new Random(seed);
  const columns = task.columns?.slice() ?? Int32Array.from(x.names.keys());
  if (columns.length === 0 || columns.some((column) => x.names[column] === undefined)) {
    refuseParameter("columns", { value: columns.length, wanted: "one place of x at least, and no other" });
  }
  const decks = makeDecks(columns, random.fork(trees));
  const values = new Float32Array(size);
  const range = new Float64Array(2);
  const nodes = new NodeColumns(2 * size - 1);
  const roots = new Int32Array(trees);
  let t = 0;
  for (const draw of draws(table)) {
    roots[t++] = nodes.count;
    nodes.makeRoom(2 * size - 1);
    const rows = of === undefined ? draw.rows : draw.rows.map((row) => of.placeOf(row));
    growTree({ x, rows, columns, decks, values, range, nodes, depthMax, random: draw.random });
  }
  return { names: [...x.names], sample: size, roots, ...nodes.trimmed() };
}

/** What is drawn of a table for a forest: how many rows it has, and how many of them each tree is grown on (all where there are fewer). */
export interface ForestDraws {
  readonly rows: number;
  readonly trees: number;
  readonly sample: number;
  readonly seed: number;
}

/**
 * All rows that a forest looks at, ascending, each once: a table that is held nowhere as a whole gives the same forest by these alone. Errors:
 * `ml.parameter-invalid`.
 */
export function drawnRows(table: ForestDraws): Int32Array {
  checkDraws(table);
  const size = Math.min(table.sample, table.rows);
  const drawn = new Int32Array(table.trees * size);
  let at = 0;
  for (const { rows } of draws(table)) {
    drawn.set(rows, at);
    at += rows.length;
  }
  return drawn.sort().filter((row, i) => i === 0 || row !== drawn[i - 1]);
}

/** Rows are numbered by 32 bits. */
const ROWS_MAX = 2 ** 31 - 1;

function checkDraws({ rows, trees, sample }: ForestDraws): void {
  if (rows < 2) refuseParameter("x.rows", { value: rows, wanted: "at least 2" });
  if (rows > ROWS_MAX) refuseParameter("x.rows", { value: rows, wanted: `at most ${ROWS_MAX}` });
  checkRange("trees", { value: trees, range: RANGES.anomalyTrees });
  checkRange("sample", { value: sample, range: RANGES.anomalySample });
}

/** The rows of one tree after the other, and the randomness that it is grown by. */
function* draws(table: ForestDraws): Generator<{ readonly rows: Int32Array; readonly random: Random }> {
  const { rows, trees, sample, seed } = table;
  const random = new Random(seed);
  // The decks' own.
  random.fork(trees);
  const shifts = new Int32Array(rows);
  for (let t = 0; t < trees; t++) {
    const drawn = drawRows(shifts, Math.min(sample, rows), random.fork(t));
    yield { rows: drawn, random: random.fork(t) };
  }
}

/**
 * The first `size` of a partial Fisher-Yates shuffle, which goes on from where the last draw left it. All rows are written
 * as how far each is from its own place: untouched memory is all rows in order, and nobody has to write them.
 */
function drawRows(shifts: Int32Array, size: number, random: Random): Int32Array {
  const rows = new Int32Array(size);
  for (let i = 0; i < size; i++) {
    const j = i + random.integer(shifts.length - i);
    const row = shifts[j] + j;
    shifts[j] = shifts[i] + i - j;
    shifts[i] = row - i;
    rows[i] = row;
  }
  return rows;
}

interface Growing {
  readonly x: Matrix;
  readonly rows: Int32Array;
  /** The columns that are cut, in whatever order the last draws left them. */
  readonly columns: Int32Array;
  readonly decks: Decks;
  /** One value per row of the current node, of the last column read, at the place of the row in `rows`. */
  readonly values: Float32Array;
  /** Lowest and highest of them; above each other when all are missing. */
  readonly range: Float64Array;
  readonly nodes: NodeColumns;
  readonly depthMax: number;
  readonly random: Random;
}

interface Place {
  readonly node: number;
  readonly from: number;
  readonly to: number;
  readonly depth: number;
  /** As in a heap: the root is 1, its children 2 and 3. */
  readonly position: number;
}

/** Grows one tree at the end of `nodes`; children stand side by side after their parent. */
function growTree(growing: Growing): void {
  const { nodes, depthMax } = growing;
  const open: Place[] = [{ node: nodes.add(), from: 0, to: growing.rows.length, depth: 0, position: 1 }];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    const { node, from, to } = place;
    if (place.depth === depthMax || !drawCut(growing, place)) {
      nodes.value[node] = place.depth + meanPath(to - from);
      continue;
    }
    const middle = partRows(growing, place);
    const left = nodes.add();
    const right = nodes.add();
    nodes.left[node] = left;
    nodes.right[node] = right;
    const depth = place.depth + 1;
    const position = 2 * place.position;
    open.push({ node: right, from: middle, to, depth, position: position + 1 });
    open.push({ node: left, from, to: middle, depth, position });
  }
}

/** Gives the node a random cut of a random column that has two values or more here; false when none has. */
function drawCut(growing: Growing, place: Place): boolean {
  if (place.to - place.from < 2) return false;
  const { columns, random, nodes } = growing;
  for (let untried = columns.length; untried > 0; untried--) {
    const dealt = untried === columns.length && place.position <= DEALT_PLACES;
    const at = dealt ? columns.indexOf(growing.decks.deal(place.position)) : random.integer(untried);
    const column = columns[at];
    columns[at] = columns[untried - 1];
    columns[untried - 1] = column;
    lookAt(growing, place, column);
    const low = growing.range[0];
    const high = growing.range[1];
    if (!(low < high)) continue;
    const drawn = Math.fround(random.uniform(low, high));
    // Above the lowest and up to the highest value, so that neither side is empty.
    const threshold = drawn > low && drawn <= high ? drawn : high;
    nodes.feature[place.node] = column;
    nodes.threshold[place.node] = threshold;
    nodes.missingLeft[place.node] = mostGoLeft(growing, place, threshold) ? 1 : 0;
    return true;
  }
  return false;
}

/** Copies the rows' values of a column and finds their range. */
function lookAt(growing: Growing, place: Place, column: number): void {
  const { x, rows, values, range } = growing;
  const all = x.values;
  const start = column * x.rows;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = place.from; i < place.to; i++) {
    const value = all[start + rows[i]];
    values[i] = value;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low === Number.NEGATIVE_INFINITY || high === Number.POSITIVE_INFINITY) refuseInfinite(growing, place, column);
  range[0] = low;
  range[1] = high;
}

function refuseInfinite({ x, rows, values }: Growing, { from, to }: Place, column: number): never {
  const row = rows[from + values.subarray(from, to).findIndex((value) => Math.abs(value) === Number.POSITIVE_INFINITY)];
  refuseValue("x", { x, column, row });
}

function mostGoLeft({ values }: Growing, { from, to }: Place, threshold: number): boolean {
  let balance = 0;
  for (let i = from; i < to; i++) {
    const value = values[i];
    // Neither for a missing one.
    if (value < threshold) balance++;
    else if (value >= threshold) balance--;
  }
  return balance > 0;
}

/** Rows that go left come first; returns where the right side begins. */
function partRows({ rows, values, nodes }: Growing, { node, from, to }: Place): number {
  const threshold = nodes.threshold[node];
  const missingLeft = nodes.missingLeft[node] === 1;
  let middle = from;
  for (let i = from; i < to; i++) {
    const value = values[i];
    if (!(value < threshold || (missingLeft && Number.isNaN(value)))) continue;
    const row = rows[i];
    rows[i] = rows[middle];
    rows[middle++] = row;
  }
  return middle;
}
