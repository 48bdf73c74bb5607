// A registry's journal once more, as lines of text on this machine: what tells a rewritten journal from the one that was.
import { open, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import type { JournalCopy, JournalEntry } from "../../ports/registry.ts";
import { appendDurably, makeFolder } from "../files/durable.ts";

/** How much of the copy's end is searched for what it already has. */
const COPY_TAIL_BYTES = 65_536;

/**
 * Adds to `<dir>/journal.ndjson` what it lacks; `entries` gives a model's entries from an index on. Best effort: the registry has
 * them already, and the next move copies what is missing.
 */
export async function copyJournal(
  dir: string,
  model: string,
  entries: (from: number) => Promise<readonly JournalEntry[]>,
): Promise<void> {
  try {
    await makeFolder(dir);
    await copyEntries(dir, await entries(await copiedUntil(dir, model)));
  } catch {}
}

/** The copy as it stands; null when there is none. */
export async function readCopy(dir: string): Promise<JournalCopy | null> {
  const where = fileOf(dir);
  try {
    return { where, lines: (await readFile(where, "utf8")).split("\n") };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new SentinelError("registry.unreachable", `cannot read ${where}: ${messageOf(error)}`, {
      hint: "check that the file may be read; it is the journal's copy on this machine",
      cause: error,
    });
  }
}

/** What a copy has of one model. */
export interface Copied {
  readonly where: string;
  /** From the first on without a gap, as they stand there: whoever uses them must have something that seals them. */
  readonly entries: readonly JournalEntry[];
  /** Whether later ones stand there, too: one between was changed or is gone. */
  readonly gap: boolean;
}

/** Nothing when there is no copy, or when it cannot be read. */
export async function copiedEntries(dir: string, model: string): Promise<Copied> {
  const copy = await readCopy(dir).catch(() => null);
  const entries: JournalEntry[] = [];
  let newest = -1;
  for (const line of copy?.lines ?? []) {
    const entry = parseLine(line);
    if (entry?.model !== model || typeof entry.index !== "number") continue;
    if (entry.index === entries.length) entries.push(entry as JournalEntry);
    newest = Math.max(newest, entry.index);
  }
  return { where: fileOf(dir), entries, gap: newest >= entries.length };
}

/** Index of the model's first entry that `<dir>/journal.ndjson` may lack: a process can die between the commit and the copy. */
async function copiedUntil(dir: string, model: string): Promise<number> {
  const lines = (await tailOf(fileOf(dir))).split("\n");
  for (const line of lines.reverse()) {
    const entry = parseLine(line);
    if (entry?.model === model && typeof entry.index === "number") return entry.index + 1;
  }
  return 0;
}

/** One line an entry. Two processes may write the same entry twice; its hash says that it is the same. */
async function copyEntries(dir: string, entries: readonly JournalEntry[]): Promise<void> {
  if (entries.length === 0) return;
  // A line that was cut off by a kill gets its end, so that it spoils no other.
  const whole = /(^|\n)$/.test(await tailOf(fileOf(dir)));
  await appendDurably(
    fileOf(dir),
    `${whole ? "" : "\n"}${entries.map((entry) => `${JSON.stringify(entry)}\n`).join("")}`,
  );
}

function fileOf(dir: string): string {
  return path.join(dir, "journal.ndjson");
}

async function tailOf(file: string): Promise<string> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= COPY_TAIL_BYTES) return size === 0 ? "" : readFile(file, "utf8");
  const handle = await open(file, "r");
  try {
    const tail = Buffer.alloc(COPY_TAIL_BYTES);
    const { bytesRead } = await handle.read(tail, 0, COPY_TAIL_BYTES, size - COPY_TAIL_BYTES);
    return tail.subarray(0, bytesRead).toString("utf8");
  } finally {
    await handle.close();
  }
}

function parseLine(line: string): { readonly model?: unknown; readonly index?: unknown } | null {
  try {
    return JSON.parse(line) as { readonly model?: unknown; readonly index?: unknown } | null;
  } catch {
    return null;
  }
}
