// The one road for labels: every door, and the command line, gives its labels here.
import type { Review } from "../core/case.ts";
import { DAY_MS } from "../core/duration.ts";
import { assert, type ErrorCode } from "../core/errors.ts";
import type { Transaction } from "../core/transaction.ts";
import type { PredictionLog } from "../ports/log.ts";
import type { Clock } from "../ports/ports.ts";
import { type OnlineStates, transactionOf } from "./states.ts";

/** Characters of a label's source. */
export const LABEL_SOURCE_LENGTH_MAX = 100;
/** How far the time of a label may be ahead of the clock where no server says otherwise: clocks differ, and time zones are mistaken. */
const AHEAD_MAX_MS = DAY_MS;

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
  /** Present where a case was closed with it. */
  readonly review?: Review;
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
  /** {@link labelKnownMax}. */
  readonly knownMax: number;
}

/** The latest time that a label may say it became known at: not ahead of the clock, nor of the newest event, by more than is allowed. */
export function labelKnownMax(given: {
  readonly now: number;
  readonly newestTime: number;
  readonly aheadMaxMs?: number;
}): number {
  return Math.max(given.now, given.newestTime) + (given.aheadMaxMs ?? AHEAD_MAX_MS);
}

/** Logs and learns one label of a transaction that was answered. Errors: log.unreadable, state.*, server.overloaded. */
export async function takeLabel(road: LabelRoad, draft: LabelDraft): Promise<LabelOutcome> {
  const outcome = await appendLabel(road, draft);
  if (outcome.accepted) await labelsDurable(road);
  return outcome;
}

/** Waits until labels that {@link appendLabel} accepted are on the disk, where `log.durability` asks for that: once for many. Errors: log.*. */
export async function labelsDurable({ log }: Pick<LabelRoad, "log">): Promise<void> {
  if (log.durability === "sync") await log.flush();
}

/** {@link takeLabel}, but for the wait for the disk. */
export async function appendLabel(road: LabelRoad, draft: LabelDraft): Promise<LabelOutcome> {
  const found = await look(road, draft);
  if ("code" in found) return found;
  const { log, states, clock } = road;
  const { transactionId, fraud, source, review } = draft;
  const { transaction, knownAt } = found;
  const reviewed = review === undefined ? {} : { review };
  const logged = await states.takeLabel({
    transaction,
    log,
    fraud,
    source,
    knownAt,
    receivedAt: clock.now(),
    ...reviewed,
  });
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
  const { transactionId, source } = draft;
  const invalid = (message: string): LabelRefusal => ({
    transactionId,
    accepted: false,
    code: "labels.invalid",
    message,
  });
  if (source.length === 0 || source.length > LABEL_SOURCE_LENGTH_MAX)
    return invalid(`the label's source must have 1 to ${LABEL_SOURCE_LENGTH_MAX} characters`);
  if (typeof draft.knownAt === "number" && draft.knownAt > road.knownMax)
    return invalid(`the label is known at ${isoOf(draft.knownAt)}, ahead of the clock by more than is allowed`);
  const record = (await road.log.find(transactionId)) ?? (await road.states.answered(transactionId));
  if (record === null) {
    const message = "no answer was given to a transaction of this id";
    return { transactionId, accepted: false, code: "request.not-found", message };
  }
  const transaction = transactionOf(record);
  const knownAt = knownAtOf(draft, { time: transaction.time, delayMs: road.delayMs });
  assert(knownAt === null || Number.isFinite(knownAt), `the label of ${transactionId} has a time`);
  if (knownAt === null || knownAt >= transaction.time) return { transaction, knownAt };
  return invalid(
    `the label is known at ${isoOf(knownAt)}, before its transaction happened at ${isoOf(transaction.time)}`,
  );
}

/** ISO 8601, or the milliseconds where no calendar has them. */
function isoOf(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? `${time} ms` : date.toISOString();
}

/** null: as it arrives. */
function knownAtOf(draft: LabelDraft, about: { readonly time: number; readonly delayMs: number }): number | null {
  if (draft.knownAt === "now") return null;
  return draft.knownAt === "after-delay" ? about.time + about.delayMs : draft.knownAt;
}
