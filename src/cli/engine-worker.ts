// A process of a cluster: one partition of one stage after the other, frames from standard input to standard output; its errors are one line of JSON on standard error.
import { readFileSync, readSync, writeSync } from "node:fs";
import path from "node:path";
import { loadConfig } from "../config.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import { decodeFrame, encodeFrame, FRAME_BYTES_MAX, FRAME_LENGTH_BYTES } from "../core/frame.ts";
import type { Table } from "../core/table.ts";
import { type WorkerTask, workOn } from "../lifecycle/partitioned.ts";
import type { Dataset } from "../ports/dataset.ts";
import { openWorkspacePorts } from "../wiring.ts";
import { packageRoot } from "./package-root.ts";

const STDIN = 0;
const STDOUT = 1;
/** How long a pipe that is not ready is left alone. */
const WAIT_MS = 1;
const EXIT_BUG = 70;
/** The block that ends a partition. */
const END = new Uint8Array(0);

/** Blocks until the bytes are there: this process has nothing else to do. Null where the input ended before the first. */
function readBytes(count: number): Uint8Array | null {
  const bytes = new Uint8Array(count);
  let at = 0;
  while (at < count) {
    const read = tryPipe(() => readSync(STDIN, bytes, at, count - at, null));
    if (read === 0) {
      if (at === 0) return null;
      return cutOff();
    }
    at += read;
  }
  return bytes;
}

function writeBytes(bytes: Uint8Array): void {
  let at = 0;
  while (at < bytes.length) at += tryPipe(() => writeSync(STDOUT, bytes, at, bytes.length - at, null));
}

/** A pipe may be set not to block by whoever made it. */
function tryPipe(work: () => number): number {
  for (;;) {
    try {
      return work();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
    }
  }
}

/** The next block: empty where a partition ends, null where the input does. */
function readBlock(): Uint8Array | null {
  const head = readBytes(FRAME_LENGTH_BYTES);
  if (head === null) return null;
  const length = Number(new DataView(head.buffer).getBigUint64(0, true));
  if (length > FRAME_BYTES_MAX) {
    throw new SentinelError("engine.failed", `a frame of ${length} bytes was announced`, {
      hint: "something else writes to the pipe of this process",
    });
  }
  if (length === 0) return new Uint8Array(0);
  return readBytes(length) ?? cutOff();
}

function writeBlock(bytes: Uint8Array): void {
  const head = new Uint8Array(FRAME_LENGTH_BYTES);
  new DataView(head.buffer).setBigUint64(0, BigInt(bytes.length), true);
  writeBytes(head);
  writeBytes(bytes);
}

/**
 * The frames of one partition. Its end is a block of its own: where whoever sends is killed, the pipe ends too, and rows that came until then
 * must not pass for a whole partition.
 */
async function* framesIn(task: WorkerTask): AsyncGenerator<Table> {
  for (let block = readBlock(); block === null || block.length > 0; block = readBlock()) {
    yield decodeFrame(block ?? cutOff(), task.input);
  }
}

function cutOff(): never {
  throw new SentinelError("engine.failed", "the rows of a partition ended in the middle", {
    hint: "the process that sent them was ended; the engine tries the partition again",
  });
}

/** Partition after partition, as long as there are some: a process that has done one is quicker at the next. */
async function run(): Promise<void> {
  const { version } = JSON.parse(readFileSync(path.join(packageRoot(), "package.json"), "utf8")) as {
    readonly version: string;
  };
  // What is read and written stands in the task; the folder of an executor is no workspace.
  const config = loadConfig({ workspace: "." });
  const ports = openWorkspacePorts(config, { report: { line: () => {}, progress: () => {} } });
  try {
    const dataset = (): Promise<Dataset> => ports.common.dataset();
    for (let bytes = readBlock(); bytes !== null; bytes = readBlock()) {
      const task = JSON.parse(Buffer.from(bytes).toString("utf8")) as WorkerTask;
      const given = { frames: framesIn(task), dataset, packageVersion: version, workspace: config.workspace };
      for await (const table of workOn(task, given)) writeBlock(encodeFrame(table, task.output));
      writeBlock(END);
    }
  } finally {
    await ports.close();
  }
}

try {
  await run();
} catch (error) {
  // Spark went on without this process: the partition is computed elsewhere.
  if ((error as NodeJS.ErrnoException).code === "EPIPE") process.exit(EXIT_BUG);
  const known = error instanceof SentinelError;
  const { code, message, hint } = known
    ? error
    : { code: "bug.unexpected", message: messageOf(error), hint: "report it with the stack below" };
  process.stderr.write(`${JSON.stringify({ sentinel: { code, message, hint } })}\n`);
  if (!known && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
  process.exitCode = known ? error.kind.exit : EXIT_BUG;
}
