// Log records as bytes in shared memory: written on the serving thread without JSON, read on the log's thread and by look-ups.
import type { Review } from "../../../core/case.ts";
import type { Decision } from "../../../core/decision.ts";
import { readOutcome, spellOutcome } from "../../../core/rule-text.ts";
import { emptyFields, type FieldValue } from "../../../core/transaction.ts";
import type { Adapted, Explored, LabelRecord, PredictionRecord, ShadowRecord } from "../../../ports/log.ts";
import type { LogRecord } from "./records.ts";

const KINDS = ["prediction", "label", "shadow"] as const;
/** Before each record: its length, and its kind. */
const HEAD_BYTES = 5;
/** What a field holds. */
const NULL = 0;
const NUMBER = 1;
const TEXT = 2;
const TRUE = 3;
const FALSE = 4;
/** Names in one chunk; field names and versions repeat, so a chunk with more of them is closed. */
const NAMES_MAX = 10_000;

/** A piece of shared memory that holds records one after the other, and the names that they have in common. */
export class Chunk {
  readonly id: number;
  readonly memory: SharedArrayBuffer;
  /** In the order in which the records first used them. */
  readonly names: string[] = [];
  /** Bytes written. */
  used = 0;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly floats: Float32Array;
  readonly text: Buffer;
  private readonly places = new Map<string, number>();

  constructor(id: number, memory: SharedArrayBuffer) {
    this.id = id;
    this.memory = memory;
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.floats = new Float32Array(memory);
    this.text = Buffer.from(memory);
  }

  placeOf(name: string): number {
    let place = this.places.get(name);
    if (place === undefined) {
      place = this.names.length;
      this.names.push(name);
      this.places.set(name, place);
    }
    return place;
  }
}

/** Writes at the chunk's end. A record that does not fit leaves the chunk as it was. */
export class RecordWriter {
  private chunk!: Chunk;
  private at = 0;
  private full = false;

  /** The offset at which the record stands, or -1 when the chunk has no room for it. */
  prediction(chunk: Chunk, record: Omit<PredictionRecord, "sequence">): number {
    const begin = this.begin(chunk, 0);
    this.string(record.transactionId);
    this.number(record.time);
    this.number(record.receivedAt);
    this.fields(record.fields);
    this.string(isEmpty(record.extra) ? "" : JSON.stringify(record.extra));
    this.name(record.decision);
    this.name(record.version);
    this.name(record.bundle);
    this.number(record.score);
    this.number(record.anomalyScore);
    this.number(record.latencyMs);
    this.number(record.degraded ? 1 : 0);
    this.number(record.applied ?? Number.NaN);
    this.explored(record.explored);
    this.adapted(record.adapted);
    this.string(record.position ?? "");
    this.string(record.rules === undefined ? "" : spellOutcome(record.rules));
    this.vector(record.vector);
    return this.end(begin);
  }

  /** As {@link prediction}. */
  label(chunk: Chunk, record: Omit<LabelRecord, "sequence">): number {
    const begin = this.begin(chunk, 1);
    this.string(record.transactionId);
    this.number(record.fraud ? 1 : 0);
    this.number(record.knownAt);
    this.string(record.source);
    this.number(record.receivedAt);
    this.number(record.applied ?? Number.NaN);
    this.string(record.review === undefined ? "" : JSON.stringify(record.review));
    return this.end(begin);
  }

  /** As {@link prediction}. */
  shadow(chunk: Chunk, record: ShadowRecord): number {
    const begin = this.begin(chunk, 2);
    this.string(record.transactionId);
    this.number(record.time);
    for (const side of [record.champion, record.candidate]) {
      this.name(side.version);
      this.number(side.score);
      this.name(side.decision);
    }
    this.name(record.bundle);
    this.number(record.latencyMs);
    this.number(record.championLatencyMs);
    this.string(record.vectorHash);
    return this.end(begin);
  }

  private begin(chunk: Chunk, kind: number): number {
    this.chunk = chunk;
    this.at = chunk.used;
    this.full = !this.hasRoom(HEAD_BYTES) || chunk.names.length > NAMES_MAX;
    if (this.full) return -1;
    chunk.view.setUint8(this.at + 4, kind);
    this.at += HEAD_BYTES;
    return chunk.used;
  }

  /** The length goes before the record, so that a reader can pass it by. */
  private end(begin: number): number {
    if (this.full) return -1;
    this.chunk.view.setUint32(begin, this.at - begin);
    this.chunk.used = this.at;
    return begin;
  }

  private hasRoom(bytes: number): boolean {
    return this.at + bytes <= this.chunk.bytes.length;
  }

  private number(value: number): void {
    if (this.full || !this.hasRoom(8)) {
      this.full = true;
      return;
    }
    this.chunk.view.setFloat64(this.at, value);
    this.at += 8;
  }

  private name(name: string): void {
    if (this.full || !this.hasRoom(2)) {
      this.full = true;
      return;
    }
    this.chunk.view.setUint16(this.at, this.chunk.placeOf(name));
    this.at += 2;
  }

  /** One byte a character where all are below 256, else two: lone surrogates and U+0000 stay as they are. */
  private string(text: string): void {
    const { length } = text;
    if (this.full || !this.hasRoom(4 + 2 * length)) {
      this.full = true;
      return;
    }
    const { bytes, view } = this.chunk;
    const from = this.at + 4;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 255) {
        this.wide(text);
        return;
      }
      bytes[from + i] = unit;
    }
    view.setUint32(this.at, length * 2);
    this.at = from + length;
  }

  private wide(text: string): void {
    this.chunk.view.setUint32(this.at, text.length * 2 + 1);
    this.chunk.text.write(text, this.at + 4, "utf16le");
    this.at += 4 + text.length * 2;
  }

  private fields(fields: Readonly<Record<string, FieldValue>>): void {
    const countAt = this.at;
    this.name("");
    let count = 0;
    for (const name in fields) {
      const value = fields[name];
      this.name(name);
      if (this.full || !this.hasRoom(1)) {
        this.full = true;
        return;
      }
      const kind = kindOf(value);
      this.chunk.view.setUint8(this.at++, kind);
      if (kind === NUMBER) this.number(value as number);
      else if (kind === TEXT) this.string(value as string);
      count++;
    }
    if (!this.full) this.chunk.view.setUint16(countAt, count);
  }

  private explored(explored: Explored | undefined): void {
    this.number(explored === undefined ? Number.NaN : explored.propensity);
    if (explored === undefined) return;
    this.number(explored.upTo);
    this.name(explored.rules);
  }

  private adapted(adapted: Adapted | undefined): void {
    this.number(adapted?.review ?? Number.NaN);
    if (adapted === undefined) return;
    this.name(adapted.rules);
    this.number(adapted.block ?? Number.NaN);
    // A segment may have an empty name.
    this.string(adapted.segment === undefined ? "" : `=${adapted.segment}`);
  }

  /** Float32 as the platform lays it out, bit for bit. */
  private vector(vector: Float32Array): void {
    if (this.full || !this.hasRoom(8 + vector.byteLength)) {
      this.full = true;
      return;
    }
    this.chunk.view.setUint32(this.at, vector.length);
    const from = Math.ceil((this.at + 4) / 4);
    const { floats } = this.chunk;
    // Value by value: the engine's own copy into shared memory takes a microsecond, because it must not tear.
    for (let i = 0; i < vector.length; i++) floats[from + i] = vector[i];
    this.at = from * 4 + vector.byteLength;
  }
}

/** The record at an offset of a chunk's memory, and where the next one begins. */
export function readRecord(
  chunk: Pick<Chunk, "view" | "text" | "memory" | "names">,
  offset: number,
): { readonly entry: LogRecord; readonly next: number } {
  const reader = new RecordReader(chunk, offset + HEAD_BYTES);
  const next = offset + chunk.view.getUint32(offset);
  const kind = KINDS[chunk.view.getUint8(offset + 4)];
  if (kind === "prediction") return { entry: { kind, record: reader.prediction() }, next };
  if (kind === "label") return { entry: { kind, record: reader.label() }, next };
  return { entry: { kind, record: reader.shadow() }, next };
}

/** The id of the prediction at an offset. */
export function idOfPrediction(chunk: Pick<Chunk, "view" | "text" | "memory" | "names">, offset: number): string {
  return new RecordReader(chunk, offset + 5).string();
}

/** While it is being read. */
type Open<T> = { -readonly [K in keyof T]: T[K] };

class RecordReader {
  private readonly chunk: Pick<Chunk, "view" | "text" | "memory" | "names">;
  private at: number;

  constructor(chunk: Pick<Chunk, "view" | "text" | "memory" | "names">, at: number) {
    this.chunk = chunk;
    this.at = at;
  }

  prediction(): Omit<PredictionRecord, "sequence"> {
    const transactionId = this.string();
    const time = this.number();
    const receivedAt = this.number();
    const fields = this.fields();
    const extra = this.string();
    const decision = this.name() as Decision;
    const [version, bundle] = [this.name(), this.name()];
    const [score, anomalyScore, latencyMs, degraded] = [this.number(), this.number(), this.number(), this.number()];
    const applied = this.number();
    const explored = this.explored();
    const adapted = this.adapted();
    const position = this.string();
    const rules = this.string();
    const record: Open<Omit<PredictionRecord, "sequence">> = {
      transactionId,
      time,
      receivedAt,
      fields,
      extra: (extra === "" ? {} : JSON.parse(extra)) as Record<string, unknown>,
      vector: this.vector(),
      score,
      anomalyScore,
      decision,
      version,
      bundle,
      latencyMs,
      degraded: degraded === 1,
    };
    // One by one: nothing is copied for what is mostly missing.
    if (rules !== "") record.rules = readOutcome(rules);
    if (!Number.isNaN(applied)) record.applied = applied;
    if (explored !== null) record.explored = explored;
    if (adapted !== null) record.adapted = adapted;
    if (position !== "") record.position = position;
    return record;
  }

  label(): Omit<LabelRecord, "sequence"> {
    const transactionId = this.string();
    const fraud = this.number() === 1;
    const knownAt = this.number();
    const source = this.string();
    const receivedAt = this.number();
    const applied = this.number();
    const review = this.string();
    const known = Number.isNaN(applied) ? {} : { applied };
    const reviewed = review === "" ? {} : { review: JSON.parse(review) as Review };
    return { transactionId, fraud, knownAt, source, receivedAt, ...known, ...reviewed };
  }

  shadow(): ShadowRecord {
    const transactionId = this.string();
    const time = this.number();
    const [champion, candidate] = [this.side(), this.side()];
    const bundle = this.name();
    const [latencyMs, championLatencyMs] = [this.number(), this.number()];
    return {
      transactionId,
      time,
      champion,
      candidate,
      bundle,
      latencyMs,
      championLatencyMs,
      vectorHash: this.string(),
    };
  }

  private side(): ShadowRecord["champion"] {
    const version = this.name();
    const score = this.number();
    return { version, score, decision: this.name() as Decision };
  }

  private explored(): Explored | null {
    const propensity = this.number();
    return Number.isNaN(propensity) ? null : { propensity, upTo: this.number(), rules: this.name() };
  }

  private adapted(): Adapted | null {
    const review = this.number();
    if (Number.isNaN(review)) return null;
    const rules = this.name();
    const [block, segment] = [this.number(), this.string()];
    const own = Number.isNaN(block) ? {} : { block };
    return { review, rules, ...own, ...(segment === "" ? {} : { segment: segment.slice(1) }) };
  }

  private number(): number {
    const value = this.chunk.view.getFloat64(this.at);
    this.at += 8;
    return value;
  }

  private name(): string {
    const place = this.chunk.view.getUint16(this.at);
    this.at += 2;
    return this.chunk.names[place];
  }

  string(): string {
    const header = this.chunk.view.getUint32(this.at);
    const isWide = header % 2 === 1;
    const length = (header - (isWide ? 1 : 0)) / 2;
    const from = this.at + 4;
    this.at = from + (isWide ? 2 * length : length);
    return this.chunk.text.toString(isWide ? "utf16le" : "latin1", from, this.at);
  }

  private fields(): Record<string, FieldValue> {
    const fields = emptyFields();
    const count = this.chunk.view.getUint16(this.at);
    this.at += 2;
    for (let i = 0; i < count; i++) {
      const name = this.name();
      const kind = this.chunk.view.getUint8(this.at++);
      if (kind === NUMBER) fields[name] = this.number();
      else if (kind === TEXT) fields[name] = this.string();
      else fields[name] = kind === NULL ? null : kind === TRUE;
    }
    return fields;
  }

  /** A copy of its own: the memory is shared, and used again. */
  private vector(): Float32Array {
    const length = this.chunk.view.getUint32(this.at);
    const from = Math.ceil((this.at + 4) / 4) * 4;
    const vector = new Float32Array(length);
    vector.set(new Float32Array(this.chunk.memory, from, length));
    return vector;
  }
}

function kindOf(value: FieldValue): number {
  if (typeof value === "number") return NUMBER;
  if (typeof value === "string") return TEXT;
  return value === null ? NULL : value ? TRUE : FALSE;
}

function isEmpty(extra: Readonly<Record<string, unknown>>): boolean {
  for (const _ in extra) return false;
  return true;
}
