// Values by their rank among all numbers of a column, exactly and in bounded memory, however many rows there are.

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
    this.places = [newPlace([], 0)];
  }

  /** NaN is missing. */
  add(values: Float64Array): void {
    for (let i = 0; i < values.length; i++) if (!Number.isNaN(values[i])) this.addOne(values[i] + 0);
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

  private addOne(value: number): void {
    CELL[0] = value;
    const first = this.ranks === null;
    if (first) this.count++;
    for (const place of this.places) {
      if (!place.holds()) continue;
      place.buckets[bitsAt(place.depth)]++;
      if (place.keptCount === null) continue;
      if (place.keptCount === this.keptMax) {
        place.keptCount = null;
        place.kept = new Float64Array();
        continue;
      }
      if (place.keptCount === place.kept.length) {
        const larger = new Float64Array(Math.min(2 * place.kept.length, this.keptMax));
        larger.set(place.kept);
        place.kept = larger;
      }
      place.kept[place.keptCount++] = value;
    }
  }

  /** Finds the ranks of a place, or the narrower places that another pass has to look at. */
  private settle(place: Place, next: Place[]): void {
    const own = this.ranks!.filter((rank) => rank >= place.from && rank < place.from + place.size());
    if (own.length === 0) return;
    if (place.keptCount !== null) {
      const sorted = place.kept.subarray(0, place.keptCount).sort();
      for (const rank of own) this.found.set(rank, sorted[rank - place.from]);
      return;
    }
    let before = place.from;
    for (let bucket = 0; bucket < STEP_BUCKETS; bucket++) {
      const size = place.buckets[bucket];
      const inside = own.filter((rank) => rank >= before && rank < before + size);
      if (inside.length > 0) {
        const path = [...place.path, bucket];
        if (path.length * STEP_BITS === WORD_BITS) for (const rank of inside) this.found.set(rank, numberOf(path));
        else next.push(newPlace(path, before));
      }
      before += size;
    }
  }
}

/** Numbers that share their first bits. */
interface Place {
  readonly path: readonly number[];
  readonly depth: number;
  /** Rank of the first of them. */
  readonly from: number;
  readonly buckets: Float64Array;
  kept: Float64Array;
  /** null where there are too many to keep. */
  keptCount: number | null;
  holds(): boolean;
  size(): number;
}

function newPlace(path: readonly number[], from: number): Place {
  const buckets = new Float64Array(STEP_BUCKETS);
  return {
    path,
    depth: path.length,
    from,
    buckets,
    kept: new Float64Array(KEPT_FIRST),
    keptCount: 0,
    holds: () => path.every((bits, depth) => bitsAt(depth) === bits),
    size: () => buckets.reduce((sum, size) => sum + size, 0),
  };
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
