// Rows at fault, kept in bounded memory: how many, the first ones, and a sample of all that the order of arrival does not change.

/** Rows at fault of one check, as numbers of the table's rows. */
export interface FaultRows {
  readonly count: number;
  /** The first ones, in order. */
  readonly first: readonly number[];
  /** A sample of all, in order; every row of the table is as likely as another. */
  readonly sampled: readonly number[];
}

/** Great Expectations' default `partial_unexpected_count`. */
export const FIRST_ROWS = 20;
/** Rows sampled of one check, for the report and its export. */
const SAMPLED_ROWS = 40;

export class FaultSample {
  count = 0;
  private readonly first: number[] = [];
  /** Rows with the smallest hashes, ascending by hash: the same rows however the table is cut into batches. */
  private readonly sampled: { readonly row: number; readonly hash: number }[] = [];

  /** Rows may come in any order, each once. */
  add(row: number): void {
    this.count++;
    if (this.first.length < FIRST_ROWS || row < this.first[FIRST_ROWS - 1]) this.addFirst(row);
    const hash = hashOf(row);
    if (this.sampled.length < SAMPLED_ROWS || hash < this.sampled[SAMPLED_ROWS - 1].hash) this.addSampled(row, hash);
  }

  rows(): FaultRows {
    const sampled = this.sampled.map(({ row }) => row).sort((a, b) => a - b);
    return { count: this.count, first: [...this.first], sampled };
  }

  private addFirst(row: number): void {
    let at = this.first.length;
    while (at > 0 && this.first[at - 1] > row) at--;
    this.first.splice(at, 0, row);
    if (this.first.length > FIRST_ROWS) this.first.pop();
  }

  private addSampled(row: number, hash: number): void {
    let at = this.sampled.length;
    while (at > 0 && this.sampled[at - 1].hash > hash) at--;
    this.sampled.splice(at, 0, { row, hash });
    if (this.sampled.length > SAMPLED_ROWS) this.sampled.pop();
  }
}

/** MurmurHash3's finaliser (Appleby, public domain): spreads row numbers evenly. */
function hashOf(row: number): number {
  let h = (row ^ Math.floor(row / 0x100000000)) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
