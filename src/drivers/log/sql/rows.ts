// How log records become rows and back.
import type { Review } from "../../../core/case.ts";
import type { Decision } from "../../../core/decision.ts";
import { outcomeText, readOutcome } from "../../../core/rule-text.ts";
import { emptyFields, type FieldValue } from "../../../core/transaction.ts";
import type {
  Adapted,
  Explored,
  LabelRecord,
  LogArrivalEntry,
  PredictionRecord,
  ShadowPair,
  ShadowRecord,
} from "../../../ports/log.ts";

/** What both vendors bind. A boolean would abort the process in libsql (0.5.29), so none is ever passed. */
export type Parameter = number | string | Uint8Array | null;
/** A row in raw mode: columns in the order selected. */
export type Row = readonly unknown[];

export const PREDICTION_COLUMNS =
  "sequence, transaction_id, time, received_at, fields, extra, vector, score, anomaly_score, decision, version, bundle, latency_ms, degraded, applied, rules, explored, adapted, position";
/** What a feature state learns. */
export const LEARNED_COLUMNS = "sequence, transaction_id, time, received_at, fields, applied";
export const LABEL_COLUMNS = "sequence, transaction_id, fraud, known_at, source, received_at, applied, review";
export const SHADOW_COLUMNS =
  "transaction_id, time, champion_version, champion_score, champion_decision, candidate_version, candidate_score, candidate_decision, bundle, latency_ms, champion_latency_ms, vector_hash";

/** The columns after `sequence`. */
export function predictionRow(record: Omit<PredictionRecord, "sequence">): Parameter[] {
  return [
    storeText(record.transactionId),
    record.time,
    record.receivedAt,
    JSON.stringify(record.fields),
    JSON.stringify(record.extra),
    // Float32 little-endian, as every platform that libsql is built for lays it out. A copy: callers reuse vectors.
    bytesOf(record.vector),
    record.score,
    record.anomalyScore,
    record.decision,
    storeText(record.version),
    record.bundle,
    record.latencyMs,
    record.degraded ? 1 : 0,
    record.applied ?? null,
    record.rules === undefined ? null : outcomeText(record.rules),
    record.explored === undefined ? null : JSON.stringify(record.explored),
    record.adapted === undefined ? null : JSON.stringify(record.adapted),
    record.position === undefined ? null : storeText(record.position),
  ];
}

export function predictionOf(row: Row): PredictionRecord {
  const record: { -readonly [K in keyof PredictionRecord]: PredictionRecord[K] } = {
    sequence: Number(row[0]),
    transactionId: loadText(row[1]),
    time: numberOf(row[2]),
    receivedAt: numberOf(row[3]),
    fields: fieldsOf(row[4]),
    extra: row[5] === "{}" ? {} : (JSON.parse(String(row[5])) as Record<string, unknown>),
    vector: vectorOf(row[6]),
    score: numberOf(row[7]),
    anomalyScore: numberOf(row[8]),
    decision: row[9] as Decision,
    version: loadText(row[10]),
    bundle: String(row[11]),
    latencyMs: numberOf(row[12]),
    degraded: row[13] === 1,
  };
  // One by one: nothing is copied for what is mostly missing.
  if (row[14] !== null) record.applied = Number(row[14]);
  if (row[15] !== null) record.rules = readOutcome(String(row[15]));
  if (row[16] !== null) record.explored = JSON.parse(String(row[16])) as Explored;
  if (row[17] !== null) record.adapted = JSON.parse(String(row[17])) as Adapted;
  if (row[18] !== null) record.position = loadText(row[18]);
  return record;
}

/** From {@link LEARNED_COLUMNS}. */
export function learnedOf(row: Row): Extract<LogArrivalEntry, { readonly kind: "prediction" }>["record"] {
  return {
    sequence: Number(row[0]),
    transactionId: loadText(row[1]),
    time: numberOf(row[2]),
    receivedAt: numberOf(row[3]),
    fields: fieldsOf(row[4]),
    ...appliedOf(row[5]),
  };
}

/** The columns after `sequence`. */
export function labelRow(label: Omit<LabelRecord, "sequence">): Parameter[] {
  const { transactionId, fraud, knownAt, source, receivedAt, applied, review } = label;
  const why = review === undefined ? null : JSON.stringify(review);
  return [storeText(transactionId), fraud ? 1 : 0, knownAt, storeText(source), receivedAt, applied ?? null, why];
}

export function labelOf(row: Row): LabelRecord {
  return {
    sequence: Number(row[0]),
    transactionId: loadText(row[1]),
    fraud: row[2] === 1,
    knownAt: numberOf(row[3]),
    source: loadText(row[4]),
    receivedAt: numberOf(row[5]),
    ...appliedOf(row[6]),
    ...reviewOf(row[7]),
  };
}

export function shadowRow(shadow: ShadowRecord): Parameter[] {
  return [
    storeText(shadow.transactionId),
    shadow.time,
    storeText(shadow.champion.version),
    shadow.champion.score,
    shadow.champion.decision,
    storeText(shadow.candidate.version),
    shadow.candidate.score,
    shadow.candidate.decision,
    shadow.bundle,
    shadow.latencyMs,
    shadow.championLatencyMs,
    shadow.vectorHash,
  ];
}

/** From {@link SHADOW_COLUMNS} followed by fields JSON, label fraud, label known_at, what was answered, and the draw behind it. */
export function pairOf(row: Row, names: { readonly card: string | null; readonly amount: string | null }): ShadowPair {
  const fields = fieldsOf(row[12]);
  const transactionId = loadText(row[0]);
  const card = names.card === null ? null : (fields[names.card] ?? null);
  const amount = names.amount === null ? undefined : fields[names.amount];
  return {
    transactionId,
    time: numberOf(row[1]),
    champion: { version: loadText(row[2]), score: numberOf(row[3]), decision: row[4] as Decision },
    candidate: { version: loadText(row[5]), score: numberOf(row[6]), decision: row[7] as Decision },
    bundle: String(row[8]),
    latencyMs: numberOf(row[9]),
    championLatencyMs: numberOf(row[10]),
    vectorHash: String(row[11]),
    // A transaction without a card stands for itself.
    card: card === null ? transactionId : String(card),
    amount: typeof amount === "number" ? amount : Number.NaN,
    answered: row[15] as Decision,
    propensity: exploredOf(row[16]).explored?.propensity ?? null,
    fraud: row[13] === null ? null : row[13] === 1,
    labelKnownAt: row[13] === null ? null : numberOf(row[14]),
  };
}

/**
 * Text that a database keeps whole. libsql cuts text at U+0000 and replaces lone surrogates, which would let two ids
 * become one, and PostgreSQL refuses both; these and the backslash are written as \uXXXX.
 */
export function storeText(text: string): string {
  return isPlain(text) ? text : text.replace(FRAGILE, (unit) => `\\u${hex(unit)}`);
}

/** Texts that certainly stay as they are, by a look at each unit: an expression takes ten times as long. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0 || unit === BACKSLASH || (unit >= 0xd800 && unit <= 0xdfff)) return false;
  }
  return true;
}

/** The inverse of {@link storeText}. */
export function loadText(stored: unknown): string {
  const text = String(stored);
  if (!text.includes("\\")) return text;
  return text.replace(/\\u([0-9a-f]{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

const BACKSLASH = 0x5c;
const FRAGILE = /[\0\\]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function hex(unit: string): string {
  return unit.charCodeAt(0).toString(16).padStart(4, "0");
}

function appliedOf(cell: unknown): { readonly applied?: number } {
  return cell === null ? {} : { applied: Number(cell) };
}

function reviewOf(cell: unknown): { readonly review?: Review } {
  return cell === null ? {} : { review: JSON.parse(String(cell)) as Review };
}

function exploredOf(cell: unknown): { readonly explored?: Explored } {
  return cell === null ? {} : { explored: JSON.parse(String(cell)) as Explored };
}

/** A copy, because callers use vectors again; `Uint8Array.from` would go value by value. */
function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(new Uint8Array(buffer, byteOffset, byteLength));
}

/** A copy, because a Float32Array needs an offset divisible by four. */
export function vectorOf(cell: unknown): Float32Array {
  return new Float32Array(new Uint8Array(cell as Uint8Array).buffer);
}

export function numberOf(cell: unknown): number {
  return cell === null ? Number.NaN : Number(cell);
}

/** Prototype-free, so that a field named `__proto__` is a field. JSON.parse makes own members of any name. */
export function fieldsOf(cell: unknown): Record<string, FieldValue> {
  const fields = emptyFields();
  const parsed = JSON.parse(String(cell)) as Record<string, FieldValue>;
  // What JSON makes has no inherited members that would be listed.
  for (const name in parsed) fields[name] = parsed[name];
  return fields;
}
