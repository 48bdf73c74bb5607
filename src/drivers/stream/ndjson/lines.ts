// Lines of a growing file or of a pipe, by their byte positions; a line that is not whole yet waits.
import { type FileHandle, open } from "node:fs/promises";
import { SentinelError } from "../../../core/errors.ts";
import type { StreamRecord } from "../../../ports/stream.ts";
import { fileError } from "./errors.ts";

const CHUNK_BYTES = 262_144;
const NEWLINE = 10;
const RETURN = 13;

export interface LinesOptions {
  readonly partition: number;
  readonly lineBytesMax: number;
  /** The last line needs no line break. */
  readonly whole: boolean;
}

/** Cuts bytes into lines. Empty lines are no records. */
export class LineCutter {
  /** Position of the first byte that is in no line yet. */
  position: number;
  private readonly options: LinesOptions;
  private rest: Uint8Array = new Uint8Array(0);
  /** Bytes of an overlong line that were dropped after its beginning. */
  private dropped = 0;

  constructor(position: number, options: LinesOptions) {
    this.position = position;
    this.options = options;
  }

  push(bytes: Uint8Array): StreamRecord[] {
    const records: StreamRecord[] = [];
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      this.keep(bytes.subarray(from, at));
      this.end(records, 1);
      from = at + 1;
    }
    this.keep(bytes.subarray(from));
    return records;
  }

  /** The end of the input: what is left is a line where the input is whole. */
  finish(): StreamRecord[] {
    const records: StreamRecord[] = [];
    if (this.options.whole && this.rest.length + this.dropped > 0) this.end(records, 0);
    return records;
  }

  /** Bytes that wait for the end of their line. */
  get pending(): number {
    return this.rest.length + this.dropped;
  }

  private keep(part: Uint8Array): void {
    const room = this.options.lineBytesMax - this.rest.length;
    const kept = part.subarray(0, Math.max(0, room));
    this.dropped += part.length - kept.length;
    if (kept.length === 0) return;
    // A copy: the chunk's memory is used again.
    const joined = new Uint8Array(this.rest.length + kept.length);
    joined.set(this.rest);
    joined.set(kept, this.rest.length);
    this.rest = joined;
  }

  private end(records: StreamRecord[], breakBytes: number): void {
    const { rest, dropped, position: offset } = this;
    const next = offset + rest.length + dropped + breakBytes;
    const line = rest.at(-1) === RETURN && dropped === 0 ? rest.subarray(0, -1) : rest;
    this.rest = new Uint8Array(0);
    this.dropped = 0;
    this.position = next;
    if (line.length === 0) return;
    const cut = dropped > 0 ? { cut: true as const } : {};
    records.push({ partition: this.options.partition, offset, next, timestamp: null, key: null, value: line, ...cut });
  }
}

/** Lines of a file from a position on; read again, it gives what was appended since. */
export class FileLines {
  private readonly file: string;
  private readonly options: LinesOptions;
  private cutter: LineCutter;
  private handle: FileHandle | null = null;
  private readonly chunk = new Uint8Array(CHUNK_BYTES);
  /** Where the next byte is read. */
  private readAt: number;
  private finished = false;

  constructor(file: string, position: number, options: LinesOptions) {
    this.file = file;
    this.options = options;
    this.cutter = new LineCutter(position, options);
    this.readAt = position;
  }

  /** Everything before it was given, or holds no record. */
  get readTo(): number {
    return this.cutter.position;
  }

  /** The next lines, of one portion of the file; empty at its end. Errors: stream.missing, stream.unreachable, stream.invalid. */
  async read(): Promise<StreamRecord[]> {
    try {
      this.handle ??= await open(this.file, "r");
      for (;;) {
        const { bytesRead } = await this.handle.read(this.chunk, 0, CHUNK_BYTES, this.readAt);
        if (bytesRead === 0) return await this.atEnd(this.handle);
        this.readAt += bytesRead;
        const records = this.cutter.push(this.chunk.subarray(0, bytesRead));
        if (records.length > 0) return records;
      }
    } catch (error) {
      throw fileError(error, `read ${this.file}`);
    }
  }

  async close(): Promise<void> {
    const { handle } = this;
    this.handle = null;
    await handle?.close();
  }

  private async atEnd(handle: FileHandle): Promise<StreamRecord[]> {
    const { size } = await handle.stat();
    if (size < this.readAt) {
      throw new SentinelError("stream.invalid", `${this.file} has ${size} bytes, and was read up to ${this.readAt}`, {
        hint: "a file that is streamed may only grow: give new lines a file of their own, in a folder",
      });
    }
    if (this.finished || !this.options.whole) return [];
    this.finished = true;
    return this.cutter.finish();
  }
}
