// The explaining kernel: exact TreeSHAP of one vector, a pass down and a pass up each tree for every point of the quadrature.

/**
 * Split record: threshold f64, share of the cover to the left f64 and right child f64, share that the splits above on its
 * column let through f64, then as u32: where the value asked for stands, where its column's sum stands, the places of its
 * left and right child, the place of the split above on its column, and that one's side which leads here.
 */
const SPLIT_BYTES: usize = 56;
const TO_LEFT: usize = 8;
const THROUGH_ABOVE: usize = 24;
const ASKED: usize = 32;
const COLUMN: usize = 36;
const LEFT: usize = 40;
const ABOVE: usize = 48;
const ABOVE_SIDE: usize = 52;

/**
 * Place record, of a split or a leaf of the current tree. At the current t: how likely it is reached f64, the mean value
 * below f64, how likely the cold child is taken f64, what a difference of its children's means is worth to its column f64. At
 * any t: the share let through by the splits above on its column f64 (1 where the vector fails one), the same and then through the
 * cold child f64; the places of the child the vector goes to (hot) and of the other (cold) u32; the hot side u32, and
 * whether the vector passes all splits above on its column u32.
 */
const PLACE_BYTES: usize = 64;
const MEAN: usize = 8;
const TO_COLD: usize = 16;
const STAKE: usize = 24;
const THROUGH: usize = 32;
const THROUGH_COLD: usize = 40;
const HOT: usize = 48;
const COLD: usize = 52;
const SIDE: usize = 56;
const OPEN: usize = 60;

/**
 * Adds each column's attribution to its sum. `trees` holds each tree's number of splits i32, `splits` and `leaves` (f64) follow the
 * trees; a tree has one leaf more than splits. `points` holds t f64 and its weight f64. `places` begins with a record that
 * stands for no split (open 1, side 0); a tree's splits follow it, then its leaves. All places are addresses.
 */
export function explain(
  trees: usize,
  treeCount: i32,
  splits: usize,
  leaves: usize,
  points: usize,
  pointCount: i32,
  places: usize,
): void {
  const root = places + PLACE_BYTES;
  for (let tree = 0; tree < treeCount; tree++) {
    const count = <usize>load<i32>(trees + ((<usize>tree) << 2));
    const end = root + count * PLACE_BYTES;
    for (let leaf: usize = 0; leaf <= count; leaf++) {
      store<f64>(end + leaf * PLACE_BYTES, load<f64>(leaves + (leaf << 3)), MEAN);
    }
    route(splits, root, end);
    for (let q = 0; q < pointCount; q++) {
      const point = points + ((<usize>q) << 4);
      store<f64>(root, load<f64>(point, 8));
      descend(load<f64>(point), root, end);
      ascend(splits + count * SPLIT_BYTES, root, end);
    }
    splits += count * SPLIT_BYTES;
    leaves += (count + 1) << 3;
  }
}

/** Which way the vector goes at each split, also off its path; without a branch that a processor could guess wrong. */
function route(split: usize, root: usize, end: usize): void {
  for (let at = root; at < end; at += PLACE_BYTES, split += SPLIT_BYTES) {
    const side = <u32>(load<f64>(load<u32>(split, ASKED)) >= load<f64>(split));
    const other = 1 - side;
    const above = <usize>load<u32>(split, ABOVE);
    const open = load<u32>(above, OPEN) & <u32>(load<u32>(above, SIDE) === load<u32>(split, ABOVE_SIDE));
    const passes = <f64>open;
    const through = passes * load<f64>(split, THROUGH_ABOVE) + (1 - passes);
    store<f64>(at, through, THROUGH);
    store<f64>(at, through * load<f64>(split + ((<usize>other) << 3), TO_LEFT), THROUGH_COLD);
    store<u32>(at, load<u32>(split + ((<usize>side) << 2), LEFT), HOT);
    store<u32>(at, load<u32>(split + ((<usize>other) << 2), LEFT), COLD);
    store<u32>(at, side, SIDE);
    store<u32>(at, open, OPEN);
  }
}

/**
 * A column known with probability t leads through its splits above with probability open·t + through·(1 − t), and through
 * them and on to the cold child with throughCold·(1 − t), as the vector itself never goes there. Their quotient is `toCold`;
 * its derivative with respect to the column's own probability makes the stake.
 */
function descend(t: f64, root: usize, end: usize): void {
  const u = 1 - t;
  for (let at = root; at < end; at += PLACE_BYTES) {
    const passes = <f64>load<u32>(at, OPEN);
    const scale = 1 / (passes * t + load<f64>(at, THROUGH) * u);
    const part = load<f64>(at, THROUGH_COLD) * scale;
    const reach = load<f64>(at);
    const toCold = part * u;
    const cold = reach * toCold;
    store<f64>(at, toCold, TO_COLD);
    store<f64>(at, reach * part * scale * passes, STAKE);
    store<f64>(load<u32>(at, COLD), cold);
    store<f64>(load<u32>(at, HOT), reach - cold);
  }
}

/** From the last split, before `split` and `end`, to the root. */
function ascend(split: usize, root: usize, end: usize): void {
  for (let at = end; at > root; ) {
    at -= PLACE_BYTES;
    split -= SPLIT_BYTES;
    const mean = load<f64>(load<u32>(at, HOT), MEAN);
    const difference = mean - load<f64>(load<u32>(at, COLD), MEAN);
    store<f64>(at, mean - load<f64>(at, TO_COLD) * difference, MEAN);
    const column = <usize>load<u32>(split, COLUMN);
    store<f64>(column, load<f64>(column) + load<f64>(at, STAKE) * difference);
  }
}
