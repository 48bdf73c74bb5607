// Key table: all that is remembered about each value of one key (say, each customer), bounded per key and in keys.
import { heapBytes } from "./heap-bytes.ts";
import { hopOf } from "./hops.ts";
import { type LabelEntry, LabelLists } from "./labels.ts";
import type { StateLimits } from "./limits.ts";
import type { SeriesNeed } from "./plan.ts";
import { firstAfter, RunPlace, Timelines } from "./timelines.ts";

/** The transaction has no value in a key column: every feature of the key is missing. */
export const SLOT_MISSING = -2;
/** The key's value was never seen: its windows are empty. */
export const SLOT_UNKNOWN = -1;

/** Numbers of a tile record: its transactions, then for each value column these five. */
export const TILE_NUMBERS = { present: 0, sum: 1, squares: 2, min: 3, max: 4, count: 5 } as const;

/** Told of a key before it changes. */
export interface SlotWatch {
  beforeChange(slot: number): void;
}

/**
 * One series. A key's first `tileEvents` transactions in an epoch-aligned tile (`need.tileMs`, else `limits.tileMs`) are kept singly; further ones are added up in
 * one record with the time of the latest. So a busy key costs a bounded number of entries, what is kept depends only on the
 * tile's own transactions (not on when history began), and an error appears only where a window's edge cuts a busy tile.
 */
export class KeyTable {
  readonly need: SeriesNeed;
  /** Places of the columns that a transaction itself gives: all but hops. */
  readonly ownColumns: Int32Array;
  readonly singles: Timelines;
  readonly tiles: Timelines;
  readonly frauds: LabelLists;
  readonly genuine = new LabelLists(0);
  /** Changes whenever slots are given back: slots held outside are void then. */
  epoch = 0;
  /** Grows whenever a key comes or goes: what was looked up before may be another slot now. */
  changes = 0;
  /** Keys given up early because of keysMax. */
  evicted = 0;
  /** Who hears of keys that are about to change; null for nobody. */
  watch: SlotWatch | null = null;
  private readonly limits: StateLimits;
  private readonly tileMs: number;
  private readonly slots = new Map<string, number>();
  private slotCount = 0;
  /** Characters of all key texts. */
  private textLength = 0;
  private newest = new Float64Array(64);
  private freeSlots: number[] = [];
  private sweepAt: number;
  /** Reused, so that learning allocates nothing. */
  private readonly place = new RunPlace();

  constructor(need: SeriesNeed, limits: StateLimits) {
    this.need = need;
    this.ownColumns = Int32Array.from(need.columns.keys()).filter((at) => hopOf(need.columns[at]) === null);
    this.limits = limits;
    this.tileMs = need.tileMs ?? limits.tileMs;
    // What is kept of a key when one more comes is younger than the retention, so no run is longer.
    const spanMs = this.retentionMs;
    this.singles = new Timelines(need.columns.length, { spanMs });
    this.tiles = new Timelines(1 + TILE_NUMBERS.count * need.columns.length, { spanMs });
    this.frauds = new LabelLists(need.labelled?.length ?? 0);
    this.sweepAt = Math.min(limits.keysMax, 1024);
  }

  get keys(): number {
    return this.slots.size;
  }

  get retentionMs(): number {
    return this.need.retentionMs + this.limits.latenessMs;
  }

  find(text: string): number {
    return this.slots.get(text) ?? SLOT_UNKNOWN;
  }

  /** See {@link Timelines.touch}. */
  touch(slot: number): number {
    return this.singles.touch(slot) + this.frauds.runs.length(slot);
  }

  /** Key texts with their slots and newest event times, in order of appearance. */
  *entries(): Generator<{ readonly text: string; readonly slot: number; readonly newest: number }> {
    for (const [text, slot] of this.slots) yield { text, slot, newest: this.newest[slot] };
  }

  /** The slot of a key, made if need be; keys without events within the retention make room first, then the longest silent. */
  create(text: string, time: number, watermark: number): number {
    const known = this.slots.get(text);
    if (known !== undefined) {
      this.watch?.beforeChange(known);
      if (time > this.newest[known]) this.newest[known] = time;
      return known;
    }
    if (this.slots.size >= this.sweepAt) this.sweep(watermark);
    const slot = this.freeSlots.pop() ?? this.slotCount++;
    if (slot >= this.newest.length) {
      const grown = new Float64Array(Math.ceil(slot * 1.5) + 1);
      grown.set(this.newest);
      this.newest = grown;
    }
    this.slots.set(text, slot);
    this.changes++;
    this.textLength += text.length;
    this.newest[slot] = time;
    return slot;
  }

  /** Adds one transaction; `values` holds the series' columns from `at` on, NaN where missing. */
  learn(
    slot: number,
    event: { readonly time: number; readonly watermark: number; readonly values: Float64Array },
  ): void {
    const { time, values } = event;
    this.watch?.beforeChange(slot);
    if (time > this.newest[slot]) this.newest[slot] = time;
    this.dropOld(slot, event.watermark);
    if (this.mayBeBusy(slot, event)) {
      const tileStart = Math.floor(time / this.tileMs) * this.tileMs;
      if (this.tileIsFull(slot, tileStart)) {
        this.addToTile(slot, tileStart, event);
        return;
      }
    }
    const at = this.singles.insert(slot, time);
    const { columns } = this.singles.page(slot);
    for (let c = 0; c < columns.length; c++) columns[c][at] = values[c];
  }

  /**
   * False only if the tile of the transaction certainly has room: the key has fewer entries than fill a tile, or none of them is younger and one
   * too few to fill it are from the time of a tile before.
   */
  private mayBeBusy(slot: number, { time }: { readonly time: number }): boolean {
    const { place, singles } = this;
    const { tileMs } = this;
    const { tileEvents } = this.limits;
    singles.locate(slot, place);
    const { times, begin, end } = place;
    if (end - begin < tileEvents) return false;
    const after = time - place.origin;
    return times[end - 1] > after || times[end - tileEvents] > after - tileMs;
  }

  /** Whether a genuine label changes the key: it is counted itself, or the key holds a fraud that it may remove. */
  holdsFraud(slot: number): boolean {
    return this.need.genuine || (slot >= 0 && this.frauds.runs.length(slot) > 0);
  }

  /** Adds a label of a transaction of this key; its `values` are those of the columns `need.labelled`. */
  learnLabel(slot: number, label: LabelEntry & { readonly fraud: boolean }): void {
    this.watch?.beforeChange(slot);
    // So that a sweep never takes a label that a window may still ask for.
    if (label.time > this.newest[slot]) this.newest[slot] = label.time;
    if (this.need.frauds) {
      if (label.fraud) this.frauds.add(slot, label);
      else this.frauds.takeBack(slot, label);
    }
    if (this.need.genuine) {
      if (label.fraud) this.genuine.takeBack(slot, label);
      else this.genuine.add(slot, label);
    }
  }

  get bytes(): number {
    const numbers =
      this.runs().reduce((sum, run) => sum + run.bytes, 0) + (this.newest.length + this.freeSlots.length) * 8;
    return numbers + heapBytes(this.slots.size, { words: 3, textLength: this.textLength });
  }

  get events(): number {
    return this.singles.entries + this.tiles.entries;
  }

  /** What a snapshot needs besides the runs. */
  dump(): { readonly sweepAt: number; readonly evicted: number } {
    return { sweepAt: this.sweepAt, evicted: this.evicted };
  }

  load(dump: { readonly sweepAt: number; readonly evicted: number }): void {
    this.sweepAt = dump.sweepAt;
    this.evicted = dump.evicted;
  }

  newestOf(slot: number): number {
    return this.newest[slot];
  }

  /** Time of the oldest entry of a key, labels included; +∞ when it has none. */
  oldestOf(slot: number): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const run of this.runs()) {
      if (run.length(slot) > 0) {
        oldest = Math.min(oldest, run.origin(slot) + run.page(slot).times[run.begin(slot)]);
      }
    }
    return oldest;
  }

  /** Singles, tiles, frauds, genuine. */
  runs(): readonly Timelines[] {
    return [this.singles, this.tiles, this.frauds.runs, this.genuine.runs];
  }

  /** Gives one key up. */
  forget(text: string): void {
    const slot = this.slots.get(text);
    if (slot === undefined) return;
    this.watch?.beforeChange(slot);
    this.slots.delete(text);
    this.textLength -= text.length;
    this.freeSlots.push(slot);
    for (const run of this.runs()) run.clear(slot);
    this.epoch++;
    this.changes++;
  }

  /** Drops what no window can ask for any more. */
  dropOld(slot: number, watermark: number): void {
    this.watch?.beforeChange(slot);
    const until = watermark - this.retentionMs;
    this.singles.dropUntil(slot, until);
    if (this.tiles.entries > 0) this.tiles.dropUntil(slot, until);
    if (this.frauds.runs.entries > 0) this.frauds.runs.dropUntil(slot, until);
    if (this.genuine.runs.entries > 0) this.genuine.runs.dropUntil(slot, until);
  }

  /** Whether the tile holds all the single entries it may; the key has at least that many. */
  private tileIsFull(slot: number, tileStart: number): boolean {
    const { tileMs } = this;
    const { tileEvents } = this.limits;
    const { times } = this.singles.page(slot);
    const begin = this.singles.begin(slot);
    const end = begin + this.singles.length(slot);
    const start = tileStart - this.singles.origin(slot);
    // Times are whole ms, so "after start − 1" is "from start on".
    if (times[end - 1] < start || (times[end - tileEvents] < start && times[end - 1] < start + tileMs)) return false;
    const from = firstAfter(times, begin, end, start - 1);
    return firstAfter(times, from, end, start + tileMs - 1) - from >= tileEvents;
  }

  private addToTile(
    slot: number,
    tileStart: number,
    event: { readonly time: number; readonly values: Float64Array },
  ): void {
    const { tiles } = this;
    let at = this.findTile(slot, tileStart);
    if (at < 0) {
      at = tiles.insert(slot, event.time);
      const { columns } = tiles.page(slot);
      for (let c = 0; c < columns.length; c++) columns[c][at] = 0;
    }
    const { times, columns } = tiles.page(slot);
    if (event.time > times[at] + tiles.origin(slot)) tiles.setTime(slot, at, event.time);
    columns[0][at]++;
    for (let c = 0; c < this.need.columns.length; c++) {
      if (!Number.isNaN(event.values[c]))
        addToRecord(columns, at, { from: 1 + TILE_NUMBERS.count * c, value: event.values[c] });
    }
  }

  /** The place of a tile's record, or −1; there is at most one per tile. */
  private findTile(slot: number, tileStart: number): number {
    const length = this.tiles.length(slot);
    if (length === 0) return -1;
    const { times } = this.tiles.page(slot);
    const begin = this.tiles.begin(slot);
    const start = tileStart - this.tiles.origin(slot);
    const at = firstAfter(times, begin, begin + length, start + this.tileMs - 1) - 1;
    return at >= begin && times[at] >= start ? at : -1;
  }

  /** Gives up keys that are silent for longer than the retention, and an eighth of the rest when the table is still full. */
  private sweep(watermark: number): void {
    this.giveUp(watermark - this.retentionMs);
    if (this.slots.size >= this.limits.keysMax) {
      const times = Float64Array.from(this.entries(), ({ newest }) => newest).sort();
      const before = this.slots.size;
      this.giveUp(times[times.length >> 3]);
      this.evicted += before - this.slots.size;
    }
    this.sweepAt = Math.min(this.limits.keysMax, Math.max(1024, Math.ceil(this.slots.size * 1.5)));
  }

  private giveUp(until: number): void {
    for (const { text, newest } of this.entries()) {
      if (newest <= until) this.forget(text);
    }
  }
}

/** Welford's update of a record's present values (Knuth, TAOCP 2, 4.2.2). */
function addToRecord(
  columns: readonly Float64Array[],
  at: number,
  what: { readonly from: number; readonly value: number },
): void {
  const { from, value } = what;
  const present = columns[from + TILE_NUMBERS.present];
  const sum = columns[from + TILE_NUMBERS.sum];
  const squares = columns[from + TILE_NUMBERS.squares];
  const min = columns[from + TILE_NUMBERS.min];
  const max = columns[from + TILE_NUMBERS.max];
  const before = present[at] === 0 ? value : sum[at] / present[at];
  min[at] = present[at] === 0 ? value : Math.min(min[at], value);
  max[at] = present[at] === 0 ? value : Math.max(max[at], value);
  present[at]++;
  sum[at] += value;
  squares[at] += (value - before) * (value - sum[at] / present[at]);
}
