// Locks as files that name their holder; a dead holder's lock is taken over.
import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { PRIVATE_FILE_MODE } from "../../core/private.ts";
import type { Clock, Lock } from "../../ports/ports.ts";
import { systemClock } from "../clock/system.ts";
import { makePrivateFolder, writeDurably } from "./durable.ts";
import { fateOf, type Owner, ownerNow, parseOwner } from "./owner.ts";

const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/;
/** Takeovers tried in one call: each failure means that another process was faster. */
const TAKEOVERS_MAX = 5;

/**
 * Locks in `dir`, one file `<name>.lock` each, with pid, host, process start and time. They hold among processes that see the
 * same folder; whether a holder lives is known on its own host only, so another host's lock stays until it is released or its file deleted.
 */
export function createFileLock(options: { readonly dir: string; readonly clock?: Clock }): Lock {
  const { dir, clock = systemClock } = options;
  return {
    async acquire(name) {
      const file = fileOf(dir, name);
      const own = `${JSON.stringify({ ...ownerNow(clock.now()), token: randomUUID() })}\n`;
      await makePrivateFolder(dir).catch((cause) => unwritable(file, cause));
      for (let attempt = 0; attempt < TAKEOVERS_MAX; attempt++) {
        if (await place(file, own)) return { release: () => release(file, own) };
        const text = await textOf(file);
        if (text === null) continue;
        const holder = parseOwner(text);
        if (holder === null || fateOf(holder) !== "dead") throw locked(file, holder);
        await removeDead(file, text);
      }
      throw locked(file, parseOwner((await textOf(file)) ?? ""));
    },
  };
}

/** True when the file is now ours. It appears with its whole content, so nobody ever reads half a holder. */
async function place(file: string, text: string): Promise<boolean> {
  const draft = `${file}.${randomUUID()}`;
  try {
    await writeFile(draft, text, { flag: "wx", mode: PRIVATE_FILE_MODE });
    await link(draft, file);
    return true;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    // File systems without hard links: an exclusive create does, with a short moment in which the file is empty.
    if (code === "EPERM" || code === "ENOTSUP" || code === "ENOSYS") return placeExclusively(file, text);
    return unwritable(file, cause);
  } finally {
    await rm(draft, { force: true }).catch(() => {});
  }
}

async function placeExclusively(file: string, text: string): Promise<boolean> {
  try {
    await writeDurably(file, text, PRIVATE_FILE_MODE);
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
    return unwritable(file, cause);
  }
}

/** Moves the dead holder's file aside first: of several who try, one moves that very file; who moved a newer one puts it back. */
async function removeDead(file: string, seen: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  if ((await textOf(file)) !== seen) return;
  try {
    await rename(file, aside);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return;
    return unwritable(file, cause);
  }
  if ((await textOf(aside)) !== seen) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
}

async function release(file: string, own: string): Promise<void> {
  if ((await textOf(file)) === own) await rm(file, { force: true });
}

async function textOf(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    return unwritable(file, cause);
  }
}

function fileOf(dir: string, name: string): string {
  if (NAME.test(name)) return path.join(dir, `${name}.lock`);
  throw new SentinelError("workspace.unwritable", `"${name.slice(0, 120)}" cannot name a lock`, {
    hint: "use at most 100 lower-case letters, digits, dots, dashes and underscores, a letter or digit first",
  });
}

function locked(file: string, holder: Owner | null): SentinelError {
  const who = holder === null ? "an unnamed holder" : `process ${holder.pid} on ${holder.host}`;
  const since = holder === null ? "" : `, since ${new Date(holder.since).toISOString()}`;
  return new SentinelError("lifecycle.locked", `${path.basename(file, ".lock")} is locked by ${who}${since}`, {
    hint: `wait until it has ended; if you are sure that it has, delete ${file}`,
  });
}

function unwritable(file: string, cause: unknown): never {
  throw new SentinelError("workspace.unwritable", `cannot keep the lock ${file}: ${messageOf(cause)}`, {
    hint: "check that the folder exists, may be written to and has space left",
    cause,
  });
}
