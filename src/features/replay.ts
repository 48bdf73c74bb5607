// Replay: the vectors of a whole table, or of a log, by driving the feature state through them in order.
import { assert, SentinelError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import type { Column, Table } from "../core/table.ts";
import { numberAt, orderBy, textAt } from "../core/table.ts";
import type { Transaction } from "../core/transaction.ts";
import type { FeaturePlan } from "./plan.ts";
import { compileSpec, layoutOf } from "./plan.ts";
import { RowSource } from "./row-source.ts";
import type { FeatureSpec } from "./spec.ts";
import { EventRow, FeatureState } from "./state.ts";

/** Rows computed before they are written out column by column; a block of a hundred features fits the second-level cache. */
const BLOCK_ROWS = 256;
/** How often progress is told. */
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
  const plan = planOf(input);
  const state = input.state ?? new FeatureState(layoutOf([plan]));
  const { rows } = input.table;
  const { width } = plan;
  const values = new Float32Array(width * rows);
  for (const block of replayBlocks({ ...input, spec: plan, state }, { blockRows: BLOCK_ROWS })) {
    for (let c = 0; c < width; c++) {
      const column = c * rows;
      for (let i = 0; i < block.rows.length; i++) values[column + block.rows[i]] = block.vectors[i * width + c];
    }
  }
  return { values, names: plan.names, rows, state };
}

/** Vectors of consecutive rows in time order; valid until the next block is asked for. */
export interface VectorBlock {
  /** Their places in the table. */
  readonly rows: Int32Array;
  /** Row-major: feature c of rows[i] is vectors[i * width + c]. */
  readonly vectors: Float32Array;
}

/** As {@link replay}, for tables whose vectors do not fit into memory: block after block in time order. */
export function* replayBlocks(
  input: ReplayInput,
  { blockRows }: { readonly blockRows: number },
): Generator<VectorBlock, void, undefined> {
  const plan = planOf(input);
  const state = input.state ?? new FeatureState(layoutOf([plan]));
  state.bind(plan);
  const { table } = input;
  const times = timesOf(table, input.columns.time);
  const ids = columnOf(table, input.columns.id);
  const source = new RowSource(state, table, columnOf);
  const labels = labelsOf(input, times);
  const vectors = new Float32Array(plan.width * blockRows);
  const vector = new Float32Array(plan.width);
  const row = new EventRow(state.tables.length);
  const labelRow = new EventRow(state.tables.length);
  const label = { fraud: false, knownAt: 0 };
  const learnLabelsUntil = (now: number): void => {
    while (labels.next < labels.order.length && labels.knownAt[labels.order[labels.next]] <= now) {
      const at = labels.order[labels.next++];
      labelRow.time = Math.floor(times[at]);
      source.fillKeys(labelRow, at);
      label.fraud = labels.fraud[at] === 1;
      label.knownAt = labels.knownAt[at];
      // Most labels are genuine and change nothing: their id need not be written out.
      labelRow.id = state.heeds(labelRow, label.fraud) ? (textAt(ids, at) ?? "") : "";
      state.learnLabelRow(labelRow, label);
      source.keep(labelRow, at);
    }
  };
  const order = orderBy(times);
  for (let from = 0; from < order.length; from += blockRows) {
    const rows = order.subarray(from, from + blockRows);
    for (let i = 0; i < rows.length; i++) {
      const at = rows[i];
      const time = Math.floor(times[at]);
      learnLabelsUntil(time);
      row.id = textAt(ids, at) ?? "";
      row.time = time;
      source.fill(row, at);
      state.readRow(plan, row, vector);
      vectors.set(vector, i * plan.width);
      state.learnRow(row);
      source.keep(row, at);
    }
    if (Math.floor((from + rows.length) / PROGRESS_ROWS) > Math.floor(from / PROGRESS_ROWS)) {
      input.onProgress?.(from + rows.length, order.length);
    }
    yield { rows, vectors };
  }
  learnLabelsUntil(Number.POSITIVE_INFINITY);
  input.onProgress?.(order.length, order.length);
}

function planOf({ spec }: ReplayInput): FeaturePlan {
  return "steps" in spec ? spec : compileSpec(spec);
}

/** One arrival: a transaction, or a label with the transaction that it is about. */
export type LogEvent =
  | { readonly kind: "transaction"; readonly transaction: Transaction }
  | { readonly kind: "label"; readonly transaction: Transaction; readonly fraud: boolean; readonly knownAt: number };

/** The vectors of a log's transactions in order of arrival: what the server that wrote the log must have seen. */
export async function* replayLog(input: {
  readonly plan: FeaturePlan;
  readonly events: AsyncIterable<LogEvent> | Iterable<LogEvent>;
  readonly state?: FeatureState;
}): AsyncGenerator<{ readonly transaction: Transaction; readonly vector: Float32Array }> {
  const { plan } = input;
  const state = input.state ?? new FeatureState(layoutOf([plan]));
  for await (const event of input.events) {
    if (event.kind === "label") {
      state.learnLabel(event);
      continue;
    }
    const { transaction } = event;
    const vector = new Float32Array(plan.width);
    state.read(plan, transaction, vector);
    state.learn(transaction);
    yield { transaction, vector };
  }
}

interface Labels {
  readonly order: Int32Array;
  readonly knownAt: Float64Array;
  readonly fraud: Float64Array;
  next: number;
}

/** Labelled rows in the order in which their labels became known. */
function labelsOf(input: ReplayInput, times: Float64Array): Labels {
  const { table, columns } = input;
  if (columns.label === undefined) {
    return { order: new Int32Array(0), knownAt: times, fraud: times, next: 0 };
  }
  const label = columnOf(table, columns.label);
  if (label.kind === "text") throw wrongType(columns.label, "holds text", "give 1 for fraud and 0 for genuine");
  const known = columns.labelKnownAt === undefined ? null : columnOf(table, columns.labelKnownAt);
  const knownAt = new Float64Array(table.rows);
  let labelled = 0;
  for (let r = 0; r < table.rows; r++) {
    const at = known === null ? Math.floor(times[r]) + input.labelDelayMs : numberAt(known, r);
    knownAt[r] = Number.isNaN(label.values[r]) ? Number.NaN : at;
    if (!Number.isNaN(knownAt[r])) labelled++;
  }
  // Missing ones sort last.
  return { order: orderBy(knownAt).subarray(0, labelled), knownAt, fraud: label.values, next: 0 };
}

function timesOf(table: Table, name: string): Float64Array {
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
