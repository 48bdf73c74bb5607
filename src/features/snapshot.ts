// Snapshots of a feature state: header as JSON, runs as raw numbers, SHA-256 at the end.
import { createHash } from "node:crypto";
import { joined } from "../core/bytes.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import type { KeyTable, SlotWatch } from "./key-table.ts";
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

/** Numbers written between two pauses: 256 kB, a tenth of a millisecond. */
const SLICE_NUMBERS = 1 << 15;
/** Texts of the header between two pauses. */
const SLICE_TEXTS = 4096;

/**
 * The state as it is when the first step is taken, in parts that follow each other. It may go on learning between two steps: what is about to
 * change is written before it does (copy on write, by key). One at a time for a state; ending it early leaves the state as it was.
 *
 * Magic, header length, header, padding to 8, then per table: newest times, and per run its lengths and entries; SHA-256 of all.
 */
export function* snapshotInSlices(
  state: Snapshotable,
  sliceNumbers: number = SLICE_NUMBERS,
): Generator<undefined, readonly Uint8Array[]> {
  const numbers = state.tables.map((table) => numbersOf(table, table.keys));
  const body = new Float64Array(numbers.reduce((sum, count) => sum + count, 0));
  let from = 0;
  const writers = state.tables.map((table, t) => {
    const writer = new TableWriter(table, body, from);
    from += numbers[t];
    return writer;
  });
  const { layout, limits } = state;
  const watermark = Number.isFinite(state.watermark) ? state.watermark : null;
  const begun = JSON.stringify({ layout, limits, watermark, counts: state.counts });
  const ids = state.ids.content();
  const tables = state.tables.map((table) => table.dump());
  state.tables.forEach((table, t) => {
    table.watch = writers[t];
  });
  try {
    for (const writer of writers) yield* writer.rest(sliceNumbers);
  } finally {
    for (const table of state.tables) table.watch = null;
  }
  const texts: Uint8Array[] = [];
  const text = (json: string): void => void texts.push(ENCODER.encode(json));
  text(`${begun.slice(0, -1)},"ids":{"generation":${ids.generation},"forgotten":${ids.forgotten},"current":[`);
  yield* list(ids.current, ids.currentSize, text);
  text('],"previous":[');
  yield* list(ids.previous, ids.previous.size, text);
  text(']},"tables":[');
  for (const [t, writer] of writers.entries()) {
    text(`${t > 0 ? "," : ""}${JSON.stringify(tables[t]).slice(0, -1)},"keys":[`);
    yield* list(writer.texts, writer.texts.length, text);
    text("]}");
  }
  text("]}");
  const parts = [headOf(texts), new Uint8Array(body.buffer)];
  const hash = createHash("sha256");
  for (const part of parts) {
    for (let at = 0; at < part.length; at += SLICE_NUMBERS * 8) {
      hash.update(part.subarray(at, at + SLICE_NUMBERS * 8));
      yield;
    }
  }
  return [...parts, hash.digest()];
}

/** The same in one step. */
export function writeSnapshot(state: Snapshotable): Uint8Array {
  const slices = snapshotInSlices(state);
  for (;;) {
    const { done, value } = slices.next();
    if (done) return joined(value);
  }
}

/** One table on its way into a body: each key once, in its place, at the latest when it is about to change. */
class TableWriter implements SlotWatch {
  readonly texts: string[] = [];
  private readonly table: KeyTable;
  private readonly body: Float64Array;
  private readonly from: number;
  private readonly slots: Int32Array;
  /** Index of the key in a slot, until it is written; −1 afterwards, and for slots that came later. */
  private readonly indexOf: Int32Array;
  /** Per run, where each key's numbers begin. */
  private readonly places: readonly Float64Array[];

  constructor(table: KeyTable, body: Float64Array, from: number) {
    this.table = table;
    this.body = body;
    this.from = from;
    this.slots = new Int32Array(table.keys);
    let last = -1;
    for (const { text, slot } of table.entries()) {
      this.slots[this.texts.length] = slot;
      this.texts.push(text);
      last = Math.max(last, slot);
    }
    this.indexOf = new Int32Array(last + 1).fill(-1);
    for (let i = 0; i < this.slots.length; i++) this.indexOf[this.slots[i]] = i;
    let at = from + this.slots.length;
    this.places = table.runs().map((run) => {
      const places = new Float64Array(this.slots.length);
      for (let i = 0; i < places.length; i++) {
        places[i] = at;
        at += 1 + run.length(this.slots[i]) * (1 + run.width);
      }
      return places;
    });
  }

  beforeChange(slot: number): void {
    if (slot >= 0 && slot < this.indexOf.length && this.indexOf[slot] >= 0) this.write(this.indexOf[slot]);
  }

  /** Writes what is not written yet, with a pause after each slice. */
  *rest(sliceNumbers: number): Generator<undefined, void> {
    let written = 0;
    for (let i = 0; i < this.slots.length; i++) {
      if (this.indexOf[this.slots[i]] === i) written += this.write(i);
      if (written < sliceNumbers) continue;
      written = 0;
      yield;
    }
  }

  private write(index: number): number {
    const slot = this.slots[index];
    this.indexOf[slot] = -1;
    this.body[this.from + index] = this.table.newestOf(slot);
    let written = 1;
    this.table.runs().forEach((run, r) => {
      const at = this.places[r][index];
      written += writeRun(run, slot, { body: this.body, at }) - at;
    });
    return written;
  }
}

const ENCODER = new TextEncoder();

/** The first `count` of the texts as JSON without brackets, with a pause after each slice. */
function* list(texts: Iterable<string>, count: number, put: (json: string) => void): Generator<undefined, void> {
  let slice: string[] = [];
  let seen = 0;
  const flush = (): void => {
    put(`${seen > slice.length ? "," : ""}${JSON.stringify(slice).slice(1, -1)}`);
    slice = [];
  };
  for (const text of texts) {
    if (seen === count) break;
    slice.push(text);
    seen++;
    if (slice.length < SLICE_TEXTS) continue;
    flush();
    yield;
  }
  if (slice.length > 0) flush();
}

/** Magic, length, JSON, padding. */
function headOf(json: readonly Uint8Array[]): Uint8Array {
  const length = json.reduce((sum, piece) => sum + piece.length, 0);
  const head = new Uint8Array(8);
  const view = new DataView(head.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, length, true);
  return joined([head, ...json, new Uint8Array(align(8 + length) - 8 - length)]);
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

function writeRun(run: Timelines, slot: number, cursor: Cursor): number {
  const { body } = cursor;
  let { at } = cursor;
  const length = run.length(slot);
  body[at++] = length;
  if (length === 0) return at;
  const begin = run.begin(slot);
  const { times, columns } = run.page(slot);
  const origin = run.origin(slot);
  for (let i = begin; i < begin + length; i++) body[at++] = origin + times[i];
  for (const values of columns) {
    for (let i = begin; i < begin + length; i++) body[at++] = values[i];
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
