// Feature state: the one state machine behind online encode and offline replay, in memory.
import { assert } from "../core/errors.ts";
import type { FieldValue, Transaction } from "../core/transaction.ts";
import { Derived, derivedOf } from "./derived.ts";
import { columnOfIdentity, identityOf } from "./distinct.ts";
import { hopOf } from "./hops.ts";
import { newProgramPlace, type ProgramPlace, readKernel, type Target } from "./kernel.ts";
import { KeyTable, SLOT_MISSING, SLOT_UNKNOWN } from "./key-table.ts";
import { hashId, type LabelSpan } from "./labels.ts";
import type { StateLimits } from "./limits.ts";
import { STATE_LIMITS } from "./limits.ts";
import type { FeaturePlan, StateLayout } from "./plan.ts";
import { covers, keyId } from "./plan.ts";
import type { KeyPlace, ReadEvent } from "./read.ts";
import { KeyReader } from "./read.ts";
import { RecentIds } from "./recent-ids.ts";
import { runRowSteps } from "./row-steps.ts";
import { readSnapshot, snapshotInSlices, writeSnapshot } from "./snapshot.ts";

/** What became of a transaction given to learn. */
export type Learned = "learned" | "duplicate" | "too-late";

export interface StateStats {
  readonly keys: number;
  readonly events: number;
  readonly labels: number;
  readonly bytes: number;
  readonly learned: number;
  readonly duplicates: number;
  readonly tooLate: number;
  readonly labelsTooLate: number;
  readonly keysEvicted: number;
  readonly idsForgotten: number;
  /** Latest event time learned; null before the first. */
  readonly watermark: number | null;
}

/** A transaction in the state's own terms; see {@link FeatureState.rowOf}. Reused from read to read. */
export class EventRow {
  id = "";
  /** Surely new, and never asked for again: its id is not looked up and not remembered. */
  unasked = false;
  /** Whole ms. */
  time = 0;
  /** One per series: a slot, SLOT_UNKNOWN or SLOT_MISSING. */
  readonly slots: Int32Array;
  /** One per number column of the state, in the order of `FeatureState.numbers`. */
  numbers: Float64Array;
  /** One per text column of the state, in the order of `FeatureState.words`; null is missing. */
  words: (string | null)[] = [];
  /** One per series: the key's text; read only where the slot is SLOT_UNKNOWN. */
  readonly texts: string[];
  /** One per role of the state, as `slots`; see `FeatureState.roles`. */
  roleSlots = new Int32Array(0);

  constructor(series: number) {
    this.slots = new Int32Array(series);
    this.texts = new Array<string>(series).fill("");
    this.numbers = new Float64Array(0);
  }
}

/**
 * What is remembered of transactions and labels, bounded, and read as vectors. Reading never changes an answer; learning is a separate
 * call. The order of calls is the order of arrival: a read sees what was learned before it, at event times ≤ its own.
 */
export class FeatureState {
  readonly layout: StateLayout;
  readonly limits: StateLimits;
  /** Number columns a row holds: those of the layout, then those of plans bound so far. */
  readonly numbers: string[] = [];
  /** For each of them the column whose identities it is, or null. */
  private readonly identityOf: (string | null)[] = [];
  /** Those of them that expressions over the transaction give, with their places. */
  readonly derived: { readonly at: number; readonly derived: Derived }[] = [];
  /** Those of them that count the known frauds of another key, with their places and that key's series. */
  private readonly hops: { readonly at: number; readonly series: number; readonly withinMs: number }[] = [];
  private readonly hopSpan: LabelSpan = { after: 0, until: 0, now: 0 };
  /** Text columns a row holds: those of plans bound so far. */
  readonly words: string[] = [];
  /** Where keys are looked for by other columns than their own: series, and the columns; those of plans bound so far. */
  readonly roles: { readonly series: number; readonly key: readonly string[] }[] = [];
  readonly tables: readonly KeyTable[];
  readonly ids: RecentIds;
  watermark = Number.NEGATIVE_INFINITY;
  readonly counts = { learned: 0, duplicates: 0, tooLate: 0, labelsTooLate: 0 };
  private readonly valuesOf: readonly Float64Array[];
  private readonly columnsOf: readonly Int32Array[];
  /** For each series where in a row the values stand that its known frauds keep. */
  readonly labelledAt: readonly Int32Array[];
  private readonly labelledOf: readonly Float64Array<ArrayBuffer>[];
  private readonly bindings = new WeakMap<FeaturePlan, Binding>();
  private readonly kernel = readKernel();
  private readonly reader = new KeyReader();
  private readonly target: Target = { out: new Float32Array(0), at: 0, step: 1 };
  private readonly row: EventRow;
  /** The transaction that `row` holds, and the sum of the tables' `changes` when its keys were looked up; null once it is void. */
  private rowOfTx: Transaction | null = null;
  private rowChanges = 0;
  /** The transaction being learned, reused so that learning allocates nothing. */
  private readonly learning = { time: 0, watermark: 0, values: new Float64Array(0) as Float64Array };
  /** Kept, so that what only reads is not left out as useless. */
  touched = 0;
  private lastPlan: FeaturePlan | null = null;
  private lastBinding: Binding | null = null;

  constructor(layout: StateLayout, limits: Partial<StateLimits> = {}) {
    this.layout = layout;
    this.limits = { ...STATE_LIMITS, ...limits };
    this.tables = layout.series.map((need) => new KeyTable(need, this.limits));
    this.ids = new RecentIds({ lengthMs: this.limits.latenessMs, idsMax: this.limits.idsMax });
    this.valuesOf = layout.series.map((need) => new Float64Array(need.columns.length));
    this.columnsOf = layout.series.map((need) => Int32Array.from(need.columns, (column) => this.numberIndex(column)));
    this.labelledAt = layout.series.map(({ labelled = [] }) =>
      Int32Array.from(labelled, (column) => this.numberIndex(column)),
    );
    this.labelledOf = this.labelledAt.map((places) => new Float64Array(places.length));
    this.row = new EventRow(layout.series.length);
  }

  /** Rebuilds a state from its snapshot; it answers and learns as if it had never stopped. Throws `state.corrupt`. */
  static restore(bytes: Uint8Array): FeatureState {
    return readSnapshot(bytes, (layout, limits) => new FeatureState(layout, limits));
  }

  /** Everything remembered, with a checksum. */
  snapshot(): Uint8Array {
    return writeSnapshot(this);
  }

  /** The same bytes, as of the first step, in parts; what is learned between two steps is not in them. One at a time. */
  snapshotInSlices(): Generator<undefined, readonly Uint8Array[]> {
    return snapshotInSlices(this);
  }

  covers(plan: FeaturePlan): boolean {
    return covers(this.layout, plan);
  }

  /** Brings what the state holds of the transaction's keys into the cache, so that those of many come from memory together. Changes nothing. */
  touch(tx: Transaction): void {
    let sum = 0;
    for (const table of this.tables) {
      const text = keyText(table.need.key, tx);
      if (text !== null) sum += table.touch(table.find(text));
    }
    this.touched = sum;
  }

  /** The vector of `tx` at its event time into `out` (plan.width long). */
  read(plan: FeaturePlan, tx: Transaction, out: Float32Array): void {
    this.readRow(plan, this.rowOf(plan, tx), out);
  }

  /**
   * Adds a transaction, once by id within the lateness. `receivedAt` is when it arrived, by the clock: a transaction that is dated
   * later moves the watermark no further than that, or one wrong date would make everybody else's transactions too late.
   */
  learn(tx: Transaction, receivedAt: number = Number.POSITIVE_INFINITY): Learned {
    return this.learnRow(this.rowOf(null, tx), receivedAt);
  }

  /**
   * Adds what became known about a transaction, from `knownAt` on. A label cannot be known before the millisecond after its transaction, so
   * no vector ever holds its own label. The first of equal labels counts; a different one known later replaces it.
   */
  learnLabel(label: { readonly transaction: Transaction; readonly fraud: boolean; readonly knownAt: number }): void {
    this.learnLabelRow(this.rowOf(null, label.transaction), label);
  }

  stats(): StateStats {
    const sum = (of: (table: KeyTable) => number): number => this.tables.reduce((total, one) => total + of(one), 0);
    return {
      ...this.counts,
      keys: sum((table) => table.keys),
      events: sum((table) => table.events),
      labels: sum((table) => table.frauds.runs.entries + table.genuine.runs.entries),
      bytes: sum((table) => table.bytes) + this.ids.bytes,
      keysEvicted: sum((table) => table.evicted),
      idsForgotten: this.ids.forgotten,
      watermark: Number.isFinite(this.watermark) ? this.watermark : null,
    };
  }

  // -------------------------------------------------------------------------------- the same, for callers with columns

  /** Index of a number column in every row; new columns are added at the end. */
  numberIndex(column: string): number {
    const at = this.numbers.indexOf(column);
    if (at >= 0) return at;
    this.identityOf.push(columnOfIdentity(column));
    const derived = derivedOf(column);
    if (derived !== null) this.derived.push({ at: this.numbers.length, derived: new Derived(derived) });
    const hop = hopOf(column);
    if (hop !== null) {
      const series = this.layout.series.findIndex(({ key }) => keyId(key) === keyId(hop.key));
      assert(series >= 0, "a layout with a hop has the series that it leads to");
      this.hops.push({ at: this.numbers.length, series, withinMs: hop.withinMs });
    }
    return this.numbers.push(column) - 1;
  }

  /** Index of a text column in every row; as {@link numberIndex}. */
  wordIndex(column: string): number {
    const at = this.words.indexOf(column);
    return at >= 0 ? at : this.words.push(column) - 1;
  }

  /** Index of a role in every row; as {@link numberIndex}. */
  roleIndex(series: number, key: readonly string[]): number {
    const at = this.roles.findIndex((role) => role.series === series && keyId(role.key) === keyId(key));
    return at >= 0 ? at : this.roles.push({ series, key }) - 1;
  }

  /** Prepares a plan for reading, so that its columns have an index. */
  bind(plan: FeaturePlan): Binding {
    if (plan === this.lastPlan && this.lastBinding !== null) return this.lastBinding;
    let binding = this.bindings.get(plan);
    if (binding === undefined) {
      assert(this.covers(plan), `the state covers plan ${plan.spec.name}`);
      binding = bindPlan(plan, this);
      this.bindings.set(plan, binding);
    }
    this.lastPlan = plan;
    this.lastBinding = binding;
    return binding;
  }

  /** The row's vector: feature c into out[at + c × step]. */
  readRow(plan: FeaturePlan, row: EventRow, out: Float32Array, { at, step }: Places = IN_A_ROW): void {
    const { series, roleOf, places, numberOf, wordOf, values, rows: rowsPlace, texts, event } = this.bind(plan);
    const { keys, columns, rows } = plan.steps;
    event.time = row.time;
    const learned = !row.unasked && this.ids.has(row.id);
    event.learned = learned;
    event.lateAt = row.time < this.watermark - this.limits.latenessMs ? this.watermark : Number.NEGATIVE_INFINITY;
    for (let k = 0; k < keys.length; k++) {
      places[k].slot = row.slots[series[k]];
      if (roleOf !== null) {
        if (roleOf[k] >= 0) places[k].slot = row.roleSlots[roleOf[k]];
        // Its own entry stands under its own key alone.
        event.learned = learned && (roleOf[k] < 0 || places[k].slot === row.slots[series[k]]);
      }
      event.values = this.seriesValues(series[k], row);
      this.reader.read(keys[k], places[k], event, values);
    }
    for (let c = 0; c < columns.length; c++) values[columns[c].value] = row.numbers[numberOf[c]];
    if (rowsPlace !== null) {
      const { target } = this;
      target.out = out;
      target.at = at;
      target.step = step;
      this.kernel.finish(plan, row, rowsPlace, target);
      return;
    }
    for (let w = 0; w < wordOf.length; w++) texts[w] = row.words[wordOf[w]];
    if (rows.of.length > 0) runRowSteps(rows, row, values, texts);
    writeFloat32(values, plan.width, out, at, step);
  }

  /** What was read last, by this plan, unrounded, the plan's features first; overwritten by the next call. */
  unrounded(plan: FeaturePlan): Float64Array {
    const { values, unrounded } = this.bind(plan);
    for (let i = 0; i < unrounded.length; i++) unrounded[i] = values[i];
    return unrounded;
  }

  learnRow(row: EventRow, receivedAt: number = Number.POSITIVE_INFINITY): Learned {
    if (row.time < this.watermark - this.limits.latenessMs) {
      this.counts.tooLate++;
      return "too-late";
    }
    if (!row.unasked && this.ids.has(row.id)) {
      this.counts.duplicates++;
      return "duplicate";
    }
    this.advance(reachOf(row.time, receivedAt));
    if (!row.unasked) this.ids.add(row.id);
    this.fillHops(row);
    const { learning } = this;
    learning.time = row.time;
    learning.watermark = this.watermark;
    for (let s = 0; s < this.tables.length; s++) {
      if (row.slots[s] === SLOT_MISSING) continue;
      if (row.slots[s] === SLOT_UNKNOWN) row.slots[s] = this.tables[s].create(row.texts[s], row.time, this.watermark);
      learning.values = this.seriesValues(s, row);
      this.tables[s].learn(row.slots[s], learning);
    }
    this.counts.learned++;
    return "learned";
  }

  /** False only if a label of the row's transaction certainly changes nothing. A genuine one may remove a fraud of the same key. */
  mayChange(row: EventRow, fraud: boolean): boolean {
    if (fraud) return true;
    for (let s = 0; s < this.tables.length; s++) {
      if (row.slots[s] !== SLOT_MISSING && this.tables[s].holdsFraud(row.slots[s])) return true;
    }
    return false;
  }

  /** `idHash` is the row's id hashed already; without it, its `id` is. Of its numbers only those at `labelledAt` are read. */
  learnLabelRow(
    row: EventRow,
    label: { readonly fraud: boolean; readonly knownAt: number; readonly idHash?: number },
  ): void {
    if (!this.mayChange(row, label.fraud)) {
      this.passLabelRow(row);
      return;
    }
    const knownAt = Math.max(label.knownAt, row.time + 1);
    const { fraud } = label;
    const entry = { time: row.time, knownAt, idHash: label.idHash ?? hashId(row.id), fraud, values: NO_VALUES };
    let reached = false;
    for (let s = 0; s < this.tables.length; s++) {
      const table = this.tables[s];
      const { frauds, genuine } = table.need;
      if (row.time <= this.watermark - table.retentionMs || row.slots[s] === SLOT_MISSING) continue;
      reached = true;
      const needed = label.fraud ? frauds : genuine;
      if (row.slots[s] === SLOT_UNKNOWN && needed) {
        row.slots[s] = table.create(row.texts[s], row.time, this.watermark);
      }
      if (row.slots[s] < 0) continue;
      // Most labels say genuine, and of those nothing more is kept.
      if (fraud) entry.values = this.labelledValues(s, row);
      table.learnLabel(row.slots[s], entry);
    }
    if (!reached) this.counts.labelsTooLate++;
  }

  /** Counts a label that changes nothing. */
  passLabelRow(row: EventRow): void {
    for (let s = 0; s < this.tables.length; s++) {
      if (row.slots[s] !== SLOT_MISSING && row.time > this.watermark - this.tables[s].retentionMs) return;
    }
    this.counts.labelsTooLate++;
  }

  private advance(time: number): void {
    if (time <= this.watermark) return;
    this.watermark = time;
    this.ids.advance(time);
  }

  /** What all keys have comes from memory together, before any of it is waited for. */
  private touchRow(row: EventRow): void {
    let sum = 0;
    for (let s = 0; s < this.tables.length; s++) sum += this.tables[s].touch(row.slots[s]);
    this.touched = sum;
  }

  /** Grows whenever a key comes or goes. */
  private changes(): number {
    let changes = 0;
    for (let s = 0; s < this.tables.length; s++) changes += this.tables[s].changes;
    return changes;
  }

  /** Valid until the next call for this series. */
  private labelledValues(series: number, row: EventRow): Float64Array<ArrayBuffer> {
    const values = this.labelledOf[series];
    const at = this.labelledAt[series];
    for (let i = 0; i < at.length; i++) values[i] = row.numbers[at[i]];
    return values;
  }

  /** What is known of the row's other keys, before the row itself is learned. */
  private fillHops(row: EventRow): void {
    for (let i = 0; i < this.hops.length; i++) {
      const { at, series, withinMs } = this.hops[i];
      const slot = row.slots[series];
      const { hopSpan } = this;
      hopSpan.after = row.time - withinMs;
      hopSpan.until = row.time;
      hopSpan.now = row.time;
      if (slot === SLOT_MISSING) row.numbers[at] = Number.NaN;
      else row.numbers[at] = slot === SLOT_UNKNOWN ? 0 : this.tables[series].frauds.count(slot, hopSpan);
    }
  }

  private seriesValues(series: number, row: EventRow): Float64Array {
    const values = this.valuesOf[series];
    const columns = this.columnsOf[series];
    for (let c = 0; c < columns.length; c++) values[c] = row.numbers[columns[c]];
    return values;
  }

  /** The transaction as a row. One that is read and then learned is looked up once: nobody changes a transaction (core/transaction.ts). */
  private rowOf(plan: FeaturePlan | null, tx: Transaction): EventRow {
    if (plan !== null) this.bind(plan);
    const { row } = this;
    const changes = this.changes();
    const isHeld = this.rowOfTx === tx && this.rowChanges === changes;
    const isWide = row.numbers.length === this.numbers.length && row.words.length === this.words.length;
    if (isHeld && isWide && row.roleSlots.length === this.roles.length) return row;
    this.rowOfTx = null;
    assert(Number.isFinite(tx.time), `transaction ${tx.id} has a time`);
    row.id = tx.id;
    row.time = Math.floor(tx.time);
    if (row.numbers.length !== this.numbers.length) row.numbers = new Float64Array(this.numbers.length);
    for (let i = 0; i < this.numbers.length; i++) {
      const of = this.identityOf[i];
      row.numbers[i] = of === null ? finiteNumber(tx.fields[this.numbers[i]]) : identityOf(fieldText(tx.fields[of]));
    }
    for (let i = 0; i < this.derived.length; i++) {
      row.numbers[this.derived[i].at] = this.derived[i].derived.ofTransaction(tx);
    }
    for (let i = 0; i < this.words.length; i++) row.words[i] = fieldText(tx.fields[this.words[i]]);
    for (let s = 0; s < this.tables.length; s++) {
      const text = keyText(this.tables[s].need.key, tx);
      row.texts[s] = text ?? "";
      row.slots[s] = text === null ? SLOT_MISSING : this.tables[s].find(text);
    }
    if (row.roleSlots.length !== this.roles.length) row.roleSlots = new Int32Array(this.roles.length);
    for (let r = 0; r < this.roles.length; r++) {
      const text = keyText(this.roles[r].key, tx);
      row.roleSlots[r] = text === null ? SLOT_MISSING : this.tables[this.roles[r].series].find(text);
    }
    this.touchRow(row);
    this.rowOfTx = tx;
    this.rowChanges = changes;
    return row;
  }
}

/** How far a transaction moves the clock of event time: to its own time, but never past its arrival. Whole ms. */
export function reachOf(time: number, receivedAt: number): number {
  return Math.floor(Math.min(time, receivedAt));
}

/** Where the features of a vector go: the first, and how far the next is from each. */
export interface Places {
  readonly at: number;
  readonly step: number;
}

const IN_A_ROW: Places = { at: 0, step: 1 };
const NO_VALUES = new Float64Array(0);

/** A plan's place in a state. */
export interface Binding {
  /** The state's series for each of the plan's keys. */
  readonly series: Int32Array;
  /** The state's role for each of the plan's keys, −1 for one that is read by itself; null where all are. */
  readonly roleOf: Int32Array | null;
  readonly places: readonly KeyPlace[];
  readonly numberOf: Int32Array;
  readonly wordOf: Int32Array;
  /** Scratch, reused so that a read allocates nothing: the kernel's where it has room for the plan's values. */
  readonly values: Float64Array;
  readonly unrounded: Float64Array;
  /** Of the steps of the row in the kernel; null where it cannot take them. */
  readonly rows: ProgramPlace | null;
  readonly texts: (string | null)[];
  readonly event: ReadEvent;
}

/** One text for one or two key values; null when one is missing. Lengths in front keep ("ab","c") and ("a","bc") apart. */
export function joinKey(parts: readonly (string | null)[]): string | null {
  if (parts.length === 1) return parts[0];
  let text = "";
  for (const part of parts) {
    if (part === null) return null;
    text += `${part.length}:${part}`;
  }
  return text;
}

/** Missing for everything but finite numbers. */
function finiteNumber(value: FieldValue | undefined): number {
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "number" && Number.isFinite(value) ? value : Number.NaN;
}

const FLOAT32_MAX = 3.4028234663852886e38;

/** The first `width` values as nearest Float32 numbers, kept finite, into out[at], out[at + step], … Four a turn: see window.ts. */
function writeFloat32(values: Float64Array, width: number, out: Float32Array, from: number, step: number): void {
  let at = from;
  let i = 0;
  for (; i + 3 < width; i += 4) {
    out[at] = finite32(values[i]);
    out[at + step] = finite32(values[i + 1]);
    out[at + 2 * step] = finite32(values[i + 2]);
    out[at + 3 * step] = finite32(values[i + 3]);
    at += 4 * step;
  }
  for (; i < width; i++) {
    out[at] = finite32(values[i]);
    at += step;
  }
}

function finite32(value: number): number {
  if (value > FLOAT32_MAX) return FLOAT32_MAX;
  return value < -FLOAT32_MAX ? -FLOAT32_MAX : value;
}

/** The text of a transaction's key; null when a column of it is missing. */
export function keyText(key: readonly string[], tx: Transaction): string | null {
  if (key.length === 1) return fieldText(tx.fields[key[0]]);
  return joinKey(key.map((column) => fieldText(tx.fields[column])));
}

function fieldText(value: FieldValue | undefined): string | null {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return String(value);
  return typeof value === "number" && !Number.isNaN(value) ? String(value) : null;
}

function bindPlan(plan: FeaturePlan, state: FeatureState): Binding {
  const at = plan.series.map((need) => state.layout.series.findIndex((kept) => keyId(kept.key) === keyId(need.key)));
  const places = plan.series.map((need, i): KeyPlace => {
    const table = state.tables[at[i]];
    const columnOf = Int32Array.from(need.columns, (name) => table.need.columns.indexOf(name));
    const labelledOf = Int32Array.from(need.labelled ?? [], (name) => (table.need.labelled ?? []).indexOf(name));
    return { table, slot: 0, columnOf, labelledOf, program: newProgramPlace() };
  });
  const kernel = readKernel();
  const isHeld = kernel.holds(plan.steps.values);
  return {
    series: Int32Array.from(at),
    roleOf: plan.steps.keys.every(({ readBy }) => readBy === null)
      ? null
      : Int32Array.from(plan.steps.keys, ({ readBy }, k) => (readBy === null ? -1 : state.roleIndex(at[k], readBy))),
    places,
    numberOf: Int32Array.from(plan.steps.columns, ({ column }) => state.numberIndex(column)),
    wordOf: Int32Array.from(plan.steps.texts, (column) => state.wordIndex(column)),
    values: isHeld ? kernel.values : new Float64Array(plan.steps.values),
    unrounded: new Float64Array(plan.steps.values),
    rows: isHeld && plan.steps.rows.plain ? newProgramPlace() : null,
    texts: plan.steps.texts.map(() => null),
    event: { time: 0, values: new Float64Array(0), learned: false, lateAt: Number.NEGATIVE_INFINITY },
  };
}
