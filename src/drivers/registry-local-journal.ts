// The embedded registry's journal: rows of its own table, each sealed into the chain.
import { nextEntry } from "../core/journal.ts";
import type { JournalEntry } from "../ports.ts";
import type { Row, Sql } from "./registry-local-sql.ts";

type JournalFields = Omit<JournalEntry, "index" | "previous" | "hash">;

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
