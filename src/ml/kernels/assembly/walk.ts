// The scoring kernels: walks through complete binary trees without a branch, for one vector or for blocks of rows.
export { sumSets } from "./walk-sets";

/*
 * A tree of depth d is a heap of 2^d nodes of 8 bytes, of which the first is unused, and its 2^d leaves, f64. A node is its
 * threshold f32, then the byte at which a vector's value stands u32. A node at address a of a tree at address n has its
 * children at 2a − n and, 8 bytes on, the right one; below the last level these are leaves.
 *
 * Values stand in columns, one beside the other: first all columns with missing values as +Infinity, then all with missing
 * values as −Infinity. A node that sends them right asks the first, one that sends them left the second.
 */

/** Levels that all rows walk together; a heap has at least so many. */
const LEVELS_TOGETHER = 3;

/**
 * Adds to `start`, in the order of the trees, the leaf each of `trees` trees sends one vector to. Four trees at a time: a
 * step waits for the one before, and four wait together.
 */
export function sumTrees(start: f64, vector: usize, nodes: usize, trees: i32, depth: i32): f64 {
  const treeBytes = (<usize>16) << depth;
  let sum = start;
  let t = 0;
  for (; t + 4 <= trees; t += 4) {
    const second = nodes + treeBytes;
    const third = second + treeBytes;
    const fourth = third + treeBytes;
    let a = nodes + 8;
    let b = second + 8;
    let c = third + 8;
    let d = fourth + 8;
    for (let level = 0; level < depth; level++) {
      a = step(a, nodes, vector);
      b = step(b, second, vector);
      c = step(c, third, vector);
      d = step(d, fourth, vector);
    }
    sum += load<f64>(a);
    sum += load<f64>(b);
    sum += load<f64>(c);
    sum += load<f64>(d);
    nodes = fourth + treeBytes;
  }
  for (; t < trees; t++) {
    let a = nodes + 8;
    for (let level = 0; level < depth; level++) a = step(a, nodes, vector);
    sum += load<f64>(a);
    nodes += treeBytes;
  }
  return sum;
}

/** The child a vector goes to: the left one where its value is below the threshold. */
function step(node: usize, nodes: usize, vector: usize): usize {
  return (node << 1) - nodes + ((<usize>(load<f32>(vector + load<u32>(node, 4)) >= load<f32>(node))) << 3);
}

/**
 * Adds to the f64 of each of `count` rows at `sums`, in the order of the trees, the leaf each tree sends it to. The rows'
 * values begin at `staged`, `stagedRows` a column, NaN where missing. They are walked in blocks of `blockRows`, tree by tree,
 * so that block and tree stay in the first-level cache; `values` has room for one block in the layout above. Up to seven
 * rows after the last are walked too.
 */
export function addTrees(
  sums: usize,
  count: i32,
  staged: usize,
  stagedRows: i32,
  columns: i32,
  values: usize,
  blockRows: i32,
  nodes: usize,
  trees: i32,
  depth: i32,
): void {
  for (let start = 0; start < count; start += blockRows) {
    const rows = min(blockRows, count - start);
    const block = staged + ((<usize>start) << 2);
    spread(block, (<usize>stagedRows) << 2, columns, rows, values, (<usize>blockRows) << 2);
    walkBlock(sums + ((<usize>start) << 3), rows, values, nodes, trees, depth);
  }
}

/** Writes a block's values twice: missing ones as +Infinity, then as −Infinity. Strides are bytes a column. */
function spread(staged: usize, stagedStride: usize, columns: i32, rows: i32, values: usize, stride: usize): void {
  const high = f32x4.splat(Infinity);
  const low = f32x4.splat(-Infinity);
  const second = values + <usize>columns * stride;
  for (let c: usize = 0; c < <usize>columns; c++) {
    const from = staged + c * stagedStride;
    const to = c * stride;
    for (let at: usize = 0, end = (<usize>rows) << 2; at < end; at += 16) {
      const value = v128.load(from + at);
      const missing = f32x4.ne(value, value);
      v128.store(values + to + at, v128.bitselect(high, value, missing));
      v128.store(second + to + at, v128.bitselect(low, value, missing));
    }
  }
}

/** One block, tree by tree, eight rows at a time: the steps of one wait for their loads while those of the others go on. */
function walkBlock(sums: usize, rows: i32, values: usize, nodes: usize, trees: i32, depth: i32): void {
  let tree = nodes;
  for (let t = 0; t < trees; t++, tree += (<usize>16) << depth) {
    const back = <usize>8 - tree;
    let sum = sums;
    for (let row = values, end = values + ((<usize>rows) << 2); row < end; row += 32) {
      const root = row + load<u32>(tree, 12);
      const left = row + load<u32>(tree, 20);
      const right = row + load<u32>(tree, 28);
      const leftLeft = row + load<u32>(tree, 36);
      const leftRight = row + load<u32>(tree, 44);
      const rightLeft = row + load<u32>(tree, 52);
      const rightRight = row + load<u32>(tree, 60);
      const first = placesOf(
        tree,
        f32x4.ge(v128.load(root), v128.load32_splat(tree, 8)),
        f32x4.ge(v128.load(left), v128.load32_splat(tree, 16)),
        f32x4.ge(v128.load(right), v128.load32_splat(tree, 24)),
        f32x4.ge(v128.load(leftLeft), v128.load32_splat(tree, 32)),
        f32x4.ge(v128.load(leftRight), v128.load32_splat(tree, 40)),
        f32x4.ge(v128.load(rightLeft), v128.load32_splat(tree, 48)),
        f32x4.ge(v128.load(rightRight), v128.load32_splat(tree, 56)),
      );
      const second = placesOf(
        tree,
        f32x4.ge(v128.load(root, 16), v128.load32_splat(tree, 8)),
        f32x4.ge(v128.load(left, 16), v128.load32_splat(tree, 16)),
        f32x4.ge(v128.load(right, 16), v128.load32_splat(tree, 24)),
        f32x4.ge(v128.load(leftLeft, 16), v128.load32_splat(tree, 32)),
        f32x4.ge(v128.load(leftRight, 16), v128.load32_splat(tree, 40)),
        f32x4.ge(v128.load(rightLeft, 16), v128.load32_splat(tree, 48)),
        f32x4.ge(v128.load(rightRight, 16), v128.load32_splat(tree, 56)),
      );
      let a = <usize>i32x4.extract_lane(first, 0);
      let b = <usize>i32x4.extract_lane(first, 1);
      let c = <usize>i32x4.extract_lane(first, 2);
      let d = <usize>i32x4.extract_lane(first, 3);
      let e = <usize>i32x4.extract_lane(second, 0);
      let f = <usize>i32x4.extract_lane(second, 1);
      let g = <usize>i32x4.extract_lane(second, 2);
      let h = <usize>i32x4.extract_lane(second, 3);
      for (let level = LEVELS_TOGETHER; level < depth; level++) {
        a = childOf(a, v128.load32_zero(row + load<u32>(a, 4)), back);
        b = childOf(b, v128.load32_zero(row + load<u32>(b, 4), 4), back);
        c = childOf(c, v128.load32_zero(row + load<u32>(c, 4), 8), back);
        d = childOf(d, v128.load32_zero(row + load<u32>(d, 4), 12), back);
        e = childOf(e, v128.load32_zero(row + load<u32>(e, 4), 16), back);
        f = childOf(f, v128.load32_zero(row + load<u32>(f, 4), 20), back);
        g = childOf(g, v128.load32_zero(row + load<u32>(g, 4), 24), back);
        h = childOf(h, v128.load32_zero(row + load<u32>(h, 4), 28), back);
      }
      store<f64>(sum, load<f64>(sum) + load<f64>(a));
      store<f64>(sum, load<f64>(sum, 8) + load<f64>(b), 8);
      store<f64>(sum, load<f64>(sum, 16) + load<f64>(c), 16);
      store<f64>(sum, load<f64>(sum, 24) + load<f64>(d), 24);
      store<f64>(sum, load<f64>(sum, 32) + load<f64>(e), 32);
      store<f64>(sum, load<f64>(sum, 40) + load<f64>(f), 40);
      store<f64>(sum, load<f64>(sum, 48) + load<f64>(g), 48);
      store<f64>(sum, load<f64>(sum, 56) + load<f64>(h), 56);
      sum += 64;
    }
  }
}

/** As {@link step}, of a value alone in its vector: what a comparison of vectors leaves (−1: below) needs no flag. */
function childOf(node: usize, value: v128, back: usize): usize {
  const below = <usize>i32x4.extract_lane(f32x4.lt(value, v128.load32_zero(node)), 0);
  return (node << 1) + back + (below << 3);
}

/**
 * The nodes of the fourth level that four rows go to. All seven nodes above have been asked; an answer is 0 for left or −1
 * for right, and the place among the eight is −(4 first + 2 second + third answer on the way).
 */
function placesOf(
  tree: usize,
  root: v128,
  left: v128,
  right: v128,
  leftLeft: v128,
  leftRight: v128,
  rightLeft: v128,
  rightRight: v128,
): v128 {
  const second = v128.bitselect(right, left, root);
  const whenLeft = v128.bitselect(leftRight, leftLeft, left);
  const whenRight = v128.bitselect(rightRight, rightLeft, right);
  const third = v128.bitselect(whenRight, whenLeft, root);
  const upper = i32x4.add(i32x4.add(root, root), second);
  const place = i32x4.add(i32x4.add(upper, upper), third);
  return i32x4.sub(i32x4.splat(<i32>tree + 64), i32x4.shl(place, 3));
}
