// Known labels of a key: which of its transactions are known as fraud (or genuine) at a given time.
import type { DistinctSet } from "./distinct.ts";
import { firstAfter, type RunPlace, Timelines } from "./timelines.ts";

const KNOWN = 0;
/** Latest knownAt of this and the entries before it, so that one look tells when a whole run is known. */
const KNOWN_MAX = 1;
const HASH = 2;
/** Of the numbers above; what is kept of the transaction itself follows. */
const OWN_COLUMNS = 3;

/** What a label list needs of one labelled transaction. */
export interface LabelEntry {
  readonly time: number;
  readonly knownAt: number;
  /** Tells labels of the same key and millisecond apart. */
  readonly idHash: number;
  /** What the list keeps of the transaction. */
  readonly values: Float64Array;
}

/** Labels of transactions after and until then, as known now. */
export interface LabelSpan {
  after: number;
  until: number;
  now: number;
}

/** Labelled transactions by slot, ordered by the time of the transaction; each is seen by reads at t ≥ knownAt only. */
export class LabelLists {
  /** Labels may be of transactions far ahead or apart, so their times take 64 bits; they are few. */
  readonly runs: Timelines;

  /** `values`: so many numbers are kept of each transaction. */
  constructor(values: number) {
    this.runs = new Timelines(OWN_COLUMNS + values);
  }

  /** Adds a label; one that is there already keeps the earlier knownAt. */
  add(slot: number, entry: LabelEntry): void {
    let at = this.find(slot, entry);
    if (at >= 0) {
      const { columns } = this.runs.page(slot);
      if (columns[KNOWN][at] <= entry.knownAt) return;
    } else {
      at = this.runs.insert(slot, entry.time);
      const { columns } = this.runs.page(slot);
      columns[HASH][at] = entry.idHash;
      for (let c = OWN_COLUMNS; c < columns.length; c++) columns[c][at] = entry.values[c - OWN_COLUMNS];
    }
    this.runs.page(slot).columns[KNOWN][at] = entry.knownAt;
    this.settle(slot, at);
  }

  /** Takes a label back that was known no later than the entry. */
  takeBack(slot: number, entry: LabelEntry): void {
    const at = this.find(slot, entry);
    if (at < 0 || this.runs.page(slot).columns[KNOWN][at] > entry.knownAt) return;
    this.runs.remove(slot, at);
    this.settle(slot, at);
  }

  /**
   * How many transactions in (until − spans[w], until] are known at `now`, into counts[w]; spans ascend, so that one walk back serves all. Only for a
   * slot that has labels.
   */
  countNested(slot: number, spans: Float64Array, span: LabelSpan, counts: Int32Array): void {
    const { after, until, now } = span;
    const { times, columns } = this.runs.page(slot);
    const known = columns[KNOWN];
    const knownMax = columns[KNOWN_MAX];
    let begin = this.runs.begin(slot);
    const end = begin + this.runs.length(slot);
    if (times[begin] <= after) begin = firstAfter(times, begin, end, after);
    let at = firstAfter(times, begin, end, until);
    let count = 0;
    for (let w = 0; w < spans.length; w++) {
      const from = firstAfter(times, begin, at, until - spans[w]);
      while (at > from && knownMax[at - 1] > now) {
        at--;
        if (known[at] <= now) count++;
      }
      count += at - from;
      at = from;
      counts[w] = count;
    }
  }

  /** How many transactions in (after, until] are known at `now`. */
  count(slot: number, { after, until, now }: LabelSpan): number {
    const length = this.runs.length(slot);
    if (length === 0) return 0;
    const { times, columns } = this.runs.page(slot);
    const begin = this.runs.begin(slot);
    const end = firstAfter(times, begin, begin + length, until);
    let count = 0;
    for (let at = firstAfter(times, begin, end, after); at < end; at++) if (columns[KNOWN][at] <= now) count++;
    return count;
  }

  /** Adds to `seen` what is kept in the given place of each transaction in (after, until] that is known at `now`; a missing value is not added. */
  addKnown(slot: number, span: LabelSpan, to: { readonly place: number; readonly seen: DistinctSet }): void {
    const length = this.runs.length(slot);
    if (length === 0) return;
    const { times, columns } = this.runs.page(slot);
    const values = columns[OWN_COLUMNS + to.place];
    const begin = this.runs.begin(slot);
    const end = firstAfter(times, begin, begin + length, span.until);
    for (let at = firstAfter(times, begin, end, span.after); at < end; at++) {
      if (columns[KNOWN][at] <= span.now) to.seen.add(values[at]);
    }
  }

  /** The smallest, or largest, of what is kept in the given place of transactions in (after, until] that are known at `now`; NaN where there is none. */
  extreme(slot: number, span: LabelSpan, of: { readonly place: number; readonly largest: boolean }): number {
    const length = this.runs.length(slot);
    if (length === 0) return Number.NaN;
    const { times, columns } = this.runs.page(slot);
    const values = columns[OWN_COLUMNS + of.place];
    const begin = this.runs.begin(slot);
    const end = firstAfter(times, begin, begin + length, span.until);
    let extreme = Number.NaN;
    for (let at = firstAfter(times, begin, end, span.after); at < end; at++) {
      // −0 is 0, which is as small.
      const value = values[at] + 0;
      if (columns[KNOWN][at] > span.now || Number.isNaN(value)) continue;
      if (Number.isNaN(extreme) || (of.largest ? value > extreme : value < extreme)) extreme = value;
    }
    return extreme;
  }

  /**
   * The known ones that no other transaction of the key follows, one after another, among those in (after, until]: how many, and the time of the first (NaN).
   * `run` holds the key's transactions. A label whose transaction is not among them is of one that came too late, or that a busy tile added up.
   */
  lastInARow(slot: number, span: LabelSpan, run: RunPlace): { readonly count: number; readonly first: number } {
    const length = this.runs.length(slot);
    let count = 0;
    let first = Number.NaN;
    if (length === 0) return { count, first };
    const { times, columns } = this.runs.page(slot);
    const begin = this.runs.begin(slot);
    let at = firstAfter(times, begin, begin + length, span.until) - 1;
    let own = firstAfter(run.times, run.begin, run.end, span.until - run.origin) - 1;
    for (; at >= begin && times[at] > span.after; at--) {
      if (columns[KNOWN][at] > span.now) continue;
      const transaction = own >= run.begin ? run.times[own] + run.origin : Number.NEGATIVE_INFINITY;
      if (transaction > times[at]) break;
      if (transaction === times[at]) own--;
      count++;
      first = times[at];
    }
    return { count, first };
  }

  /** Time of the last (or first) transaction in (after, now] known at `now`; NaN when there is none. */
  edge(slot: number, span: { readonly after: number; readonly now: number; readonly last: boolean }): number {
    const length = this.runs.length(slot);
    if (length === 0) return Number.NaN;
    const { times, columns } = this.runs.page(slot);
    const begin = this.runs.begin(slot);
    const to = firstAfter(times, begin, begin + length, span.now);
    const from = firstAfter(times, begin, to, span.after);
    const step = span.last ? -1 : 1;
    for (let at = span.last ? to - 1 : from; at >= from && at < to; at += step) {
      if (columns[KNOWN][at] <= span.now) return times[at];
    }
    return Number.NaN;
  }

  private find(slot: number, entry: LabelEntry): number {
    const length = this.runs.length(slot);
    if (length === 0) return -1;
    const { times, columns } = this.runs.page(slot);
    const begin = this.runs.begin(slot);
    let at = firstAfter(times, begin, begin + length, entry.time) - 1;
    while (at >= begin && times[at] === entry.time) {
      if (columns[HASH][at] === entry.idHash) return at;
      at--;
    }
    return -1;
  }

  /** Restores the running maxima from `from` on. */
  private settle(slot: number, from: number): void {
    if (this.runs.length(slot) === 0) return;
    const { columns } = this.runs.page(slot);
    const begin = this.runs.begin(slot);
    const end = begin + this.runs.length(slot);
    for (let at = from; at < end; at++) {
      const before = at > begin ? columns[KNOWN_MAX][at - 1] : Number.NEGATIVE_INFINITY;
      columns[KNOWN_MAX][at] = Math.max(before, columns[KNOWN][at]);
    }
  }
}

/** 32 bits of an id (FNV-1a: Fowler, Noll, Vo 1991). */
export function hashId(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
