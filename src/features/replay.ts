// Replay: the vectors of a whole table, or of a log, by driving the feature state through them in order.
import { assert, SentinelError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import type { Column, Table } from "../core/table.ts";
import { allDifferent, numberAt, orderBy, textAt } from "../core/table.ts";
import type { FeaturePlan } from "./plan.ts";
import { compileSpec, layoutOf } from "./plan.ts";
import { RowSource } from "./row-source.ts";
import type { FeatureSpec } from "./spec.ts";
import type { Places } from "./state.ts";
import { EventRow, FeatureState } from "./state.ts";

/** Rows whose keys are brought into the cache at once. More would push each other out of the first level. */
const AHEAD_ROWS = 4;
/** How often progress is reported. */
const PROGRESS_ROWS = 65_536;

export interface ReplayInput {
  /** A spec, or a plan already compiled. */
  readonly spec: FeatureSpec | FeaturePlan;
  readonly table: Table;
  /** Columns of the table; `label` holds 1 for fraud, 0 for genuine, missing for not known; features name their own columns. */
  readonly columns: {
    readonly id: string;
    readonly time: string;
    readonly label?: string;
    /** When a label became known; without it, time + labelDelayMs. */
    readonly labelKnownAt?: string;
  };
  readonly labelDelayMs: number;
  /** A state to go on with; a new one when absent. */
  readonly state?: FeatureState;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface ReplayResult {
  /** Column-major: feature c of row r is values[c * rows + r], rows as in the table. */
  readonly values: Float32Array;
  readonly names: readonly string[];
  readonly rows: number;
  /** The state after the last row; labels known later than that are learned as well, for the reads to come. */
  readonly state: FeatureState;
}

/**
 * The vector of every row as it would have been online: rows in time order (ties in row order), each read before it is learned, each label
 * learned at the moment it became known, before transactions of that instant. Errors: dataset.columns-missing, dataset.type-wrong.
 */
export function replay(input: ReplayInput): ReplayResult {
  const run = new Run(input);
  const { plan, state, order } = run;
  const { rows } = input.table;
  const values = new Float32Array(plan.width * rows);
  const places = { at: 0, step: rows };
  for (let i = 0; i < order.length; i++) {
    places.at = order[i];
    run.next(values, places);
  }
  run.end();
  return { values, names: plan.names, rows, state };
}

/** Vectors of consecutive rows in time order; valid until the next block is asked for. */
export interface VectorBlock {
  /** Their places in the table. */
  readonly rows: Int32Array;
  /** Column-major: feature c of rows[i] is vectors[i + c × step]. */
  readonly vectors: Float32Array;
  readonly step: number;
}

/** Columns as long as a power of two would push each other out of the cache. */
const BLOCK_PADDING = 24;

/** As {@link replay}, for tables whose vectors do not fit into memory: block after block in time order. */
export function* replayBlocks(
  input: ReplayInput,
  { blockRows }: { readonly blockRows: number },
): Generator<VectorBlock, void, undefined> {
  const run = new Run(input);
  const step = blockRows + BLOCK_PADDING;
  const vectors = new Float32Array(run.plan.width * step);
  const places = { at: 0, step };
  for (let from = 0; from < run.order.length; from += blockRows) {
    const rows = run.order.subarray(from, from + blockRows);
    for (let i = 0; i < rows.length; i++) {
      places.at = i;
      run.next(vectors, places);
    }
    yield { rows, vectors, step };
  }
  run.end();
}

/**
 * As {@link replay}, row after row in time order: `visit` gets the row's place and its values, unrounded, the plan's features first, before
 * the row is learned. They are overwritten by the next row's. Gives the state after the last row.
 */
export function replayRows(input: ReplayInput, visit: (row: number, values: Float64Array) => void): FeatureState {
  const run = new Run(input);
  const { state, plan, order } = run;
  const vector = new Float32Array(plan.width);
  const places = { at: 0, step: 1 };
  for (let i = 0; i < order.length; i++) run.next(vector, places, visit);
  run.end();
  return state;
}

/** A table on its way through a state, row by row. */
class Run {
  readonly plan: FeaturePlan;
  readonly state: FeatureState;
  /** The table's rows in time order. */
  readonly order: Int32Array;
  private done = 0;
  private readonly times: Float64Array;
  private readonly ids: Column;
  private readonly source: RowSource;
  private readonly labels: Labels;
  /** The first row whose id the state learns. */
  private readonly askedFrom: number;
  private readonly row: EventRow;
  private readonly labelRow: EventRow;
  private readonly label = { fraud: false, knownAt: 0 };
  private readonly onProgress: ReplayInput["onProgress"];
  /** Kept, so that what only reads is not left out as useless. */
  touched = 0;

  constructor(input: ReplayInput) {
    const { table, columns, spec } = input;
    this.plan = "steps" in spec ? spec : compileSpec(spec);
    this.state = input.state ?? new FeatureState(layoutOf([this.plan]));
    this.state.bind(this.plan);
    this.times = timesOf(table, columns.time);
    this.ids = columnOf(table, columns.id);
    this.source = new RowSource(this.state, table, { columnOf, times: this.times });
    this.labels = labelsOf(input, this.times);
    this.order = orderBy(this.times);
    this.askedFrom = firstAsked(this.state, { ids: this.ids, times: this.times, order: this.order });
    this.row = new EventRow(this.state.tables.length);
    this.labelRow = new EventRow(this.state.tables.length);
    this.onProgress = input.onProgress;
  }

  /** Reads the next row, then learns it. */
  next(out: Float32Array, places: Places, visit?: (row: number, values: Float64Array) => void): void {
    const { row, state, source } = this;
    if (this.done % AHEAD_ROWS === 0) this.touchAhead();
    const at = this.order[this.done];
    row.time = Math.floor(this.times[at]);
    this.learnLabelsUntil(row.time);
    row.unasked = this.done < this.askedFrom;
    if (!row.unasked) row.id = textAt(this.ids, at) ?? "";
    source.fill(row, at);
    state.readRow(this.plan, row, out, places);
    visit?.(at, state.unrounded(this.plan));
    state.learnRow(row);
    source.keep(row, at);
    if (++this.done % PROGRESS_ROWS === 0) this.onProgress?.(this.done, this.order.length);
  }

  private touchAhead(): void {
    const end = Math.min(this.order.length, this.done + AHEAD_ROWS);
    let sum = 0;
    for (let i = this.done; i < end; i++) sum += this.source.touch(this.order[i]);
    this.touched = sum;
  }

  /** Learns the labels that became known after the last row. */
  end(): void {
    this.learnLabelsUntil(Number.POSITIVE_INFINITY);
    this.onProgress?.(this.done, this.order.length);
  }

  private learnLabelsUntil(now: number): void {
    const { labels } = this;
    while (labels.next < labels.order.length && labels.knownAt[labels.order[labels.next]] <= now) {
      this.learnLabel(labels.order[labels.next++]);
    }
  }

  private learnLabel(at: number): void {
    const { labelRow, label, labels, source, state } = this;
    labelRow.time = Math.floor(this.times[at]);
    source.fillKeys(labelRow, at);
    label.fraud = labels.fraud[at] === 1;
    // Most labels are genuine and change nothing: their id need not be written out.
    if (!state.mayChange(labelRow, label.fraud)) {
      state.passLabelRow(labelRow);
      return;
    }
    label.knownAt = labels.knownAt[at];
    labelRow.id = textAt(this.ids, at) ?? "";
    if (label.fraud) source.fillLabelled(labelRow, at);
    state.learnLabelRow(labelRow, label);
    source.keep(labelRow, at);
  }
}

/**
 * From which row on, in order, the state must learn the ids. In a table whose ids are all different a new state finds none of them, and in the
 * end it remembers only the youngest: what is written out and looked up for the others would be for nothing.
 */
function firstAsked(
  state: FeatureState,
  table: { readonly ids: Column; readonly times: Float64Array; readonly order: Int32Array },
): number {
  const { ids, times, order } = table;
  if (order.length === 0 || Number.isFinite(state.watermark) || state.ids.size > 0) return 0;
  if (!state.ids.holdsAll(times, order) || !allDifferent(ids)) return 0;
  const heldFrom = state.ids.heldFrom(Math.floor(times[order[order.length - 1]]));
  let from = order.length;
  while (from > 0 && times[order[from - 1]] >= heldFrom) from--;
  return from;
}

/** `order`: rows whose label becomes known, in that order; `fraud` is 1 or 0. */
export interface Labels {
  readonly order: Int32Array;
  readonly knownAt: Float64Array;
  readonly fraud: Float64Array;
  next: number;
}

/** Labelled rows in the order in which their labels became known. Errors: dataset.type-wrong, dataset.columns-missing. */
export function labelsOf(input: Pick<ReplayInput, "table" | "columns" | "labelDelayMs">, times: Float64Array): Labels {
  const { table, columns } = input;
  if (columns.label === undefined) {
    return { order: new Int32Array(0), knownAt: times, fraud: times, next: 0 };
  }
  const label = columnOf(table, columns.label);
  if (label.kind === "text") throw wrongType(columns.label, "holds text", "give 1 for fraud and 0 for genuine");
  const known = columns.labelKnownAt === undefined ? null : columnOf(table, columns.labelKnownAt);
  if (known?.kind === "text" && known.codes.some((code) => code >= 0))
    throw wrongType(columns.labelKnownAt!, "holds text", "give times, or nothing where it is not known");
  const knownAt = new Float64Array(table.rows);
  let labelled = 0;
  for (let r = 0; r < table.rows; r++) {
    if (Number.isNaN(label.values[r])) {
      knownAt[r] = Number.NaN;
      continue;
    }
    const given = known === null ? Number.NaN : numberAt(known, r);
    // A label whose moment nobody wrote down became known after the usual delay.
    knownAt[r] = Number.isNaN(given) ? Math.floor(times[r]) + input.labelDelayMs : given;
    labelled++;
  }
  // Missing ones sort last.
  return { order: orderBy(knownAt).subarray(0, labelled), knownAt, fraud: label.values, next: 0 };
}

/** A column's times, one per row. Errors: dataset.type-wrong, dataset.columns-missing. */
export function timesOf(table: Table, name: string): Float64Array {
  const column = columnOf(table, name);
  if (column.kind === "text") throw wrongType(name, "holds text", "give times, or milliseconds since 1970 UTC");
  const missing = column.values.findIndex((time) => !Number.isFinite(time));
  if (missing >= 0) throw wrongType(name, `has no time in row ${missing + 1}`, "drop rows without a time first");
  return column.values;
}

function columnOf(table: Table, name: string): Column {
  const column = table.columns.get(name);
  if (column !== undefined) {
    const length = column.kind === "text" ? column.codes.length : column.values.length;
    assert(length === table.rows, `column ${name} is as long as the table`);
    return column;
  }
  const near = nearestName(name, table.columns.keys());
  throw new SentinelError("dataset.columns-missing", `the table has no column ${name}`, {
    hint: `${near === null ? "" : `did you mean ${near}? `}it has: ${[...table.columns.keys()].join(", ")}`,
  });
}

function wrongType(column: string, what: string, hint: string): SentinelError {
  return new SentinelError("dataset.type-wrong", `column ${column} ${what}`, { hint });
}
