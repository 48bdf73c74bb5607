// Reading: runs a plan's steps against the key tables and fills the vector of one transaction, changing nothing.
import { FEATURES_MAX } from "./definition.ts";
import { DistinctSet } from "./distinct.ts";
import type { KeyTable } from "./key-table.ts";
import { SLOT_MISSING, SLOT_UNKNOWN } from "./key-table.ts";
import type { ColumnWindow, ElapsedStep, KeySteps, MultipleStep, Pass, PassColumn, SinceFraudStep } from "./passes.ts";
import { COUNT_FIELDS, COUNT_OF, VALUE_FIELDS } from "./passes.ts";
import type { Times } from "./timelines.ts";
import { firstAfter, RunPlace } from "./timelines.ts";
import { Totals } from "./window.ts";

/** The transaction that is read: its whole-ms time, and its values in the order of the series' columns. */
export interface ReadEvent {
  time: number;
  values: Float64Array;
  /** The transaction was learned before (a retry): its own entries must not count a second time. */
  learned: boolean;
  /** For a transaction that arrives too late: the state's watermark, so that entries past their retention are ignored. Otherwise −∞. */
  lateAt: number;
}

/** Where one key of a plan stands in a state: its table, the slot of the transaction's key, the steps' columns in the table. */
export interface KeyPlace {
  readonly table: KeyTable;
  slot: number;
  readonly columnOf: Int32Array;
}

/** Numbers kept for a multiple. */
const KEPT = 3;
/** Entries walked before a binary search takes over. */
const WALK_MAX = 64;

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
  /** By window of a pass: the first entry in it, how many transactions, how many known labels of each kind. */
  private lows = new Int32Array(16);
  private weights = new Float64Array(16);
  private knownFrauds = new Int32Array(16);
  private knownGenuine = new Int32Array(16);
  /** What labels are asked for, reused so that a read allocates nothing. */
  private readonly labelSpan = { until: 0, now: 0, after: 0 };
  private readonly edge = { after: 0, now: 0, last: false };
  /** By multiple: count, sum and largest over its usual. */
  private readonly kept = new Float64Array(KEPT * FEATURES_MAX);

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
    const { passes, elapsed, sinceFraud, multiples } = steps;
    for (let i = 0; i < passes.length; i++) this.readPass(passes[i], out);
    for (let i = 0; i < elapsed.length; i++) this.readElapsed(elapsed[i], out);
    for (let i = 0; i < sinceFraud.length; i++) {
      out[sinceFraud[i].feature] = this.hasFrauds ? this.sinceFraud(sinceFraud[i]) : Number.NaN;
    }
    for (let i = 0; i < multiples.length; i++) this.readMultiples(multiples[i], out);
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
    run.end = lowAfter(run.times, run.begin, run.end, this.now);
    if (event.learned) run.end = this.endBefore(event);
    table.tiles.locate(table.tiles.entries > 0 ? slot : SLOT_UNKNOWN, tiles);
    if (this.gone > Number.NEGATIVE_INFINITY) this.trim(tiles);
    this.tileNow = event.time - tiles.origin;
    this.hasFrauds = slot >= 0 && table.frauds.runs.length(slot) > 0;
    this.hasGenuine = slot >= 0 && table.need.genuine && table.genuine.runs.length(slot) > 0;
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
    const { times, begin, end } = this.run;
    const { lengths, columns } = pass;
    const until = this.now - pass.delayMs;
    const high = pass.delayMs === 0 ? end : lowAfter(times, begin, end, until);
    if (this.lows.length < lengths.length) this.makeScratch(lengths.length);
    const { lows, weights } = this;
    let low = high;
    for (let w = 0; w < lengths.length; w++) {
      low = lowAfter(times, begin, low, until - lengths[w]);
      lows[w] = low;
      weights[w] = high - low;
    }
    if (this.tiles.end > 0) this.addTileWeights(pass);
    if (pass.frauds) this.countLabels("frauds", pass);
    if (pass.genuine) this.countLabels("genuine", pass);
    this.readCounts(pass, out);
    for (let c = 0; c < columns.length; c++) {
      if (columns[c].distinct) this.readDistinct(columns[c], high, out);
      else this.readColumn(pass, columns[c], high, out);
    }
  }

  private makeScratch(windows: number): void {
    this.lows = new Int32Array(windows);
    this.weights = new Float64Array(windows);
    this.knownFrauds = new Int32Array(windows);
    this.knownGenuine = new Int32Array(windows);
  }

  private addTileWeights({ delayMs, lengths }: Pass): void {
    const until = this.tileNow - delayMs;
    for (let w = 0; w < lengths.length; w++) this.weights[w] += this.tileWeight(until - lengths[w], until);
  }

  /** Known labels in each window of the pass, into the scratch. */
  private countLabels(which: "frauds" | "genuine", pass: Pass): void {
    const counts = which === "frauds" ? this.knownFrauds : this.knownGenuine;
    if (!(which === "frauds" ? this.hasFrauds : this.hasGenuine)) {
      for (let w = 0; w < counts.length; w++) counts[w] = 0;
      return;
    }
    const { labelSpan } = this;
    labelSpan.until = this.time - pass.delayMs;
    labelSpan.now = this.time;
    labelSpan.after = this.gone;
    this.table[which].countNested(this.slot, pass.lengths, labelSpan, counts);
  }

  private readCounts({ counts }: Pass, out: Float64Array): void {
    const { of, empty } = counts;
    const { weights, knownFrauds, knownGenuine } = this;
    for (let i = 0; i < of.length; i += COUNT_FIELDS) {
      const what = of[i];
      const window = of[i + 1];
      const weight = weights[window] + of[i + 2];
      const feature = of[i + 3];
      if (what === COUNT_OF.transactions) out[feature] = weight;
      else if (what === COUNT_OF.frauds) out[feature] = knownFrauds[window];
      else if (what === COUNT_OF.genuine) out[feature] = knownGenuine[window];
      else out[feature] = weight === 0 ? empty[i / COUNT_FIELDS] : knownFrauds[window] / weight;
    }
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
      for (let o = 1; o < before.of.length; o += VALUE_FIELDS) out[before.of[o]] = seen.size;
      const withOwn = Number.isNaN(own) || seen.has(own) ? seen.size : seen.size + 1;
      for (let o = 1; o < after.of.length; o += VALUE_FIELDS) out[after.of[o]] = withOwn;
    }
  }

  private readColumn(pass: Pass, column: PassColumn, high: number, out: Float64Array): void {
    const { totals, lows, withCurrent } = this;
    const index = this.columnOf[column.column];
    const values = this.run.columns[index];
    const { windows } = column;
    const all = column.spread || column.extremes;
    const tiled = this.tiles.end > 0;
    totals.clear();
    let at = high;
    for (let i = 0; i < windows.length; i++) {
      const { window, keep, before, after } = windows[i];
      const low = lows[window];
      if (all) totals.addRun(values, low, at);
      else totals.addSums(values, low, at);
      at = low;
      const sofar = tiled ? this.tiledTotals(pass, windows[i], index) : totals;
      if (keep >= 0) this.keep(keep, sofar, column.extremes);
      if (before.of.length > 0) sofar.results(before, out);
      if (after.of.length === 0) continue;
      withCurrent.copyFrom(sofar);
      withCurrent.add(this.values, index);
      withCurrent.results(after, out);
    }
  }

  /** The totals so far and those of the window's busy tiles. */
  private tiledTotals(pass: Pass, { window }: ColumnWindow, index: number): Totals {
    const until = this.tileNow - pass.delayMs;
    this.withTiles.copyFrom(this.totals);
    this.addTiles(this.withTiles, { index, after: until - pass.lengths[window], until });
    return this.withTiles;
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

  private readElapsed(step: ElapsedStep, out: Float64Array): void {
    if (step.of === "transaction") out[step.feature] = this.sinceTransaction(step) / step.unitMs;
    // Most keys have no known fraud.
    else if (!this.hasFrauds) out[step.feature] = Number.NaN;
    else out[step.feature] = this.sinceFraudEdge(step.withinMs, step.last) / step.unitMs;
  }

  private sinceFraudEdge(withinMs: number, last: boolean): number {
    const { edge } = this;
    edge.after = Math.max(this.time - withinMs, this.gone);
    edge.now = this.time;
    edge.last = last;
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
    const ago = this.sinceFraudEdge(step.withinMs, true);
    if (Number.isNaN(ago)) return Number.NaN;
    if (step.delayMs >= ago) return 0;
    const { times, begin, end } = this.run;
    const high = lowAfter(times, begin, end, this.now - step.delayMs);
    const singles = high - firstAfter(times, begin, high, this.now - ago);
    if (this.tiles.end === 0) return singles;
    return singles + this.tileWeight(this.tileNow - ago, this.tileNow - step.delayMs);
  }

  private readMultiples(step: MultipleStep, out: Float64Array): void {
    const { totals } = this;
    const index = this.columnOf[step.column];
    const values = this.run.columns[index];
    const own = this.values[index];
    let largest = Number.POSITIVE_INFINITY;
    if (step.kept >= 0) {
      totals.take(this.kept[KEPT * step.kept], this.kept[KEPT * step.kept + 1]);
      largest = this.kept[KEPT * step.kept + 2];
    } else {
      const { times, begin, end } = this.run;
      totals.clear();
      totals.addSums(values, lowAfter(times, begin, end, this.now - step.usualMs), end);
      if (this.tiles.end > 0) {
        this.addTiles(totals, { index, after: this.tileNow - step.usualMs, until: this.tileNow });
      }
    }
    if (step.current) totals.add(this.values, index);
    const usual = totals.mean;
    const lowest = this.beginMultiples(step, usual, own, out);
    // As a rule nothing in the usual exceeds a multiple of its mean.
    if (largest > lowest) this.countMultiples(step, { usual, lowest, values, out });
  }

  /** Count, sum and largest of a window, so that a multiple of its mean need not sweep it again. */
  private keep(at: number, totals: Totals, extremes: boolean): void {
    const { kept } = this;
    kept[KEPT * at] = totals.present;
    kept[KEPT * at + 1] = totals.sum;
    kept[KEPT * at + 2] = extremes ? totals.max : Number.POSITIVE_INFINITY;
  }

  /** Each output as it is without the entries, and the lowest limit of all; NaN when there is no mean. */
  private beginMultiples(step: MultipleStep, usual: number, own: number, out: Float64Array): number {
    const { outputs, current } = step;
    let lowest = Number.POSITIVE_INFINITY;
    for (let o = 0; o < outputs.length; o++) {
      const { feature, times } = outputs[o];
      const limit = times * usual;
      lowest = Math.min(lowest, limit);
      const first = current && own > limit ? 1 : 0;
      out[feature] = Number.isNaN(limit) ? Number.NaN : first;
    }
    return lowest;
  }

  /** One walk back for all outputs; few values exceed even the lowest limit, so the inner loop rarely runs. */
  private countMultiples(
    step: MultipleStep,
    span: {
      readonly usual: number;
      readonly lowest: number;
      readonly values: Float64Array;
      readonly out: Float64Array;
    },
  ): void {
    const { outputs } = step;
    const { usual, lowest, values, out } = span;
    const { times, begin, end } = this.run;
    const after = this.now - step.longestMs;
    for (let i = end - 1; i >= begin && times[i] > after; i--) {
      if (!(values[i] > lowest)) continue;
      for (let o = 0; o < outputs.length; o++) {
        const { feature, times: factor, windowMs } = outputs[o];
        if (values[i] > factor * usual && times[i] > this.now - windowMs) out[feature]++;
      }
    }
  }
}

/**
 * The first entry after `time`, known to be at or before `high`. Steps back first, four at a time: nested windows differ by few entries, and a
 * steady walk is cheaper than a search's mispredicted branches.
 */
function lowAfter(times: Times, begin: number, high: number, time: number): number {
  const stop = Math.max(begin, high - WALK_MAX);
  let low = high;
  while (low >= stop + 4 && times[low - 4] > time) low -= 4;
  while (low > stop && times[low - 1] > time) low--;
  return low > stop || stop === begin ? low : firstAfter(times, begin, low, time);
}
