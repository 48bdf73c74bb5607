// Reading: runs a plan's steps against the key tables and fills the vector of one transaction, changing nothing.
import { DistinctSet } from "./distinct.ts";
import {
  KERNEL_ENTRIES_MAX,
  type KernelInput,
  KNOWN_FRAUDS,
  KNOWN_GENUINE,
  type ProgramPlace,
  readKernel,
} from "./kernel.ts";
import type { KeyTable } from "./key-table.ts";
import { SLOT_MISSING, SLOT_UNKNOWN } from "./key-table.ts";
import type {
  ElapsedStep,
  FactOutputs,
  FraudScans,
  KeySteps,
  MultipleStep,
  Pass,
  PassColumn,
  SinceFraudStep,
} from "./passes.ts";
import { CHECKED_FIELDS, COUNT_FACT, OUTPUT_FIELDS, VALUE_FACT, WINDOW_FIELDS } from "./passes.ts";
import { type ScanInput, ScanReader } from "./scans.ts";
import { firstAfter, RunPlace } from "./timelines.ts";
import { type Sweep, sweepWindows, Totals } from "./window.ts";

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
  /** The table's labelled column for each of the steps'. */
  readonly labelledOf: Int32Array;
  /** Of the plan's steps for this key. */
  readonly program: ProgramPlace;
}

/** Entries walked before a binary search takes over. */
const WALK_MAX = 64;
const NO_VALUES = new Float64Array(0);
const NO_PLACES = new Int32Array(0);

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
  private values: Float64Array = NO_VALUES;
  private readonly kernel = readKernel();
  private readonly input: KernelInput = {
    now: 0,
    values: NO_VALUES,
    columnOf: NO_PLACES,
    known: 0,
  };
  private ownFacts: Float64Array = new Float64Array(64);
  /** The kernel's or those of this reader, whoever found them out. */
  private facts: Float64Array = this.ownFacts;
  /** Where the windows of a pass end, then the first entry in each. */
  private places = new Int32Array(16);
  /** Known labels of one kind in each window of a pass. */
  private known = new Int32Array(16);
  /** What is swept, reused so that a read allocates nothing. */
  private readonly sweep: Sweep = {
    values: NO_VALUES,
    places: this.places,
    own: this.values,
    index: 0,
    facts: this.facts,
  };
  private readonly totals = new Totals();
  private readonly ofWindow = new Totals();
  private readonly seen = new DistinctSet();
  private readonly scans = new ScanReader();
  private readonly scanInput: ScanInput = {
    run: this.run,
    now: 0,
    own: NO_VALUES,
    columnOf: NO_PLACES,
    frauds: null,
    slot: 0,
    time: 0,
    gone: Number.NEGATIVE_INFINITY,
    labelledOf: NO_PLACES,
  };
  /** What labels are asked for, reused so that a read allocates nothing. */
  private readonly labelSpan = { until: 0, now: 0, after: 0 };
  private readonly edge = { after: 0, now: 0, last: false };

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
    if (!this.readByKernel(steps, where, out)) this.readHere(steps, out);
    if (steps.scans.length > 0) this.scans.read(steps.scans, this.whereToScan(where), out);
    const { fraudScans } = steps;
    if (fraudScans.steps.length === 0) return;
    if (this.hasFrauds) this.scans.readFrauds(fraudScans.steps, this.whereToScan(where), out);
    else writeWithoutFrauds(fraudScans, out);
  }

  private whereToScan({ labelledOf }: KeyPlace): ScanInput {
    const { scanInput } = this;
    scanInput.now = this.now;
    scanInput.own = this.values;
    scanInput.columnOf = this.columnOf;
    scanInput.frauds = this.hasFrauds ? this.table.frauds : null;
    scanInput.slot = this.slot;
    scanInput.time = this.time;
    scanInput.gone = this.gone;
    scanInput.labelledOf = labelledOf;
    return scanInput;
  }

  private readHere(steps: KeySteps, out: Float64Array): void {
    const { passes, elapsed, sinceFraud, multiples } = steps;
    if (this.ownFacts.length < steps.factCount) this.ownFacts = new Float64Array(steps.factCount);
    this.facts = this.ownFacts;
    for (let i = 0; i < passes.length; i++) this.readPass(passes[i]);
    for (let i = 0; i < elapsed.length; i++) this.readElapsed(elapsed[i], out);
    if (this.hasFrauds) this.readSinceFraud(steps, out);
    else for (let i = 0; i < sinceFraud.length; i++) out[sinceFraud[i].feature] = Number.NaN;
    for (let i = 0; i < multiples.length; i++) this.readMultiples(multiples[i], out);
    writeOutputs(steps.outputs, this.facts, out);
  }

  /** The kernel does the common case, in the same arithmetic; what depends on known labels is there for it to read. */
  private readByKernel(steps: KeySteps, place: KeyPlace, out: Float64Array): boolean {
    const { kernel, input, run, hasFrauds, hasGenuine } = this;
    if (out !== kernel.values || this.tiles.end > 0 || run.end - run.begin > KERNEL_ENTRIES_MAX) return false;
    const program = kernel.programOf(steps, place.program);
    if (program === 0) return false;
    if (hasFrauds || hasGenuine) {
      this.facts = kernel.facts;
      const { passes, elapsed } = steps;
      for (let i = 0; i < passes.length; i++) {
        if (hasFrauds && passes[i].frauds) this.countLabels("frauds", passes[i]);
        if (hasGenuine && passes[i].genuine) this.countLabels("genuine", passes[i]);
      }
      if (hasFrauds) {
        for (let i = 0; i < elapsed.length; i++) if (elapsed[i].of === "fraud") this.readElapsed(elapsed[i], out);
        this.readSinceFraud(steps, out);
      }
    }
    input.now = this.now;
    input.values = this.values;
    input.columnOf = this.columnOf;
    input.known = (hasFrauds ? KNOWN_FRAUDS : 0) + (hasGenuine ? KNOWN_GENUINE : 0);
    kernel.read(program, run, input);
    return true;
  }

  private readSinceFraud({ sinceFraud }: KeySteps, out: Float64Array): void {
    for (let i = 0; i < sinceFraud.length; i++) out[sinceFraud[i].feature] = this.sinceFraud(sinceFraud[i]);
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
    // As a rule nothing is younger than the transaction.
    if (run.end > run.begin && run.times[run.end - 1] > this.now) {
      run.end = firstAfter(run.times, run.begin, run.end, this.now);
    }
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

  /** Where the learned transaction itself stands among entries of its millisecond: the last with its own values; what hops said then is not known any more. */
  private endBefore(event: ReadEvent): number {
    const { times, columns } = this.run;
    const { ownColumns } = this.table;
    for (let i = this.run.end - 1; i >= this.run.begin && times[i] === this.now; i--) {
      let same = true;
      for (const c of ownColumns) same &&= Object.is(columns[c][i], event.values[c]);
      if (same) return i;
    }
    return this.run.end;
  }

  private readPass(pass: Pass): void {
    const { columns } = pass;
    this.placeWindows(pass);
    this.countWindows(pass);
    if (pass.frauds) this.countLabels("frauds", pass);
    if (pass.genuine) this.countLabels("genuine", pass);
    if (pass.frauds) this.rateWindows(pass);
    for (let c = 0; c < columns.length; c++) {
      if (columns[c].distinct) this.readDistinct(columns[c]);
      else this.readColumn(pass, columns[c]);
    }
  }

  /**
   * Steps back first, four entries at a time: nested windows differ by few entries, and a steady walk is cheaper than a search's mispredicted
   * branches. Written out, because a number given to a function that is not inlined costs an allocation.
   */
  private placeWindows({ delayMs, lengths }: Pass): void {
    const { times, begin, end } = this.run;
    if (this.places.length <= lengths.length) this.makeScratch(lengths.length);
    const { places } = this;
    const until = this.now - delayMs;
    let low = end;
    for (let w = 0; w <= lengths.length; w++) {
      const after = w === 0 ? until : until - lengths[w - 1];
      const stop = low - WALK_MAX > begin ? low - WALK_MAX : begin;
      while (low >= stop + 4 && times[low - 4] > after) low -= 4;
      while (low > stop && times[low - 1] > after) low--;
      if (low === stop && stop > begin) low = firstAfter(times, begin, low, after);
      places[w] = low;
    }
  }

  private makeScratch(windows: number): void {
    this.places = new Int32Array(windows + 1);
    this.known = new Int32Array(windows);
  }

  private countWindows({ delayMs, lengths, facts: from }: Pass): void {
    const { facts, places } = this;
    const until = this.tileNow - delayMs;
    for (let w = 0; w < lengths.length; w++) {
      let weight = places[0] - places[w + 1];
      if (this.tiles.end > 0) weight += this.tileWeight(until - lengths[w], until);
      const at = from + COUNT_FACT.count * w;
      facts[at + COUNT_FACT.before] = weight;
      facts[at + COUNT_FACT.after] = weight + 1;
    }
  }

  private countLabels(which: "frauds" | "genuine", { delayMs, lengths, facts: from }: Pass): void {
    const { facts, known, labelSpan } = this;
    const fact = from + COUNT_FACT[which];
    if (!(which === "frauds" ? this.hasFrauds : this.hasGenuine)) {
      for (let w = 0; w < lengths.length; w++) facts[fact + COUNT_FACT.count * w] = 0;
      return;
    }
    labelSpan.until = this.time - delayMs;
    labelSpan.now = this.time;
    labelSpan.after = this.gone;
    this.table[which].countNested(this.slot, lengths, labelSpan, known);
    for (let w = 0; w < lengths.length; w++) facts[fact + COUNT_FACT.count * w] = known[w];
  }

  private rateWindows({ lengths, facts: from }: Pass): void {
    const { facts } = this;
    for (let w = 0; w < lengths.length; w++) {
      const at = from + COUNT_FACT.count * w;
      const frauds = facts[at + COUNT_FACT.frauds];
      const weight = facts[at + COUNT_FACT.before];
      facts[at + COUNT_FACT.rateBefore] = weight === 0 ? Number.NaN : frauds / weight;
      facts[at + COUNT_FACT.rateAfter] = frauds / (weight + 1);
    }
  }

  /** Distinct values in each window; those added up in busy tiles are not among them. */
  private readDistinct({ column, windows }: PassColumn): void {
    const { seen, facts, places } = this;
    const index = this.columnOf[column];
    const values = this.run.columns[index];
    const own = this.values[index];
    seen.clear();
    let at = places[0];
    for (let i = 0; i < windows.length; i += WINDOW_FIELDS) {
      const low = places[windows[i] + 1];
      const fact = windows[i + 1] + VALUE_FACT.count;
      seen.addRun(values, low, at);
      at = low;
      facts[fact] = seen.size;
      facts[fact + VALUE_FACT.each] = Number.isNaN(own) || seen.has(own) ? seen.size : seen.size + 1;
    }
  }

  private readColumn(pass: Pass, column: PassColumn): void {
    const { sweep } = this;
    sweep.index = this.columnOf[column.column];
    sweep.values = this.run.columns[sweep.index] ?? NO_VALUES;
    sweep.places = this.places;
    sweep.own = this.values;
    sweep.facts = this.facts;
    if (this.tiles.end > 0 || !sweepWindows(column, sweep)) this.readTotals(pass, column);
  }

  /** As `sweepWindows`, where values are missing or stand in busy tiles. */
  private readTotals(pass: Pass, column: PassColumn): void {
    const { totals, ofWindow, facts, places } = this;
    const { windows } = column;
    const index = this.columnOf[column.column];
    const values = this.run.columns[index];
    const until = this.tileNow - pass.delayMs;
    totals.clear();
    let at = places[0];
    for (let i = 0; i < windows.length; i += WINDOW_FIELDS) {
      const window = windows[i];
      const fact = windows[i + 1];
      const low = places[window + 1];
      totals.addRun(values, low, at);
      at = low;
      ofWindow.copyFrom(totals);
      if (this.tiles.end > 0) this.addTiles(ofWindow, { index, after: until - pass.lengths[window], until });
      ofWindow.writeFacts(column, facts, fact);
      ofWindow.add(this.values, index);
      ofWindow.writeFacts(column, facts, fact + VALUE_FACT.each);
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
    const high = firstAfter(times, begin, end, this.now - step.delayMs);
    const singles = high - firstAfter(times, begin, high, this.now - ago);
    if (this.tiles.end === 0) return singles;
    return singles + this.tileWeight(this.tileNow - ago, this.tileNow - step.delayMs);
  }

  private readMultiples(step: MultipleStep, out: Float64Array): void {
    const { features, times, current, column, kept } = step;
    const own = this.values[this.columnOf[column]];
    const { totals, facts } = this;
    let largest = Number.POSITIVE_INFINITY;
    totals.take(facts[kept + VALUE_FACT.count], facts[kept + VALUE_FACT.sum]);
    if (step.keptLargest) largest = facts[kept + VALUE_FACT.max];
    if (current) totals.add(this.values, this.columnOf[column]);
    const usual = totals.mean;
    let lowest = Number.POSITIVE_INFINITY;
    for (let o = 0; o < features.length; o++) {
      const limit = times[o] * usual;
      if (limit < lowest) lowest = limit;
      const first = current && own > limit ? 1 : 0;
      out[features[o]] = Number.isNaN(limit) ? Number.NaN : first;
    }
    // As a rule nothing in the usual exceeds a multiple of its mean; of nothing there is no largest.
    if (largest > lowest) this.countMultiples(step, { usual, lowest, out });
  }

  /** One walk back for all outputs; few values exceed even the lowest limit, so the inner loop rarely runs. */
  private countMultiples(
    step: MultipleStep,
    span: { readonly usual: number; readonly lowest: number; readonly out: Float64Array },
  ): void {
    const { features, times: factors, windowMs } = step;
    const { usual, lowest, out } = span;
    const { times, begin, end } = this.run;
    const values = this.run.columns[this.columnOf[step.column]];
    const after = this.now - step.longestMs;
    for (let i = end - 1; i >= begin && times[i] > after; i--) {
      if (!(values[i] > lowest)) continue;
      for (let o = 0; o < features.length; o++) {
        if (values[i] > factors[o] * usual && times[i] > this.now - windowMs[o]) out[features[o]]++;
      }
    }
  }
}

function writeWithoutFrauds({ features, without }: FraudScans, out: Float64Array): void {
  for (let f = 0; f < features.length; f++) out[features[f]] = without[f];
}

function writeOutputs({ of, checked, empty }: FactOutputs, facts: Float64Array, out: Float64Array): void {
  for (let o = 0; o < of.length; o += OUTPUT_FIELDS) out[of[o + 1]] = facts[of[o]];
  for (let o = 0; o < empty.length; o++) {
    const at = o * CHECKED_FIELDS;
    if (facts[checked[at + 1]] < checked[at + 2]) out[checked[at]] = empty[o];
  }
}
