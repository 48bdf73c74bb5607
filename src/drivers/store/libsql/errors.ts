// What libsql's errors mean for the store.
import type { Fault } from "../sql/database.ts";

/** Null: no error of the database's. */
export function faultOf(error: unknown): Fault | null {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return "busy";
  if (/^SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY)/.test(code)) return "taken";
  if (/^SQLITE_FULL/.test(code) || code === "ENOSPC") return "full";
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) return "corrupt";
  if (/^SQLITE_CANTOPEN/.test(code)) return "away";
  if (code === "SQLITE_ERROR" && /no such (table|column)/.test((error as Error).message)) return "shape";
  return /^(SQLITE_|E[A-Z]+$)/.test(code) ? "refused" : null;
}
