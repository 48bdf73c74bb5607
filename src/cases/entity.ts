// Entities of cases: whose case an alert belongs to.
import type { CaseEntity } from "../core/case.ts";
import { sha256 } from "../core/hash.ts";
import type { Alert } from "../ports/store.ts";

/** Longer values stand as their beginning and a hash: databases index no texts of any length. */
const VALUE_LENGTH_MAX = 200;
const BEGINNING_LENGTH = 160;

/** Columns of a pipeline that say whose case it is. */
export interface EntityColumns {
  /** The id of transactions. */
  readonly id: string;
  /** `cases.entity`, else the card; null: each transaction stands for itself. */
  readonly entity: string | null;
}

/** Whose case an alert belongs to. An alert without the column's value is about its transaction alone; one without an id about itself. */
export function entityOf(
  alert: Pick<Alert, "id" | "transaction" | "transactionId">,
  columns: EntityColumns,
): CaseEntity {
  const value = columns.entity === null ? null : (alert.transaction[columns.entity] ?? null);
  if (columns.entity !== null && value !== null && typeof value !== "object") {
    return { column: columns.entity, value: boundedValue(String(value)) };
  }
  if (alert.transactionId !== null) return { column: columns.id, value: boundedValue(alert.transactionId) };
  return { column: "alert", value: String(alert.id) };
}

/** The value as cases name it. Different values stay different. */
export function boundedValue(value: string): string {
  if (value.length <= VALUE_LENGTH_MAX) return value;
  return `${value.slice(0, BEGINNING_LENGTH)}… ${sha256(value).slice(0, 32)}`;
}
