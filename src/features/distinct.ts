// Distinct values: what a state keeps of a value that is only told apart from others, and the set that counts such values.

/** In front of a column's name: the column as identities. No table can have such a name. */
const MARK = "\u0000";

/** The name under which a state keeps a column's identities. */
export function identityColumn(column: string): string {
  return MARK + column;
}

/** The column whose identities a state keeps under this name; null for a plain column. */
export function columnOfIdentity(name: string): string | null {
  return name.startsWith(MARK) ? name.slice(MARK.length) : null;
}

/**
 * A text as a whole number of 53 bits (FNV-1a of 64 bits: Fowler, Noll, Vo 1991), NaN when missing. Two of a thousand different texts have the same
 * one with a chance of 1 in 18 thousand million.
 */
export function identityOf(text: string | null): number {
  if (text === null) return Number.NaN;
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  for (let i = 0; i < text.length; i++) {
    low = (low ^ text.charCodeAt(i)) >>> 0;
    // Times 2^40 + 0x1b3, in two halves of 32 bits.
    const product = low * 0x1b3;
    // Below 2^53, so that nothing is lost; `>>> 0` is the remainder by 2^32 without a division.
    high = (high * 0x1b3 + Math.floor(product / 2 ** 32) + low * 0x100) >>> 0;
    low = product >>> 0;
  }
  return (high % 2 ** 21) * 2 ** 32 + low;
}

/** A set of numbers, reused from read to read: emptied in no time, never shrinking, at most half full. */
export class DistinctSet {
  size = 0;
  private values = new Float64Array(64);
  /** The round in which a place was taken. */
  private rounds = new Int32Array(64);
  private round = 1;

  clear(): void {
    this.size = 0;
    this.round++;
    if (this.round < 2 ** 31 - 1) return;
    this.rounds.fill(0);
    this.round = 1;
  }

  has(value: number): boolean {
    return this.rounds[this.placeOf(value)] === this.round;
  }

  /** Adds values[from, to), skipping missing ones. */
  addRun(values: Float64Array, from: number, to: number): void {
    for (let i = to - 1; i >= from; i--) this.add(values[i]);
  }

  /** A missing value is none. */
  add(value: number): void {
    if (Number.isNaN(value)) return;
    const at = this.placeOf(value);
    if (this.rounds[at] === this.round) return;
    this.rounds[at] = this.round;
    this.values[at] = value;
    this.size++;
    if (this.size * 2 > this.values.length) this.grow();
  }

  /** Where the value is, or the free place where it would go. */
  private placeOf(value: number): number {
    const mask = this.values.length - 1;
    let at = value & mask;
    while (this.rounds[at] === this.round && this.values[at] !== value) at = (at + 1) & mask;
    return at;
  }

  private grow(): void {
    const values = this.values.filter((_, at) => this.rounds[at] === this.round);
    this.values = new Float64Array(this.values.length * 2);
    this.rounds = new Int32Array(this.values.length);
    this.size = 0;
    this.addRun(values, 0, values.length);
  }
}
