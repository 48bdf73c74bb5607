// Snapshots of a feature state: header as JSON, runs as raw numbers, SHA-256 at the end.
import { messageOf, SentinelError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import type { KeyTable } from "./key-table.ts";
import type { StateLimits } from "./limits.ts";
import type { StateLayout } from "./plan.ts";
import type { RecentIds, RecentIdsDump } from "./recent-ids.ts";
import type { Timelines } from "./timelines.ts";

/** "SFS1" read as a little-endian number. */
const MAGIC = 0x31534653;
const HASH_BYTES = 32;

interface Counts {
  learned: number;
  duplicates: number;
  tooLate: number;
  labelsTooLate: number;
}

/** The parts of a state that a snapshot holds. */
export interface Snapshotable {
  readonly layout: StateLayout;
  readonly limits: StateLimits;
  readonly tables: readonly KeyTable[];
  readonly ids: RecentIds;
  readonly counts: Counts;
  watermark: number;
}

interface Header {
  readonly layout: StateLayout;
  readonly limits: StateLimits;
  readonly watermark: number | null;
  readonly counts: Counts;
  readonly ids: RecentIdsDump;
  readonly tables: readonly { readonly sweepAt: number; readonly evicted: number; readonly keys: readonly string[] }[];
}

/** Magic, header length, header, padding to 8, then per table: newest times, and per run its lengths and entries. */
export function writeSnapshot(state: Snapshotable): Uint8Array {
  const entries = state.tables.map((table) => [...table.entries()]);
  const header: Header = {
    layout: state.layout,
    limits: state.limits,
    watermark: Number.isFinite(state.watermark) ? state.watermark : null,
    counts: state.counts,
    ids: state.ids.dump(),
    tables: state.tables.map((table, t) => ({ ...table.dump(), keys: entries[t].map(({ text }) => text) })),
  };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = align(8 + json.length);
  const numbers = state.tables.reduce((sum, table, t) => sum + numbersOf(table, entries[t].length), 0);
  const bytes = new Uint8Array(start + numbers * 8 + HASH_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, json.length, true);
  bytes.set(json, 8);
  const body = new Float64Array(bytes.buffer, start, numbers);
  let at = 0;
  state.tables.forEach((table, t) => {
    for (const { newest } of entries[t]) body[at++] = newest;
    for (const run of table.runs()) at = writeRun(run, entries[t], { body, at });
  });
  bytes.set(hashOf(bytes), bytes.length - HASH_BYTES);
  return bytes;
}

/** The state in `bytes`, filled into what `make` returns. Throws `state.corrupt` when anything does not fit. */
export function readSnapshot<T extends Snapshotable>(
  bytes: Uint8Array,
  make: (layout: StateLayout, limits: StateLimits) => T,
): T {
  if (bytes.length < 8 + HASH_BYTES) throw corrupt("is too short");
  if (Buffer.compare(hashOf(bytes), bytes.subarray(bytes.length - HASH_BYTES)) !== 0)
    throw corrupt("fails its checksum");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(0, true) !== MAGIC) throw corrupt("is of another kind or version");
  const length = view.getUint32(4, true);
  try {
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Header;
    const state = make(header.layout, header.limits);
    // A copy, since the bytes may start anywhere.
    const body = new Float64Array(bytes.slice(align(8 + length), bytes.length - HASH_BYTES).buffer);
    fillState(state, header, body);
    return state;
  } catch (error) {
    throw corrupt(`cannot be read (${messageOf(error)})`, error);
  }
}

function fillState(state: Snapshotable, header: Header, body: Float64Array): void {
  state.watermark = header.watermark ?? Number.NEGATIVE_INFINITY;
  Object.assign(state.counts, header.counts);
  state.ids.load(header.ids);
  let at = 0;
  state.tables.forEach((table, t) => {
    const { keys } = header.tables[t];
    table.load({ sweepAt: Number.POSITIVE_INFINITY, evicted: 0 });
    const slots = keys.map((text) => table.create(text, body[at++], state.watermark));
    for (const run of table.runs()) at = readRun(run, slots, { body, at });
    table.load(header.tables[t]);
  });
}

function numbersOf(table: KeyTable, keys: number): number {
  return table.runs().reduce((sum, run) => sum + keys + run.entries * (1 + run.width), keys);
}

interface Cursor {
  readonly body: Float64Array;
  readonly at: number;
}

function writeRun(run: Timelines, keys: readonly { readonly slot: number }[], cursor: Cursor): number {
  const { body } = cursor;
  let { at } = cursor;
  for (const { slot } of keys) {
    const length = run.length(slot);
    body[at++] = length;
    if (length === 0) continue;
    const begin = run.begin(slot);
    const { times, columns } = run.page(slot);
    const origin = run.origin(slot);
    for (let i = begin; i < begin + length; i++) body[at++] = origin + times[i];
    for (const values of columns) {
      for (let i = begin; i < begin + length; i++) body[at++] = values[i];
    }
  }
  return at;
}

function readRun(run: Timelines, slots: readonly number[], cursor: Cursor): number {
  const { body } = cursor;
  let { at } = cursor;
  for (const slot of slots) {
    const length = body[at++];
    if (length === 0) continue;
    const begin = run.fill(slot, length, body[at]);
    const { times, columns } = run.page(slot);
    const origin = run.origin(slot);
    for (let i = begin; i < begin + length; i++) times[i] = body[at++] - origin;
    for (const values of columns) {
      for (let i = begin; i < begin + length; i++) values[i] = body[at++];
    }
  }
  return at;
}

function hashOf(bytes: Uint8Array): Uint8Array {
  return Buffer.from(sha256(bytes.subarray(0, bytes.length - HASH_BYTES)), "hex");
}

function align(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function corrupt(what: string, cause?: unknown): SentinelError {
  return new SentinelError("state.corrupt", `the feature state's snapshot ${what}`, {
    hint: "delete it and replay the history, or restore an older snapshot",
    cause,
  });
}
