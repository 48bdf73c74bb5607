// One key's state as bytes: what a store outside the process keeps of it, and how it comes back.
import { SentinelError } from "../core/errors.ts";
import type { KeyTable } from "./key-table.ts";
import type { Timelines } from "./timelines.ts";

/** Changes whenever the layout of the bytes does. */
const FORMAT = 1;
/** Format and newest event time (64-bit float, little-endian, as all numbers here). */
const HEAD_BYTES = 9;
/** Where the newest event time stands, for a store that sweeps by it. */
export const NEWEST_AT = 1;
const LENGTH_BYTES = 4;
const ORIGIN_BYTES = 8;

/** All that the table knows of the key in `slot`: format, newest time, then each run's length, origin, times and columns. */
export function encodeKey(table: KeyTable, slot: number): Uint8Array {
  const runs = table.runs();
  const bytes = new Uint8Array(HEAD_BYTES + runs.reduce((sum, run) => sum + runBytes(run, slot), 0));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, FORMAT);
  view.setFloat64(NEWEST_AT, table.newestOf(slot), true);
  let at = HEAD_BYTES;
  for (const run of runs) at = writeRun(run, slot, { bytes, view, at });
  return bytes;
}

/** Puts a key into a table that has not got it; it answers and learns as where it came from. Gives its slot. Throws `state.corrupt`. */
export function decodeKey(table: KeyTable, text: string, bytes: Uint8Array): number {
  if (bytes.length < HEAD_BYTES || bytes[0] !== FORMAT) throw corrupt(text, "is of another format");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const newest = view.getFloat64(NEWEST_AT, true);
  const slot = table.create(text, newest, Number.NEGATIVE_INFINITY);
  let at = HEAD_BYTES;
  for (const run of table.runs()) at = readRun(run, slot, { bytes, view, at, text });
  if (at !== bytes.length) throw corrupt(text, "is longer than it says");
  return slot;
}

function runBytes(run: Timelines, slot: number): number {
  const length = run.length(slot);
  if (length === 0) return LENGTH_BYTES;
  return LENGTH_BYTES + ORIGIN_BYTES + length * (run.page(slot).times.BYTES_PER_ELEMENT + 8 * run.width);
}

interface Cursor {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly at: number;
}

function writeRun(run: Timelines, slot: number, cursor: Cursor): number {
  const { bytes, view } = cursor;
  const length = run.length(slot);
  view.setUint32(cursor.at, length, true);
  let at = cursor.at + LENGTH_BYTES;
  if (length === 0) return at;
  view.setFloat64(at, run.origin(slot), true);
  at += ORIGIN_BYTES;
  const begin = run.begin(slot);
  const { times, columns } = run.page(slot);
  for (const numbers of [times, ...columns]) {
    const part = bytesOf(numbers, begin, length);
    bytes.set(part, at);
    at += part.length;
  }
  return at;
}

function readRun(run: Timelines, slot: number, cursor: Cursor & { readonly text: string }): number {
  const { bytes, view, text } = cursor;
  let at = cursor.at + LENGTH_BYTES;
  if (at > bytes.length) throw corrupt(text, "is cut short");
  const length = view.getUint32(cursor.at, true);
  if (length === 0) return at;
  // Four bytes a time at the least: a length that lies is found before memory is taken for it.
  if (at + ORIGIN_BYTES + length * (4 + 8 * run.width) > bytes.length) throw corrupt(text, "is cut short");
  const begin = run.fill(slot, length, view.getFloat64(at, true));
  at += ORIGIN_BYTES;
  const { times, columns } = run.page(slot);
  for (const numbers of [times, ...columns]) {
    const part = bytesOf(numbers, begin, length);
    if (at + part.length > bytes.length) throw corrupt(text, "is cut short");
    part.set(bytes.subarray(at, at + part.length));
    at += part.length;
  }
  return at;
}

function bytesOf(numbers: Float64Array | Uint32Array, begin: number, length: number): Uint8Array {
  const { buffer, byteOffset, BYTES_PER_ELEMENT } = numbers;
  return new Uint8Array(buffer, byteOffset + begin * BYTES_PER_ELEMENT, length * BYTES_PER_ELEMENT);
}

function corrupt(text: string, what: string): SentinelError {
  return new SentinelError("state.corrupt", `the shared feature state of key ${JSON.stringify(text)} ${what}`, {
    hint: "another version of Sentinel may have written it; stop every server, empty that Redis database and start again",
  });
}
