// Which ids a log may hold: Bloom filters in a row, each of a fixed size, so that growing never stops the event loop.

/** Ids in one filter of the row. */
const IDS_PER_FILTER = 1_048_576;
/** A blocked Bloom filter (Putze, Sanders, Singler 2007): all bits of an id lie in one cache line of 64 bytes. */
const WORDS_PER_BLOCK = 16;
const BITS_PER_ID = 20;
const PROBES = 8;

/**
 * A set of ids that may take an unknown id for a known one and never the other way around. At 20 bits and 8 probes about one
 * unknown id in 2,500 is taken for known per million ids held (test/online/filter.test.ts measures it), 2.6 MB each.
 */
export class IdFilter {
  private readonly filters: Uint32Array[] = [];
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
      this.filters.push(new Uint32Array(this.blocks * WORDS_PER_BLOCK));
      this.inLast = 0;
    }
    this.inLast++;
    hash(id);
    const words = this.filters[this.filters.length - 1];
    const block = blockOf(this.blocks);
    let bits = second;
    for (let probe = 0; probe < PROBES; probe++) {
      words[block + ((bits >>> 5) & 15)] |= 1 << (bits & 31);
      bits = next(bits);
    }
  }

  /** False: certainly never added. */
  mayHave(id: string): boolean {
    hash(id);
    const block = blockOf(this.blocks);
    for (let place = this.filters.length - 1; place >= 0; place--) if (hasAll(this.filters[place], block)) return true;
    return false;
  }

  get bytes(): number {
    return this.filters.length * this.blocks * WORDS_PER_BLOCK * 4;
  }
}

let first = 0;
let second = 0;

/** Two 32-bit hashes in one pass, in `first` and `second`: FNV-1a's loop with MurmurHash3's finish, both public domain. */
function hash(id: string): void {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < id.length; i++) {
    const unit = id.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b);
    b ^= b >>> 15;
  }
  first = finish(a ^ id.length);
  second = finish(b ^ Math.imul(a, 0xc2b2ae35));
}

function finish(value: number): number {
  let x = value ^ (value >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

function blockOf(blocks: number): number {
  return Math.floor((first / 4_294_967_296) * blocks) * WORDS_PER_BLOCK;
}

/** The bits of the next probe: each probe takes nine of the mixed word. */
function next(bits: number): number {
  return (Math.imul(bits ^ (bits >>> 9), 0x9e3779b1) + 0x7f4a7c15) | 0;
}

function hasAll(words: Uint32Array, block: number): boolean {
  let bits = second;
  for (let probe = 0; probe < PROBES; probe++) {
    if ((words[block + ((bits >>> 5) & 15)] & (1 << (bits & 31))) === 0) return false;
    bits = next(bits);
  }
  return true;
}
