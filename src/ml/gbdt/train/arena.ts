// The arena: where each array of a training stands in the one memory that kernels and threads share.
import { BIN_SLOTS } from "./bins.ts";
import type { GbdtParams } from "./params.ts";
import { TEAM_SLOTS } from "./team.ts";

/** Rows whose losses and derivatives are summed together; sums of blocks are added in order, whatever the threads. */
export const BLOCK_ROWS = 4096;

/** Open leaves split together, so that threads wait once for all of them. */
export const BATCH_LEAVES = 32;

/** Split searches of a batch: two children a leaf. */
export const CANDIDATES_MAX = 2 * BATCH_LEAVES;

/** Columns are searched in groups of at least so many, and in no more groups than this: a unit of work that is worth taking. */
const GROUP_COLUMNS_MIN = 8;
const GROUPS_MAX = 32;

/** Bytes of one column's histogram. */
export const COLUMN_BYTES = 8 * BIN_SLOTS;

/** Bytes of records that kernels read and write. */
export const CANDIDATE_BYTES = 128;
export const PAIR_BYTES = 8;
export const SUMS_BYTES = 32;

export interface ArenaSize {
  readonly rows: number;
  readonly validationRows: number;
  readonly columns: number;
  readonly weighted: boolean;
  readonly threads: number;
  readonly params: GbdtParams;
}

/** Addresses of rows and what belongs to each of them. */
export interface RowPlaces {
  readonly rows: number;
  /** The bin of row r, column c at `columnMajor + c * rows + r`. */
  readonly columnMajor: number;
  /** u8. */
  readonly labels: number;
  /** f64: e to the margin. Adding to a margin is multiplying here, and no row needs an exponential. */
  readonly odds: number;
  /** u16: the leaf of the newest tree that the row is in, whose factor its odds have not been multiplied by yet. */
  readonly leaves: number;
  /** Losses of blocks: {@link SUMS_BYTES} each. */
  readonly blocks: number;
}

/** Counts of rows by the size of their gradients, for one-side sampling. */
export const SIZES = 32_768;

/** Addresses of what one thread has for itself. */
export interface ThreadPlaces {
  readonly rules: number;
  /** Bins of categories in the order of their means: 5 KB. */
  readonly order: number;
  /** f64: by leaf of the newest tree, e to its value. */
  readonly factors: number;
  /** 256 bits: a set of bins. */
  readonly bits: number;
  readonly values: number;
  readonly keys: number;
  readonly swap: number;
  readonly counts: number;
  readonly starts: number;
  readonly buffer: number;
  /** u32, {@link SIZES} of them; 0 without one-side sampling. */
  readonly sizes: number;
  /** Histograms of the rows it summed, one per large leaf of a batch; none for a single thread. */
  readonly histograms: number;
}

export interface Arena {
  readonly stride: number;
  readonly histogramBytes: number;
  readonly histogramSlots: number;
  readonly team: number;
  readonly thresholds: number;
  readonly binCounts: number;
  /** i32 per column: what the search may do with it, see `kinds.ts`. */
  readonly kinds: number;
  readonly sampledColumns: number;
  readonly training: RowPlaces;
  /** The bin of training row r, column c at `rowMajor + r * stride + c` once more. */
  readonly rowMajor: number;
  readonly validation: RowPlaces;
  /** f32, 0 where all weights are 1. */
  readonly weights: number;
  /** Per row two f32, hessian and gradient; packed into one i64 in the same place. */
  readonly pairs: number;
  /** Sums of the rows kept by one-side sampling, as `blocks` has those of all rows; 0 without it. */
  readonly keptBlocks: number;
  /** Row numbers, u32; each thread orders those of its own rows, between trees of its own validation rows. */
  readonly list: number;
  readonly scratch: number;
  /** Columns that are searched together, the last time maybe fewer. */
  readonly groupColumns: number;
  /** One candidate a group of columns and child of a batch. */
  readonly candidates: number;
  /** i32, one per thread and leaf of a batch: rows that go left. */
  readonly leftCounts: number;
  readonly histograms: number;
  readonly threads: readonly ThreadPlaces[];
  readonly bytes: number;
}

/** Lays everything out from `start` on; the same for every thread. */
export function planArena(size: ArenaSize, start: number): Arena {
  const { rows, validationRows, columns, threads } = size;
  let at = start;
  const take = (bytes: number): number => {
    const place = Math.ceil(at / 64) * 64;
    at = place + bytes;
    return place;
  };
  const stride = Math.ceil(columns / 8) * 8;
  const histogramBytes = columns * COLUMN_BYTES;
  const { leavesMax, histogramSlots } = leafLimits(size.params);
  const most = Math.max(rows, validationRows);
  const groupColumns = Math.max(GROUP_COLUMNS_MIN, Math.ceil(columns / GROUPS_MAX));
  const goss = size.params.gossTop !== undefined;
  const places = (count: number): RowPlaces => ({
    rows: count,
    columnMajor: take(count * columns),
    labels: take(count),
    odds: take(8 * count),
    leaves: take(2 * count),
    blocks: take(SUMS_BYTES * Math.ceil(count / BLOCK_ROWS)),
  });
  const thread = (): ThreadPlaces => {
    return {
      rules: take(80),
      order: take(20 * BIN_SLOTS),
      factors: take(8 * leavesMax),
      bits: take(32),
      values: take(4 * most),
      keys: take(4 * most),
      swap: take(4 * most),
      counts: take(3 * 4 * 2048),
      starts: take(65_536),
      buffer: take(1024 * (8 + stride)),
      sizes: goss ? take(4 * SIZES) : 0,
      histograms: threads === 1 ? 0 : take(BATCH_LEAVES * histogramBytes),
    };
  };
  return {
    stride,
    histogramBytes,
    histogramSlots,
    team: take(4 * TEAM_SLOTS),
    thresholds: take(columns * 4 * BIN_SLOTS),
    binCounts: take(4 * columns),
    kinds: take(4 * columns),
    sampledColumns: take(4 * columns),
    training: places(rows),
    rowMajor: take(rows * stride),
    validation: places(validationRows),
    weights: size.weighted ? take(4 * rows) : 0,
    pairs: take(PAIR_BYTES * rows),
    keptBlocks: goss ? take(SUMS_BYTES * Math.ceil(rows / BLOCK_ROWS)) : 0,
    list: take(4 * most),
    scratch: take(4 * most),
    groupColumns,
    candidates: take(Math.ceil(columns / groupColumns) * CANDIDATES_MAX * CANDIDATE_BYTES),
    leftCounts: take(threads * BATCH_LEAVES * 4),
    threads: Array.from({ length: threads }, thread),
    histograms: take(histogramSlots * histogramBytes),
    bytes: at,
  };
}

/**
 * Leaves a tree can have, and histograms that can be open at once. Splitting the newest leaves first, a batch at a time,
 * leaves at most two batches open on each level; splitting the best leaf first may leave all open.
 */
function leafLimits(params: GbdtParams): { readonly leavesMax: number; readonly histogramSlots: number } {
  const full = 2 ** params.depthMax;
  if (params.leavesMax !== undefined) {
    const leavesMax = Math.min(params.leavesMax, full);
    return { leavesMax, histogramSlots: leavesMax };
  }
  let histogramSlots = 0;
  for (let depth = 0; depth < params.depthMax; depth++) histogramSlots += Math.min(2 ** depth, 2 * BATCH_LEAVES);
  return { leavesMax: full, histogramSlots };
}
