// The registry's errors in plain words: what SQLite and the file system say, and what to do about it.
import { messageOf, SentinelError } from "../../../core/errors.ts";

/** SQLite's primary result codes (sqlite.org/rescode.html). */
const BUSY = [5, 6];
const DAMAGED = [11, 26];
/** PERM, READONLY, IOERR, FULL, CANTOPEN, AUTH. */
const CLOSED = [3, 8, 10, 13, 14, 23];

export function isBusy(error: unknown): boolean {
  return BUSY.includes(resultOf(error));
}

/** An error of the file system: EACCES, EROFS, ENOSPC, ENOTDIR… */
export function isFileError(error: unknown): boolean {
  return /^E[A-Z]+$/.test(String((error as { readonly code?: unknown }).code));
}

/** libsql gives the extended code, whose low byte is the primary one, but only a text when it cannot open the file. */
function resultOf(error: unknown): number {
  const { rawCode } = error as { readonly rawCode?: unknown };
  const [, opening] = /Unable to open connection to local database .*: (\d+)/.exec(messageOf(error)) ?? [];
  return Number(rawCode ?? opening ?? 0) & 0xff;
}

/** What SQLite, libsql or the file system said, as an error of the port. */
export function inPlainWords(
  cause: unknown,
  options: { readonly doing: "read" | "write"; readonly file: string; readonly waitedMs: number },
): SentinelError {
  const { doing, file, waitedMs } = options;
  const result = resultOf(cause);
  const text = messageOf(cause);
  if (isBusy(cause)) {
    return new SentinelError(
      "registry.unreachable",
      `${file} has been locked by another process for ${waitedMs / 1000} s`,
      {
        hint: "another `sentinel` or `mlflow` is writing to it; try again, or find who holds it open",
        cause,
      },
    );
  }
  if (DAMAGED.includes(result)) {
    return new SentinelError("registry.corrupt", `${file} is no sound SQLite file: ${text}`, {
      hint: "restore it from a copy, or move it away to start an empty registry; journal.ndjson beside it keeps the journal",
      cause,
    });
  }
  if (CLOSED.includes(result) || isFileError(cause)) {
    if (doing === "write") return unwritable(file, cause);
    return new SentinelError("registry.unreachable", `cannot read the registry ${file}: ${text}`, {
      hint: "check that the file may be read and its disk is there",
      cause,
    });
  }
  return new SentinelError("registry.corrupt", `${file} does not take our statements: ${text}`, {
    hint: "if MLflow has migrated it, use a newer Sentinel; otherwise please report this",
    cause,
  });
}

export function unwritable(place: string, cause: unknown): SentinelError {
  return new SentinelError("registry.unwritable", `cannot write to the registry ${place}: ${messageOf(cause)}`, {
    hint: "check that the folder may be written to and has space left, or name another by --workspace",
    cause,
  });
}
