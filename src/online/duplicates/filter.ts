// Which ids a log may hold: Bloom filters in a row, each of a fixed size, so that growing never stops the event loop.
import { hashId, ID_HASH } from "../../core/id-hash.ts";

/** Ids in one filter of the row. */
const IDS_PER_FILTER = 1_048_576;
/** A blocked Bloom filter (Putze, Sanders, Singler 2007): all bits of an id lie in one cache line of 64 bytes. */
const WORDS_PER_BLOCK = 16;
const BITS_PER_ID = 20;
const PROBES = 8;
/** "SIF2": what stands at the head of a saved filter, followed by ids per filter, ids in the last one, and how many filters there are. */
const SAVED_MARK = 0x32464953;
const SAVED_HEAD_WORDS = 4;
/** Before its bits each saved filter has its place in the log, as a double. */
const SAVED_PLACE_WORDS = 2;

/** One filter of the row. */
interface Filter {
  readonly words: Uint32Array;
  /** Every id of it stands here in the log, or before; infinite while nobody has said. */
  through: number;
}

/**
 * A set of ids that may take an unknown id for a known one and never the other way around. At 20 bits and 8 probes about one
 * unknown id in 2,500 is taken for known per million ids held (test/online/filter.test.ts measures it), 2.6 MB each.
 */
export class IdFilter {
  private readonly filters: Filter[] = [];
  private readonly idsPerFilter: number;
  private readonly blocks: number;
  private inLast: number;

  constructor({ idsPerFilter = IDS_PER_FILTER }: { readonly idsPerFilter?: number } = {}) {
    this.idsPerFilter = idsPerFilter;
    this.blocks = Math.max(1, Math.ceil((idsPerFilter * BITS_PER_ID) / (WORDS_PER_BLOCK * 32)));
    this.inLast = idsPerFilter;
  }

  add(id: string): void {
    if (this.inLast >= this.idsPerFilter) {
      const words = new Uint32Array(this.blocks * WORDS_PER_BLOCK);
      this.filters.push({ words, through: Number.POSITIVE_INFINITY });
      this.inLast = 0;
    }
    this.inLast++;
    hashId(id);
    const { words } = this.filters[this.filters.length - 1];
    const block = blockOf(this.blocks);
    let bits: number = ID_HASH[1];
    for (let probe = 0; probe < PROBES; probe++) {
      words[block + ((bits >>> 5) & 15)] |= 1 << (bits & 31);
      bits = next(bits);
    }
  }

  /** False: certainly never added. */
  mayHave(id: string): boolean {
    hashId(id);
    const block = blockOf(this.blocks);
    for (let place = this.filters.length - 1; place >= 0; place--)
      if (hasAll(this.filters[place].words, block)) return true;
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
    return this.filters.length * this.blocks * WORDS_PER_BLOCK * 4;
  }

  /** Ids that were added and not dropped. */
  get count(): number {
    return this.filters.length === 0 ? 0 : (this.filters.length - 1) * this.idsPerFilter + this.inLast;
  }

  /** A copy for {@link restore} on a machine of the same byte order. */
  snapshot(): Uint8Array {
    const { filters } = this;
    const bits = this.blocks * WORDS_PER_BLOCK;
    const words = new Uint32Array(SAVED_HEAD_WORDS + filters.length * (SAVED_PLACE_WORDS + bits));
    words.set([SAVED_MARK, this.idsPerFilter, this.inLast, filters.length]);
    for (const [at, filter] of filters.entries()) {
      const from = SAVED_HEAD_WORDS + at * (SAVED_PLACE_WORDS + bits);
      words.set(new Uint32Array(Float64Array.of(filter.through).buffer), from);
      words.set(filter.words, from + SAVED_PLACE_WORDS);
    }
    return new Uint8Array(words.buffer);
  }

  /** Takes over what was saved; false, and nothing changes, where that is no filter of this size. */
  restore(saved: Uint8Array): boolean {
    if (saved.byteLength % 4 !== 0 || saved.byteLength < SAVED_HEAD_WORDS * 4) return false;
    const words = new Uint32Array(saved.slice().buffer);
    const [mark, idsPerFilter, inLast, count] = words;
    const length = SAVED_PLACE_WORDS + this.blocks * WORDS_PER_BLOCK;
    const isOurs = mark === SAVED_MARK && idsPerFilter === this.idsPerFilter && inLast <= idsPerFilter;
    if (!isOurs || words.length !== SAVED_HEAD_WORDS + count * length) return false;
    this.filters.length = 0;
    for (let at = 0; at < count; at++) {
      const from = SAVED_HEAD_WORDS + at * length;
      const [through] = new Float64Array(words.slice(from, from + SAVED_PLACE_WORDS).buffer);
      this.filters.push({ words: words.slice(from + SAVED_PLACE_WORDS, from + length), through });
    }
    this.inLast = inLast;
    return true;
  }
}

function blockOf(blocks: number): number {
  return Math.floor((ID_HASH[0] / 4_294_967_296) * blocks) * WORDS_PER_BLOCK;
}

/** The bits of the next probe: each probe takes nine of the mixed word. */
function next(bits: number): number {
  return (Math.imul(bits ^ (bits >>> 9), 0x9e3779b1) + 0x7f4a7c15) | 0;
}

function hasAll(words: Uint32Array, block: number): boolean {
  let bits: number = ID_HASH[1];
  for (let probe = 0; probe < PROBES; probe++) {
    if ((words[block + ((bits >>> 5) & 15)] & (1 << (bits & 31))) === 0) return false;
    bits = next(bits);
  }
  return true;
}
