// The registry's errors in plain words: what SQLite and the file system say, and what to do about it.
import { messageOf, SentinelError } from "../core/errors.ts";

export function isBusy(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error));
}

/** An error of the file system: EACCES, EROFS, ENOSPC, ENOTDIR… */
export function isFileError(error: unknown): boolean {
  return /^E[A-Z]+$/.test(codeOf(error));
}

function codeOf(error: unknown): string {
  return String((error as { readonly code?: unknown }).code ?? "");
}

/** What SQLite, libsql or the file system said, as an error of the port. */
export function inPlainWords(
  cause: unknown,
  options: { readonly doing: "read" | "write"; readonly file: string; readonly waitedMs: number },
): SentinelError {
  const { doing, file, waitedMs } = options;
  const code = codeOf(cause);
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
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return new SentinelError("registry.corrupt", `${file} is no sound SQLite file: ${text}`, {
      hint: "restore it from a copy, or move it away to start an empty registry; journal.ndjson beside it keeps the journal",
      cause,
    });
  }
  // libsql names no code when it cannot open the file at all: it ends in SQLite's number 14.
  const closed =
    /^SQLITE_(READONLY|CANTOPEN|FULL|IOERR|PERM|AUTH)/.test(code) || /Unable to open connection/.test(text);
  if (closed || isFileError(cause)) {
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
