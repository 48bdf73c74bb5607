// Reading: runs a plan's steps against the key tables and fills the vector of one transaction, changing nothing.
import { FEATURES_MAX } from "./definition.ts";
import type { KeyTable } from "./key-table.ts";
import { SLOT_MISSING } from "./key-table.ts";
import type {
  CountOutput,
  ElapsedStep,
  KeySteps,
  MultipleStep,
  Pass,
  PassColumn,
  PassWindow,
  SinceFraudStep,
} from "./plan.ts";
import type { Page } from "./timelines.ts";
import { firstAfter } from "./timelines.ts";
import { Totals } from "./window.ts";

/** The transaction that is read: its whole-ms time, and its values in the order of the series' columns. */
export interface ReadEvent {
  time: number;
  values: Float64Array;
  /** It was learned before (a retry): what is kept of it must not count a second time. */
  learned: boolean;
}

/** Where one key of a plan stands in a state: its table, the slot of the transaction's key, the steps' columns in the table. */
export interface KeyPlace {
  readonly table: KeyTable;
  slot: number;
  readonly columnOf: Int32Array;
}

/** Entries walked before a binary search takes over. */
const WALK_MAX = 32;
const EMPTY: Page = { times: new Float64Array(0), columns: [], used: 0, live: 0 };

/** Reads one key's features; one instance is reused for every read, so that a read allocates nothing. */
export class KeyReader {
  private table!: KeyTable;
  private columnOf!: Int32Array;
  private slot = 0;
  private time = 0;
  private page = EMPTY;
  private begin = 0;
  /** End of the entries that came before the transaction. */
  private end = 0;
  private tilePage = EMPTY;
  private tileBegin = 0;
  private tileEnd = 0;
  private values: Float64Array = new Float64Array(0);
  private readonly totals = new Totals();
  private readonly withTiles = new Totals();
  private readonly withCurrent = new Totals();
  private lows = new Int32Array(16);
  private readonly kept = new Float64Array(2 * FEATURES_MAX);

  /**
   * Fills out[feature] for every feature of the steps. `columnOf` maps the steps' columns to the table's. A missing key gives NaN
   * throughout; an unknown one reads as a key without history.
   */
  read(steps: KeySteps, where: KeyPlace, event: ReadEvent, out: Float64Array): void {
    if (where.slot === SLOT_MISSING) {
      for (const feature of steps.features) out[feature] = Number.NaN;
      return;
    }
    this.place(where, event);
    for (let p = 0; p < steps.passes.length; p++) this.readPass(steps.passes[p], out);
    for (const step of steps.elapsed) out[step.feature] = this.elapsed(step);
    for (const step of steps.sinceFraud) out[step.feature] = this.sinceFraud(step);
    for (const step of steps.multiples) this.readMultiples(step, out);
  }

  private place(where: KeyPlace, event: ReadEvent): void {
    const { table, slot } = where;
    this.table = table;
    this.columnOf = where.columnOf;
    this.slot = slot;
    this.time = event.time;
    this.values = event.values;
    const length = slot < 0 ? 0 : table.singles.length(slot);
    this.page = length === 0 ? EMPTY : table.singles.page(slot);
    this.begin = length === 0 ? 0 : table.singles.begin(slot);
    this.end = this.endAt(this.begin + length, event.time);
    if (event.learned) this.end = this.endBefore(event);
    const tiles = slot < 0 ? 0 : table.tiles.length(slot);
    this.tilePage = tiles === 0 ? EMPTY : table.tiles.page(slot);
    this.tileBegin = tiles === 0 ? 0 : table.tiles.begin(slot);
    this.tileEnd = this.tileBegin + tiles;
  }

  private endAt(end: number, time: number): number {
    return this.lowAfter(this.page.times, end, time);
  }

  /** Where the learned transaction itself stands among entries of its millisecond: the last with its values. */
  private endBefore(event: ReadEvent): number {
    const { times, columns } = this.page;
    for (let i = this.end - 1; i >= this.begin && times[i] === event.time; i--) {
      let same = true;
      for (let c = 0; c < columns.length; c++) same &&= Object.is(columns[c][i], event.values[c]);
      if (same) return i;
    }
    return this.end;
  }

  private readPass(pass: Pass, out: Float64Array): void {
    const until = this.time - pass.delayMs;
    const { times } = this.page;
    const high = pass.delayMs === 0 ? this.end : this.endAt(this.end, until);
    if (this.lows.length < pass.windows.length) this.lows = new Int32Array(pass.windows.length);
    let low = high;
    for (let w = 0; w < pass.windows.length; w++) {
      const window = pass.windows[w];
      const after = until - window.ms;
      low = this.lowAfter(times, low, after);
      this.lows[w] = low;
      if (window.counts.length + window.rates.length > 0) {
        this.readCounts(window, high - low + this.tileWeight(after, until), until, out);
      }
      if (window.frauds.length > 0) put(window.frauds, this.known("frauds", after, until), out);
      if (window.genuine.length > 0) put(window.genuine, this.known("genuine", after, until), out);
    }
    for (let c = 0; c < pass.columns.length; c++) this.readColumn(pass, pass.columns[c], high, out);
  }

  private readCounts(window: PassWindow, before: number, until: number, out: Float64Array): void {
    const { counts, rates } = window;
    for (let i = 0; i < counts.length; i++) out[counts[i].feature] = before + (counts[i].current ? 1 : 0);
    if (rates.length === 0) return;
    const known = this.known("frauds", until - window.ms, until);
    for (let i = 0; i < rates.length; i++) {
      const count = before + (rates[i].current ? 1 : 0);
      out[rates[i].feature] = count === 0 ? rates[i].empty : known / count;
    }
  }

  /**
   * The first entry after `time`, known to be at or before `high`. Steps back first: nested windows differ by few entries, and a steady
   * walk is cheaper than a search's mispredicted branches.
   */
  private lowAfter(times: Float64Array, high: number, time: number): number {
    let low = high;
    for (let steps = 0; steps < WALK_MAX; steps++) {
      if (low === this.begin || times[low - 1] <= time) return low;
      low--;
    }
    return firstAfter(times, this.begin, low, time);
  }

  private readColumn(pass: Pass, column: PassColumn, high: number, out: Float64Array): void {
    const { totals } = this;
    const index = this.columnOf[column.column];
    const values = this.page.columns[index];
    totals.clear();
    const until = this.time - pass.delayMs;
    let at = high;
    for (let i = 0; i < column.windows.length; i++) {
      const { window, keep, before, after } = column.windows[i];
      const low = this.lows[window];
      if (at > low) totals.addRun(values, low, at);
      at = low;
      let sofar = totals;
      if (this.tileEnd > this.tileBegin) {
        sofar = this.withTiles;
        sofar.copyFrom(totals);
        this.addTiles(sofar, { index, after: until - pass.windows[window].ms, until });
      }
      if (keep >= 0) this.keep(keep, sofar);
      if (before.length > 0) sofar.results(before, out);
      if (after.length === 0) continue;
      this.withCurrent.copyFrom(sofar);
      this.withCurrent.add(this.values[index]);
      this.withCurrent.results(after, out);
    }
  }

  private addTiles(
    totals: Totals,
    span: { readonly index: number; readonly after: number; readonly until: number },
  ): void {
    const { times, columns } = this.tilePage;
    const to = firstAfter(times, this.tileBegin, this.tileEnd, span.until);
    const from = firstAfter(times, this.tileBegin, to, span.after);
    totals.addTiles(columns, { from, to, column: span.index });
  }

  /** Transactions in busy tiles whose latest is in (after, until]. */
  private tileWeight(after: number, until: number): number {
    if (this.tileEnd === this.tileBegin) return 0;
    const { times, columns } = this.tilePage;
    let weight = 0;
    for (let i = this.tileEnd - 1; i >= this.tileBegin && times[i] > after; i--) {
      if (times[i] <= until) weight += columns[0][i];
    }
    return weight;
  }

  private known(which: "frauds" | "genuine", after: number, until: number): number {
    const list = this.table[which];
    return this.slot < 0 || list.runs.length(this.slot) === 0
      ? 0
      : list.count(this.slot, { after, until, now: this.time });
  }

  private elapsed(step: ElapsedStep): number {
    const after = this.time - step.withinMs;
    const at = step.of === "fraud" ? this.fraudEdge(after, step.last) : this.transactionEdge(after, step.last);
    return (this.time - at) / step.unitMs;
  }

  private fraudEdge(after: number, last: boolean): number {
    if (this.slot < 0) return Number.NaN;
    return this.table.frauds.edge(this.slot, { after, now: this.time, last });
  }

  private transactionEdge(after: number, last: boolean): number {
    const { times } = this.page;
    const at = last ? this.end - 1 : firstAfter(times, this.begin, this.end, after);
    let edge = at >= this.begin && at < this.end && times[at] > after ? times[at] : Number.NaN;
    for (let i = this.tileBegin; i < this.tileEnd; i++) {
      const time = this.tilePage.times[i];
      if (time <= after || time > this.time) continue;
      if (Number.isNaN(edge) || (last ? time > edge : time < edge)) edge = time;
    }
    return edge;
  }

  private sinceFraud(step: SinceFraudStep): number {
    const fraud = this.fraudEdge(this.time - step.withinMs, true);
    if (Number.isNaN(fraud)) return Number.NaN;
    const until = this.time - step.delayMs;
    if (until <= fraud) return 0;
    const high = this.endAt(this.end, until);
    return high - firstAfter(this.page.times, this.begin, high, fraud) + this.tileWeight(fraud, until);
  }

  private readMultiples(step: MultipleStep, out: Float64Array): void {
    const { totals } = this;
    const index = this.columnOf[step.column];
    const values = this.page.columns[index];
    const { times } = this.page;
    const usualLow = this.lowAfter(times, this.end, this.time - step.usualMs);
    if (step.kept >= 0) this.takeKept(step.kept);
    else {
      totals.clear();
      if (this.end > usualLow) totals.addRun(values, usualLow, this.end);
      if (this.tileEnd > this.tileBegin) {
        this.addTiles(totals, { index, after: this.time - step.usualMs, until: this.time });
      }
    }
    if (step.current) totals.add(this.values[index]);
    this.countMultiples(step, {
      usual: totals.result("mean", Number.NaN),
      own: this.values[index],
      values,
      low: usualLow,
      out,
    });
  }

  /** Count and sum of a window, so that a multiple of its mean need not sweep it again. */
  private keep(at: number, totals: Totals): void {
    this.kept[2 * at] = totals.numbers[0];
    this.kept[2 * at + 1] = totals.numbers[1];
  }

  private takeKept(at: number): void {
    this.totals.clear();
    this.totals.numbers[0] = this.kept[2 * at];
    this.totals.numbers[1] = this.kept[2 * at + 1];
  }

  /** One walk back for all outputs; few values exceed even the lowest limit, so the inner loop seldom runs. */
  private countMultiples(
    step: MultipleStep,
    span: {
      readonly usual: number;
      readonly own: number;
      readonly values: Float64Array;
      readonly low: number;
      readonly out: Float64Array;
    },
  ): void {
    const { outputs } = step;
    const { usual, own, values, low, out } = span;
    const { times } = this.page;
    let lowest = Number.POSITIVE_INFINITY;
    let longest = 0;
    for (let o = 0; o < outputs.length; o++) {
      const limit = outputs[o].times * usual;
      lowest = Math.min(lowest, limit);
      longest = Math.max(longest, outputs[o].windowMs);
      const first = step.current && own > limit ? 1 : 0;
      out[outputs[o].feature] = Number.isNaN(limit) ? Number.NaN : first;
    }
    const after = this.time - longest;
    for (let i = this.end - 1; i >= low && times[i] > after; i--) {
      if (!(values[i] > lowest)) continue;
      for (let o = 0; o < outputs.length; o++) {
        const { feature, times: factor, windowMs } = outputs[o];
        if (values[i] > factor * usual && times[i] > this.time - windowMs) out[feature]++;
      }
    }
  }
}

function put(outputs: readonly CountOutput[], value: number, out: Float64Array): void {
  for (let i = 0; i < outputs.length; i++) out[outputs[i].feature] = value;
}
