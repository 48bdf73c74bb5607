// How often each different key occurs, in bounded memory: an open-addressing table that moves to partitions on disk when the pool is used up.
import { assert, SentinelError } from "../core/errors.ts";
import { FaultSample } from "./sample.ts";
import type { Scratch, TallyPool } from "./tally-pool.ts";

/** What a tally ends with. */
export interface TallyResult {
  /** Different keys. */
  readonly distinct: number;
  /** Keys that occur once. */
  readonly single: number;
  /** Rows whose key occurs more than once. */
  readonly repeated: FaultSample;
  /** Occurrences of the most frequent key; 0 without keys. */
  readonly most: number;
  /** Keys that occur so often, and the first {@link MODES_MAX} of them: by the row in which each occurs first. */
  readonly modes: number;
  readonly modeKeys: readonly ModeKey[];
}

/** One of the most frequent keys. */
export interface ModeKey {
  readonly row: number;
  /** The first half of the key: the number itself where the keys are numbers. */
  readonly first: number;
}

/** Most frequent keys that are kept. */
export const MODES_MAX = 1000;
/** Partitions on disk (Shapiro 1986, Grace hashing): a billion different keys leave four million in each. */
const PARTITIONS = 256;
/** Records that wait in memory for their partition's file. */
const BUFFER_RECORDS = 1024;
/** Different keys of one partition that are counted in memory at once. */
const PARTITION_KEYS_MAX = 8_000_000;
/** Key, second key, count, row. */
const RECORD_WORDS = 4;
const SLOTS_FIRST = 1 << 12;
/** Whole numbers below this, and amounts of fewer cents, are counted without a table. */
const SMALL_MAX = 1 << 16;
const CENTS = 100;
const LOAD_MAX = 0.6;
/** Rows are numbered in 32 bits. */
const ROWS_MAX = 0xffffffff;

/**
 * Keys are pairs of doubles: a number beside 0, or 106 bits of a text's or a tuple's hash. Two different texts of a billion share those with a probability of
 * 10⁻¹⁴.
 */
export class KeyTally {
  private readonly pool: TallyPool;
  private table: SlotTable | null;
  private partitions: Partitions | null = null;
  private readonly found: Found;
  private readonly whole = new SmallCounts(1);
  private readonly cents = new SmallCounts(CENTS);

  /** Which rows repeat is noted where `rows` asks for it. */
  constructor(pool: TallyPool, { rows }: { readonly rows: boolean }) {
    this.pool = pool;
    this.found = new Found(rows);
    pool.take(SLOTS_FIRST);
    this.table = new SlotTable(SLOTS_FIRST);
  }

  /** Adding zero makes −0 and 0 one key. NaN is no key. */
  add(first: number, second: number, row: number): void {
    assert(row <= ROWS_MAX, "rows are numbered in 32 bits");
    if (second === 0) {
      const whole = wholeOf(first);
      const cents = whole >= 0 ? -1 : centsOf(first);
      if (whole >= 0) this.whole.add(whole, row, this.found);
      if (cents >= 0) this.cents.add(cents, row, this.found);
      if (whole >= 0 || cents >= 0) return;
    }
    if (this.table === null) {
      this.partitions!.add(first + 0, second, 1, row);
      return;
    }
    this.table.add(first + 0, second, 1, row, this.found);
    if (this.table.isFull()) this.grow();
  }

  /** All keys of a batch; the same as one by one. */
  addAll(keys: { readonly first: Float64Array; readonly second: Float64Array }, rowOf: (row: number) => number): void {
    const { first, second } = keys;
    for (let i = this.nextNew(first, second, 0); i < first.length; i = this.nextNew(first, second, i + 1))
      this.add(first[i], second[i], rowOf(i));
  }

  /** Counts keys that were counted before, up to the next one that {@link add} has to see. */
  private nextNew(first: Float64Array, second: Float64Array, from: number): number {
    // Where it matters which rows repeat, each of them has to be seen.
    const isSeen = this.found.notesRows;
    const whole = isSeen ? NOTHING : this.whole.counted;
    const cents = isSeen ? NOTHING : this.cents.counted;
    const table = isSeen ? null : this.table;
    for (let i = from; i < first.length; i++) {
      const key = first[i];
      if (Number.isNaN(key)) continue;
      if (second[i] === 0) {
        const small = wholeOf(key);
        if (small >= 0) {
          if (!(whole[small] > 0)) return i;
          whole[small]++;
          continue;
        }
        const amount = centsOf(key);
        if (amount >= 0) {
          if (!(cents[amount] > 0)) return i;
          cents[amount]++;
          continue;
        }
      }
      if (table === null || !table.again(key + 0, second[i])) return i;
    }
    return first.length;
  }

  finish(): TallyResult {
    const { found, table, partitions } = this;
    this.whole.count(found);
    this.cents.count(found);
    if (table !== null) {
      table.count(found);
      this.pool.giveBack(table.slots);
      this.table = null;
    }
    if (partitions !== null) {
      for (let p = 0; p < PARTITIONS; p++) partitions.count(p, found);
    }
    return found.result();
  }

  private grow(): void {
    const table = this.table!;
    if (this.pool.take(table.slots)) {
      this.table = table.doubled();
      return;
    }
    this.partitions = new Partitions(this.pool.scratch!, this.pool.newName());
    table.each((first, second, count, row) => this.partitions!.add(first, second, count, row));
    this.pool.giveBack(table.slots);
    this.table = null;
  }
}

/** What is known of all keys that were counted to their end. */
class Found {
  private distinct = 0;
  private single = 0;
  private most = 0;
  private modes = 0;
  private modeKeys: ModeKey[] = [];
  readonly repeated = new FaultSample();
  readonly notesRows: boolean;

  constructor(notesRows: boolean) {
    this.notesRows = notesRows;
  }

  repeat(row: number): void {
    if (this.notesRows) this.repeated.add(row);
  }

  key(first: number, count: number, row: number): void {
    this.distinct++;
    if (count === 1) this.single++;
    if (count < this.most) return;
    if (count > this.most) {
      this.most = count;
      this.modes = 0;
      this.modeKeys = [];
    }
    this.modes++;
    if (this.modeKeys.length < MODES_MAX) this.modeKeys.push({ row, first });
  }

  result(): TallyResult {
    const { distinct, single, most, modes, repeated } = this;
    return { distinct, single, most, modes, repeated, modeKeys: this.modeKeys.sort((a, b) => a.row - b.row) };
  }
}

/** A whole number from 0 on, as its place; −1 for any other. */
function wholeOf(key: number): number {
  if (!(key >= 0 && key < SMALL_MAX)) return -1;
  const whole = key | 0;
  return whole === key ? whole : -1;
}

/** A number of whole cents, which amounts mostly are, as its place: no other number has it. −1 for any other. */
function centsOf(key: number): number {
  if (!(key >= 0 && key < SMALL_MAX / CENTS)) return -1;
  const cents = Math.round(key * CENTS);
  return cents < SMALL_MAX && AMOUNTS[cents] === key ? cents : -1;
}

/** Looked up, because a division for each row takes longer. */
const AMOUNTS = Float64Array.from({ length: SMALL_MAX }, (_, cents) => cents / CENTS);

/** Numbers from 0 on that lie a step apart, as codes, flags, ids and amounts do: counted in their own places. */
class SmallCounts {
  private readonly perOne: number;
  private counts: Uint32Array | null = null;
  private rows = new Uint32Array();

  /** So many places lie between one whole number and the next. */
  constructor(perOne: number) {
    this.perOne = perOne;
  }

  /** By place; empty before the first. */
  get counted(): Uint32Array {
    return this.counts ?? NOTHING;
  }

  add(value: number, row: number, found: Found): void {
    if (this.counts === null) {
      this.counts = new Uint32Array(SMALL_MAX);
      this.rows = new Uint32Array(SMALL_MAX);
    }
    const before = this.counts[value]++;
    if (before === 0) this.rows[value] = row;
    else {
      if (before === 1) found.repeat(this.rows[value]);
      found.repeat(row);
    }
  }

  count(found: Found): void {
    if (this.counts === null) return;
    for (let value = 0; value < SMALL_MAX; value++) {
      if (this.counts[value] > 0) found.key(value / this.perOne, this.counts[value], this.rows[value]);
    }
  }
}

class SlotTable {
  readonly slots: number;
  private readonly keys: Float64Array;
  private readonly counts: Uint32Array;
  private readonly rows: Uint32Array;
  private used = 0;

  constructor(slots: number) {
    this.slots = slots;
    this.keys = new Float64Array(2 * slots);
    this.counts = new Uint32Array(slots);
    this.rows = new Uint32Array(slots);
  }

  isFull(): boolean {
    return this.used > this.slots * LOAD_MAX;
  }

  /** Counts a key that was counted before, by a row before; false for any other. */
  again(first: number, second: number): boolean {
    const { keys, counts } = this;
    const mask = this.slots - 1;
    let slot = slotOf(first, second) & mask;
    while (counts[slot] !== 0) {
      if (keys[2 * slot] === first && keys[2 * slot + 1] === second) {
        counts[slot]++;
        return true;
      }
      slot = (slot + 1) & mask;
    }
    return false;
  }

  /** `found.repeat` receives a row as soon as its key is known to occur again. */
  add(first: number, second: number, count: number, row: number, found: Found): void {
    const { keys, counts, rows } = this;
    const mask = this.slots - 1;
    let slot = slotOf(first, second) & mask;
    while (counts[slot] !== 0 && (keys[2 * slot] !== first || keys[2 * slot + 1] !== second)) slot = (slot + 1) & mask;
    if (counts[slot] === 0) {
      keys[2 * slot] = first;
      keys[2 * slot + 1] = second;
      rows[slot] = row;
      counts[slot] = count;
      this.used++;
      return;
    }
    if (counts[slot] === 1) found.repeat(rows[slot]);
    if (count === 1) found.repeat(row);
    counts[slot] += count;
    if (row < rows[slot]) rows[slot] = row;
  }

  doubled(): SlotTable {
    const larger = new SlotTable(2 * this.slots);
    this.each((first, second, count, row) => larger.place(first, second, count, row));
    return larger;
  }

  each(take: (first: number, second: number, count: number, row: number) => void): void {
    for (let slot = 0; slot < this.slots; slot++) {
      if (this.counts[slot] > 0) take(this.keys[2 * slot], this.keys[2 * slot + 1], this.counts[slot], this.rows[slot]);
    }
  }

  count(found: Found): void {
    this.each((first, _second, count, row) => found.key(first, count, row));
  }

  private place(first: number, second: number, count: number, row: number): void {
    const mask = this.slots - 1;
    let slot = slotOf(first, second) & mask;
    while (this.counts[slot] !== 0) slot = (slot + 1) & mask;
    this.keys[2 * slot] = first;
    this.keys[2 * slot + 1] = second;
    this.counts[slot] = count;
    this.rows[slot] = row;
    this.used++;
  }
}

/** Records on disk, those of one key in one file. */
class Partitions {
  private readonly scratch: Scratch;
  private readonly name: string;
  private readonly buffers: Float64Array[] = [];
  private readonly filled = new Int32Array(PARTITIONS);

  constructor(scratch: Scratch, name: string) {
    this.scratch = scratch;
    this.name = name;
    for (let p = 0; p < PARTITIONS; p++) this.buffers.push(new Float64Array(BUFFER_RECORDS * RECORD_WORDS));
  }

  add(first: number, second: number, count: number, row: number): void {
    // The upper bits: a partition's own table uses the lower ones.
    const p = slotOf(first, second) >>> 24;
    const buffer = this.buffers[p];
    const at = this.filled[p] * RECORD_WORDS;
    buffer[at] = first;
    buffer[at + 1] = second;
    buffer[at + 2] = count;
    buffer[at + 3] = row;
    if (++this.filled[p] === BUFFER_RECORDS) this.flush(p);
  }

  /** Counts one partition to its end. */
  count(p: number, found: Found): void {
    this.flush(p);
    const bytes = this.scratch.read(this.file(p));
    this.scratch.remove(this.file(p));
    const records = new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / Float64Array.BYTES_PER_ELEMENT);
    let table = new SlotTable(SLOTS_FIRST);
    for (let at = 0; at < records.length; at += RECORD_WORDS) {
      table.add(records[at], records[at + 1], records[at + 2], records[at + 3], found);
      if (!table.isFull()) continue;
      if (table.slots > PARTITION_KEYS_MAX) throw tooManyKeys();
      table = table.doubled();
    }
    table.count(found);
  }

  private flush(p: number): void {
    const words = this.buffers[p].subarray(0, this.filled[p] * RECORD_WORDS);
    if (words.length > 0)
      this.scratch.append(this.file(p), new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
    this.filled[p] = 0;
  }

  private file(p: number): string {
    return `${this.name}-${p}`;
  }
}

const NOTHING = new Uint32Array();
const CELL = new Float64Array(2);
const BITS = new Uint32Array(CELL.buffer);

/** 32 bits of a key. */
function slotOf(first: number, second: number): number {
  CELL[0] = first;
  if (second === 0) return mix(BITS[0], BITS[1]);
  CELL[1] = second;
  return mix(mix(BITS[0] ^ BITS[2], BITS[1]), BITS[3]);
}

/** MurmurHash3's 32-bit finaliser (Appleby, public domain) over two words. */
export function mix(a: number, b: number): number {
  let h = (Math.imul(a, 0xcc9e2d51) + b) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function tooManyKeys(): SentinelError {
  return new SentinelError(
    "dataset.too-large",
    `a column has more than ${PARTITIONS * PARTITION_KEYS_MAX} different values`,
    {
      hint: "check uniqueness per partition of the table, or leave the check to the database it comes from",
    },
  );
}
