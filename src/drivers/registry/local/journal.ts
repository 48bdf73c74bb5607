// The embedded registry's journal: rows of its own table, each sealed into the chain.
import { nextEntry } from "../../../core/journal.ts";
import type { JournalEntry } from "../../../ports/registry.ts";
import type { Row, Sql } from "./sql.ts";

type JournalFields = Omit<JournalEntry, "index" | "previous" | "hash">;

/** In the order of the copy's lines. */
const FIELDS = [
  ["index", "position"],
  ["model", "model"],
  ["alias", "alias"],
  ["from", "from_version"],
  ["to", "to_version"],
  ["at", "at"],
  ["actor", "actor"],
  ["verb", "verb"],
  ["verdict", "verdict"],
  ["evidence", "evidence"],
  ["reason", "reason"],
  ["previous", "previous"],
  ["hash", "hash"],
] as const;

/**
 * A row as bytes of JSON. Not as texts: libsql ends the whole process at a text that is no UTF-8, and a damaged journal
 * must be reported and must not end a server.
 */
const OBJECT = `json_object(${FIELDS.map(([field, column]) => `'${field}', ${column}`).join(", ")})`;
const ROW = `CAST(${OBJECT} AS BLOB) AS entry`;
/** Rows that become one blob: of 10,000 rows one by one, libsql takes half the time of the whole reading. */
const BLOCK = 2_000;

export function appendEntry(sql: Sql, fields: JournalFields): JournalEntry {
  const [last] = sql.all(
    `SELECT position, ${ROW} FROM sentinel_journal WHERE model = ? ORDER BY position DESC LIMIT 1`,
    fields.model,
  );
  const entry = nextEntry(fields, last === undefined ? null : entryOf(last));
  sql.run(
    `INSERT INTO sentinel_journal(${FIELDS.map(([, column]) => column).join(", ")})
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    entry.index,
    entry.model,
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
  const entries: JournalEntry[] = [];
  for (;;) {
    const start = entries.length === 0 ? from : entries[entries.length - 1].index + 1;
    const block = blockOf(sql, model, start);
    if (block === null) return [...entries, ...rowsOf(sql, model, start)];
    entries.push(...block);
    if (block.length < BLOCK) return entries;
  }
}

/** The next entries, lines of one blob; null when a row is damaged, so that the rows are to be looked at one by one. */
function blockOf(sql: Sql, model: string, start: number): JournalEntry[] | null {
  try {
    const [row] = sql.all(
      `SELECT CAST(group_concat(entry, x'0a') AS BLOB) AS entries FROM (
         SELECT ${OBJECT} AS entry FROM sentinel_journal WHERE model = ? AND position >= ? ORDER BY position LIMIT ${BLOCK})`,
      model,
      start,
    );
    if (row.entries === null) return [];
    const lines = new TextDecoder().decode(row.entries as unknown as Uint8Array).split("\n");
    const entries = lines.map((line) => JSON.parse(line) as JournalEntry);
    // SQLite promises no order of what it joins; it keeps that of the rows.
    return entries.every(({ index }, at) => at === 0 || index > entries[at - 1].index) ? entries : null;
  } catch {
    return null;
  }
}

function rowsOf(sql: Sql, model: string, start: number): JournalEntry[] {
  const rows = sql.all(
    `SELECT position, ${ROW} FROM sentinel_journal WHERE model = ? AND position >= ? ORDER BY position`,
    model,
    start,
  );
  return rows.map(entryOf);
}

/** Exactly as stored: what was tampered with must reach the check of the chain. */
function entryOf(row: Row): JournalEntry {
  const bytes = row.entry as unknown as Uint8Array;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as JournalEntry;
  } catch {
    const nothing = { model: "", alias: "", from: null, to: null, at: 0, actor: "", verdict: "", evidence: "" };
    return { index: Number(row.position), ...nothing, verb: "import", reason: "", previous: "", hash: "" };
  }
}
