// The spool of a gateway: ledger entries as lines of a file, kept there while the ledger cannot take them.
import { constants, type FileHandle, open } from "node:fs/promises";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { PRIVATE_FILE_MODE } from "../../core/private.ts";
import type { LedgerEntry, LedgerSpool } from "../../ports/ledger.ts";

/** Read at once. */
const PIECE_BYTES = 1_048_576;
/** A longer line is no entry of ours. */
const LINE_BYTES_MAX = 8_388_608;

/**
 * Opens the spool, made when absent; what a killed process left there is kept, but for a last line that was not written to its end: nobody received
 * its answer. Errors: store.unwritable, store.unreadable.
 */
export async function openSpool(file: string): Promise<LedgerSpool> {
  const handle = await guarded(file, () => open(file, constants.O_RDWR | constants.O_CREAT, PRIVATE_FILE_MODE));
  let end = await guarded(file, () => lastLineEnd(handle));
  await guarded(file, () => handle.truncate(end));
  /** Before it, all is in the ledger. */
  let begin = 0;
  /** Bytes of the entries given last by `oldest`, one by one. */
  let given: readonly number[] = [];
  let last: Promise<unknown> = Promise.resolve();
  /** One at a time. */
  const next = <T>(work: () => Promise<T>): Promise<T> => {
    const doing = last.then(work, work);
    last = doing.catch(() => {});
    return doing;
  };
  return {
    get bytes() {
      return end - begin;
    },
    append: (entries) =>
      next(() =>
        guarded(file, async () => {
          const bytes = Buffer.from(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
          // A write that failed in the middle is written over by the next.
          for (let at = 0; at < bytes.length; ) {
            at += (await handle.write(bytes, at, bytes.length - at, end + at)).bytesWritten;
          }
          await handle.datasync();
          end += bytes.length;
        }),
      ),
    oldest: (limit) =>
      next(() =>
        guarded(file, async () => {
          const lines = await linesFrom(handle, { from: begin, to: end, limit });
          given = lines.map((line) => line.length + 1);
          return lines.map((line) => JSON.parse(line.toString("utf8")) as LedgerEntry);
        }),
      ),
    remove: (count) =>
      next(() =>
        guarded(file, async () => {
          for (const bytes of given.slice(0, count)) begin += bytes;
          given = [];
          if (begin < end) return;
          await handle.truncate(0);
          begin = 0;
          end = 0;
        }),
      ),
    close: () => next(() => handle.close()),
  };
}

async function guarded<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new SentinelError("store.unwritable", `the spool ${file} cannot be used: ${messageOf(error)}`, {
      hint: "make room on its disk and see that this user may write there; nothing that was acknowledged is lost",
      cause: error,
    });
  }
}

/** Behind the last line feed; what follows it was cut off. */
async function lastLineEnd(handle: FileHandle): Promise<number> {
  const { size } = await handle.stat();
  const piece = Buffer.alloc(PIECE_BYTES);
  for (let to = size; to > 0; ) {
    const from = Math.max(0, to - PIECE_BYTES);
    const { bytesRead } = await handle.read(piece, 0, to - from, from);
    const at = piece.subarray(0, bytesRead).lastIndexOf(10);
    if (at >= 0) return from + at + 1;
    to = from;
  }
  return 0;
}

async function linesFrom(
  handle: FileHandle,
  { from, to, limit }: { readonly from: number; readonly to: number; readonly limit: number },
): Promise<readonly Buffer[]> {
  const lines: Buffer[] = [];
  let rest = Buffer.alloc(0);
  for (let at = from; at < to && lines.length < limit; ) {
    const piece = Buffer.alloc(Math.min(PIECE_BYTES, to - at));
    const { bytesRead } = await handle.read(piece, 0, piece.length, at);
    if (bytesRead === 0) break;
    at += bytesRead;
    rest = Buffer.concat([rest, piece.subarray(0, bytesRead)]);
    for (let feed = rest.indexOf(10); feed >= 0 && lines.length < limit; feed = rest.indexOf(10)) {
      lines.push(rest.subarray(0, feed));
      rest = rest.subarray(feed + 1);
    }
    if (rest.length > LINE_BYTES_MAX) throw new Error("a line of it has no end");
  }
  return lines;
}
