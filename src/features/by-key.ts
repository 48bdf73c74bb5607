// By key: a plan as passes, one for each key, so that rows which are partitioned by a key are replayed apart and come to the same bits.
import { SentinelError } from "../core/errors.ts";
import type { Column, Table } from "../core/table.ts";
import { textAt } from "../core/table.ts";
import { SLOT_MISSING } from "./key-table.ts";
import { hashId } from "./labels.ts";
import type { StateLimits } from "./limits.ts";
import { carriedColumn, columnsOfPlan, type FeaturePlan, layoutOf } from "./plan.ts";
import { RowSource } from "./row-source.ts";
import { rowSteps } from "./row-steps.ts";
import { EventRow, FeatureState } from "./state.ts";

/** One pass over all rows. */
export interface KeyPass {
  /** The columns of its key; null for the only pass of a plan without keys. */
  readonly key: readonly string[] | null;
  /** Reads its key alone. The last one finishes the vector: what the passes before found are columns of its rows. */
  readonly plan: FeaturePlan;
  /** Columns of a transaction that it reads. */
  readonly inputs: readonly string[];
  /** Features that it finds, as places of the whole vector; all of them in the last pass. */
  readonly finds: Int32Array;
  readonly isLast: boolean;
}

/**
 * The passes of a plan in order. A row must go through all of them, and through each with all rows of its key in time order. Errors:
 * features.spec-invalid, where a feature looks for a key's history in other columns, or through another key: those rows are in another partition.
 */
export function keyPasses(plan: FeaturePlan): readonly KeyPass[] {
  const { steps, series } = plan;
  const role = steps.keys.find(({ readBy }) => readBy !== null);
  if (role !== undefined) {
    const name = plan.names[role.features[0]];
    throw new SentinelError(
      "features.spec-invalid",
      `feature ${name} looks for its key among the values of other columns, whose rows are in other partitions`,
      { hint: "an engine computes features of a row's own keys: leave `history` out, or compute on one machine" },
    );
  }
  const hop = plan.spec.features.find(({ kind }) => kind === "two-hops");
  if (hop !== undefined) {
    throw new SentinelError(
      "features.spec-invalid",
      `feature ${hop.name} counts known frauds of another key, whose rows are in other partitions`,
      { hint: "an engine computes features of a row's own keys: leave two hops out, or compute on one machine" },
    );
  }
  const all = Int32Array.from(plan.names, (_, feature) => feature);
  if (series.length === 0) return [{ key: null, plan, inputs: columnsOfPlan(plan), finds: all, isLast: true }];
  const last = series.length - 1;
  const foundBefore = steps.keys.slice(0, last).flatMap(({ features }) => [...features]);
  return series.map((one, s): KeyPass => {
    const isLast = s === last;
    const own = { keys: [steps.keys[s]], values: steps.values };
    const carried = foundBefore.map((feature) => ({ value: feature, column: carriedColumn(plan.names[feature]) }));
    const part: FeaturePlan = isLast
      ? { ...plan, series: [one], steps: { ...steps, ...own, columns: [...steps.columns, ...carried] } }
      : { ...plan, series: [one], names: [], width: 0, steps: { ...own, columns: [], texts: [], rows: rowSteps([]) } };
    const inputs = columnsOfPlan(part).filter((name) => !carried.some(({ column }) => column === name));
    return { key: one.key, plan: part, inputs, finds: isLast ? all : steps.keys[s].features, isLast };
  });
}

/** What a partition's state may take before its rows are too many for one process. */
export interface PartitionLimits {
  readonly stateBytesMax: number;
  readonly state?: Partial<StateLimits>;
}

/** Names of the columns that a partition's rows have besides their inputs. */
export const ROW_COLUMN = "\u0003row";
export const TIME_COLUMN = "\u0003time";
export const ID_COLUMN = "\u0003id";
export const LABEL_COLUMN = "\u0003label";
export const KNOWN_COLUMN = "\u0003known";

/**
 * One partition on its way through one pass: rows in time order, ties in the table's order, each read before it is learned, each label learned
 * at the moment it became known, before transactions of that instant; as {@link replay} does with all rows of a table. Ids are all different.
 */
export class PartitionReplay {
  readonly state: FeatureState;
  private readonly pass: KeyPass;
  private readonly limits: PartitionLimits;
  private readonly row: EventRow;
  private readonly labelRow: EventRow;
  private readonly label = { fraud: false, knownAt: 0, idHash: 0 };
  private readonly pending: PendingLabels;
  /** Where in a row the numbers stand that known frauds keep. */
  private readonly labelledAt: Int32Array;
  /** Number of the last row; −1 before the first. */
  lastRow = -1;
  private lastTime = Number.NEGATIVE_INFINITY;

  constructor(pass: KeyPass, limits: PartitionLimits) {
    this.pass = pass;
    this.limits = limits;
    this.state = new FeatureState(layoutOf([pass.plan]), limits.state);
    this.state.bind(pass.plan);
    this.row = new EventRow(this.state.tables.length);
    this.labelRow = new EventRow(this.state.tables.length);
    this.labelRow.numbers = new Float64Array(this.state.numbers.length);
    this.labelledAt = this.state.labelledAt[0] ?? new Int32Array(0);
    this.pending = new PendingLabels(this.labelledAt.length);
    this.row.unasked = true;
  }

  /**
   * Replays the next rows. `found[i]` gets the pass's i-th feature of every row: unrounded, or of the last pass the vector's Float32 numbers.
   * Errors: features.limit, naming the largest key, where the state takes more than it may.
   */
  next(table: Table, found: readonly Float64Array[]): void {
    const { state, row, pass } = this;
    const times = numbersOf(table, TIME_COLUMN);
    const rows = numbersOf(table, ROW_COLUMN);
    const known = numbersOf(table, KNOWN_COLUMN);
    const labels = numbersOf(table, LABEL_COLUMN);
    const ids = table.columns.get(ID_COLUMN)!;
    const source = new RowSource(state, table, { columnOf, times });
    const vector = new Float32Array(pass.plan.width);
    for (let at = 0; at < table.rows; at++) {
      this.checkOrder(times[at], rows[at]);
      row.time = Math.floor(times[at]);
      this.learnLabelsUntil(row.time);
      source.fill(row, at);
      state.readRow(pass.plan, row, vector);
      if (pass.isLast) for (let i = 0; i < vector.length; i++) found[i][at] = vector[i];
      else {
        const values = state.unrounded(pass.plan);
        for (let i = 0; i < pass.finds.length; i++) found[i][at] = values[pass.finds[i]];
      }
      state.learnRow(row);
      source.keep(row, at);
      if (!Number.isNaN(known[at]) && this.isAwaited(row)) {
        const idHash = hashId(textAt(ids, at) ?? "");
        this.pending.push({
          knownAt: known[at],
          row: rows[at],
          time: row.time,
          slot: row.slots[0],
          idHash,
          fraud: labels[at] === 1,
          values: Array.from(this.labelledAt, (place) => row.numbers[place]),
        });
      }
    }
    this.checkSize();
  }

  /** Learns the labels that became known after the last row: for reads to come. */
  end(): void {
    this.learnLabelsUntil(Number.POSITIVE_INFINITY);
  }

  /** Whether a label of the row can change anything: without the key, nothing is kept of it. */
  private isAwaited(row: EventRow): boolean {
    if (this.state.tables.length === 0 || row.slots[0] === SLOT_MISSING) return false;
    const { frauds, genuine } = this.state.tables[0].need;
    return frauds || genuine;
  }

  private learnLabelsUntil(now: number): void {
    const { pending, labelRow, label, state } = this;
    while (pending.size > 0 && pending.firstKnownAt <= now) {
      const one = pending.pop();
      labelRow.time = one.time;
      // Of a key that is forgotten, all transactions are past their retention, and so is the label.
      labelRow.slots[0] = one.slot;
      label.fraud = one.fraud;
      label.knownAt = one.knownAt;
      label.idHash = one.idHash;
      for (let v = 0; v < one.values.length; v++) labelRow.numbers[this.labelledAt[v]] = one.values[v];
      state.learnLabelRow(labelRow, label);
    }
  }

  private checkOrder(time: number, row: number): void {
    if (time > this.lastTime || (time === this.lastTime && row > this.lastRow)) {
      this.lastTime = time;
      this.lastRow = row;
      return;
    }
    throw new SentinelError("bug.unexpected", `data row ${row + 1} came after data row ${this.lastRow + 1}`, {
      hint: "the engine must hand over a partition sorted by time and row",
    });
  }

  private checkSize(): void {
    const { state, pending } = this;
    const stats = state.stats();
    const bytes = stats.bytes + pending.bytes;
    if (bytes <= this.limits.stateBytesMax && stats.keysEvicted === 0) return;
    const mib = (size: number): string => `${Math.ceil(size / 2 ** 20).toLocaleString("en")} MiB`;
    const key = (this.pass.key ?? []).join(" and ");
    const [table] = state.tables;
    let largest = { text: "", entries: -1 };
    for (const { text, slot } of table.entries()) {
      const entries = table.runs().reduce((sum, run) => sum + run.length(slot), 0);
      if (entries > largest.entries) largest = { text, entries };
    }
    const keys = stats.keys.toLocaleString("en");
    throw new SentinelError(
      "features.limit",
      `one partition of the key ${key} holds ${keys} keys in ${mib(bytes)}, the limit is ${mib(this.limits.stateBytesMax)}; its largest is ${JSON.stringify(largest.text.slice(0, 80))} with ${largest.entries.toLocaleString("en")} entries`,
      {
        hint: "cut the rows into more --partitions, so that each holds fewer keys; where one key alone is too large, give a process more by --state-memory",
      },
    );
  }
}

interface PendingLabel {
  readonly knownAt: number;
  readonly row: number;
  readonly time: number;
  readonly slot: number;
  readonly idHash: number;
  readonly fraud: boolean;
  /** What known frauds keep of the transaction. */
  readonly values: readonly number[];
}

/**
 * Labels that are not known yet, the next to become so first, ties by row: a heap (Williams 1964) over plain arrays, 37 bytes a label and 8 a value
 * that it keeps.
 */
class PendingLabels {
  size = 0;
  private room = 1024;
  private heap = new Int32Array(this.room);
  private knownAt = new Float64Array(this.room);
  private row = new Float64Array(this.room);
  private time = new Float64Array(this.room);
  private slot = new Int32Array(this.room);
  private idHash = new Uint32Array(this.room);
  private fraud = new Uint8Array(this.room);
  private readonly width: number;
  private values: Float64Array;

  constructor(width: number) {
    this.width = width;
    this.values = new Float64Array(this.room * width);
    for (let i = 0; i < this.room; i++) this.heap[i] = i;
  }

  get bytes(): number {
    return this.room * (37 + 8 * this.width);
  }

  get firstKnownAt(): number {
    return this.knownAt[this.heap[0]];
  }

  push(label: PendingLabel): void {
    if (this.size === this.room) this.grow();
    // Places that are free stand behind those in use.
    const place = this.heap[this.size];
    this.knownAt[place] = label.knownAt;
    this.row[place] = label.row;
    this.time[place] = label.time;
    this.slot[place] = label.slot;
    this.idHash[place] = label.idHash;
    this.fraud[place] = label.fraud ? 1 : 0;
    for (let v = 0; v < this.width; v++) this.values[place * this.width + v] = label.values[v];
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.isBefore(place, this.heap[parent])) break;
      this.heap[at] = this.heap[parent];
      at = parent;
    }
    this.heap[at] = place;
  }

  pop(): PendingLabel {
    const { heap } = this;
    const place = heap[0];
    this.size--;
    const moved = heap[this.size];
    heap[this.size] = place;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.size) break;
      if (child + 1 < this.size && this.isBefore(heap[child + 1], heap[child])) child++;
      if (!this.isBefore(heap[child], moved)) break;
      heap[at] = heap[child];
      at = child;
    }
    if (this.size > 0) heap[at] = moved;
    return {
      knownAt: this.knownAt[place],
      row: this.row[place],
      time: this.time[place],
      slot: this.slot[place],
      idHash: this.idHash[place],
      fraud: this.fraud[place] === 1,
      values: Array.from(this.values.subarray(place * this.width, (place + 1) * this.width)),
    };
  }

  private isBefore(a: number, b: number): boolean {
    return this.knownAt[a] < this.knownAt[b] || (this.knownAt[a] === this.knownAt[b] && this.row[a] < this.row[b]);
  }

  private grow(): void {
    const before = this.room;
    this.room *= 2;
    const longer = <T extends Float64Array | Int32Array | Uint32Array | Uint8Array>(made: T, old: T): T => {
      made.set(old);
      return made;
    };
    this.heap = longer(new Int32Array(this.room), this.heap);
    this.knownAt = longer(new Float64Array(this.room), this.knownAt);
    this.row = longer(new Float64Array(this.room), this.row);
    this.time = longer(new Float64Array(this.room), this.time);
    this.slot = longer(new Int32Array(this.room), this.slot);
    this.idHash = longer(new Uint32Array(this.room), this.idHash);
    this.fraud = longer(new Uint8Array(this.room), this.fraud);
    this.values = longer(new Float64Array(this.room * this.width), this.values);
    for (let i = before; i < this.room; i++) this.heap[i] = i;
  }
}

function numbersOf(table: Table, name: string): Float64Array {
  const column = columnOf(table, name);
  if (column.kind === "text")
    throw new SentinelError("bug.unexpected", `column ${name} holds texts`, { hint: "report it" });
  return column.values;
}

function columnOf(table: Table, name: string): Column {
  const column = table.columns.get(name);
  if (column !== undefined) return column;
  throw new SentinelError("bug.unexpected", `the rows of a partition have no column ${name}`, { hint: "report it" });
}
