// Transactions in NDJSON files: lines are appended, then one renamed file says how long each output is; what is beyond is cut off at a start.
import { type FileHandle, open } from "node:fs/promises";
import path from "node:path";
import { assert } from "../../../core/errors.ts";
import { PRIVATE_FILE_MODE } from "../../../core/private.ts";
import type { OutRecord, StreamWriter, Transaction } from "../../../ports/stream.ts";
import { makeFolder, syncFolder } from "../../files/durable.ts";
import { fileError } from "./errors.ts";
import { type GroupPositions, loadPositions, NO_POSITIONS, positionsFile, savePositions } from "./positions.ts";

interface WriterInput {
  readonly folder: string;
  readonly id: string | null;
  readonly group: string;
  readonly topic: string;
}

/** One process at a time may write a group's outputs; the pipeline's lock sees to it. */
export class FilesWriter implements StreamWriter {
  private readonly input: WriterInput;
  private readonly handles = new Map<string, FileHandle>();
  private saved: GroupPositions = NO_POSITIONS;

  constructor(input: WriterInput) {
    this.input = input;
  }

  async takeOver(): Promise<void> {
    const { folder, id } = this.input;
    await this.close();
    try {
      await makeFolder(folder);
      if (id === null) return;
      this.saved = await loadPositions(positionsFile(folder, this.input));
      for (const [topic, length] of Object.entries(this.saved.lengths)) await this.cut(topic, length);
    } catch (error) {
      throw fileError(error, `write to ${folder}`);
    }
  }

  async commit({ outputs, positions }: Transaction): Promise<void> {
    const { folder, id } = this.input;
    try {
      const lengths: Record<string, number> = { ...this.saved.lengths };
      for (const [topic, records] of outputs) {
        if (records.length > 0) lengths[topic] = await this.append(topic, records);
      }
      if (id === null) {
        assert(positions.size === 0, "positions are committed by a writer with an id");
        return;
      }
      const file = positionsFile(folder, this.input);
      // The source adds files that it finds.
      const { files, positions: before } = await loadPositions(file);
      const saved = { ...this.saved, files, positions: { ...before, ...Object.fromEntries(positions) }, lengths };
      await savePositions(file, saved);
      this.saved = saved;
    } catch (error) {
      throw fileError(error, `write to ${folder}`);
    }
  }

  async close(): Promise<void> {
    const handles = [...this.handles.values()];
    this.handles.clear();
    for (const handle of handles) await handle.close();
  }

  /** The file's length once the lines are on the disk. */
  private async append(topic: string, records: readonly OutRecord[]): Promise<number> {
    const handle = await this.handle(topic);
    const lines = records.map(({ value }) => `${typeof value === "string" ? value : Buffer.from(value).toString()}\n`);
    await handle.appendFile(lines.join(""));
    await handle.datasync();
    return (await handle.stat()).size;
  }

  private async handle(topic: string): Promise<FileHandle> {
    const known = this.handles.get(topic);
    if (known !== undefined) return known;
    const handle = await open(topicFile(this.input.folder, topic), "a", PRIVATE_FILE_MODE);
    await syncFolder(this.input.folder);
    this.handles.set(topic, handle);
    // Where a transaction of ours was never committed, nobody wrote down how long the file was: it began with ours.
    if (this.input.id !== null && this.saved.lengths[topic] === undefined) await this.note(topic, handle);
    return handle;
  }

  /** Writes down how long an output is before the first line of ours, so that a killed first transaction can be undone. */
  private async note(topic: string, handle: FileHandle): Promise<void> {
    const { size } = await handle.stat();
    const file = positionsFile(this.input.folder, this.input);
    const before = await loadPositions(file);
    this.saved = { ...before, lengths: { ...this.saved.lengths, [topic]: size } };
    await savePositions(file, this.saved);
  }

  private async cut(topic: string, length: number): Promise<void> {
    const handle = await open(topicFile(this.input.folder, topic), "a+", PRIVATE_FILE_MODE);
    try {
      if ((await handle.stat()).size > length) {
        await handle.truncate(length);
        await handle.datasync();
      }
    } finally {
      await handle.close();
    }
  }
}

export function topicFile(folder: string, topic: string): string {
  return path.join(folder, `${topic}.ndjson`);
}
