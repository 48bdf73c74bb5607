// Files that are there whole or not at all after a power cut: write, fsync, then rename.
import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { PRIVATE_FOLDER_MODE } from "../../core/private.ts";

/** Writes a new file (it must not exist) and waits until the disk has it; parts follow each other. `mode` as for open, before the process's mask. */
export async function writeDurably(
  file: string,
  bytes: Uint8Array | string | readonly Uint8Array[],
  mode?: number,
): Promise<void> {
  await withHandle(await open(file, "wx", mode), async (handle) => {
    const parts = typeof bytes === "string" || bytes instanceof Uint8Array ? [bytes] : bytes;
    for (const part of parts) await handle.writeFile(part);
    await handle.sync();
  });
}

/** Puts a file in place of the one that is there, or of none: whole or not at all, and the disk has it, its name too. `mode` of the new file. */
export async function replaceDurably(file: string, bytes: Uint8Array | string, mode: number): Promise<void> {
  const draft = `${file}.${randomBytes(DRAFT_BYTES).toString("hex")}.tmp`;
  try {
    await writeDurably(draft, bytes, mode);
    await rename(draft, file);
    await syncFolder(path.dirname(file));
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
}

/** Two writers of one file have a draft each. */
const DRAFT_BYTES = 4;

/** Appends in one write and waits until the disk has it. */
export async function appendDurably(file: string, text: string): Promise<void> {
  await withHandle(await open(file, "a"), async (handle) => {
    await handle.appendFile(text);
    await handle.sync();
  });
}

/** Makes a folder and those above it. Not with mkdir's `recursive`, which under /proc and its like tries for ever (Node 20). */
export async function makeFolder(folder: string): Promise<void> {
  const made = await makeOne(folder);
  if (made || path.dirname(folder) === folder) return;
  await makeFolder(path.dirname(folder));
  if (!(await makeOne(folder))) throw noFolder(folder);
}

/** Makes a folder that only its owner may enter, and those above it as usual. One that is there is left as it is. */
export async function makePrivateFolder(folder: string): Promise<void> {
  if (await makeOne(folder, PRIVATE_FOLDER_MODE)) return;
  await makeFolder(path.dirname(folder));
  if (!(await makeOne(folder, PRIVATE_FOLDER_MODE))) throw noFolder(folder);
}

function noFolder(folder: string): Error {
  return Object.assign(new Error(`ENOENT: cannot make ${folder}`), { code: "ENOENT" });
}

/** False when the folder above is missing. */
async function makeOne(folder: string, mode?: number): Promise<boolean> {
  try {
    await mkdir(folder, mode);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return false;
    if (code === "EEXIST" && (await stat(folder)).isDirectory()) return true;
    throw error;
  }
}

/** Makes a rename or a new name in this folder last. Where folders cannot be synced (Windows) the system's own order has to do. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    await withHandle(await open(folder, "r"), (handle) => handle.sync());
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EPERM" && code !== "EISDIR" && code !== "EINVAL") throw error;
  }
}

/** Syncs a folder and every folder under it. */
export async function syncTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries) if (entry.isDirectory()) await syncTree(path.join(folder, entry.name));
  await syncFolder(folder);
}

async function withHandle(handle: FileHandle, use: (handle: FileHandle) => Promise<void>): Promise<void> {
  try {
    await use(handle);
  } finally {
    await handle.close();
  }
}
