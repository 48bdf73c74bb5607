// POST /feedback: labels, the late truth, one or many; on the clock of event time.

import { ERROR_KINDS, type ErrorCode, SentinelError } from "../core/errors.ts";
import { type LabelWords, labelOfWord, wordsText } from "../core/label-words.ts";
import { readTime, type TimeRule } from "../core/time.ts";
import { type FieldFault, invalidRequest } from "../online/faults.ts";
import { LABEL_SOURCE_LENGTH_MAX, type LabelDraft, labelKnownMax, takeLabel } from "../online/label.ts";
import { idOf, rename, timeMessage } from "../online/parse.ts";
import { nameFolder } from "../pipeline/names.ts";
import { bodyText, mediaType } from "./body.ts";
import { parseJson } from "./json.ts";
import { jsonResponse, type RequestContext, type Route, type ServerParts } from "./parts.ts";
import { FEEDBACK_RESULT_SCHEMA, ref } from "./schemas.ts";

export const feedbackRoute: Route = {
  method: "POST",
  access: "label",
  path: "/feedback",
  summary: "Takes labels: one object or an array. In an array, unknown transactions are told item by item.",
  shed: true,
  body: { "application/json": { oneOf: [ref("Feedback"), { type: "array", items: ref("Feedback") }] } },
  answers: { "application/json": FEEDBACK_RESULT_SCHEMA },
  run: feedback,
};

interface Outcome {
  readonly transaction_id: string;
  readonly accepted: boolean;
  readonly code?: ErrorCode;
  readonly message?: string;
}

/** Names a label comes under besides the pipeline's own. */
const LABEL_NAMES = ["fraud", "is_fraud", "label"];

async function feedback(parts: ServerParts, context: RequestContext): Promise<Response> {
  mediaType(context.req.raw, ["application/json"]);
  const { batchMax } = parts.pipeline.serve;
  const body = parseJson(await bodyText(parts, context));
  if (!Array.isArray(body)) {
    const outcome = await take(parts, parseLabel(parts, body, ""));
    if (!outcome.accepted) throw refused(outcome);
    return jsonResponse({ accepted: 1, rejected: 0, items: [outcome] });
  }
  if (body.length > batchMax) {
    throw new SentinelError("request.body-too-large", `${body.length} labels at once`, {
      hint: `send at most ${batchMax} (serve.batch_max)`,
    });
  }
  const labels = body.map((item, index) => parseLabel(parts, item, `${index}/`));
  const items: Outcome[] = [];
  for (const label of labels) items.push(await take(parts, label));
  const accepted = items.filter((item) => item.accepted).length;
  return jsonResponse({ accepted, rejected: items.length - accepted, items });
}

/** Logs and learns one label. */
async function take(parts: ServerParts, label: LabelDraft): Promise<Outcome> {
  const { log, states, ports, pipeline } = parts;
  const road = { log, states, clock: ports.clock, delayMs: pipeline.labels.delayMs, knownMax: knownMaxOf(parts) };
  const { transactionId, ...outcome } = await takeLabel(road, label);
  if (!outcome.accepted && outcome.code === "server.overloaded") parts.counters.recordDropped("label");
  parts.counters.labelled(outcome.accepted ? "accepted" : outcome.code);
  return { transaction_id: transactionId, ...outcome };
}

function parseLabel(parts: ServerParts, value: unknown, at: string): LabelDraft {
  const { columns, canonical } = parts.pipeline;
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
  const words = parts.pipeline.written.labelWords;
  const fraud = fraudOf(renamed[columns.label], words);
  const also = words === null ? "" : `, or a word of the pipeline's: ${wordsText(words)}`;
  if (fraud === null) fault(spelled.get(columns.label) ?? "fraud", `must be true or false (or 1 or 0)${also}`);
  const source = renamed.source ?? "analyst";
  if (typeof source !== "string" || source.length === 0 || source.length > LABEL_SOURCE_LENGTH_MAX) {
    fault("source", `must be a text of 1 to ${LABEL_SOURCE_LENGTH_MAX} characters`);
  }
  const time = renamed[names.get("time") ?? "time"];
  const knownAt = knownAtOf(time, parts.pipeline.times);
  if (Number.isNaN(knownAt)) fault("time", timeMessage(time, parts.pipeline));
  if (typeof knownAt === "number" && knownAt > knownMaxOf(parts))
    fault("time", "is ahead of the server's clock by more than is allowed");
  if (faults.length > 0) throw invalidRequest(faults, "the label");
  return { transactionId: transactionId!, fraud: fraud!, source: source as string, knownAt };
}

function knownMaxOf({ ports, states, aheadMaxMs }: ServerParts): number {
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

function refused(outcome: Outcome): SentinelError {
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
