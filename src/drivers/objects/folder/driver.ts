// Objects as files of a folder: each appears by a link or a rename, when the disk has all of it.
import { randomUUID } from "node:crypto";
import { link, mkdir, open, readdir, readFile, rename, rm, rmdir, stat, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { PRIVATE_FILE_MODE, PRIVATE_FOLDER_MODE } from "../../../core/private.ts";
import type { ObjectBody, ObjectStore, StoredObject } from "../../../ports/objects.ts";
import { makePrivateFolder, syncFolder, writeDurably } from "../../files/durable.ts";
import { fateOf, ownerNow } from "../../files/owner.ts";
import { missing } from "../errors.ts";
import { stableList } from "../stable.ts";

/** Folders of files on their way; no listing and no pattern of Parquet files sees what is in them. */
const SCRATCH = "_scratch";
const DEPTH_MAX = 8;
const PLACE_TRIES_MAX = 5;
/** Of a killed process on another machine nobody can say that it is gone: its leftovers go after a day. */
const LEFTOVER_MS_MAX = 86_400_000;

/** Objects below `root`, which is made at the first write, for its owner alone. */
export function createFolderObjects(options: { readonly root: string; readonly now: () => number }): ObjectStore {
  const { root, now } = options;
  const placed = async (key: string, source: string): Promise<boolean> => {
    const target = path.join(root, key);
    for (let tries = 1; ; tries++) {
      await makePrivateFolder(path.dirname(target));
      try {
        const made = await linkOnce(source, target);
        await syncFolder(path.dirname(target));
        return made;
      } catch (cause) {
        // Somebody removed the folder because it was empty.
        if (codeOf(cause) !== "ENOENT" || tries === PLACE_TRIES_MAX) throw cause;
      }
    }
  };
  const write = <T>(key: string, work: () => Promise<T>): Promise<T> =>
    work().catch((cause: unknown) => {
      throw unwritable(path.join(root, key), cause);
    });
  const scratch = async <T>(work: (folder: string) => Promise<T>): Promise<T> => {
    const all = path.join(root, SCRATCH);
    await write(SCRATCH, async () => {
      await makePrivateFolder(all);
      await removeLeftovers(all, now());
    });
    const folder = path.join(all, `${hostname()}~${process.pid}~${randomUUID()}`);
    await write(SCRATCH, () => mkdir(folder, { mode: PRIVATE_FOLDER_MODE }));
    try {
      return await work(folder);
    } finally {
      await rm(folder, { recursive: true, force: true }).catch(() => {});
    }
  };
  /** The body as a file beside the others that the disk has. */
  const onDisk = async <T>(body: ObjectBody, use: (file: string) => Promise<T>): Promise<T> => {
    if ("file" in body) {
      await sync(body.file);
      return await use(body.file);
    }
    return await scratch(async (folder) => {
      const file = path.join(folder, "bytes");
      await writeDurably(file, body.bytes, PRIVATE_FILE_MODE);
      return await use(file);
    });
  };
  return {
    where: root,
    keepsVersions: async () => false,
    list: (prefix) => stableList(() => lookBelow(root, prefix)),
    async read(key) {
      return await absent(readFile(path.join(root, key)), path.join(root, key));
    },
    create: (key, body) => write(key, () => onDisk(body, (file) => placed(key, file))),
    replace: (key, body) =>
      write(key, () =>
        onDisk(body, async (file) => {
          const target = path.join(root, key);
          await makePrivateFolder(path.dirname(target));
          await rename(file, target);
          await syncFolder(path.dirname(target));
        }),
      ),
    move: (from, to) =>
      write(to, async () => {
        const source = path.join(root, from);
        if ((await absent(stat(source), source)) === null) return;
        await placed(to, source);
        await gone(unlink(source));
      }),
    remove: (keys) =>
      write(keys[0] ?? "", async () => {
        const folders = new Set<string>();
        for (const key of keys) {
          const target = path.join(root, key);
          await gone(unlink(target));
          folders.add(path.dirname(target));
        }
        for (const folder of folders) {
          const left = await absent(readdir(folder), folder);
          if (left === null) continue;
          if (left.length > 0 || folder === root) await syncFolder(folder);
          else await rmdir(folder).catch(() => {});
        }
      }),
    async file(key) {
      const target = path.join(root, key);
      if ((await absent(stat(target), target)) !== null) return target;
      throw missing(target);
    },
    scratch,
  };
}

/** False when the target is there, which stays as it is. By a link and no rename, which would replace it. */
async function linkOnce(source: string, target: string): Promise<boolean> {
  try {
    await link(source, target);
    return true;
  } catch (cause) {
    const code = codeOf(cause);
    if (code === "EEXIST") return false;
    if (!["EPERM", "ENOTSUP", "ENOSYS"].includes(code)) throw cause;
  }
  // File systems without hard links: only one process at a time writes an archive, so that looking first will do.
  if ((await absent(stat(target), target)) !== null) return false;
  await rename(source, target);
  return true;
}

async function lookBelow(root: string, prefix: string): Promise<readonly StoredObject[]> {
  const found: StoredObject[] = [];
  const look = async (folder: string, depth: number): Promise<void> => {
    if (depth > DEPTH_MAX) return;
    const entries = await absent(readdir(path.join(root, folder), { withFileTypes: true }), path.join(root, folder));
    for (const entry of entries ?? []) {
      const key = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (key === SCRATCH || !mayHold(key, prefix)) continue;
      if (entry.isDirectory()) await look(key, depth + 1);
      else if (key.startsWith(prefix)) {
        const facts = await absent(stat(path.join(root, key)), path.join(root, key));
        if (facts !== null) found.push({ key, bytes: facts.size, version: `${facts.ino} ${facts.mtimeMs}` });
      }
    }
  };
  await look("", 0);
  return found.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Whether a folder or a file may have keys that begin with the prefix. */
function mayHold(key: string, prefix: string): boolean {
  return key.startsWith(prefix) || prefix.startsWith(`${key}/`);
}

/** Null where there is nothing. */
async function absent<T>(asked: Promise<T>, where: string): Promise<T | null> {
  try {
    return await asked;
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(cause))) return null;
    throw new SentinelError("archive.unreadable", `${where} cannot be read: ${messageOf(cause)}`, {
      hint: "check the permissions of the file and of the folders above it",
      cause,
    });
  }
}

async function gone(removing: Promise<void>): Promise<void> {
  await removing.catch((cause: unknown) => {
    if (codeOf(cause) !== "ENOENT") throw cause;
  });
}

async function sync(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.chmod(PRIVATE_FILE_MODE);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Scratch folders of processes that are gone. */
async function removeLeftovers(folder: string, now: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const [host, pid] = name.split("~");
    const own = host === hostname();
    const isDead = own && fateOf({ ...ownerNow(0), pid: Number(pid), started: "" }) === "dead";
    const age = own ? 0 : now - ((await absent(stat(path.join(folder, name)), name))?.mtimeMs ?? now);
    if (isDead || age > LEFTOVER_MS_MAX) await rm(path.join(folder, name), { recursive: true, force: true });
  }
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && "code" in cause ? String(cause.code) : "";
}

/** What the file system said of a write. */
export function unwritable(where: string, cause: unknown): SentinelError {
  if (cause instanceof SentinelError) return cause;
  const full = codeOf(cause) === "ENOSPC" || /no space left|disk full/i.test(messageOf(cause));
  return new SentinelError("archive.unwritable", `${where} cannot be written: ${messageOf(cause)}`, {
    hint: full
      ? "the disk is full: make room on it, and the archive goes on by itself; the prediction log keeps what is not archived"
      : "check that the folder may be written to; the prediction log keeps what is not archived",
    cause,
  });
}
