// What the file system says, as the stream port's errors.
import { messageOf, SentinelError } from "../../../core/errors.ts";

/** `what` says what was tried, such as "read data/stream/card.ndjson". */
export function fileError(error: unknown, what: string): SentinelError {
  if (error instanceof SentinelError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new SentinelError("stream.missing", `cannot ${what}: it is not there`, {
      hint: "name a file, a folder of .ndjson files, or - for standard input",
      cause: error,
    });
  }
  return new SentinelError("stream.unreachable", `cannot ${what}: ${messageOf(error)}`, {
    hint: "check the file's permissions and the disk's room; it is tried again",
    cause: error,
  });
}
