// Service keys in one file that its owner alone may read; it appears whole or not at all.
import { readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { isKeyRecord, KEYS_MAX, type KeyRecord } from "../../core/key.ts";
import { PRIVATE_FILE_MODE } from "../../core/private.ts";
import type { KeyStore } from "../../ports/keys.ts";
import { makeFolder, syncFolder, writeDurably } from "./durable.ts";

const FORMAT = "sentinel-keys/1";

export function createFileKeys(options: { readonly file: string }): KeyStore {
  const { file } = options;
  /** A server reads the keys of each tenant every second: a file that nobody touched is not read again. */
  let last: { readonly mark: string; readonly keys: readonly KeyRecord[] } | null = null;
  return {
    async read() {
      let text: string;
      let mark: string;
      try {
        // Before the text is read: what is written meanwhile has another mark.
        mark = await markOf(file);
        if (last?.mark === mark) return last.keys;
        text = await readFile(file, "utf8");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
        throw unreadable(file, messageOf(error), error);
      }
      last = { mark, keys: keysIn(text, file) };
      return last.keys;
    },
    async write(keys) {
      const partial = `${file}.${process.pid}.tmp`;
      try {
        await makeFolder(path.dirname(file));
        await rm(partial, { force: true });
        await writeDurably(partial, `${JSON.stringify({ format: FORMAT, keys }, null, 2)}\n`, PRIVATE_FILE_MODE);
        await rename(partial, file);
        await syncFolder(path.dirname(file));
      } catch (cause) {
        await rm(partial, { force: true }).catch(() => {});
        throw new SentinelError("workspace.unwritable", `cannot write the keys ${file}: ${messageOf(cause)}`, {
          hint: "check that the folder exists, may be written to and has space left",
          cause,
        });
      }
    },
  };
}

/** Differs once a file was written: by us it is another file each time, by hand it has another time. */
async function markOf(file: string): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
  return [ino, size, mtimeNs, ctimeNs].join();
}

function keysIn(text: string, file: string): readonly KeyRecord[] {
  let parsed: { readonly format?: unknown; readonly keys?: unknown };
  try {
    parsed = JSON.parse(text) as typeof parsed;
  } catch (error) {
    throw unreadable(file, messageOf(error), error);
  }
  const keys = parsed?.format === FORMAT ? parsed.keys : null;
  if (!Array.isArray(keys) || keys.length > KEYS_MAX || !keys.every(isKeyRecord)) {
    throw unreadable(file, `it is no list of at most ${KEYS_MAX} keys of the format ${FORMAT}`, null);
  }
  return keys;
}

function unreadable(file: string, what: string, cause: unknown): SentinelError {
  return new SentinelError("config.invalid", `the keys in ${file} cannot be read: ${what}`, {
    hint: "put the file back from a copy, or remove it and make new keys with `sentinel keys add`",
    cause,
  });
}
