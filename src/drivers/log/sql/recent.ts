// Where recent predictions stand in memory, by id: numbers in tables of fixed size, so that nothing of it is the garbage collector's.
import { hashId, ID_HASH } from "../../../core/id-hash.ts";

/** Of one record: the chunk's number, the offset in it, and the record's number. */
export interface RecentPlace {
  readonly chunk: number;
  readonly offset: number;
  readonly item: number;
}

/** Memory of written records that stay for look-ups, whatever their number: of one log, and of all logs of a process together. */
const BYTES_MAX = 33_554_432;
const BYTES_OF_ALL = 67_108_864;
/** What each log may keep, however many there are: two chunks. */
const BYTES_MIN = 524_288;

/** For one of so many logs: a look-up that memory cannot answer reads the log, and a hundred logs must not keep gigabytes for it. */
export function recentBytesMax(logs: number): number {
  return Math.max(BYTES_MIN, Math.min(BYTES_MAX, Math.floor(BYTES_OF_ALL / logs)));
}

/** Ids of the first table, and of the largest: each has four times as many as the one before, so that a quiet log costs little. */
const TABLE_IDS_MIN = 512;
const TABLE_IDS_MAX = 32_768;
const TABLE_GROWTH = 4;

/** Open addressing with linear probing (Knuth, TAOCP 6.4); nothing is taken out of a table but the whole. */
class Table {
  count = 0;
  /** The newest chunk of its records; 0: it has none. */
  newest = 0;
  readonly ids: number;
  readonly mask: number;
  /** A slot's chunk; 0: empty. */
  readonly chunks: Uint32Array;
  readonly offsets: Uint32Array;
  readonly tags: Uint32Array;
  readonly items: Float64Array;

  constructor(ids: number) {
    this.ids = ids;
    // Half empty, so that a look ends soon.
    const slots = 2 * ids;
    this.mask = slots - 1;
    this.chunks = new Uint32Array(slots);
    this.offsets = new Uint32Array(slots);
    this.tags = new Uint32Array(slots);
    this.items = new Float64Array(slots);
  }

  get bytes(): number {
    return this.chunks.byteLength + this.offsets.byteLength + this.tags.byteLength + this.items.byteLength;
  }

  empty(): void {
    this.count = 0;
    this.newest = 0;
    this.chunks.fill(0);
  }
}

/**
 * Tables in a row, the newest last: one that is full is followed by another, and one whose chunks have all gone makes room. A record whose chunk
 * has gone is not found. Chunks have rising numbers from 1.
 */
export class RecentIds {
  private tables: Table[] = [];
  private spare: Table | null = null;
  private oldest = 1;

  /** Adds the record of an id; of several with one id the one that was added first is found. */
  add(id: string, { chunk, offset, item }: RecentPlace): void {
    let table = this.tables.at(-1);
    if (table === undefined || table.count === table.ids) {
      table = this.next(table);
      this.tables.push(table);
    }
    hashId(id);
    const { mask } = table;
    let slot = ID_HASH[0] & mask;
    while (table.chunks[slot] !== 0) slot = (slot + 1) & mask;
    table.chunks[slot] = chunk;
    table.offsets[slot] = offset;
    table.items[slot] = item;
    table.tags[slot] = ID_HASH[1];
    table.count++;
    table.newest = chunk;
  }

  /** The first record whose id `isOf` confirms; two ids may have one hash. */
  find(id: string, isOf: (chunk: number, offset: number) => boolean): RecentPlace | null {
    if (this.tables.length === 0) return null;
    hashId(id);
    const [from, tag] = ID_HASH;
    for (const { mask, chunks, offsets, tags, items } of this.tables) {
      for (let slot = from & mask; chunks[slot] !== 0; slot = (slot + 1) & mask) {
        if (tags[slot] !== tag || chunks[slot] < this.oldest || !isOf(chunks[slot], offsets[slot])) continue;
        return { chunk: chunks[slot], offset: offsets[slot], item: items[slot] };
      }
    }
    return null;
  }

  /** Chunks before this one have gone. */
  forget(oldest: number): void {
    this.oldest = oldest;
    while (this.tables.length > 0 && this.tables[0].newest < oldest) {
      const table = this.tables.shift()!;
      if (table.ids < (this.spare?.ids ?? 0)) continue;
      table.empty();
      this.spare = table;
    }
  }

  get bytes(): number {
    return this.tables.reduce((sum, table) => sum + table.bytes, this.spare?.bytes ?? 0);
  }

  /** The table that follows a full one: as large as what comes will fill. */
  private next(full: Table | undefined): Table {
    const { spare } = this;
    const ids = full === undefined ? TABLE_IDS_MIN : Math.min(TABLE_IDS_MAX, full.ids * TABLE_GROWTH);
    if (spare === null || spare.ids < ids) return new Table(ids);
    this.spare = null;
    return spare;
  }
}
