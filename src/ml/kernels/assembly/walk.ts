// The scoring kernels: walks through complete binary trees without a branch, for one vector or for blocks of rows.
export { sumSets } from "./walk-sets";

/*
 * T trees, complete and of the same depth, are one heap of 8-byte entries at address 0: its entries T to 2T − 1 are the roots,
 * and the children of the entry at address a are at 2a and 2a + 8, whichever tree it is of. A node is its threshold f32, then
 * the byte at which a vector's value stands u32; below the last level are the leaves, f64.
 *
 * Values stand in columns, one beside the other: first all columns with missing values as +Infinity, then all with missing
 * values as −Infinity. A node that sends them right asks the first, one that sends them left the second.
 *
 * Trees have three levels at least, which the rows of a block walk together, and eight at most.
 */

/**
 * Adds to `start`, in the order of the trees, the leaf each of `trees` trees sends one vector to. Four trees at a time: a
 * step waits for the one before, and four wait together.
 */
export function sumTrees(start: f64, vector: usize, trees: i32, depth: i32): f64 {
  const end = (<usize>trees) << 4;
  let sum = start;
  let tree = (<usize>trees) << 3;
  for (; tree + 32 <= end; tree += 32) {
    let a = tree;
    let b = tree + 8;
    let c = tree + 16;
    let d = tree + 24;
    for (let level = 0; level < depth; level++) {
      a = step(a, vector);
      b = step(b, vector);
      c = step(c, vector);
      d = step(d, vector);
    }
    sum += load<f64>(a);
    sum += load<f64>(b);
    sum += load<f64>(c);
    sum += load<f64>(d);
  }
  for (; tree < end; tree += 8) {
    let a = tree;
    for (let level = 0; level < depth; level++) a = step(a, vector);
    sum += load<f64>(a);
  }
  return sum;
}

/** The child a vector goes to: the left one where its value is below the threshold. */
function step(node: usize, vector: usize): usize {
  return (node << 1) + ((<usize>(load<f32>(vector + load<u32>(node, 4)) >= load<f32>(node))) << 3);
}

/**
 * Adds to the f64 of each of `count` rows at `sums`, in the order of the trees, the leaf each tree sends it to. The rows'
 * values begin at `staged`, `stagedRows` a column, NaN where missing. They are walked in blocks of `blockRows`, tree by tree,
 * so that block and tree stay in the first-level cache; `values` has room for one block in the layout above, and for
 * one more u32 per row. Up to seven rows after the last are walked too.
 */
export function addTrees(
  sums: usize,
  count: i32,
  staged: usize,
  stagedRows: i32,
  columns: i32,
  values: usize,
  blockRows: i32,
  trees: i32,
  depth: i32,
): void {
  const places = values + ((<usize>blockRows * <usize>columns) << 3);
  for (let start = 0; start < count; start += blockRows) {
    const rows = min(blockRows, count - start);
    const block = staged + ((<usize>start) << 2);
    spread(block, (<usize>stagedRows) << 2, columns, rows, values, (<usize>blockRows) << 2);
    walkBlock(sums + ((<usize>start) << 3), rows, values, places, trees, depth);
  }
}

/** Writes a block's values twice: missing ones as +Infinity, then as −Infinity. Strides are bytes per column. */
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

/**
 * One block, tree by tree: the upper levels of all rows first, then the others, eight rows at a time, so that the steps of
 * one wait for their loads while those of the others go on. Each level is written out, one inside the other: a loop
 * would move all eight nodes to other registers at every turn. A row's place among the eight is added, not an offset of the
 * load: the compiler would keep an address for each offset of a vector load, and there are no registers left.
 */
function walkBlock(sums: usize, rows: i32, values: usize, places: usize, trees: i32, depth: i32): void {
  const bytes = (<usize>rows) << 2;
  const end = (<usize>trees) << 4;
  for (let tree = (<usize>trees) << 3; tree < end; tree += 8) {
    enter(tree, values, places, bytes);
    let sum = sums;
    for (let at: usize = 0; at < bytes; at += 32) {
      const row = values + at;
      const place = places + at;
      let a = <usize>load<u32>(place);
      let b = <usize>load<u32>(place, 4);
      let c = <usize>load<u32>(place, 8);
      let d = <usize>load<u32>(place, 12);
      let e = <usize>load<u32>(place, 16);
      let f = <usize>load<u32>(place, 20);
      let g = <usize>load<u32>(place, 24);
      let h = <usize>load<u32>(place, 28);
      if (depth > 3) {
        a = childOf(a, row + load<u32>(a, 4));
        b = childOf(b, row + load<u32>(b, 4) + 4);
        c = childOf(c, row + load<u32>(c, 4) + 8);
        d = childOf(d, row + load<u32>(d, 4) + 12);
        e = childOf(e, row + load<u32>(e, 4) + 16);
        f = childOf(f, row + load<u32>(f, 4) + 20);
        g = childOf(g, row + load<u32>(g, 4) + 24);
        h = childOf(h, row + load<u32>(h, 4) + 28);
        if (depth > 4) {
          a = childOf(a, row + load<u32>(a, 4));
          b = childOf(b, row + load<u32>(b, 4) + 4);
          c = childOf(c, row + load<u32>(c, 4) + 8);
          d = childOf(d, row + load<u32>(d, 4) + 12);
          e = childOf(e, row + load<u32>(e, 4) + 16);
          f = childOf(f, row + load<u32>(f, 4) + 20);
          g = childOf(g, row + load<u32>(g, 4) + 24);
          h = childOf(h, row + load<u32>(h, 4) + 28);
          if (depth > 5) {
            a = childOf(a, row + load<u32>(a, 4));
            b = childOf(b, row + load<u32>(b, 4) + 4);
            c = childOf(c, row + load<u32>(c, 4) + 8);
            d = childOf(d, row + load<u32>(d, 4) + 12);
            e = childOf(e, row + load<u32>(e, 4) + 16);
            f = childOf(f, row + load<u32>(f, 4) + 20);
            g = childOf(g, row + load<u32>(g, 4) + 24);
            h = childOf(h, row + load<u32>(h, 4) + 28);
            if (depth > 6) {
              a = childOf(a, row + load<u32>(a, 4));
              b = childOf(b, row + load<u32>(b, 4) + 4);
              c = childOf(c, row + load<u32>(c, 4) + 8);
              d = childOf(d, row + load<u32>(d, 4) + 12);
              e = childOf(e, row + load<u32>(e, 4) + 16);
              f = childOf(f, row + load<u32>(f, 4) + 20);
              g = childOf(g, row + load<u32>(g, 4) + 24);
              h = childOf(h, row + load<u32>(h, 4) + 28);
              if (depth > 7) {
                a = childOf(a, row + load<u32>(a, 4));
                b = childOf(b, row + load<u32>(b, 4) + 4);
                c = childOf(c, row + load<u32>(c, 4) + 8);
                d = childOf(d, row + load<u32>(d, 4) + 12);
                e = childOf(e, row + load<u32>(e, 4) + 16);
                f = childOf(f, row + load<u32>(f, 4) + 20);
                g = childOf(g, row + load<u32>(g, 4) + 24);
                h = childOf(h, row + load<u32>(h, 4) + 28);
              }
            }
          }
        }
      }
      addTwo(sum, a, b);
      addTwo(sum + 16, c, d);
      addTwo(sum + 32, e, f);
      addTwo(sum + 48, g, h);
      sum += 64;
    }
  }
}

/** Adds their leaves to the sums of two rows. */
function addTwo(sums: usize, first: usize, second: usize): void {
  const leaves = v128.load64_lane(second, v128.load64_zero(first), 1);
  v128.store(sums, f64x2.add(v128.load(sums), leaves));
}

/**
 * Writes to `places` the nodes of the fourth level of one tree that a block's rows go to. In a loop of its own, the seven
 * thresholds above stay in registers.
 */
function enter(tree: usize, values: usize, places: usize, bytes: usize): void {
  const two = tree << 1;
  const four = tree << 2;
  const leftmost = i32x4.splat((<i32>tree) << 3);
  const root = v128.load32_splat(tree);
  const left = v128.load32_splat(two);
  const right = v128.load32_splat(two, 8);
  const leftLeft = v128.load32_splat(four);
  const leftRight = v128.load32_splat(four, 8);
  const rightLeft = v128.load32_splat(four, 16);
  const rightRight = v128.load32_splat(four, 24);
  const rootAt = values + load<u32>(tree, 4);
  const leftAt = values + load<u32>(two, 4);
  const rightAt = values + load<u32>(two, 12);
  const leftLeftAt = values + load<u32>(four, 4);
  const leftRightAt = values + load<u32>(four, 12);
  const rightLeftAt = values + load<u32>(four, 20);
  const rightRightAt = values + load<u32>(four, 28);
  for (let at: usize = 0; at < bytes; at += 32) {
    const first = placesOf(
      leftmost,
      f32x4.ge(v128.load(rootAt + at), root),
      f32x4.ge(v128.load(leftAt + at), left),
      f32x4.ge(v128.load(rightAt + at), right),
      f32x4.ge(v128.load(leftLeftAt + at), leftLeft),
      f32x4.ge(v128.load(leftRightAt + at), leftRight),
      f32x4.ge(v128.load(rightLeftAt + at), rightLeft),
      f32x4.ge(v128.load(rightRightAt + at), rightRight),
    );
    v128.store(places + at, first);
    const second = placesOf(
      leftmost,
      f32x4.ge(v128.load(rootAt + at, 16), root),
      f32x4.ge(v128.load(leftAt + at, 16), left),
      f32x4.ge(v128.load(rightAt + at, 16), right),
      f32x4.ge(v128.load(leftLeftAt + at, 16), leftLeft),
      f32x4.ge(v128.load(leftRightAt + at, 16), leftRight),
      f32x4.ge(v128.load(rightLeftAt + at, 16), rightLeft),
      f32x4.ge(v128.load(rightRightAt + at, 16), rightRight),
    );
    v128.store(places + at, second, 16);
  }
}

/** As {@link step}, of the value at `value`: what a comparison of vectors leaves (−1: below) needs no flag. */
function childOf(node: usize, value: usize): usize {
  const below = <usize>i32x4.extract_lane(f32x4.lt(v128.load32_zero(value), v128.load32_zero(node)), 0);
  return (node << 1) + 8 + (below << 3);
}

/**
 * The nodes of the fourth level that four rows go to. All seven nodes above have been asked; an answer is 0 for left or −1
 * for right, and the place among the eight is −(4 first + 2 second + third answer on the way).
 */
function placesOf(
  leftmost: v128,
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
  return i32x4.sub(leftmost, i32x4.shl(place, 3));
}
