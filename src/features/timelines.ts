// Timelines: for each key a run of entries in time order, packed in shared pages of typed arrays.

/** Entries of a page when the table is small; pages grow with the table up to PAGE_ENTRIES_MAX. */
const PAGE_ENTRIES_MIN = 1024;
/** 2 MB a column. */
const PAGE_ENTRIES_MAX = 1 << 18;
/** Share of the memory that must hold runs; below it pages are moved together, one at each growth. */
const LIVE_SHARE_MIN = 0.85;
/** Longest run of one key; older entries go first. The tile rule of `state.ts` keeps runs far below it. */
export const RUN_ENTRIES_MAX = 1 << 18;

/** A block of memory that many runs share: entry i is times[i] and columns[c][i]. */
export interface Page {
  readonly times: Float64Array;
  readonly columns: readonly Float64Array[];
  /** Entries handed out since the page was last empty. */
  used: number;
  /** Entries in blocks that hold a run. */
  live: number;
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
  private live = 0;
  /** The page that new blocks come from, and pages that were emptied. */
  private current = -1;
  private readonly spare: number[] = [];

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
    // Room first, since making room may move the run itself.
    const size = capacityOf(sizeClass);
    const list = this.free.get(sizeClass);
    if ((list === undefined || list.length === 0) && !this.fits(this.current, size)) this.current = this.nextPage(size);
    const from = this.page(slot);
    const begin = this.begin(slot);
    this.release(slot);
    this.place(slot, sizeClass);
    this.copyRun(slot, from, begin);
  }

  private release(slot: number): void {
    const sizeClass = this.classOf[slot] - 1;
    this.page(slot).live -= capacityOf(sizeClass);
    this.live -= capacityOf(sizeClass);
    let list = this.free.get(sizeClass);
    if (list === undefined) {
      list = [];
      this.free.set(sizeClass, list);
    }
    list.push(this.pageOf[slot], this.blockOf[slot]);
  }

  private place(slot: number, sizeClass: number): void {
    const list = this.free.get(sizeClass);
    if (list !== undefined && list.length > 0) {
      const block = list.pop()!;
      this.occupy(slot, sizeClass, { page: list.pop()!, block });
      return;
    }
    const size = capacityOf(sizeClass);
    if (!this.fits(this.current, size)) this.current = this.nextPage(size);
    this.occupyCurrent(slot, sizeClass);
  }

  private fits(page: number, size: number): boolean {
    return page >= 0 && this.pages[page].used + size <= this.pages[page].times.length;
  }

  private occupyCurrent(slot: number, sizeClass: number): void {
    const page = this.pages[this.current];
    const block = page.used;
    page.used += capacityOf(sizeClass);
    this.occupy(slot, sizeClass, { page: this.current, block });
  }

  private occupy(slot: number, sizeClass: number, where: { readonly page: number; readonly block: number }): void {
    this.classOf[slot] = sizeClass + 1;
    this.pageOf[slot] = where.page;
    this.blockOf[slot] = where.block;
    this.pages[where.page].live += capacityOf(sizeClass);
    this.live += capacityOf(sizeClass);
  }

  /** A page with room: an emptied one, a new one, or a new one into which the emptiest page was first moved together. */
  private nextPage(size: number): number {
    const spare = this.spare.findIndex((page) => this.fits(page, size));
    const next = spare >= 0 ? this.spare.splice(spare, 1)[0] : this.newPage(size);
    if (this.live > this.allocated * LIVE_SHARE_MIN) return next;
    const room = this.pages[next].times.length - this.pages[next].used - size;
    let emptiest = -1;
    for (let p = 0; p < this.pages.length; p++) {
      const { live, used } = this.pages[p];
      if (p === next || used === 0 || live > room) continue;
      if (emptiest < 0 || live < this.pages[emptiest].live) emptiest = p;
    }
    if (emptiest >= 0) this.empty(emptiest, next);
    return next;
  }

  /** Moves every run of a page into another with room for them, and keeps the page for later. */
  private empty(page: number, into: number): void {
    for (const [sizeClass, list] of this.free) {
      const kept: number[] = [];
      for (let i = 0; i < list.length; i += 2) if (list[i] !== page) kept.push(list[i], list[i + 1]);
      this.free.set(sizeClass, kept);
    }
    this.current = into;
    for (let slot = 0; slot < this.classOf.length; slot++) {
      if (this.classOf[slot] === 0 || this.pageOf[slot] !== page) continue;
      const sizeClass = this.classOf[slot] - 1;
      const from = this.begin(slot);
      this.pages[page].live -= capacityOf(sizeClass);
      this.live -= capacityOf(sizeClass);
      this.occupyCurrent(slot, sizeClass);
      this.copyRun(slot, this.pages[page], from);
    }
    this.pages[page].used = 0;
    this.spare.push(page);
  }

  private copyRun(slot: number, from: Page, begin: number): void {
    const to = this.page(slot);
    const at = this.blockOf[slot];
    const end = begin + this.lengthOf[slot];
    to.times.set(from.times.subarray(begin, end), at);
    for (let c = 0; c < this.width; c++) to.columns[c].set(from.columns[c].subarray(begin, end), at);
    this.headOf[slot] = 0;
  }

  private newPage(atLeast: number): number {
    const wanted = Math.min(PAGE_ENTRIES_MAX, Math.max(PAGE_ENTRIES_MIN, this.allocated >> 3));
    const entries = Math.max(wanted, atLeast);
    this.allocated += entries;
    const column = (): Float64Array => new Float64Array(entries);
    const columns = Array.from({ length: this.width }, column);
    return this.pages.push({ times: column(), columns, used: 0, live: 0 }) - 1;
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
