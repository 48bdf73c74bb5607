// Snapshots as files of one folder: each appears whole or not at all.
import { readdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { PRIVATE_FILE_MODE } from "../../core/private.ts";
import type { SnapshotStore } from "../../ports/ports.ts";
import { makePrivateFolder, syncFolder, writeDurably } from "./durable.ts";
import { fateOf, ownerNow } from "./owner.ts";

const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;
/** A snapshot that is being written; the dot keeps it from being a name. */
const PARTIAL = /^\.(.+)\.(\d+)\.\d+\.tmp$/;

/** For their owner alone: a feature state holds customers' ids and amounts. Errors: workspace.unwritable when the folder takes no files; state.corrupt when a snapshot cannot be read. */
export function createFileSnapshots(options: { readonly dir: string }): SnapshotStore {
  const { dir } = options;
  let saves = 0;
  return {
    async save(name, bytes) {
      const file = fileOf(dir, name);
      const partial = path.join(dir, `.${name}.${process.pid}.${saves++}.tmp`);
      try {
        await makePrivateFolder(dir);
        await removeLeftovers(dir, name);
        await writeDurably(partial, bytes, PRIVATE_FILE_MODE);
        await rename(partial, file);
        await syncFolder(dir);
      } catch (cause) {
        await rm(partial, { force: true }).catch(() => {});
        throw new SentinelError("workspace.unwritable", `cannot write the snapshot ${file}: ${messageOf(cause)}`, {
          hint: "check that the folder exists, may be written to and has space left",
          cause,
        });
      }
    },
    async load(name) {
      const file = fileOf(dir, name);
      try {
        return new Uint8Array(await readFile(file));
      } catch (cause) {
        const { code } = cause as NodeJS.ErrnoException;
        if (code === "ENOENT" || code === "ENOTDIR") return null;
        throw new SentinelError("state.corrupt", `cannot read the snapshot ${file}: ${messageOf(cause)}`, {
          hint: "check the file's permissions; without it the state is rebuilt from history",
          cause,
        });
      }
    },
  };
}

function fileOf(dir: string, name: string): string {
  if (NAME.test(name)) return path.join(dir, name);
  throw new SentinelError("workspace.unwritable", `"${name.slice(0, 120)}" cannot name a snapshot`, {
    hint: "use at most 100 lower-case letters, digits, dots, dashes and underscores, a letter or digit first",
  });
}

/** Partial files of this name whose process is gone. */
async function removeLeftovers(dir: string, name: string): Promise<void> {
  for (const entry of await readdir(dir)) {
    const [, of, pid] = PARTIAL.exec(entry) ?? [];
    if (of !== name) continue;
    if (fateOf({ ...ownerNow(0), pid: Number(pid), started: "" }) === "dead")
      await rm(path.join(dir, entry), { force: true });
  }
}
