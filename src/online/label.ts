// The one road for labels: every door, and the command line, gives its labels here.
import { assert, type ErrorCode } from "../core/errors.ts";
import type { Transaction } from "../core/transaction.ts";
import type { PredictionLog } from "../ports/log.ts";
import type { Clock } from "../ports/ports.ts";
import { type OnlineStates, transactionOf } from "./states.ts";

/** A label as a door received it. */
export interface LabelDraft {
  readonly transactionId: string;
  readonly fraud: boolean;
  /** Who says so: "analyst", "chargeback", "file". */
  readonly source: string;
  /**
   * When it became known, in milliseconds on the clock of event time. `now`: as it arrives, at the newest event time. `after-delay`:
   * nobody knows when, so the transaction's own time plus the pipeline's label delay counts.
   */
  readonly knownAt: number | "now" | "after-delay";
}

export type LabelOutcome = { readonly transactionId: string; readonly accepted: true } | LabelRefusal;

export interface LabelRefusal {
  readonly transactionId: string;
  readonly accepted: false;
  readonly code: Extract<ErrorCode, "request.not-found" | "labels.invalid" | "server.overloaded">;
  readonly message: string;
}

/** What labels need of an engine. */
export interface LabelRoad {
  readonly clock: Clock;
  readonly log: PredictionLog;
  readonly states: Pick<OnlineStates, "answered" | "takeLabel">;
  /** `labels.delay` of the pipeline, in milliseconds. */
  readonly delayMs: number;
}

/** Logs and learns one label of a transaction that was answered. Errors: log.unreadable, state.*, server.overloaded. */
export async function takeLabel(road: LabelRoad, draft: LabelDraft): Promise<LabelOutcome> {
  const found = await look(road, draft);
  if ("code" in found) return found;
  const { log, states, clock } = road;
  const { transactionId, fraud, source } = draft;
  const { transaction, knownAt } = found;
  const logged = await states.takeLabel({ transaction, log, fraud, source, knownAt, receivedAt: clock.now() });
  if (logged && log.durability === "sync") await log.flush();
  if (logged) return { transactionId, accepted: true };
  return { transactionId, accepted: false, code: "server.overloaded", message: "the log cannot take more now" };
}

/** Why {@link takeLabel} would refuse a label now; null when it would not. Changes nothing. */
export async function labelFault(road: LabelRoad, draft: LabelDraft): Promise<LabelRefusal | null> {
  const found = await look(road, draft);
  return "code" in found ? found : null;
}

async function look(
  road: LabelRoad,
  draft: LabelDraft,
): Promise<LabelRefusal | { readonly transaction: Transaction; readonly knownAt: number | null }> {
  const { transactionId } = draft;
  const record = (await road.log.find(transactionId)) ?? (await road.states.answered(transactionId));
  if (record === null) {
    const message = "no answer was given to a transaction of this id";
    return { transactionId, accepted: false, code: "request.not-found", message };
  }
  const transaction = transactionOf(record);
  const knownAt = knownAtOf(draft, { time: transaction.time, delayMs: road.delayMs });
  assert(knownAt === null || Number.isFinite(knownAt), `the label of ${transactionId} has a time`);
  if (knownAt === null || knownAt >= transaction.time) return { transaction, knownAt };
  const [known, happened] = [knownAt, transaction.time].map((time) => new Date(time).toISOString());
  const message = `the label is known at ${known}, before its transaction happened at ${happened}`;
  return { transactionId, accepted: false, code: "labels.invalid", message };
}

/** null: as it arrives. */
function knownAtOf(draft: LabelDraft, about: { readonly time: number; readonly delayMs: number }): number | null {
  if (draft.knownAt === "now") return null;
  return draft.knownAt === "after-delay" ? about.time + about.delayMs : draft.knownAt;
}
