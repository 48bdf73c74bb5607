// Rules in files: a folder per pipeline with its rule sets, its lists, and one file of changes that is the journal and the head at once.
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { journalHash, nextEntry } from "../../../core/journal.ts";
import { PRIVATE_FOLDER_MODE } from "../../../core/private.ts";
import { type ListChange, type RuleSet, ruleSetHash } from "../../../core/rule.ts";
import type { Lock } from "../../../ports/ports.ts";
import type { RuleStore, RulesChange, RulesEntry, RulesHead } from "../../../ports/rules.ts";
import { appendDurably, makePrivateFolder, syncFolder, writeDurably } from "../../files/durable.ts";

const LOCK_TRIES_MAX = 200;
const LOCK_RETRY_MS = 25;

const EMPTY: RulesHead = { revision: 0, live: null, candidate: null };

interface Seen {
  readonly size: number;
  /** Where the last whole line ends. */
  readonly end: number;
  readonly entries: readonly RulesEntry[];
}

/**
 * The journal's last whole line is the head: one append makes a change, so a killed process leaves the old head or the new one. Sets and
 * changes of lists are on the disk before the line that names them; what a killed process left beyond it counts for nothing.
 */
export function createFileRules(options: {
  readonly dir: string;
  readonly pipeline: string;
  readonly lock: () => Promise<Lock>;
}): RuleStore {
  const folder = path.join(options.dir, options.pipeline);
  const journalFile = path.join(folder, "journal.ndjson");
  let seen: Seen = { size: -1, end: 0, entries: [] };

  /** Only what was appended since is read and checked: a server looks every second, and the journal only grows. */
  const entries = async (): Promise<readonly RulesEntry[]> => {
    const size = await sizeOf(journalFile);
    // One look may run while another does: each goes on from what it began with.
    const before = size > seen.size && seen.size > 0 ? seen : { size: -1, end: 0, entries: [] };
    if (size === seen.size) return seen.entries;
    const { lines, end } = await linesFrom<RulesEntry>(journalFile, before.end);
    const why = chainFault(lines, before.entries.at(-1) ?? null);
    if (why !== null) throw unreadable(journalFile, why);
    seen = { size, end: before.end + end, entries: [...before.entries, ...lines] };
    return seen.entries;
  };
  const head = async (): Promise<RulesHead> => headOf(await entries());
  const listFile = (name: string): string => path.join(folder, "lists", `${name}.ndjson`);
  const counted = async (): Promise<Readonly<Record<string, number>>> => {
    const counts: Record<string, number> = {};
    for (const entry of await entries()) Object.assign(counts, (entry as Counted).counts ?? {});
    return counts;
  };

  const write = async (change: RulesChange): Promise<RulesHead> => {
    const known = await entries();
    const now = headOf(known);
    if (now.revision !== change.expected) throw conflict(change.expected, now.revision);
    await makePrivateFolder(options.dir);
    for (const one of [folder, path.join(folder, "sets"), path.join(folder, "lists")]) await makeIn(one);
    for (const set of change.sets) await writeSet(path.join(folder, "sets"), set);
    const counts: Record<string, number> = {};
    const before = await counted();
    for (const [name, changes] of Object.entries(change.lists)) {
      if (changes.length === 0) continue;
      counts[name] = (before[name] ?? 0) + changes.length;
      await appendAt(listFile(name), { changes, kept: before[name] ?? 0 });
    }
    await dropTail(journalFile);
    const moves = {
      live: { from: now.live, to: change.live },
      candidate: { from: now.candidate, to: change.candidate },
    };
    const entry = nextEntry({ ...change.entry, ...moves, counts }, known.at(-1) ?? null);
    await appendDurably(journalFile, `${JSON.stringify(entry)}\n`);
    await syncFolder(folder);
    return head();
  };

  return {
    where: folder,
    head,
    async set(hash) {
      const file = path.join(folder, "sets", `${hash}.json`);
      if (!/^[0-9a-f]{64}$/.test(hash)) throw unknownSet(hash);
      const text = await textOf(file);
      if (text === null) throw unknownSet(hash);
      const set = parsed<RuleSet>(text, file);
      if (ruleSetHash(set) !== hash) throw unreadable(file, "its content is not what its hash says");
      return set;
    },
    async list(name, from = 0) {
      const count = (await counted())[name] ?? 0;
      if (count <= from) return [];
      const changes = await linesOf<ListChange>(listFile(name));
      if (changes.length < count) throw unreadable(listFile(name), `it has ${changes.length} changes, not ${count}`);
      return changes.slice(from, count);
    },
    lists: counted,
    async commit(change) {
      const own = await acquire(await options.lock(), `rules-${options.pipeline.toLowerCase()}`);
      try {
        return await write(change);
      } catch (error) {
        if (error instanceof SentinelError) throw error;
        throw new SentinelError("rules.unwritable", `cannot write the rules in ${folder}: ${messageOf(error)}`, {
          hint: "check that the folder exists, may be written to and has space left",
          cause: error,
        });
      } finally {
        await own.release();
      }
    },
    async journal() {
      return (await entries()).map((entry) => {
        const { counts: _, ...shown } = entry as Counted;
        return shown;
      });
    },
  };
}

/** A change takes milliseconds: whoever comes at the same time waits for its turn. */
async function acquire(lock: Lock, name: string): ReturnType<Lock["acquire"]> {
  for (let tries = 1; ; tries++) {
    try {
      return await lock.acquire(name);
    } catch (error) {
      if (!(error instanceof SentinelError && error.code === "lifecycle.locked") || tries === LOCK_TRIES_MAX)
        throw error;
      await sleep(LOCK_RETRY_MS);
    }
  }
}

/** An entry as the file has it: with the lengths of the lists that it changed. */
type Counted = RulesEntry & { readonly counts?: Readonly<Record<string, number>> };

function headOf(entries: readonly RulesEntry[]): RulesHead {
  const last = entries.at(-1);
  return last === undefined ? EMPTY : { revision: last.index + 1, live: last.live.to, candidate: last.candidate.to };
}

async function writeSet(folder: string, set: RuleSet): Promise<void> {
  const file = path.join(folder, `${ruleSetHash(set)}.json`);
  if ((await sizeOf(file)) >= 0) return;
  const partial = `${file}.${process.pid}.tmp`;
  await rm(partial, { force: true });
  await writeDurably(partial, JSON.stringify(set));
  await rename(partial, file);
  await syncFolder(folder);
}

/** Appends behind the changes that count; what a killed process left behind them goes. */
async function appendAt(
  file: string,
  { changes, kept }: { readonly changes: readonly ListChange[]; readonly kept: number },
): Promise<void> {
  await dropTail(file);
  const there = await linesOf<ListChange>(file);
  const lines = (list: readonly ListChange[]): string => list.map((one) => `${JSON.stringify(one)}\n`).join("");
  if (there.length === kept) {
    await appendDurably(file, lines(changes));
    return;
  }
  const partial = `${file}.${process.pid}.tmp`;
  await rm(partial, { force: true });
  await writeDurably(partial, lines([...there.slice(0, kept), ...changes]));
  await rename(partial, file);
  await syncFolder(path.dirname(file));
}

/** Ends a file at its last line end: a line that was cut off by a kill is no line. */
async function dropTail(file: string): Promise<void> {
  const text = await textOf(file);
  if (text === null || text === "" || text.endsWith("\n")) return;
  const partial = `${file}.${process.pid}.tmp`;
  await rm(partial, { force: true });
  await writeDurably(partial, text.slice(0, text.lastIndexOf("\n") + 1));
  await rename(partial, file);
}

async function makeIn(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
}

/** -1 where there is no such file. */
async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (isMissing(error)) return -1;
    throw unreadable(file, messageOf(error));
  }
}

async function textOf(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (isMissing(error)) return null;
    throw unreadable(file, messageOf(error));
  }
}

/** Why entries do not follow the one before them; null where they do. */
function chainFault(entries: readonly RulesEntry[], last: RulesEntry | null): string | null {
  let before = last;
  for (const entry of entries) {
    const place = before === null ? 0 : before.index + 1;
    const isNext = entry.index === place && entry.previous === (before?.hash ?? "");
    if (!isNext || entry.hash !== journalHash(entry)) return `entry ${place} was changed, removed or added`;
    before = entry;
  }
  return null;
}

async function linesOf<Line>(file: string): Promise<readonly Line[]> {
  return (await linesFrom<Line>(file, 0)).lines;
}

/** Whole lines only, from a place in the file: the last one may still be being written. `end`: bytes of these lines. */
async function linesFrom<Line>(
  file: string,
  from: number,
): Promise<{ readonly lines: readonly Line[]; readonly end: number }> {
  const bytes = await bytesFrom(file, from);
  const end = bytes.lastIndexOf(10) + 1;
  const lines = bytes
    .subarray(0, end)
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => parsed<Line>(line, file));
  return { lines, end };
}

async function bytesFrom(file: string, from: number): Promise<Buffer> {
  let handle: FileHandle;
  try {
    handle = await open(file, "r");
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0);
    throw unreadable(file, messageOf(error));
  }
  try {
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(Math.max(0, size - from));
    let at = 0;
    while (at < bytes.length) {
      const { bytesRead } = await handle.read(bytes, at, bytes.length - at, from + at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    return bytes.subarray(0, at);
  } catch (error) {
    throw unreadable(file, messageOf(error));
  } finally {
    await handle.close();
  }
}

function parsed<T>(text: string, file: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw unreadable(file, messageOf(error));
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}

function unreadable(file: string, what: string): SentinelError {
  return new SentinelError("rules.unreadable", `${file} cannot be read: ${what}`, {
    hint: "put the folder back from a backup; servers go on with the last rules that they know",
  });
}

function unknownSet(hash: string): SentinelError {
  return new SentinelError("rules.unknown", `there is no rule set ${JSON.stringify(hash.slice(0, 64))}`, {
    hint: "`sentinel rules history` shows the sets that were live",
  });
}

function conflict(expected: number, found: number): SentinelError {
  return new SentinelError(
    "rules.conflict",
    `the rules are at revision ${found}, the change was made from ${expected}`,
    {
      hint: "somebody else changed them meanwhile: look at them again, then repeat the change if it is still wanted",
    },
  );
}
