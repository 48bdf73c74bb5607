// Hourly tallies of scored rows, in order of arrival: the whole of what drift is judged by.
import { HOUR_MS } from "../core/duration.ts";
import { decodeTally, encodeTally } from "./codec.ts";
import { type Grids, gridsOf } from "./grid.ts";
import type { Reference } from "./reference.ts";
import { Repeats } from "./repeats.ts";
import { count, emptyTally, offerSample, type Tally } from "./tally.ts";

/** One scored row. */
export interface ScoredRow {
  readonly id: string;
  /** Event time, epoch ms. */
  readonly time: number;
  readonly score: number;
  /** Values of the reference's features, in its order. */
  readonly vector: ArrayLike<number>;
}

/** What rows are counted against. */
export interface HoursOf {
  readonly reference: Reference;
  /** Score from which a row is an alert. */
  readonly review: number;
  /** As in {@link gridsOf}. */
  readonly unlisted?: ReadonlyMap<string, number>;
}

/** A row is late when it comes so much event time after a newer one. */
const LATE_MS = HOUR_MS;
/** Tallies that are held open: those of other hours wait as bytes, which are a thirtieth. */
const OPEN_MAX = 48;

/** What must be remembered between two reads, besides the tallies. */
export interface Position {
  /** Newest event time so far; null before the first row. */
  readonly newest: number | null;
  /** Fingerprints of the last rows, oldest first. */
  readonly recent: readonly number[];
}

export class Hours {
  readonly grids: Grids;
  readonly #open = new Map<number, Tally>();
  readonly #packed = new Map<number, Uint8Array>();
  readonly #repeats: Repeats;
  readonly #review: number;
  #newest: number;

  constructor(of: HoursOf, position: Position = { newest: null, recent: [] }) {
    this.grids = gridsOf(of.reference, of.unlisted);
    this.#review = of.review;
    this.#newest = position.newest ?? Number.NEGATIVE_INFINITY;
    this.#repeats = new Repeats(position.recent);
  }

  /** Counts a row. `counted: false`: its hour has it already, and only what later rows are compared with is brought up to date. */
  add(row: ScoredRow, { counted = true } = {}): void {
    if (!Number.isFinite(row.time)) return;
    const late = row.time < this.#newest - LATE_MS;
    if (row.time > this.#newest) this.#newest = row.time;
    const repeated = this.#repeats.seen(row);
    if (!counted) return;
    const tally = this.#openTally(Math.floor(row.time / HOUR_MS));
    tally.rows++;
    if (row.score >= this.#review) tally.alerts++;
    if (late) tally.late++;
    if (repeated) tally.duplicates++;
    const { columns } = this.grids;
    const last = columns.length - 1;
    for (let c = 0; c < last; c++) count(tally, columns[c], c < row.vector.length ? row.vector[c] : Number.NaN, c);
    count(tally, columns[last], row.score, last);
    const hash = textHash(row.id);
    offerSample(tally.samples, hash, () => ({
      hash,
      id: row.id,
      time: row.time,
      score: row.score,
      vector: Array.from(row.vector),
    }));
  }

  /** The tally of an hour (since 1970); undefined when it has no rows. */
  tally(hour: number): Tally | undefined {
    const packed = this.#packed.get(hour);
    return this.#open.get(hour) ?? (packed === undefined ? undefined : decodeTally(packed, this.grids));
  }

  hours(): number[] {
    return [...new Set([...this.#open.keys(), ...this.#packed.keys()])].sort((a, b) => a - b);
  }

  /** An hour as bytes, to be kept; null when it has no rows. */
  pack(hour: number): Uint8Array | null {
    const open = this.#open.get(hour);
    return open === undefined ? (this.#packed.get(hour) ?? null) : encodeTally(open);
  }

  /** An hour that was kept. */
  restore(hour: number, bytes: Uint8Array): void {
    this.#packed.set(hour, bytes);
  }

  forget(hour: number): void {
    this.#open.delete(hour);
    this.#packed.delete(hour);
  }

  position(): Position {
    return { newest: Number.isFinite(this.#newest) ? this.#newest : null, recent: this.#repeats.list() };
  }

  #openTally(hour: number): Tally {
    const open = this.#open.get(hour);
    if (open !== undefined) return open;
    if (this.#open.size >= OPEN_MAX) {
      // The one that was opened first: traffic moves on, so it will hardly be asked for again.
      const [oldest] = this.#open.keys();
      this.#packed.set(oldest, encodeTally(this.#open.get(oldest)!));
      this.#open.delete(oldest);
    }
    const packed = this.#packed.get(hour);
    const tally = packed === undefined ? emptyTally(this.grids) : decodeTally(packed, this.grids);
    this.#packed.delete(hour);
    this.#open.set(hour, tally);
    return tally;
  }
}

/** FNV-1a of a text, 32 bits, with a last stir so that neighbours lie apart. */
function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}
