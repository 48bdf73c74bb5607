// Codes: values numbered in the order in which they first come, more of them than one Map can hold.

/** A Map of V8 holds 2^24 entries and throws beyond; a table of 20 million ids has more. */
const MAP_ENTRIES_MAX = 2 ** 24;

/** The number of a value, from 0 on in the order of first asking. Maps are filled one after the other. */
export class Codes<Key extends string | number> {
  private readonly full: Map<Key, number>[] = [];
  private open = new Map<Key, number>();
  private readonly entriesMax: number;

  constructor({ entriesMax = MAP_ENTRIES_MAX }: { readonly entriesMax?: number } = {}) {
    this.entriesMax = entriesMax;
  }

  /** The code of a value that came before; undefined for another. */
  get(key: Key): number | undefined {
    const code = this.open.get(key);
    if (code !== undefined) return code;
    for (const map of this.full) {
      const older = map.get(key);
      if (older !== undefined) return older;
    }
    return undefined;
  }

  /** Gives a value its code. The value must not have one. */
  set(key: Key, code: number): void {
    if (this.open.size >= this.entriesMax) {
      this.full.push(this.open);
      this.open = new Map();
    }
    this.open.set(key, code);
  }
}
