// A folder for what does not fit into memory while a table is judged: for this user alone, and gone afterwards.
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { PRIVATE_FILE_MODE } from "../../core/private.ts";
import type { Scratch } from "../../quality/tally-pool.ts";

/** Runs `work` with a scratch whose folder is made at the first write (0700, as mkdtemp makes it) and removed at the end, also after an error. */
export async function withScratch<T>(work: (scratch: Scratch) => Promise<T>): Promise<T> {
  let made: string | null = null;
  const folder = (): string => {
    made ??= mkdtempSync(path.join(tmpdir(), "sentinel-scratch-"));
    return made;
  };
  const place = (name: string): string => path.join(folder(), name);
  try {
    return await work({
      append: (name, bytes) => {
        try {
          appendFileSync(place(name), bytes, { mode: PRIVATE_FILE_MODE });
        } catch (cause) {
          throw new SentinelError("workspace.unwritable", `cannot write to ${tmpdir()}: ${messageOf(cause)}`, {
            hint: "counts of different values that do not fit into memory go there: make room, or name another folder with TMPDIR",
            cause,
          });
        }
      },
      read: (name) => {
        try {
          return readFileSync(place(name));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Uint8Array();
          throw error;
        }
      },
      remove: (name) => rmSync(place(name), { force: true }),
    });
  } finally {
    if (made !== null) rmSync(made, { recursive: true, force: true });
  }
}
