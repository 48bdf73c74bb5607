// Labels as clients send them: read by the pipeline's names and words, logged, learned and counted, whatever door they come through.
import { ERROR_KINDS, type ErrorCode, SentinelError } from "../core/errors.ts";
import { type LabelWords, labelOfWord, wordsText } from "../core/label-words.ts";
import { readTime, type TimeRule } from "../core/time.ts";
import { idOf } from "../core/transaction.ts";
import { nameFolder } from "../pipeline/names.ts";
import type { Engine } from "./engine.ts";
import { type FieldFault, invalidRequest } from "./faults.ts";
import {
  appendLabel,
  LABEL_SOURCE_LENGTH_MAX,
  type LabelDraft,
  type LabelRoad,
  labelKnownMax,
  labelsDurable,
  type LabelOutcome as Taken,
  takeLabel,
} from "./label.ts";
import { rename, timeMessage } from "./parse.ts";

/** What became of one label, as doors tell it. */
export interface LabelOutcome {
  readonly transaction_id: string;
  readonly accepted: boolean;
  readonly code?: ErrorCode;
  readonly message?: string;
}

/** Names a label comes under besides the pipeline's own. */
const LABEL_NAMES = ["fraud", "is_fraud", "label"];

/** Logs and learns one label, and counts it. Errors: log.*, state.*. */
export async function takeAndCount(engine: Engine, label: LabelDraft): Promise<LabelOutcome> {
  return counted(engine, await takeLabel(roadOf(engine), label));
}

/**
 * Logs, learns and counts labels in order; they wait for one commit together. Each has its outcome: once some were taken, a fault of
 * the outside refuses the rest one by one, so that nobody sends those again that are in the log. Errors: log.* and state.* before any was
 * taken, log.* of the commit.
 */
export async function takeAllAndCount(engine: Engine, labels: readonly LabelDraft[]): Promise<readonly LabelOutcome[]> {
  const road = roadOf(engine);
  const outcomes: LabelOutcome[] = [];
  let isLogged = false;
  let fault: SentinelError | null = null;
  for (const label of labels) {
    try {
      if (fault !== null) throw fault;
      const outcome = await appendLabel(road, label);
      isLogged ||= outcome.accepted;
      outcomes.push(counted(engine, outcome));
    } catch (error) {
      if (!(error instanceof SentinelError) || !isLogged) throw error;
      // Those behind it would meet the same fault, each after its own wait.
      fault = error;
      engine.counters.labelled(error.code);
      const { code, message } = error;
      outcomes.push({ transaction_id: label.transactionId, accepted: false, code, message });
    }
  }
  if (isLogged) await labelsDurable(road);
  return outcomes;
}

function roadOf(engine: Engine): LabelRoad {
  const { log, states, ports, pipeline } = engine;
  return { log, states, clock: ports.clock, delayMs: pipeline.labels.delayMs, knownMax: knownMaxOf(engine) };
}

function counted(engine: Engine, { transactionId, ...outcome }: Taken): LabelOutcome {
  if (!outcome.accepted && outcome.code === "server.overloaded") engine.counters.recordDropped("label");
  engine.counters.labelled(outcome.accepted ? "accepted" : outcome.code);
  return { transaction_id: transactionId, ...outcome };
}

/** Reads a client's label; `at` is its place in a list ("3/"). Throws `request.invalid` with one fault a field. */
export function parseLabel(engine: Engine, value: unknown, at: string): LabelDraft {
  const { columns, canonical } = engine.pipeline;
  const names = new Map(canonical);
  names.set("time", "time");
  // What answers call the id, and `sentinel label` sends, whatever the pipeline calls its column.
  if (!names.has("transaction_id")) names.set("transaction_id", columns.id);
  for (const name of LABEL_NAMES) names.set(name, columns.label);
  const { renamed, spelled } = rename(value, nameFolder(names));
  const faults: FieldFault[] = [];
  const fault = (column: string, message: string): void =>
    void faults.push({ field: `${at}${spelled.get(column) ?? column}`, message });
  const transactionId = idOf(renamed[columns.id]);
  if (transactionId === null) fault(columns.id, "must be the id of a transaction");
  const words = engine.pipeline.written.labelWords;
  const fraud = fraudOf(renamed[columns.label], words);
  const also = words === null ? "" : `, or a word of the pipeline's: ${wordsText(words)}`;
  if (fraud === null) fault(spelled.get(columns.label) ?? "fraud", `must be true or false (or 1 or 0)${also}`);
  const source = renamed.source ?? "analyst";
  if (typeof source !== "string" || source.length === 0 || source.length > LABEL_SOURCE_LENGTH_MAX) {
    fault("source", `must be a text of 1 to ${LABEL_SOURCE_LENGTH_MAX} characters`);
  }
  const time = renamed[names.get("time") ?? "time"];
  const knownAt = knownAtOf(time, engine.pipeline.times);
  if (Number.isNaN(knownAt)) fault("time", timeMessage(time, engine.pipeline));
  if (typeof knownAt === "number" && knownAt > knownMaxOf(engine))
    fault("time", "is ahead of the server's clock by more than is allowed");
  if (faults.length > 0) throw invalidRequest(faults, "the label");
  return { transactionId: transactionId!, fraud: fraud!, source: source as string, knownAt };
}

function knownMaxOf({ ports, states, aheadMaxMs }: Engine): number {
  return labelKnownMax({ now: ports.clock.now(), newestTime: states.newestTime, aheadMaxMs });
}

/** A digit that the pipeline's words read otherwise is refused: either reading would be a guess. */
function fraudOf(value: unknown, words: LabelWords | null): boolean | null {
  if (typeof value === "boolean") return value;
  const meaning = words === null ? null : labelOfWord(String(value), words);
  if (typeof value === "string") return meaning === null || Number.isNaN(meaning) ? null : meaning === 1;
  if (value !== 0 && value !== 1) return null;
  return meaning === null || meaning === value ? value === 1 : null;
}

/** Absent: known as it arrives. null: nobody knows when, so the pipeline's delay counts. NaN: not a time. */
function knownAtOf(value: unknown, rule: TimeRule): LabelDraft["knownAt"] {
  if (value === undefined) return "now";
  return value === null ? "after-delay" : readTime(value, rule);
}

/** The error that a label alone in its request is refused with. */
export function refusedLabel(outcome: LabelOutcome): SentinelError {
  const code = outcome.code ?? "request.not-found";
  const hint = hintOf(code);
  return new SentinelError(code, `label of ${JSON.stringify(outcome.transaction_id)}: ${outcome.message}`, { hint });
}

function hintOf(code: ErrorCode): string {
  if (ERROR_KINDS[code].retryable) return "send the label again after Retry-After seconds";
  return code === "labels.invalid"
    ? "send the time at which the label became known, or leave it out"
    : "send labels of transactions that /predict answered, under the same transaction_id";
}
