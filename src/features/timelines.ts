// Timelines: for each key a run of entries in time order, packed in shared pages of typed arrays.
import { assert } from "../core/errors.ts";

/** Entries of a page when the table is small; pages grow with the table up to PAGE_ENTRIES_MAX. */
const PAGE_ENTRIES_MIN = 1024;
/** 2 MB per column. */
const PAGE_ENTRIES_MAX = 1 << 18;
/** Share of the memory that must hold runs; below it pages are moved together, one at each growth. */
const LIVE_SHARE_MIN = 0.85;
/** Longest run of one key; older entries go first. The tile rule of `state.ts` keeps runs far below it. */
export const RUN_ENTRIES_MAX = 1 << 18;

/** A slot's record: page, block, head and length as 32 bits each, the origin as 64, so that one cache line holds what a read asks. */
const FIELDS = 6;
const PAGE = 0;
const BLOCK = 1;
const HEAD = 2;
const LENGTH = 3;
/** Of the same record seen as 64-bit numbers. */
const WIDE_FIELDS = FIELDS / 2;
const ORIGIN = 2;
/** Of a cache line of 64 bytes. */
const NUMBERS_PER_LINE = 8;
const TIMES_PER_LINE = 16;
/** Longest span in ms that 32 bits hold: 49.7 days. */
const SPAN_MAX = 2 ** 32 - 1;

/** Times in ms after their run's origin. */
export type Times = Float64Array | Uint32Array;

/** A block of memory that many runs share: entry i is times[i] (after the origin of its run) and columns[c][i]. */
export interface Page {
  readonly times: Times;
  readonly columns: readonly Float64Array[];
  /** Entries handed out since the page was last empty. */
  used: number;
  /** Entries in blocks that hold a run. */
  live: number;
}

const NO_ENTRIES = new Uint32Array(0);
const NO_COLUMNS: readonly Float64Array[] = [];

/** Where a run lies, as {@link Timelines.locate} finds it: entries [begin, end) of its page, times after the origin. */
export class RunPlace {
  times: Times = NO_ENTRIES;
  columns: readonly Float64Array[] = NO_COLUMNS;
  begin = 0;
  end = 0;
  origin = 0;
}

/**
 * Runs of entries by slot, each entry a time (whole ms) and `width` numbers. A run is contiguous in one page, at [begin, end), so that
 * readers scan plain arrays. Equal times keep the order in which they came. Where the caller promises that the entries of a run are at
 * most 49 days apart (`spanMs`), a time takes 32 bits: the ms since its run's origin, which moves along.
 */
export class Timelines {
  readonly width: number;
  private readonly pages: Page[] = [];
  private readonly free = new Map<number, number[]>();
  private slots = 0;
  private records = new Int32Array(0);
  private origins = new Float64Array(0);
  /** Size class of a slot's block plus one; 0 is no block. */
  private classOf = new Uint8Array(0);
  private entryCount = 0;
  private allocated = 0;
  private live = 0;
  /** The page that new blocks come from, and pages that were emptied. */
  private current = -1;
  private readonly spare: number[] = [];

  private readonly narrow: boolean;

  constructor(width: number, options: { readonly spanMs?: number } = {}) {
    this.width = width;
    this.narrow = (options.spanMs ?? Number.POSITIVE_INFINITY) <= SPAN_MAX;
  }

  get entries(): number {
    return this.entryCount;
  }

  /** Pages, the records, and the lists of free blocks. */
  get bytes(): number {
    let free = 0;
    for (const list of this.free.values()) free += list.length;
    const entry = (this.narrow ? 4 : 8) + 8 * this.width;
    return this.allocated * entry + this.slots * (4 * FIELDS + 1) + free * 8;
  }

  length(slot: number): number {
    // Most keys have no labels: one byte says so, and all of these bytes stay in the cache.
    return slot < this.slots && this.classOf[slot] > 0 ? this.records[slot * FIELDS + LENGTH] : 0;
  }

  /**
   * Reads one number of each cache line of a run and gives their sum, which means nothing: a read that follows finds them in the cache. The
   * lines of many runs come from memory together when nothing waits for any of them.
   */
  touch(slot: number): number {
    if (slot < 0 || slot >= this.slots || this.classOf[slot] === 0) return 0;
    const record = slot * FIELDS;
    const page = this.pages[this.records[record + PAGE]];
    const begin = this.records[record + BLOCK] + this.records[record + HEAD];
    const last = begin + this.records[record + LENGTH] - 1;
    const { times, columns } = page;
    let sum = 0;
    for (let i = last; i >= begin; i -= TIMES_PER_LINE) sum += times[i];
    for (let c = 0; c < columns.length; c++) {
      const column = columns[c];
      for (let i = last; i >= begin; i -= NUMBERS_PER_LINE) sum += column[i];
    }
    return sum;
  }

  /** Says where a run lies, in one call for the hot path; an empty run, or slot < 0, lies nowhere. */
  locate(slot: number, place: RunPlace): void {
    const record = slot * FIELDS;
    const length = slot < 0 || slot >= this.slots ? 0 : this.records[record + LENGTH];
    if (length === 0) {
      place.times = NO_ENTRIES;
      place.columns = NO_COLUMNS;
      place.begin = 0;
      place.end = 0;
      place.origin = 0;
      return;
    }
    const page = this.pages[this.records[record + PAGE]];
    const begin = this.records[record + BLOCK] + this.records[record + HEAD];
    place.times = page.times;
    place.columns = page.columns;
    place.begin = begin;
    place.end = begin + length;
    place.origin = this.origins[slot * WIDE_FIELDS + ORIGIN];
  }

  /** The page that holds the run; only for a run that is not empty. */
  page(slot: number): Page {
    return this.pages[this.records[slot * FIELDS + PAGE]];
  }

  begin(slot: number): number {
    return this.records[slot * FIELDS + BLOCK] + this.records[slot * FIELDS + HEAD];
  }

  /** What the run's times count from, in ms since 1970; 0 where they take 64 bits. */
  origin(slot: number): number {
    return this.origins[slot * WIDE_FIELDS + ORIGIN];
  }

  /** Makes room for an entry after all with time ≤ `time`; returns its place in the run's page, columns still to be set. */
  insert(slot: number, time: number): number {
    this.makeRoom(slot);
    const { records } = this;
    const record = slot * FIELDS;
    const { times } = this.pages[records[record + PAGE]];
    const begin = records[record + BLOCK] + records[record + HEAD];
    const end = begin + records[record + LENGTH];
    if (this.narrow) this.settleOrigin(slot, time);
    const after = time - this.origins[slot * WIDE_FIELDS + ORIGIN];
    records[record + LENGTH]++;
    this.entryCount++;
    if (end > begin && times[end - 1] > after) return this.insertWithin(slot, after);
    times[end] = after;
    return end;
  }

  /** The run was made longer by one: its later entries move there. */
  private insertWithin(slot: number, after: number): number {
    const page = this.page(slot);
    const begin = this.begin(slot);
    const end = begin + this.length(slot) - 1;
    const at = firstAfter(page.times, begin, end, after);
    page.times.copyWithin(at + 1, at, end);
    for (const column of page.columns) column.copyWithin(at + 1, at, end);
    page.times[at] = after;
    return at;
  }

  /** Gives the entry at `at` another time, which must leave it in its place. */
  setTime(slot: number, at: number, time: number): void {
    if (this.narrow) this.settleOrigin(slot, time);
    this.page(slot).times[at] = time - this.origins[slot * WIDE_FIELDS + ORIGIN];
  }

  /** Makes an empty run exactly `length` entries long, to be filled in time order from `first` on; returns its first place. */
  fill(slot: number, length: number, first: number): number {
    if (slot >= this.slots) this.growSlots(slot + 1);
    let sizeClass = 0;
    while (capacityOf(sizeClass) < length) sizeClass++;
    this.place(slot, sizeClass);
    this.records[slot * FIELDS + LENGTH] = length;
    this.origins[slot * WIDE_FIELDS + ORIGIN] = this.narrow ? first : 0;
    this.entryCount += length;
    return this.records[slot * FIELDS + BLOCK];
  }

  remove(slot: number, at: number): void {
    const page = this.page(slot);
    const end = this.begin(slot) + this.records[slot * FIELDS + LENGTH];
    page.times.copyWithin(at, at + 1, end);
    for (const column of page.columns) column.copyWithin(at, at + 1, end);
    this.records[slot * FIELDS + LENGTH]--;
    this.entryCount--;
  }

  /** Drops the entries with time ≤ `time`: as a rule none or one, so that they are walked. */
  dropUntil(slot: number, time: number): void {
    if (slot >= this.slots || this.classOf[slot] === 0) return;
    const { records } = this;
    const record = slot * FIELDS;
    const length = records[record + LENGTH];
    const { times } = this.pages[records[record + PAGE]];
    const begin = records[record + BLOCK] + records[record + HEAD];
    const until = time - this.origins[slot * WIDE_FIELDS + ORIGIN];
    let dropped = 0;
    while (dropped < length && times[begin + dropped] <= until) dropped++;
    if (dropped === 0) return;
    records[record + HEAD] += dropped;
    records[record + LENGTH] -= dropped;
    this.entryCount -= dropped;
  }

  /** Empties a run and gives its memory back for other runs. */
  clear(slot: number): void {
    if (slot >= this.slots || this.classOf[slot] === 0) return;
    this.release(slot);
    this.entryCount -= this.records[slot * FIELDS + LENGTH];
    this.records[slot * FIELDS + LENGTH] = 0;
    this.records[slot * FIELDS + HEAD] = 0;
    this.classOf[slot] = 0;
  }

  /** Moves the origin where `time` does not fit after it in 32 bits: to the earliest time of the run, `time` included. */
  private settleOrigin(slot: number, time: number): void {
    const length = this.records[slot * FIELDS + LENGTH];
    const origin = this.origins[slot * WIDE_FIELDS + ORIGIN];
    if (length > 0 && time >= origin && time - origin <= SPAN_MAX) return;
    if (length === 0) {
      this.origins[slot * WIDE_FIELDS + ORIGIN] = time;
      return;
    }
    const { times } = this.page(slot);
    const begin = this.begin(slot);
    const moved = Math.min(time, origin + times[begin]);
    assert(Math.max(time, origin + times[begin + length - 1]) - moved <= SPAN_MAX, "a run is no longer than its span");
    for (let i = begin; i < begin + length; i++) times[i] += origin - moved;
    this.origins[slot * WIDE_FIELDS + ORIGIN] = moved;
  }

  private makeRoom(slot: number): void {
    if (slot >= this.slots) this.growSlots(slot + 1);
    const sizeClass = this.classOf[slot];
    const length = this.records[slot * FIELDS + LENGTH];
    if (sizeClass === 0) {
      this.place(slot, 0);
      return;
    }
    const capacity = capacityOf(sizeClass - 1);
    if (this.records[slot * FIELDS + HEAD] + length < capacity) return;
    if (length === RUN_ENTRIES_MAX) {
      this.records[slot * FIELDS + HEAD]++;
      this.records[slot * FIELDS + LENGTH]--;
      this.entryCount--;
    }
    if (this.records[slot * FIELDS + HEAD] >= Math.max(1, capacity >> 3)) this.slide(slot);
    else this.move(slot, sizeClass);
  }

  /** Moves the run to the front of its block. */
  private slide(slot: number): void {
    const page = this.page(slot);
    const begin = this.begin(slot);
    const end = begin + this.records[slot * FIELDS + LENGTH];
    page.times.copyWithin(this.records[slot * FIELDS + BLOCK], begin, end);
    for (const column of page.columns) column.copyWithin(this.records[slot * FIELDS + BLOCK], begin, end);
    this.records[slot * FIELDS + HEAD] = 0;
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
    list.push(this.records[slot * FIELDS + PAGE], this.records[slot * FIELDS + BLOCK]);
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
    this.records[slot * FIELDS + PAGE] = where.page;
    this.records[slot * FIELDS + BLOCK] = where.block;
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
    for (let slot = 0; slot < this.slots; slot++) {
      if (this.classOf[slot] === 0 || this.records[slot * FIELDS + PAGE] !== page) continue;
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
    const at = this.records[slot * FIELDS + BLOCK];
    const end = begin + this.records[slot * FIELDS + LENGTH];
    copyEntries(from.times, to.times, { begin, end, at });
    for (let c = 0; c < this.width; c++) copyEntries(from.columns[c], to.columns[c], { begin, end, at });
    this.records[slot * FIELDS + HEAD] = 0;
  }

  private newPage(atLeast: number): number {
    const wanted = Math.min(PAGE_ENTRIES_MAX, Math.max(PAGE_ENTRIES_MIN, this.allocated >> 3));
    const entries = Math.max(wanted, atLeast);
    this.allocated += entries;
    const columns = Array.from({ length: this.width }, () => new Float64Array(entries));
    const times = this.narrow ? new Uint32Array(entries) : new Float64Array(entries);
    return this.pages.push({ times, columns, used: 0, live: 0 }) - 1;
  }

  private growSlots(needed: number): void {
    const size = Math.max(64, needed, Math.ceil(this.slots * 1.5));
    const records = new Int32Array(size * FIELDS);
    records.set(this.records);
    this.records = records;
    this.origins = new Float64Array(records.buffer);
    const classes = new Uint8Array(size);
    classes.set(this.classOf);
    this.classOf = classes;
    this.slots = size;
  }
}

/** The first place in [from, to) whose time is after `time`; `to` when there is none. Times ascend. */
export function firstAfter(times: Times, from: number, to: number, time: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle] > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** A plain loop: runs are short, and a view made for each would cost more than the copy. */
function copyEntries(
  from: Times,
  to: Times,
  where: { readonly begin: number; readonly end: number; readonly at: number },
): void {
  const { begin, end, at } = where;
  for (let i = begin; i < end; i++) to[at + i - begin] = from[i];
}

/** Block sizes 4, 6, 8, 12, 16, 24, …: at most a third of a block is unused after growth. */
function capacityOf(sizeClass: number): number {
  return (sizeClass & 1 ? 6 : 4) << (sizeClass >> 1);
}
