// How cases become rows and back: columns for what questions ask, one JSON text for the rest.
import { worthOf } from "../../../cases/queue.ts";
import type { Case, CaseFields, CaseStatus, ReviewCause } from "../../../core/case.ts";
import { sha256 } from "../../../core/hash.ts";
import type { RuleSeverity } from "../../../core/rule.ts";
import { whole } from "./limits.ts";
import type { CaseRow } from "./tables.ts";
import { stored, unstored } from "./text.ts";

/** A worth is kept in millionths, up to what a double says exactly. */
const WORTH_UNIT = 1e6;
const WORTH_MAX = 9e15;
/** Characters that a search looks through. */
const WORDS_LENGTH_MAX = 2000;

type Body = Pick<
  CaseFields,
  | "propensity"
  | "alerts"
  | "amount"
  | "scoreMax"
  | "loss"
  | "minutes"
  | "claimedUntil"
  | "waitingUntil"
  | "waitingReason"
  | "proposed"
  | "closing"
  | "closings"
>;

export function caseRow(one: CaseFields, { id, version }: Pick<Case, "id" | "version">): CaseRow {
  const { pipeline, entity, status, closing } = one;
  const isOpen = status !== "closed";
  const body: Body = {
    propensity: one.propensity,
    alerts: one.alerts,
    amount: one.amount,
    scoreMax: one.scoreMax,
    loss: one.loss,
    minutes: one.minutes,
    claimedUntil: one.claimedUntil,
    waitingUntil: one.waitingUntil,
    waitingReason: one.waitingReason,
    proposed: one.proposed,
    closing,
    closings: one.closings,
  };
  return {
    id,
    pipeline,
    entity_column: stored(entity.column),
    entity: stored(entity.value),
    open_key: isOpen ? openKey(pipeline, one) : null,
    open: isOpen ? 1 : 0,
    status,
    severity: one.severity,
    why: one.why,
    disposition: isOpen ? null : (closing?.disposition ?? null),
    assignee: one.assignee === null ? null : stored(one.assignee),
    free_at: freeAt(one),
    kept_for: one.claimedUntil === null && one.assignee !== null ? stored(one.assignee) : null,
    opened_at: whole("the time of a case", one.openedAt),
    due_at: whole("the due time of a case", one.dueAt),
    closed_at: isOpen || closing === null ? null : whole("the time of a closing", closing.at),
    worth: Math.min(Math.round(worthOf(one) * WORTH_UNIT), WORTH_MAX),
    words: stored(wordsOf(one)),
    version,
    body: stored(JSON.stringify(body)),
  };
}

export function caseOf(row: CaseRow): Case {
  const body = JSON.parse(unstored(row.body)) as Body;
  return {
    id: Number(row.id),
    version: Number(row.version),
    pipeline: Number(row.pipeline),
    entity: { column: unstored(row.entity_column), value: unstored(row.entity) },
    status: row.status as CaseStatus,
    severity: row.severity as RuleSeverity,
    why: row.why as ReviewCause,
    openedAt: Number(row.opened_at),
    dueAt: Number(row.due_at),
    assignee: row.assignee === null ? null : unstored(row.assignee),
    ...body,
  };
}

/** Names the open case of an entity; a hash, since values may be long. */
export function openKey(pipeline: number, { entity }: Pick<CaseFields, "entity">): string {
  return sha256(JSON.stringify([pipeline, entity.column, entity.value]));
}

/** What a search looks through, in lower case. */
function wordsOf({ entity, assignee, closing, proposed }: CaseFields): string {
  const ends = [closing, proposed].flatMap((end) => (end === null ? [] : [end.disposition, end.reason, end.comment]));
  return [entity.value, assignee ?? "", ...ends].join("\n").toLowerCase().slice(0, WORDS_LENGTH_MAX);
}

/** From when on the queue may give it away; null: not at all. */
function freeAt({ status, proposed, claimedUntil, waitingUntil }: CaseFields): number | null {
  if (status === "closed" || proposed !== null) return null;
  return Math.max(0, claimedUntil ?? 0, status === "waiting" ? (waitingUntil ?? 0) : 0);
}
