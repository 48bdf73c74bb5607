// The embedded registry's journal: rows of its own table, each sealed into the chain.
import { nextEntry } from "../../../core/journal.ts";
import type { JournalEntry } from "../../../ports/registry.ts";
import type { JournalStep } from "../journal-step.ts";
import type { Row, Sql } from "./sql.ts";

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

const cellsOf = (fields: readonly (readonly [string, string])[]): string =>
  fields.map(([field, column]) => `'${field}', ${column}`).join(", ");
/** Where `also` stands: before the hash, by which the copy's reader tells a line that is whole. */
const ALSO_AT = FIELDS.findIndex(([field]) => field === "at");
const OBJECT = `CASE WHEN also IS NULL THEN json_object(${cellsOf(FIELDS)})
  ELSE json_object(${cellsOf([...FIELDS.slice(0, ALSO_AT), ["also", "also"], ...FIELDS.slice(ALSO_AT)])}) END`;
/** Of a table from before aliases moved together: it has no such column until the next move. */
const OBJECT_BEFORE = `json_object(${cellsOf(FIELDS)})`;
/** Rows that become one blob: of 10,000 rows one by one, libsql takes half the time of the whole reading. */
const BLOCK = 2_000;

export function appendEntry(sql: Sql, step: JournalStep): JournalEntry {
  const [last] = sql.all(
    `SELECT position, ${rowOf(OBJECT)} FROM sentinel_journal WHERE model = ? ORDER BY position DESC LIMIT 1`,
    step.model,
  );
  const entry = nextEntry(step, last === undefined ? null : entryOf(last));
  sql.run(
    `INSERT INTO sentinel_journal(${FIELDS.map(([, column]) => column).join(", ")}, also)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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
    entry.also === undefined ? null : JSON.stringify(entry.also),
  );
  return entry;
}

/** Oldest first, from an index on. */
export function listEntries(sql: Sql, model: string, from = 0): JournalEntry[] {
  if (!sql.has("sentinel_journal")) return [];
  const object = sql.has("sentinel_journal", "also") ? OBJECT : OBJECT_BEFORE;
  const entries: JournalEntry[] = [];
  for (;;) {
    const start = entries.length === 0 ? from : entries[entries.length - 1].index + 1;
    const block = blockOf(sql, object, { model, start });
    if (block === null) return [...entries, ...rowsOf(sql, object, { model, start })];
    entries.push(...block);
    if (block.length < BLOCK) return entries;
  }
}

interface Place {
  readonly model: string;
  readonly start: number;
}

/**
 * A row as bytes of JSON. Not as texts: libsql ends the whole process at a text that is no UTF-8, and a damaged journal
 * must be reported and must not end a server.
 */
function rowOf(object: string): string {
  return `CAST(${object} AS BLOB) AS entry`;
}

/** `also` is a text of JSON in its column; one that is none stays as it is, and the chain's check names the entry. */
function parsed(line: string): JournalEntry {
  const entry = JSON.parse(line) as Omit<JournalEntry, "also"> & { also?: unknown };
  if (typeof entry.also === "string") {
    try {
      entry.also = JSON.parse(entry.also);
    } catch {}
  }
  return entry as JournalEntry;
}

/** The next entries, lines of one blob; null when a row is damaged, so that the rows are to be looked at one by one. */
function blockOf(sql: Sql, object: string, { model, start }: Place): JournalEntry[] | null {
  try {
    const [row] = sql.all(
      `SELECT CAST(group_concat(entry, x'0a') AS BLOB) AS entries FROM (
         SELECT ${object} AS entry FROM sentinel_journal WHERE model = ? AND position >= ? ORDER BY position LIMIT ${BLOCK})`,
      model,
      start,
    );
    if (row.entries === null) return [];
    const lines = new TextDecoder().decode(row.entries as unknown as Uint8Array).split("\n");
    const entries = lines.map(parsed);
    // SQLite promises no order of what it joins; it keeps that of the rows.
    return entries.every(({ index }, at) => at === 0 || index > entries[at - 1].index) ? entries : null;
  } catch {
    return null;
  }
}

function rowsOf(sql: Sql, object: string, { model, start }: Place): JournalEntry[] {
  const rows = sql.all(
    `SELECT position, ${rowOf(object)} FROM sentinel_journal WHERE model = ? AND position >= ? ORDER BY position`,
    model,
    start,
  );
  return rows.map(entryOf);
}

/** Exactly as stored: what was tampered with must reach the check of the chain. */
function entryOf(row: Row): JournalEntry {
  const bytes = row.entry as unknown as Uint8Array;
  try {
    return parsed(new TextDecoder().decode(bytes));
  } catch {
    const nothing = { model: "", alias: "", from: null, to: null, at: 0, actor: "", verdict: "", evidence: "" };
    return { index: Number(row.position), ...nothing, verb: "import", reason: "", previous: "", hash: "" };
  }
}
