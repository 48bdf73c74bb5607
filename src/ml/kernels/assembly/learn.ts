// The learning kernels as one WebAssembly module over shared memory; all addresses are the caller's.
export { binColumn, sortPresent, transpose } from "./columns";
export { cutColumn } from "./cuts";
export { add, addRows, clear, subtract } from "./histogram";
export { derive, listRows, lossOf, markLeaf, markSides, pack, packList, partition, partitionSet } from "./rows";
export { countSizes, drawBySize, drawRows } from "./sampling";
export { searchSplit } from "./split";

/** First address that is the caller's; what is below belongs to the compiler. */
export function arenaStart(): usize {
  return __heap_base;
}
