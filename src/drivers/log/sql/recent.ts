// Where recent predictions stand in memory, by id: numbers in tables of fixed size, so that nothing of it is the garbage collector's.
import { hashId, ID_HASH } from "../../../core/id-hash.ts";

/** Of one record: the chunk's number, the offset in it, and the record's number. */
export interface RecentPlace {
  readonly chunk: number;
  readonly offset: number;
  readonly item: number;
}

const TABLE_IDS = 32_768;
/** Half empty, so that a look ends soon. */
const SLOTS = 2 * TABLE_IDS;
const MASK = SLOTS - 1;

/** Open addressing with linear probing (Knuth, TAOCP 6.4); nothing is taken out of a table but the whole. */
class Table {
  count = 0;
  /** The newest chunk of its records; 0: it has none. */
  newest = 0;
  /** A slot's chunk; 0: empty. */
  readonly chunks = new Uint32Array(SLOTS);
  readonly offsets = new Uint32Array(SLOTS);
  readonly tags = new Uint32Array(SLOTS);
  readonly items = new Float64Array(SLOTS);

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
    if (table === undefined || table.count === TABLE_IDS) {
      table = this.spare ?? new Table();
      this.spare = null;
      this.tables.push(table);
    }
    hashId(id);
    let slot = ID_HASH[0] & MASK;
    while (table.chunks[slot] !== 0) slot = (slot + 1) & MASK;
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
    for (const { chunks, offsets, tags, items } of this.tables) {
      for (let slot = from & MASK; chunks[slot] !== 0; slot = (slot + 1) & MASK) {
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
      table.empty();
      this.spare = table;
    }
  }
}
