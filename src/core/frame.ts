// Frames: rows as one block of bytes, column after column as Arrow has them, for a pipe between two processes.
import { assert, SentinelError } from "./errors.ts";
import { type Column, codedText, type Table } from "./table.ts";

/** How a column's cells stand in a frame: 64-bit and 32-bit floats (missing is NaN), or texts. */
export type FrameType = "f64" | "f32" | "text";

/** A column of a frame; both ends know the columns, so that a frame holds cells alone. */
export interface FrameColumn {
  readonly name: string;
  readonly type: FrameType;
  /** What a table has of it; a number where nothing is said. */
  readonly kind?: Column["kind"];
  readonly boolean?: true;
}

/** In front of each frame: its bytes, as 64 bits, so that what follows is aligned. */
export const FRAME_LENGTH_BYTES = 8;
/** A frame of more bytes is no frame: somebody else writes to the pipe. */
export const FRAME_BYTES_MAX = 2 ** 31 - 1;

const MAGIC = 0x31524653;
const HEAD_BYTES = 16;
const COLUMN_HEAD_BYTES = 16;
const TYPE_CODES: Readonly<Record<FrameType, number>> = { f64: 0, f32: 1, text: 2 };

/** A table's columns as they go into frames: texts as texts, everything else as 64-bit floats. */
export function frameColumnsOf(table: Table): FrameColumn[] {
  return [...table.columns].map(([name, column]): FrameColumn => {
    if (column.kind === "text") return { name, type: "text", kind: "text" };
    const { kind } = column;
    return column.kind === "number" && column.boolean === true
      ? { name, type: "f64", kind, boolean: true }
      : { name, type: "f64", kind };
  });
}

/** The named columns of a table as one frame, without the length in front. Numbers of `f32` columns are rounded to the nearest. */
export function encodeFrame(table: Table, columns: readonly FrameColumn[]): Uint8Array {
  const texts = columns.map(({ name, type }) => (type === "text" ? textBytes(columnOf(table, name)) : null));
  let size = HEAD_BYTES;
  columns.forEach(({ type }, i) => {
    size += COLUMN_HEAD_BYTES + bodyBytes(type, table.rows, texts[i]);
  });
  const bytes = new Uint8Array(size);
  const words = new DataView(bytes.buffer);
  words.setUint32(0, MAGIC, true);
  words.setUint32(4, table.rows, true);
  words.setUint32(8, columns.length, true);
  let at = HEAD_BYTES;
  columns.forEach(({ name, type }, i) => {
    const text = texts[i];
    words.setUint32(at, TYPE_CODES[type], true);
    words.setUint32(at + 4, text === null || text.validity === null ? 0 : 1, true);
    words.setUint32(at + 8, text === null ? 0 : text.data.length, true);
    at += COLUMN_HEAD_BYTES;
    if (text === null) {
      const column = columnOf(table, name);
      assert(column.kind !== "text", `column ${name} holds numbers`);
      const { values } = column;
      if (type === "f64") new Float64Array(bytes.buffer, at, table.rows).set(values.subarray(0, table.rows));
      else new Float32Array(bytes.buffer, at, table.rows).set(values.subarray(0, table.rows));
    } else {
      let to = at;
      new Int32Array(bytes.buffer, to, table.rows + 1).set(text.offsets);
      to += padded((table.rows + 1) * 4);
      if (text.validity !== null) bytes.set(text.validity, to);
      if (text.validity !== null) to += padded(text.validity.length);
      bytes.set(text.data, to);
    }
    at += bodyBytes(type, table.rows, text);
  });
  return bytes;
}

/** The table of a frame. Errors: `bug.unexpected` where the bytes are no frame of these columns. */
export function decodeFrame(given: Uint8Array, columns: readonly FrameColumn[]): Table {
  // Numbers are seen where they stand, which needs them aligned.
  const bytes = given.byteOffset % 8 === 0 ? given : given.slice();
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEAD_BYTES || words.getUint32(0, true) !== MAGIC || words.getUint32(8, true) !== columns.length)
    throw noFrame(columns);
  const rows = words.getUint32(4, true);
  let at = HEAD_BYTES;
  const cells = new Map<string, Column>();
  for (const column of columns) {
    const { name, type, kind = type === "text" ? "text" : "number" } = column;
    if (at + COLUMN_HEAD_BYTES > bytes.length || words.getUint32(at, true) !== TYPE_CODES[type]) throw noFrame(columns);
    const hasGaps = words.getUint32(at + 4, true) === 1;
    const dataBytes = words.getUint32(at + 8, true);
    at += COLUMN_HEAD_BYTES;
    const size =
      type === "text"
        ? padded((rows + 1) * 4) + (hasGaps ? padded((rows + 7) >> 3) : 0) + padded(dataBytes)
        : padded(rows * (type === "f64" ? 8 : 4));
    if (at + size > bytes.length) throw noFrame(columns);
    const from = bytes.byteOffset + at;
    if (type === "text") {
      if (words.getInt32(at + rows * 4, true) !== dataBytes) throw noFrame(columns);
      cells.set(name, textColumn(bytes, { at, rows, hasGaps }));
    } else {
      const values =
        type === "f64"
          ? new Float64Array(bytes.buffer, from, rows)
          : Float64Array.from(new Float32Array(bytes.buffer, from, rows));
      if (kind === "time") cells.set(name, { kind, values });
      else if (column.boolean === true) cells.set(name, { kind: "number", values, boolean: true });
      else cells.set(name, { kind: "number", values });
    }
    at += size;
  }
  if (at !== bytes.length) throw noFrame(columns);
  return { rows, columns: cells };
}

function noFrame(columns: readonly FrameColumn[]): SentinelError {
  const names = columns.map(({ name, type }) => `${name} (${type})`).join(", ");
  return new SentinelError("bug.unexpected", `bytes came that are no frame of the columns ${names}`, {
    hint: "both ends of the pipe must be of one version of Sentinel: install the same one on every machine of the cluster",
  });
}

interface TextBytes {
  readonly offsets: Int32Array;
  /** A bit per row, the lowest first; null where no cell is missing. */
  readonly validity: Uint8Array | null;
  readonly data: Uint8Array;
}

function textBytes(column: Column): TextBytes {
  assert(column.kind === "text", "the column holds texts");
  const { codes, dictionary } = column;
  const offsets = new Int32Array(codes.length + 1);
  const used = new Map<number, Uint8Array>();
  let size = 0;
  let gaps = 0;
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row];
    if (code < 0) gaps++;
    else {
      let text = used.get(code);
      if (text === undefined) {
        text = Buffer.from(dictionary[code], "utf8");
        used.set(code, text);
      }
      size += text.length;
    }
    offsets[row + 1] = size;
  }
  const data = new Uint8Array(size);
  const validity = gaps === 0 ? null : new Uint8Array((codes.length + 7) >> 3);
  for (let row = 0; row < codes.length; row++) {
    if (codes[row] < 0) continue;
    data.set(used.get(codes[row])!, offsets[row]);
    if (validity !== null) validity[row >> 3] |= 1 << (row & 7);
  }
  return { offsets, validity, data };
}

function textColumn(
  bytes: Uint8Array,
  { at, rows, hasGaps }: { readonly at: number; readonly rows: number; readonly hasGaps: boolean },
): Column {
  const offsets = new Int32Array(bytes.buffer, bytes.byteOffset + at, rows + 1);
  const validityAt = at + padded((rows + 1) * 4);
  const dataAt = validityAt + (hasGaps ? padded((rows + 7) >> 3) : 0);
  const data = Buffer.from(bytes.buffer, bytes.byteOffset + dataAt, offsets[rows]);
  return codedText(rows, (row) => {
    if (hasGaps && (bytes[validityAt + (row >> 3)] & (1 << (row & 7))) === 0) return null;
    return data.toString("utf8", offsets[row], offsets[row + 1]);
  });
}

function bodyBytes(type: FrameType, rows: number, text: TextBytes | null): number {
  if (text === null) return padded(rows * (type === "f64" ? 8 : 4));
  return (
    padded((rows + 1) * 4) + (text.validity === null ? 0 : padded(text.validity.length)) + padded(text.data.length)
  );
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function columnOf(table: Table, name: string): Column {
  const column = table.columns.get(name);
  assert(column !== undefined, `the table has the column ${name}`);
  return column;
}
