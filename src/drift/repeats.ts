// Repeated rows: which rows equal one of the last few thousand in time, vector and score.

/** A retry or a doubled feed comes again within so many rows. */
const RECENT_ROWS = 4096;
const PRIME = 0x01000193;
const float = new Float64Array(1);
const words = new Int32Array(float.buffer);

/** The last rows' fingerprints, oldest first in {@link list}. */
export class Repeats {
  readonly #recent = new Float64Array(RECENT_ROWS);
  readonly #known = new Map<number, number>();
  #filled = 0;
  #next = 0;

  constructor(prints: readonly number[] = []) {
    for (const print of prints) this.#add(print);
  }

  /** Whether the row is among the last ones; it is from now on. */
  seen(row: { readonly time: number; readonly score: number; readonly vector: ArrayLike<number> }): boolean {
    return this.#add(fingerprint(row));
  }

  list(): number[] {
    const start = this.#filled < RECENT_ROWS ? 0 : this.#next;
    return Array.from({ length: this.#filled }, (_, i) => this.#recent[(start + i) % RECENT_ROWS]);
  }

  #add(print: number): boolean {
    const known = this.#known.get(print) ?? 0;
    if (this.#filled === RECENT_ROWS) {
      const oldest = this.#recent[this.#next];
      const left = (this.#known.get(oldest) ?? 0) - 1;
      if (left > 0) this.#known.set(oldest, left);
      else this.#known.delete(oldest);
    } else this.#filled++;
    this.#recent[this.#next] = print;
    this.#next = (this.#next + 1) % RECENT_ROWS;
    this.#known.set(print, (this.#known.get(print) ?? 0) + 1);
    return known > 0;
  }
}

/** 53 bits of time, score and vector. */
function fingerprint({
  time,
  score,
  vector,
}: {
  readonly time: number;
  readonly score: number;
  readonly vector: ArrayLike<number>;
}): number {
  let a = 0x811c9dc5;
  let b = 0x2b2ae3d7;
  for (let i = -2; i < vector.length; i++) {
    float[0] = i === -2 ? time : i === -1 ? score : vector[i];
    a = Math.imul(a ^ words[0] ^ (words[1] << 7), PRIME);
    b = Math.imul(b ^ words[1] ^ (words[0] >>> 3), 0x85ebca6b) ^ (b >>> 13);
  }
  return (a >>> 0) * 0x200000 + (b >>> 11);
}
