// Values by their rank among all numbers of a column, exactly and in bounded memory, however many rows there are.
import { figuresOf } from "./columns.ts";

/** Numbers kept to be sorted: 32 MB. With more, a histogram says where the wanted ranks lie and another pass keeps only those. */
export const SORTED_MAX = 4_000_000;
/** Bits of a number that one pass tells apart. */
const STEP_BITS = 16;
const STEP_BUCKETS = 1 << STEP_BITS;
const WORD_BITS = 64;
const KEPT_FIRST = 1024;

/**
 * Numbers are compared by their bits, turned so that they ascend as the numbers do. A pass counts the next 16 bits of all numbers that share the
 * bits found so far with a wanted rank: after four passes at the latest every rank is known; mostly after two.
 */
export class OrderStatistics {
  private readonly keptMax: number;
  private count = 0;
  private places: Place[];
  /** Where a rank can be asked for only when the numbers are counted. */
  private readonly wanted: (count: number) => readonly number[];
  private ranks: readonly number[] | null = null;
  private readonly found = new Map<number, number>();

  constructor(wanted: (count: number) => readonly number[], keptMax = SORTED_MAX) {
    this.wanted = wanted;
    this.keptMax = keptMax;
    this.places = [new Place([], 0)];
  }

  /** NaN is missing. */
  add(values: Float64Array): void {
    if (this.ranks === null) this.count += figuresOf(values).count;
    for (const place of this.places) place.add(values, this.keptMax);
  }

  /** Ends a pass. False where the numbers must be added once more, from the first to the last. */
  endPass(): boolean {
    this.ranks ??= this.wanted(this.count);
    const next: Place[] = [];
    for (const place of this.places) this.settle(place, next);
    this.places = next;
    return next.length === 0;
  }

  /** How many numbers there are; known after the first pass. */
  get total(): number {
    return this.count;
  }

  /** The number of a rank, from 0, that was wanted. */
  at(rank: number): number {
    return this.found.get(rank) ?? Number.NaN;
  }

  /** Finds the ranks of a place, or the narrower places that another pass has to look at. */
  private settle(place: Place, next: Place[]): void {
    const own = this.ranks!.filter((rank) => rank >= place.from && rank < place.from + place.size());
    if (own.length === 0) return;
    const kept = place.keptIn(bucketsOf(place, own));
    let before = place.from;
    for (let bucket = 0; bucket < STEP_BUCKETS; bucket++) {
      const size = place.buckets[bucket];
      if (size === 0) continue;
      const inside = own.filter((rank) => rank >= before && rank < before + size);
      if (inside.length > 0) {
        const path = [...place.path, bucket];
        const numbers = kept?.get(bucket);
        if (numbers !== undefined) for (const rank of inside) this.found.set(rank, numbers[rank - before]);
        else if (path.length * STEP_BITS === WORD_BITS) for (const rank of inside) this.found.set(rank, numberOf(path));
        else next.push(new Place(path, before));
      }
      before += size;
    }
  }
}

/** The buckets of a place in which ranks lie. */
function bucketsOf({ from, buckets }: Place, ranks: readonly number[]): ReadonlySet<number> {
  const own = new Set<number>();
  let before = from;
  for (let bucket = 0; bucket < STEP_BUCKETS; bucket++) {
    const size = buckets[bucket];
    if (size > 0 && ranks.some((rank) => rank >= before && rank < before + size)) own.add(bucket);
    before += size;
  }
  return own;
}

/** Ranks that several checks ask of one column's numbers, which are looked at once for all of them. */
export class SharedOrder {
  private readonly asked: ((count: number) => readonly number[])[] = [];
  private readonly statistics = new OrderStatistics((count) => this.asked.flatMap((ranks) => ranks(count)));
  private last: object | null = null;
  private isWhole = false;

  ask(ranks: (count: number) => readonly number[]): void {
    this.asked.push(ranks);
  }

  /** `batch` tells the same numbers, which the next check brings as well, from those after them. */
  add(batch: object, values: Float64Array): void {
    if (batch === this.last) return;
    this.last = batch;
    this.statistics.add(values);
  }

  /** As {@link OrderStatistics.endPass}; the first check that asks ends the pass for all. */
  endPass(): boolean {
    if (this.last !== null) this.isWhole = this.statistics.endPass();
    this.last = null;
    return this.isWhole;
  }

  get total(): number {
    return this.statistics.total;
  }

  at(rank: number): number {
    return this.statistics.at(rank);
  }
}

/** Numbers that share their first bits. */
class Place {
  readonly path: readonly number[];
  /** Rank of the first of them. */
  readonly from: number;
  /** Rows are numbered in 32 bits. */
  readonly buckets = new Uint32Array(STEP_BUCKETS);
  private kept: Float64Array | null = new Float64Array(KEPT_FIRST);
  private count = 0;

  constructor(path: readonly number[], from: number) {
    this.path = path;
    this.from = from;
  }

  add(values: Float64Array, keptMax: number): void {
    if (this.path.length === 0) this.addAll(values, keptMax);
    else this.addOwn(values, keptMax);
  }

  /** Every number is one of the first place's. */
  private addAll(values: Float64Array, keptMax: number): void {
    const { buckets } = this;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (Number.isNaN(value)) continue;
      CELL[0] = value + 0;
      const top = HALVES[3];
      buckets[top < SIGN ? top | SIGN : ~top & 0xffff]++;
    }
    if (this.kept === null) return;
    const { count } = figuresOf(values);
    if (count < values.length) for (let i = 0; i < values.length; i++) this.keep(values[i], keptMax);
    else this.keepAll(values, keptMax);
  }

  private addOwn(values: Float64Array, keptMax: number): void {
    const { path, buckets } = this;
    const depth = path.length;
    for (let i = 0; i < values.length; i++) {
      const value = values[i] + 0;
      if (Number.isNaN(value)) continue;
      CELL[0] = value;
      if (!holds(path)) continue;
      buckets[bitsAt(depth)]++;
      this.keep(value, keptMax);
    }
  }

  size(): number {
    return this.buckets.reduce((sum, size) => sum + size, 0);
  }

  /** The numbers of each of these buckets in order; null where there were too many to keep. */
  keptIn(buckets: ReadonlySet<number>): ReadonlyMap<number, Float64Array> | null {
    const { kept, count } = this;
    if (kept === null) return null;
    const depth = this.path.length;
    const wanted = new Uint8Array(STEP_BUCKETS);
    const own = new Map<number, { readonly numbers: Float64Array; next: number }>();
    for (const bucket of buckets) {
      wanted[bucket] = 1;
      own.set(bucket, { numbers: new Float64Array(this.buckets[bucket]), next: 0 });
    }
    for (let i = 0; i < count; i++) {
      const value = kept[i] + 0;
      CELL[0] = value;
      const bucket = bitsAt(depth);
      if (wanted[bucket] === 0) continue;
      const into = own.get(bucket)!;
      into.numbers[into.next++] = value;
    }
    return new Map([...own].map(([bucket, { numbers }]) => [bucket, numbers.sort()]));
  }

  private keep(value: number, keptMax: number): void {
    if (this.kept === null || Number.isNaN(value) || !this.makeRoom(1, keptMax)) return;
    this.kept[this.count++] = value;
  }

  private keepAll(values: Float64Array, keptMax: number): void {
    if (!this.makeRoom(values.length, keptMax)) return;
    this.kept!.set(values, this.count);
    this.count += values.length;
  }

  /** False where there are more than may be kept; then none is. */
  private makeRoom(more: number, keptMax: number): boolean {
    const kept = this.kept!;
    const needed = this.count + more;
    if (needed > keptMax) {
      this.kept = null;
      return false;
    }
    if (needed <= kept.length) return true;
    this.kept = new Float64Array(Math.min(Math.max(2 * kept.length, needed), Math.max(keptMax, KEPT_FIRST)));
    this.kept.set(kept.subarray(0, this.count));
    return true;
  }
}

function holds(path: readonly number[]): boolean {
  for (let depth = 0; depth < path.length; depth++) if (bitsAt(depth) !== path[depth]) return false;
  return true;
}

const CELL = new Float64Array(1);
const HALVES = new Uint16Array(CELL.buffer);
const SIGN = 0x8000;

/** The 16 bits at a depth of the number in CELL, turned so that larger numbers have larger bits. */
function bitsAt(depth: number): number {
  const bits = HALVES[3 - depth];
  const negative = (HALVES[3] & SIGN) !== 0;
  if (negative) return ~bits & 0xffff;
  return depth === 0 ? bits | SIGN : bits;
}

function numberOf(path: readonly number[]): number {
  const negative = (path[0] & SIGN) === 0;
  path.forEach((bits, depth) => {
    HALVES[3 - depth] = negative ? ~bits & 0xffff : depth === 0 ? bits & ~SIGN : bits;
  });
  return CELL[0];
}
