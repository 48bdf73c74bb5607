// The embedded registry's journal: rows of its own table, each sealed into the chain, and a copy as text beside the database.
import { open, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { nextEntry } from "../core/journal.ts";
import type { JournalEntry } from "../ports.ts";
import { appendDurably } from "./durable.ts";
import type { Row, Sql } from "./registry-local-sql.ts";

type JournalFields = Omit<JournalEntry, "index" | "previous" | "hash">;

/** How much of the copy's end is searched for what it already has. */
const COPY_TAIL_BYTES = 65_536;

const COLUMNS = `model, position, alias, from_version, to_version, at, actor, verb, verdict, evidence, reason, previous, hash`;

export function appendEntry(sql: Sql, fields: JournalFields): JournalEntry {
  const [last] = sql.all(
    `SELECT ${COLUMNS} FROM sentinel_journal WHERE model = ? ORDER BY position DESC LIMIT 1`,
    fields.model,
  );
  const entry = nextEntry(fields, last === undefined ? null : entryOf(last));
  sql.run(
    `INSERT INTO sentinel_journal(${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    entry.model,
    entry.index,
    entry.alias,
    entry.from,
    entry.to,
    entry.at,
    entry.actor,
    entry.verb,
    entry.verdict,
    entry.evidence,
    entry.reason,
    entry.previous,
    entry.hash,
  );
  return entry;
}

/** Oldest first, from an index on. */
export function listEntries(sql: Sql, model: string, from = 0): JournalEntry[] {
  if (!sql.has("sentinel_journal")) return [];
  const rows = sql.all(
    `SELECT ${COLUMNS} FROM sentinel_journal WHERE model = ? AND position >= ? ORDER BY position`,
    model,
    from,
  );
  return rows.map(entryOf);
}

/** Index of the model's first entry that `<dir>/journal.ndjson` may lack: a process can die between the commit and the copy. */
export async function copiedUntil(dir: string, model: string): Promise<number> {
  const lines = (await tailOf(fileOf(dir))).split("\n");
  for (const line of lines.reverse()) {
    const entry = parseLine(line);
    if (entry?.model === model && typeof entry.index === "number") return entry.index + 1;
  }
  return 0;
}

/** One line an entry. Two processes may write the same entry twice; its hash says that it is the same. */
export async function copyEntries(dir: string, entries: readonly JournalEntry[]): Promise<void> {
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

/** Exactly as stored: what was tampered with must reach the check of the chain. */
function entryOf(row: Row): JournalEntry {
  return {
    index: row.position as number,
    model: row.model as string,
    alias: row.alias as string,
    from: row.from_version as string | null,
    to: row.to_version as string | null,
    at: row.at as number,
    actor: row.actor as string,
    verb: row.verb as JournalEntry["verb"],
    verdict: row.verdict as string,
    evidence: row.evidence as string,
    reason: row.reason as string,
    previous: row.previous as string,
    hash: row.hash as string,
  };
}
