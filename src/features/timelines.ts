// Timelines: for each key a run of entries in time order, packed in shared pages of typed arrays.

/** Entries of a page when the table is small; pages grow with the table up to PAGE_ENTRIES_MAX. */
const PAGE_ENTRIES_MIN = 1024;
/** 2 MB a column. */
const PAGE_ENTRIES_MAX = 1 << 18;
/** Longest run of one key; older entries go first. The tile rule of `state.ts` keeps runs far below it. */
export const RUN_ENTRIES_MAX = 1 << 18;

/** A block of memory that many runs share: entry i is times[i] and columns[c][i]. */
export interface Page {
  readonly times: Float64Array;
  readonly columns: readonly Float64Array[];
  used: number;
}

/**
 * Runs of entries by slot, each entry a time (ms) and `width` numbers. A run is contiguous in one page, at [begin, end), so that
 * readers scan plain arrays. Equal times keep the order in which they came.
 */
export class Timelines {
  readonly width: number;
  private readonly pages: Page[] = [];
  private readonly free = new Map<number, number[]>();
  private pageOf = new Int32Array(0);
  private blockOf = new Int32Array(0);
  private headOf = new Int32Array(0);
  private lengthOf = new Int32Array(0);
  /** Size class of a slot's block plus one; 0 is no block. */
  private classOf = new Uint8Array(0);
  private entryCount = 0;
  private allocated = 0;

  constructor(width: number) {
    this.width = width;
  }

  get entries(): number {
    return this.entryCount;
  }

  get bytes(): number {
    return this.allocated * 8 * (1 + this.width) + this.classOf.length * 17;
  }

  length(slot: number): number {
    return slot < this.lengthOf.length ? this.lengthOf[slot] : 0;
  }

  /** The page that holds the run; only for a run that is not empty. */
  page(slot: number): Page {
    return this.pages[this.pageOf[slot]];
  }

  begin(slot: number): number {
    return this.blockOf[slot] + this.headOf[slot];
  }

  /** Makes room for an entry after all with time ≤ `time`; returns its place in the run's page, columns still to be set. */
  insert(slot: number, time: number): number {
    this.makeRoom(slot);
    const page = this.page(slot);
    const begin = this.begin(slot);
    const end = begin + this.lengthOf[slot];
    let at = end;
    if (end > begin && page.times[end - 1] > time) {
      at = firstAfter(page.times, begin, end, time);
      page.times.copyWithin(at + 1, at, end);
      for (const column of page.columns) column.copyWithin(at + 1, at, end);
    }
    page.times[at] = time;
    this.lengthOf[slot]++;
    this.entryCount++;
    return at;
  }

  /** Makes an empty run exactly `length` entries long, to be filled in time order; returns its first place. */
  fill(slot: number, length: number): number {
    if (slot >= this.lengthOf.length) this.growSlots(slot + 1);
    let sizeClass = 0;
    while (capacityOf(sizeClass) < length) sizeClass++;
    this.place(slot, sizeClass);
    this.lengthOf[slot] = length;
    this.entryCount += length;
    return this.blockOf[slot];
  }

  remove(slot: number, at: number): void {
    const page = this.page(slot);
    const end = this.begin(slot) + this.lengthOf[slot];
    page.times.copyWithin(at, at + 1, end);
    for (const column of page.columns) column.copyWithin(at, at + 1, end);
    this.lengthOf[slot]--;
    this.entryCount--;
  }

  /** Drops the entries with time ≤ `time`. */
  dropUntil(slot: number, time: number): void {
    const length = this.length(slot);
    if (length === 0) return;
    const begin = this.begin(slot);
    const { times } = this.page(slot);
    if (times[begin] > time) return;
    const dropped = firstAfter(times, begin, begin + length, time) - begin;
    this.headOf[slot] += dropped;
    this.lengthOf[slot] -= dropped;
    this.entryCount -= dropped;
  }

  /** Empties a run and gives its memory back for other runs. */
  clear(slot: number): void {
    if (slot >= this.lengthOf.length || this.classOf[slot] === 0) return;
    this.release(slot);
    this.entryCount -= this.lengthOf[slot];
    this.lengthOf[slot] = 0;
    this.headOf[slot] = 0;
    this.classOf[slot] = 0;
  }

  private makeRoom(slot: number): void {
    if (slot >= this.lengthOf.length) this.growSlots(slot + 1);
    const sizeClass = this.classOf[slot];
    const length = this.lengthOf[slot];
    if (sizeClass === 0) {
      this.place(slot, 0);
      return;
    }
    const capacity = capacityOf(sizeClass - 1);
    if (this.headOf[slot] + length < capacity) return;
    if (length === RUN_ENTRIES_MAX) {
      this.headOf[slot]++;
      this.lengthOf[slot]--;
      this.entryCount--;
    }
    if (this.headOf[slot] >= Math.max(1, capacity >> 3)) this.slide(slot);
    else this.move(slot, sizeClass);
  }

  /** Moves the run to the front of its block. */
  private slide(slot: number): void {
    const page = this.page(slot);
    const begin = this.begin(slot);
    const end = begin + this.lengthOf[slot];
    page.times.copyWithin(this.blockOf[slot], begin, end);
    for (const column of page.columns) column.copyWithin(this.blockOf[slot], begin, end);
    this.headOf[slot] = 0;
  }

  /** Moves the run to a new block of the given size class. */
  private move(slot: number, sizeClass: number): void {
    const from = this.page(slot);
    const begin = this.begin(slot);
    const end = begin + this.lengthOf[slot];
    this.release(slot);
    this.place(slot, sizeClass);
    const to = this.page(slot);
    const at = this.blockOf[slot];
    to.times.set(from.times.subarray(begin, end), at);
    for (let c = 0; c < this.width; c++) to.columns[c].set(from.columns[c].subarray(begin, end), at);
    this.headOf[slot] = 0;
  }

  private release(slot: number): void {
    const sizeClass = this.classOf[slot] - 1;
    let list = this.free.get(sizeClass);
    if (list === undefined) {
      list = [];
      this.free.set(sizeClass, list);
    }
    list.push(this.pageOf[slot], this.blockOf[slot]);
  }

  private place(slot: number, sizeClass: number): void {
    this.classOf[slot] = sizeClass + 1;
    const list = this.free.get(sizeClass);
    if (list !== undefined && list.length > 0) {
      this.blockOf[slot] = list.pop()!;
      this.pageOf[slot] = list.pop()!;
      return;
    }
    const size = capacityOf(sizeClass);
    let page = this.pages.at(-1);
    if (page === undefined || page.used + size > page.times.length) {
      page = this.newPage(size);
      this.pages.push(page);
    }
    this.pageOf[slot] = this.pages.length - 1;
    this.blockOf[slot] = page.used;
    page.used += size;
  }

  private newPage(atLeast: number): Page {
    const wanted = Math.min(PAGE_ENTRIES_MAX, Math.max(PAGE_ENTRIES_MIN, this.allocated >> 2));
    const entries = Math.max(wanted, atLeast);
    this.allocated += entries;
    const column = (): Float64Array => new Float64Array(entries);
    return { times: column(), columns: Array.from({ length: this.width }, column), used: 0 };
  }

  private growSlots(needed: number): void {
    const size = Math.max(64, needed, Math.ceil(this.lengthOf.length * 1.5));
    const grow = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const grown = new Int32Array(size);
      grown.set(old);
      return grown;
    };
    this.pageOf = grow(this.pageOf);
    this.blockOf = grow(this.blockOf);
    this.headOf = grow(this.headOf);
    this.lengthOf = grow(this.lengthOf);
    const classes = new Uint8Array(size);
    classes.set(this.classOf);
    this.classOf = classes;
  }
}

/** The first place in [from, to) whose time is after `time`; `to` when there is none. Times ascend. */
export function firstAfter(times: Float64Array, from: number, to: number, time: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle] > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Block sizes 4, 6, 8, 12, 16, 24, …: at most a third of a block is unused after growth. */
function capacityOf(sizeClass: number): number {
  return (sizeClass & 1 ? 6 : 4) << (sizeClass >> 1);
}
