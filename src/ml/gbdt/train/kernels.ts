// The learning kernels' signatures: hot loops in WebAssembly over one shared memory. All arguments are addresses and numbers.
import { type KernelMemory, loadKernels } from "../../../core/kernels.ts";

/** What each does stands in `../kernels/assembly`, beside its loop. */
export interface LearnKernels {
  arenaStart(): number;
  sortPresent(values: number, count: number, keys: number, swap: number, counts: number): number;
  cutColumn(sorted: number, count: number, bins: number, ranks: number, thresholds: number): number;
  binColumn(
    values: number,
    count: number,
    thresholds: number,
    thresholdCount: number,
    starts: number,
    out: number,
  ): number;
  transpose(
    from: number,
    to: number,
    columnMajor: number,
    rowCount: number,
    columns: number,
    rowMajor: number,
    stride: number,
  ): void;
  addRows(
    histogram: number,
    list: number,
    count: number,
    bins: number,
    packed: number,
    stride: number,
    columns: number,
    chosen: number,
    buffer: number,
  ): void;
  add(to: number, from: number, bytes: number): void;
  subtract(parent: number, child: number, bytes: number): void;
  clear(at: number, bytes: number): void;
  derive(
    from: number,
    to: number,
    odds: number,
    leaves: number,
    factors: number,
    labels: number,
    weights: number,
    pairs: number,
    unit: number,
    unitPositive: number,
    blocks: number,
  ): void;
  lossOf(from: number, to: number, odds: number, leaves: number, factors: number, labels: number, blocks: number): void;
  pack(from: number, to: number, pairs: number, hessianScale: number, gradientScale: number, dither: number): void;
  packList(
    list: number,
    count: number,
    pairs: number,
    hessianScale: number,
    gradientScale: number,
    dither: number,
  ): void;
  drawRows(
    from: number,
    to: number,
    seed: number,
    limit: number,
    always: number,
    kept: number,
    leftOut: number,
  ): number;
  countSizes(from: number, to: number, pairs: number, counts: number): void;
  drawBySize(
    from: number,
    to: number,
    seed: number,
    limit: number,
    cut: number,
    amplify: number,
    pairs: number,
    kept: number,
    leftOut: number,
    sums: number,
  ): number;
  partition(
    list: number,
    count: number,
    column: number,
    splitBin: number,
    missingLeft: number,
    scratch: number,
  ): number;
  partitionSet(list: number, count: number, column: number, bits: number, scratch: number): number;
  listRows(list: number, from: number, count: number): void;
  markLeaf(list: number, count: number, leaves: number, leaf: number): void;
  markSides(
    list: number,
    count: number,
    column: number,
    splitBin: number,
    missingLeft: number,
    leaves: number,
    left: number,
    right: number,
  ): void;
  searchSplit(
    histogram: number,
    columns: number,
    count: number,
    binCounts: number,
    kinds: number,
    rules: number,
    order: number,
    out: number,
  ): void;
}

export function loadLearnKernels(memory: KernelMemory): LearnKernels {
  return loadKernels<LearnKernels>(new URL("../../kernels/learn.wasm", import.meta.url), memory);
}
