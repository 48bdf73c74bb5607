// Reading: runs a plan's steps against the key tables and fills the vector of one transaction, changing nothing.
import { FEATURES_MAX } from "./definition.ts";
import { DistinctSet } from "./distinct.ts";
import type { KeyTable } from "./key-table.ts";
import { SLOT_MISSING } from "./key-table.ts";
import type { ElapsedStep, KeySteps, MultipleStep, Pass, PassColumn, SinceFraudStep } from "./plan.ts";
import { firstAfter, RunPlace } from "./timelines.ts";
import { Totals } from "./window.ts";

/** The transaction that is read: its whole-ms time, and its values in the order of the series' columns. */
export interface ReadEvent {
  time: number;
  values: Float64Array;
  /** It was learned before (a retry): what is kept of it must not count a second time. */
  learned: boolean;
  /** The watermark where the transaction is too late to be learned, else −∞: entries too old to keep are not read, swept or not. */
  lateAt: number;
}

/** Where one key of a plan stands in a state: its table, the slot of the transaction's key, the steps' columns in the table. */
export interface KeyPlace {
  readonly table: KeyTable;
  slot: number;
  readonly columnOf: Int32Array;
}

/** Entries walked before a binary search takes over. */
const WALK_MAX = 32;

/** Reads one key's features; one instance is reused for every read, so that a read allocates nothing. */
export class KeyReader {
  private table!: KeyTable;
  private columnOf!: Int32Array;
  private slot = 0;
  private time = 0;
  /** The time after the origin of the run, and of the run of tiles. */
  private now = 0;
  private tileNow = 0;
  /** Whether the key has labels of each kind. */
  private hasFrauds = false;
  private hasGenuine = false;
  /** Entries up to this time are gone; −∞ unless the transaction is too late. */
  private gone = Number.NEGATIVE_INFINITY;
  /** Entries that came before the transaction; and those of busy tiles, late ones included. */
  private readonly run = new RunPlace();
  private readonly tiles = new RunPlace();
  private values: Float64Array = new Float64Array(0);
  private readonly totals = new Totals();
  private readonly withTiles = new Totals();
  private readonly withCurrent = new Totals();
  private readonly seen = new DistinctSet();
  private lows = new Int32Array(16);
  private knownFrauds = new Int32Array(16);
  private knownGenuine = new Int32Array(16);
  private readonly labelSpan = { until: 0, now: 0, after: 0 };
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
    for (let i = 0; i < steps.elapsed.length; i++) out[steps.elapsed[i].feature] = this.elapsed(steps.elapsed[i]);
    for (let i = 0; i < steps.sinceFraud.length; i++) {
      out[steps.sinceFraud[i].feature] = this.sinceFraud(steps.sinceFraud[i]);
    }
    for (let i = 0; i < steps.multiples.length; i++) this.readMultiples(steps.multiples[i], out);
  }

  private place(where: KeyPlace, event: ReadEvent): void {
    const { table, slot } = where;
    this.table = table;
    this.columnOf = where.columnOf;
    this.slot = slot;
    this.time = event.time;
    this.values = event.values;
    const { run, tiles } = this;
    table.singles.locate(slot, run);
    this.gone = event.lateAt - table.retentionMs;
    if (this.gone > Number.NEGATIVE_INFINITY) this.trim(run);
    this.now = event.time - run.origin;
    run.end = this.lowAfter(run.end, this.now);
    if (event.learned) run.end = this.endBefore(event);
    table.tiles.locate(slot, tiles);
    if (this.gone > Number.NEGATIVE_INFINITY) this.trim(tiles);
    this.tileNow = event.time - tiles.origin;
    this.hasFrauds = slot >= 0 && table.frauds.runs.length(slot) > 0;
    this.hasGenuine = slot >= 0 && table.genuine.runs.length(slot) > 0;
  }

  private trim(place: RunPlace): void {
    place.begin = firstAfter(place.times, place.begin, place.end, this.gone - place.origin);
  }

  /** Where the learned transaction itself stands among entries of its millisecond: the last with its values. */
  private endBefore(event: ReadEvent): number {
    const { times, columns } = this.run;
    for (let i = this.run.end - 1; i >= this.run.begin && times[i] === this.now; i--) {
      let same = true;
      for (let c = 0; c < columns.length; c++) same &&= Object.is(columns[c][i], event.values[c]);
      if (same) return i;
    }
    return this.run.end;
  }

  private readPass(pass: Pass, out: Float64Array): void {
    const until = this.now - pass.delayMs;
    const high = pass.delayMs === 0 ? this.run.end : this.lowAfter(this.run.end, until);
    const { windows, columns } = pass;
    if (this.lows.length < windows.length) this.makeScratch(windows.length);
    const { lows } = this;
    let low = high;
    for (let w = 0; w < windows.length; w++) {
      low = this.lowAfter(low, until - windows[w].ms);
      lows[w] = low;
    }
    if (pass.frauds) this.countLabels("frauds", pass);
    if (pass.genuine) this.countLabels("genuine", pass);
    for (let w = 0; w < windows.length; w++) this.readCounts(pass, w, high - lows[w], out);
    for (let c = 0; c < columns.length; c++) {
      if (columns[c].distinct) this.readDistinct(columns[c], high, out);
      else this.readColumn(pass, columns[c], high, out);
    }
  }

  private makeScratch(windows: number): void {
    this.lows = new Int32Array(windows);
    this.knownFrauds = new Int32Array(windows);
    this.knownGenuine = new Int32Array(windows);
  }

  /** Known labels in each window of the pass, into the scratch. */
  private countLabels(which: "frauds" | "genuine", pass: Pass): void {
    const counts = which === "frauds" ? this.knownFrauds : this.knownGenuine;
    if (!(which === "frauds" ? this.hasFrauds : this.hasGenuine)) {
      counts.fill(0);
      return;
    }
    const { labelSpan } = this;
    labelSpan.until = this.time - pass.delayMs;
    labelSpan.now = this.time;
    labelSpan.after = this.gone;
    this.table[which].countNested(this.slot, pass.lengths, labelSpan, counts);
  }

  private readCounts(pass: Pass, at: number, singles: number, out: Float64Array): void {
    const { ms, counts, frauds, genuine, rates } = pass.windows[at];
    const until = this.tileNow - pass.delayMs;
    const before = this.tiles.end === 0 ? singles : singles + this.tileWeight(until - ms, until);
    for (let i = 0; i < counts.length; i++) out[counts[i].feature] = counts[i].current ? before + 1 : before;
    for (let i = 0; i < frauds.length; i++) out[frauds[i].feature] = this.knownFrauds[at];
    for (let i = 0; i < genuine.length; i++) out[genuine[i].feature] = this.knownGenuine[at];
    for (let i = 0; i < rates.length; i++) {
      const count = rates[i].current ? before + 1 : before;
      out[rates[i].feature] = count === 0 ? rates[i].empty : this.knownFrauds[at] / count;
    }
  }

  /**
   * The first entry after `time`, known to be at or before `high`. Steps back first: nested windows differ by few entries, and a steady
   * walk is cheaper than a search's mispredicted branches.
   */
  private lowAfter(high: number, time: number): number {
    const { begin, times } = this.run;
    const stop = Math.max(begin, high - WALK_MAX);
    let low = high;
    while (low > stop && times[low - 1] > time) low--;
    return low > stop || stop === begin ? low : firstAfter(times, begin, low, time);
  }

  /** Distinct values in each window; those added up in busy tiles are not among them. */
  private readDistinct(column: PassColumn, high: number, out: Float64Array): void {
    const { seen } = this;
    const index = this.columnOf[column.column];
    const values = this.run.columns[index];
    const own = this.values[index];
    seen.clear();
    let at = high;
    for (let i = 0; i < column.windows.length; i++) {
      const { window, before, after } = column.windows[i];
      seen.addRun(values, this.lows[window], at);
      at = this.lows[window];
      for (let o = 0; o < before.length; o++) out[before[o].feature] = seen.size;
      const withOwn = Number.isNaN(own) || seen.has(own) ? seen.size : seen.size + 1;
      for (let o = 0; o < after.length; o++) out[after[o].feature] = withOwn;
    }
  }

  private readColumn(pass: Pass, column: PassColumn, high: number, out: Float64Array): void {
    const { totals } = this;
    const index = this.columnOf[column.column];
    const values = this.run.columns[index];
    const { spread, extremes } = column;
    totals.clear();
    const until = this.tileNow - pass.delayMs;
    let at = high;
    for (let i = 0; i < column.windows.length; i++) {
      const { window, keep, before, after } = column.windows[i];
      const low = this.lows[window];
      totals.addRun(values, low, at);
      if (spread) totals.addSpread(values, low, at);
      if (extremes) totals.addExtremes(values, low, at);
      at = low;
      let sofar = totals;
      if (this.tiles.end > 0) {
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
    const { times, columns } = this.tiles;
    const to = firstAfter(times, this.tiles.begin, this.tiles.end, span.until);
    const from = firstAfter(times, this.tiles.begin, to, span.after);
    totals.addTiles(columns, { from, to, column: span.index });
  }

  /** Transactions in busy tiles whose latest is in (after, until], both after the tiles' origin. */
  private tileWeight(after: number, until: number): number {
    const { times, columns } = this.tiles;
    let weight = 0;
    for (let i = this.tiles.end - 1; i >= this.tiles.begin && times[i] > after; i--) {
      if (times[i] <= until) weight += columns[0][i];
    }
    return weight;
  }

  private elapsed(step: ElapsedStep): number {
    const ago = step.of === "fraud" ? this.sinceFraudEdge(step) : this.sinceTransaction(step);
    return ago / step.unitMs;
  }

  private sinceFraudEdge(step: { readonly withinMs: number; readonly last: boolean }): number {
    if (!this.hasFrauds) return Number.NaN;
    const edge = { after: Math.max(this.time - step.withinMs, this.gone), now: this.time, last: step.last };
    return this.time - this.table.frauds.edge(this.slot, edge);
  }

  /** Ms since the last or first transaction within; NaN when there is none. */
  private sinceTransaction({ withinMs, last }: ElapsedStep): number {
    const { times } = this.run;
    const at = last ? this.run.end - 1 : firstAfter(times, this.run.begin, this.run.end, this.now - withinMs);
    const single = at >= this.run.begin && at < this.run.end ? this.now - times[at] : Number.NaN;
    let ago = single < withinMs ? single : Number.NaN;
    for (let i = this.tiles.begin; i < this.tiles.end; i++) {
      const tile = this.tileNow - this.tiles.times[i];
      if (tile >= withinMs || tile < 0) continue;
      if (Number.isNaN(ago) || (last ? tile < ago : tile > ago)) ago = tile;
    }
    return ago;
  }

  private sinceFraud(step: SinceFraudStep): number {
    const ago = this.sinceFraudEdge({ withinMs: step.withinMs, last: true });
    if (Number.isNaN(ago)) return Number.NaN;
    if (step.delayMs >= ago) return 0;
    const high = this.lowAfter(this.run.end, this.now - step.delayMs);
    const singles = high - firstAfter(this.run.times, this.run.begin, high, this.now - ago);
    if (this.tiles.end === 0) return singles;
    return singles + this.tileWeight(this.tileNow - ago, this.tileNow - step.delayMs);
  }

  private readMultiples(step: MultipleStep, out: Float64Array): void {
    const { totals } = this;
    const index = this.columnOf[step.column];
    const values = this.run.columns[index];
    const usualLow = this.lowAfter(this.run.end, this.now - step.usualMs);
    if (step.kept >= 0) totals.take(this.kept[2 * step.kept], this.kept[2 * step.kept + 1]);
    else {
      totals.clear();
      totals.addRun(values, usualLow, this.run.end);
      if (this.tiles.end > 0) {
        this.addTiles(totals, { index, after: this.tileNow - step.usualMs, until: this.tileNow });
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
    const { times } = this.run;
    let lowest = Number.POSITIVE_INFINITY;
    let longest = 0;
    for (let o = 0; o < outputs.length; o++) {
      const limit = outputs[o].times * usual;
      lowest = Math.min(lowest, limit);
      longest = Math.max(longest, outputs[o].windowMs);
      const first = step.current && own > limit ? 1 : 0;
      out[outputs[o].feature] = Number.isNaN(limit) ? Number.NaN : first;
    }
    const after = this.now - longest;
    for (let i = this.run.end - 1; i >= low && times[i] > after; i--) {
      if (!(values[i] > lowest)) continue;
      for (let o = 0; o < outputs.length; o++) {
        const { feature, times: factor, windowMs } = outputs[o];
        if (values[i] > factor * usual && times[i] > this.now - windowMs) out[feature]++;
      }
    }
  }
}
