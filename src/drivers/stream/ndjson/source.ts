// NDJSON as a stream: a file, the files of a folder, or standard input; each is a partition that is read by polling.
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { assert, SentinelError } from "../../../core/errors.ts";
import type { Assignment, Span, StreamRecord, StreamSource, SubscribeOptions } from "../../../ports/stream.ts";
import { fileError } from "./errors.ts";
import { FileLines, LineCutter } from "./lines.ts";
import { type GroupPositions, loadPositions, positionsFile, savePositions } from "./positions.ts";

/** Files of one folder; each is looked at at every poll. */
const FILES_MAX = 10_000;
const WAITING_MAX = 20_000;
/** How often files are looked at that had nothing new. */
const POLL_MS = 50;
/** How often a folder is looked at for new files. */
const FOLDER_MS = 1_000;

interface FilesInput extends SubscribeOptions {
  /** A file or a folder. */
  readonly input: string;
  /** Where positions are kept. */
  readonly folder: string;
}

/** Errors: stream.missing, stream.invalid. */
export async function openFiles(input: FilesInput): Promise<StreamSource> {
  const source = new FilesSource(input);
  await source.open();
  return source;
}

interface Part {
  readonly file: string;
  lines: FileLines | null;
  records: StreamRecord[];
}

class FilesSource implements StreamSource {
  readonly topic: string;
  private readonly input: FilesInput;
  /** Those that are there, by partition. */
  private readonly parts = new Map<number, Part>();
  private generation = 0;
  private isFolder = false;
  private folderAt = Number.NEGATIVE_INFINITY;

  constructor(input: FilesInput) {
    this.input = input;
    this.topic = input.topic;
  }

  async open(): Promise<void> {
    try {
      this.isFolder = (await stat(this.input.input)).isDirectory();
    } catch (error) {
      throw fileError(error, `read ${this.input.input}`);
    }
    await this.discover();
  }

  assignment(): Assignment {
    const partitions = [...this.parts.keys()].sort((a, b) => a - b);
    return { generation: this.generation, partitions, total: partitions.length };
  }

  async committed(): Promise<ReadonlyMap<number, number>> {
    const { positions } = await this.saved();
    return new Map(Object.entries(positions).map(([partition, position]) => [Number(partition), position]));
  }

  async spans(): Promise<ReadonlyMap<number, Span>> {
    const spans = new Map<number, Span>();
    for (const [partition, { file }] of this.parts) {
      const { size } = await stat(file).catch((error) => {
        throw fileError(error, `read ${file}`);
      });
      spans.set(partition, { begin: 0, end: size });
    }
    return spans;
  }

  start(partition: number, position: number): void {
    const part = this.partOf(partition);
    void part.lines?.close().catch(() => {});
    const { recordBytesMax: lineBytesMax, whole } = this.input;
    part.lines = new FileLines(part.file, position, { partition, lineBytesMax, whole });
    part.records = [];
  }

  take(partition: number): readonly StreamRecord[] {
    const part = this.partOf(partition);
    const { records } = part;
    part.records = [];
    return records;
  }

  readTo(partition: number): number {
    return this.partOf(partition).lines?.readTo ?? 0;
  }

  async arrived(waitMs: number): Promise<void> {
    const until = performance.now() + waitMs;
    for (;;) {
      if (this.isFolder && performance.now() - this.folderAt > FOLDER_MS && (await this.discover())) return;
      if (await this.readAll()) return;
      const left = until - performance.now();
      if (left <= 0) return;
      await new Promise((resolve) => setTimeout(resolve, Math.min(left, POLL_MS)));
    }
  }

  async close(): Promise<void> {
    for (const { lines } of this.parts.values()) await lines?.close();
  }

  /** One portion of each file that has room; whether any brought something. */
  private async readAll(): Promise<boolean> {
    let came = false;
    for (const part of this.parts.values()) {
      if (part.lines === null || part.records.length >= WAITING_MAX) continue;
      const records = await part.lines.read();
      for (const record of records) part.records.push(record);
      came ||= records.length > 0;
    }
    return came;
  }

  /** True when there are files that were not read so far: they are numbered for ever before a line of them is read. */
  private async discover(): Promise<boolean> {
    const { input, folder } = this.input;
    this.folderAt = performance.now();
    const found = this.isFolder
      ? (await readdir(input)).filter((name) => name.endsWith(".ndjson") && !name.startsWith(".")).sort()
      : [""];
    const saved = await this.saved();
    const files = [...saved.files];
    let isNew = false;
    for (const name of found) {
      const file = path.join(input, name);
      const relative = path.relative(folder, path.resolve(file));
      const known = files.indexOf(relative);
      const partition = known < 0 ? files.push(relative) - 1 : known;
      if (this.parts.has(partition)) continue;
      this.parts.set(partition, { file, lines: null, records: [] });
      isNew = true;
    }
    if (files.length > FILES_MAX) {
      throw new SentinelError("stream.invalid", `more than ${FILES_MAX} files of ${input} were streamed`, {
        hint: "stream another folder: files that are done with stay known in this one",
      });
    }
    if (files.length > saved.files.length) {
      await savePositions(positionsFile(folder, this.input), { ...saved, files });
    }
    if (isNew) this.generation++;
    return isNew;
  }

  private partOf(partition: number): Part {
    const part = this.parts.get(partition);
    assert(part !== undefined, `partition ${partition} is there`);
    return part;
  }

  private saved(): Promise<GroupPositions> {
    return loadPositions(positionsFile(this.input.folder, this.input));
  }
}

/** Lines of a pipe: one partition that can be read once. */
export function openPipe(input: SubscribeOptions & { readonly pipe: Readable }): StreamSource {
  const { topic, pipe, recordBytesMax: lineBytesMax } = input;
  const cutter = new LineCutter(0, { partition: 0, lineBytesMax, whole: true });
  let records: StreamRecord[] = [];
  let wake: (() => void) | null = null;
  let ended = false;
  let fault: SentinelError | null = null;
  const came = (more: readonly StreamRecord[]): void => {
    for (const record of more) records.push(record);
    if (records.length >= WAITING_MAX) pipe.pause();
    wake?.();
  };
  pipe.on("data", (bytes: Uint8Array) => came(cutter.push(bytes)));
  pipe.on("end", () => {
    came(cutter.finish());
    ended = true;
  });
  pipe.on("error", (error) => {
    fault = fileError(error, "read standard input");
    wake?.();
  });
  return {
    topic,
    assignment: () => ({ generation: 1, partitions: [0], total: 1 }),
    committed: async () => new Map(),
    // Its end is known once it has come.
    spans: async () => new Map([[0, { begin: 0, end: ended ? cutter.position : Number.MAX_SAFE_INTEGER }]]),
    start() {},
    take() {
      const all = records;
      records = [];
      pipe.resume();
      return all;
    },
    readTo: () => (ended && records.length === 0 ? Number.MAX_SAFE_INTEGER : cutter.position),
    async arrived(waitMs) {
      if (records.length === 0 && fault === null) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, waitMs);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        wake = null;
      }
      if (fault !== null) throw fault;
    },
    async close() {
      pipe.pause();
    },
  };
}
