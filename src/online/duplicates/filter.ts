// Which ids a log may hold: Bloom filters in a row, each larger than the one before up to a limit, so that growing never stops the event loop.
import { hashId, ID_HASH } from "../../core/id-hash.ts";

/** Ids of the largest filter of the row. */
const IDS_PER_FILTER = 1_048_576;
/** Ids of the first one; each has four times as many as the one before, so that a log of a few thousand ids costs some kilobytes. */
const IDS_FIRST = 4096;
const GROWTH = 4;
/** A blocked Bloom filter (Putze, Sanders, Singler 2007): all bits of an id lie in one cache line of 64 bytes. */
const WORDS_PER_BLOCK = 16;
const BITS_PER_ID = 20;
/** Of filters below the largest: they stand beside it, and together must take hardly an unknown id for known (Almeida and others 2007). */
const BITS_PER_ID_SMALL = 32;
const PROBES = 8;
/** "SIF2": what stands at the head of a saved filter, followed by ids of the largest, ids in the last one, how many filters there are, and the ids of each. */
const SAVED_MARK = 0x32464953;
const SAVED_HEAD_WORDS = 4;
/** Before its bits each saved filter has its place in the log, as a double. */
const SAVED_PLACE_WORDS = 2;

interface Filter {
  /** Ids that it may take. */
  readonly ids: number;
  readonly words: Uint32Array;
  /** Every id of it stands here in the log, or before; infinite while nobody has said. */
  through: number;
}

/**
 * A set of ids that may take an unknown id for a known one and never the other way around. At 20 bits and 8 probes about one
 * unknown id in 2,500 is taken for known per million ids held (test/online/filter.test.ts measures it), 2.6 MB each.
 */
export class IdFilter {
  private filters: Filter[] = [];
  private readonly idsPerFilter: number;
  private inLast = 0;

  constructor({ idsPerFilter = IDS_PER_FILTER }: { readonly idsPerFilter?: number } = {}) {
    this.idsPerFilter = idsPerFilter;
  }

  add(id: string): void {
    const last = this.filters.at(-1);
    if (last === undefined || this.inLast >= last.ids) this.grow(last);
    this.inLast++;
    hashId(id);
    const { words } = this.filters[this.filters.length - 1];
    const block = blockOf(words);
    let bits: number = ID_HASH[1];
    for (let probe = 0; probe < PROBES; probe++) {
      words[block + ((bits >>> 5) & 15)] |= 1 << (bits & 31);
      bits = next(bits);
    }
  }

  /** False: certainly never added. */
  mayHave(id: string): boolean {
    hashId(id);
    for (let place = this.filters.length - 1; place >= 0; place--) if (hasAll(this.filters[place].words)) return true;
    return false;
  }

  /** How many of the filters take no more ids. */
  get full(): number {
    return Math.max(0, this.filters.length - 1);
  }

  /** Every id in the first `full` filters stands at this place in the log, or before. */
  placed(full: number, sequence: number): void {
    for (let at = 0; at < full; at++) this.filters[at].through = Math.min(this.filters[at].through, sequence);
  }

  /** Drops filters whose ids all stand before the log's oldest prediction. */
  forgetBefore(sequence: number): void {
    while (this.full > 0 && this.filters[0].through < sequence) this.filters.shift();
  }

  get bytes(): number {
    return this.filters.reduce((sum, { words }) => sum + words.byteLength, 0);
  }

  /** Ids that were added and not dropped. */
  get count(): number {
    return this.filters.slice(0, -1).reduce((sum, { ids }) => sum + ids, this.inLast);
  }

  /** A copy for {@link restore} on a machine of the same byte order. */
  snapshot(): Uint8Array {
    const { filters } = this;
    const words = new Uint32Array(SAVED_HEAD_WORDS + filters.length * (1 + SAVED_PLACE_WORDS) + this.bytes / 4);
    words.set([SAVED_MARK, this.idsPerFilter, this.inLast, filters.length, ...filters.map(({ ids }) => ids)]);
    let at = SAVED_HEAD_WORDS + filters.length;
    for (const filter of filters) {
      words.set(new Uint32Array(Float64Array.of(filter.through).buffer), at);
      words.set(filter.words, at + SAVED_PLACE_WORDS);
      at += SAVED_PLACE_WORDS + filter.words.length;
    }
    return new Uint8Array(words.buffer);
  }

  /** Takes over what was saved; false, and nothing changes, where that is no filter of this size. */
  restore(saved: Uint8Array): boolean {
    if (saved.byteLength % 4 !== 0 || saved.byteLength < SAVED_HEAD_WORDS * 4) return false;
    const words = new Uint32Array(saved.slice().buffer);
    const [mark, idsPerFilter, inLast, count] = words;
    if (mark !== SAVED_MARK || idsPerFilter !== this.idsPerFilter) return false;
    const sizes = [...words.subarray(SAVED_HEAD_WORDS, SAVED_HEAD_WORDS + count)];
    if (sizes.length !== count || sizes.some((ids) => ids === 0 || ids > idsPerFilter)) return false;
    if (inLast > (sizes.at(-1) ?? 0)) return false;
    const filters: Filter[] = [];
    let at = SAVED_HEAD_WORDS + count;
    for (const ids of sizes) {
      const from = at + SAVED_PLACE_WORDS;
      const length = this.wordsFor(ids);
      if (from + length > words.length) return false;
      const [through] = new Float64Array(words.slice(at, from).buffer);
      filters.push({ ids, words: words.slice(from, from + length), through });
      at = from + length;
    }
    if (at !== words.length) return false;
    this.filters = filters;
    this.inLast = inLast;
    return true;
  }

  private grow(full: Filter | undefined): void {
    const ids = Math.min(this.idsPerFilter, full === undefined ? IDS_FIRST : full.ids * GROWTH);
    this.filters.push({ ids, words: new Uint32Array(this.wordsFor(ids)), through: Number.POSITIVE_INFINITY });
    this.inLast = 0;
  }

  private wordsFor(ids: number): number {
    const bits = ids < this.idsPerFilter ? BITS_PER_ID_SMALL : BITS_PER_ID;
    return Math.max(1, Math.ceil((ids * bits) / (WORDS_PER_BLOCK * 32))) * WORDS_PER_BLOCK;
  }
}

function blockOf(words: Uint32Array): number {
  return Math.floor((ID_HASH[0] / 4_294_967_296) * (words.length / WORDS_PER_BLOCK)) * WORDS_PER_BLOCK;
}

/** The bits of the next probe: each probe takes nine of the mixed word. */
function next(bits: number): number {
  return (Math.imul(bits ^ (bits >>> 9), 0x9e3779b1) + 0x7f4a7c15) | 0;
}

function hasAll(words: Uint32Array): boolean {
  const block = blockOf(words);
  let bits: number = ID_HASH[1];
  for (let probe = 0; probe < PROBES; probe++) {
    if ((words[block + ((bits >>> 5) & 15)] & (1 << (bits & 31))) === 0) return false;
    bits = next(bits);
  }
  return true;
}
