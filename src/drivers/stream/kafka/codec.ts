// Record batches as Kafka's protocol has them (KIP-98), read and written in plain numbers, and the hashes that go with them.

/** A record as kafkajs hands it to its encoder. */
export interface RecordToEncode {
  readonly key?: string | Uint8Array | null;
  readonly value: string | Uint8Array | null;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly offsetDelta?: number;
  readonly timestampDelta?: number;
}

/** What kafkajs expects of an encoder: it copies `buffer`. */
export interface EncodedRecord {
  readonly buf: Buffer;
  readonly buffer: Buffer;
}

/** What all records of a batch have in common, under the names of kafkajs. */
export interface BatchContext {
  readonly firstOffset: string;
  readonly firstTimestamp: string;
  readonly partitionLeaderEpoch: number;
  readonly inTransaction: boolean;
  readonly isControlBatch: boolean;
  readonly lastOffsetDelta: number;
  readonly producerId: string;
  readonly producerEpoch: number;
  readonly firstSequence: number;
  readonly maxTimestamp: string;
  readonly timestampType: 0 | 1;
  readonly magicByte: number;
}

/** A record as kafkajs decodes it. */
export interface DecodedRecord {
  readonly magicByte: number;
  readonly attributes: number;
  readonly timestamp: string;
  readonly offset: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Record<string, unknown>;
  readonly isControlRecord: boolean;
  readonly batchContext: BatchContext;
}

/** A batch without its records: those begin at `recordsAt`, a count of four bytes first, and are compressed where `codec` is not 0. */
export interface BatchHead {
  readonly context: BatchContext;
  readonly codec: number;
  readonly attributes: number;
  readonly recordsAt: number;
  readonly end: number;
}

/** Records are written into pieces of memory of this size; a larger one gets its own. */
const SLAB_BYTES = 262_144;
/** A varint of 32 bits takes five bytes at most, one of 64 bits ten. */
const HEAD_BYTES_MAX = 5 + 1 + 10 + 5 + 5 + 5 + 1;
/** Beyond it a zigzag number has no exact double. */
const DELTA_MAX = 2 ** 51;
/** Seven groups of seven bits are exact in a double. */
const PLAIN_BYTES_MAX = 7;

const CODEC_MASK = 0x07;
const APPEND_TIME_FLAG = 0x08;
const TRANSACTION_FLAG = 0x10;
const CONTROL_FLAG = 0x20;

/** Bytes of a batch before its own length counts: offset and length. */
const LENGTH_AT = 8;
const BODY_AT = 12;
/** Bytes from there to the records. */
const BODY_HEAD_BYTES = 45;

let slab = Buffer.allocUnsafeSlow(0);
let slabUsed = 0;

/** The bytes of one record; null for one that only the library encodes: with headers, or with a time beyond plain numbers. */
export function encodeRecord(record: RecordToEncode): EncodedRecord | null {
  const { key = null, value, headers, offsetDelta = 0, timestampDelta = 0 } = record;
  if (!(Math.abs(timestampDelta) < DELTA_MAX) || !Number.isInteger(timestampDelta)) return null;
  if (headers !== undefined) for (const _ in headers) return null;
  const keyBytes = lengthOf(key);
  const valueBytes = lengthOf(value);
  const body =
    1 + varlongSize(timestampDelta) + varintSize(offsetDelta) + sizeWith(keyBytes) + sizeWith(valueBytes) + 1;
  const to = roomFor(body + HEAD_BYTES_MAX);
  const from = slabUsed;
  let at = writeVarint(to, from, body);
  to[at++] = 0;
  at = writeVarlong(to, at, timestampDelta);
  at = writeVarint(to, at, offsetDelta);
  at = writePart(to, at, key, keyBytes);
  at = writePart(to, at, value, valueBytes);
  to[at++] = 0;
  slabUsed = at;
  const bytes = to.subarray(from, at);
  return { buf: bytes, buffer: bytes };
}

/** A message as a producer of kafkajs sends it. */
export interface MessageToEncode {
  readonly key?: string | Uint8Array | null;
  readonly value: string | Uint8Array | null;
  readonly timestamp?: string | null;
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** What kafkajs asks its encoder of a produce request for. Absent numbers are those of a producer without an id. */
export interface ProduceToEncode {
  readonly transactionalId?: string | null;
  readonly acks: number;
  readonly timeout: number;
  readonly producerId?: unknown;
  readonly producerEpoch?: number;
  readonly compression?: number;
  readonly topicData: readonly {
    readonly topic: string;
    readonly partitions: readonly {
      readonly partition: number;
      readonly messages: readonly MessageToEncode[];
      readonly firstSequence?: number;
    }[];
  }[];
}

/** A batch that is about to be written: what its records take, and the times that they count from. */
interface MeasuredBatch {
  readonly messages: readonly MessageToEncode[];
  /** Of each message the bytes of key, value and record. */
  readonly sizes: Int32Array;
  readonly bytes: number;
  readonly first: string | number;
  readonly last: string | number;
}

const NUMBERS_PER_MESSAGE = 3;
/** Offset, length, and what {@link readBatchHead} reads before the records; then their number. */
const BATCH_HEAD_BYTES = BODY_AT + BODY_HEAD_BYTES + 4;
/** From the length of a batch to what its checksum is of. */
const CRC_AT = BODY_AT + 5;
const MAGIC = 2;

/**
 * A produce request's body (versions 3 to 7) in one piece of memory; the library copies each record five times. Null for what only the library
 * encodes: compressed, or with a record that {@link encodeRecord} leaves to it. `now` is the time of messages that have none.
 */
export function encodeProduce(request: ProduceToEncode, now: number): EncodedRecord | null {
  const { transactionalId = null, acks, timeout, producerId = -1, producerEpoch = 0, topicData } = request;
  if ((request.compression ?? 0) !== 0) return null;
  let bytes = 2 + textBytes(transactionalId) + 2 + 4 + 4;
  const batches: MeasuredBatch[] = [];
  for (const { topic, partitions } of topicData) {
    bytes += 2 + textBytes(topic) + 4;
    for (const { messages } of partitions) {
      const batch = measured(messages, now);
      if (batch === null) return null;
      batches.push(batch);
      bytes += 4 + 4 + BATCH_HEAD_BYTES + batch.bytes;
    }
  }
  const to = Buffer.allocUnsafeSlow(bytes);
  let at = writeText(to, 0, transactionalId);
  at = to.writeInt16BE(acks, at);
  at = to.writeInt32BE(timeout, at);
  at = to.writeInt32BE(topicData.length, at);
  let next = 0;
  const producer = { id: BigInt(String(producerId)), epoch: producerEpoch, transactional: Boolean(transactionalId) };
  for (const { topic, partitions } of topicData) {
    at = writeText(to, at, topic);
    at = to.writeInt32BE(partitions.length, at);
    for (const { partition, firstSequence = 0 } of partitions) {
      const batch = batches[next++];
      at = to.writeInt32BE(partition, at);
      at = to.writeInt32BE(BATCH_HEAD_BYTES + batch.bytes, at);
      at = writeBatch(to, at, { ...producer, batch, firstSequence, now });
    }
  }
  return { buf: to, buffer: to };
}

/** The library compares times as texts; null where it encodes a record of them itself. */
function measured(messages: readonly MessageToEncode[], now: number): MeasuredBatch | null {
  let first: string | number = now;
  let last: string | number = now;
  let timed = false;
  for (const { timestamp } of messages) {
    if (timestamp === null || timestamp === undefined) continue;
    if (!timed || timestamp < (first as string)) first = timestamp;
    if (!timed || timestamp > (last as string)) last = timestamp;
    timed = true;
  }
  const from = Number(first);
  const sizes = new Int32Array(NUMBERS_PER_MESSAGE * messages.length);
  let bytes = 0;
  for (let i = 0; i < messages.length; i++) {
    const { key = null, value, timestamp, headers } = messages[i];
    const delta = Number(timestamp || now) - from;
    if (!(Math.abs(delta) < DELTA_MAX) || !Number.isInteger(delta)) return null;
    if (headers !== undefined) for (const _ in headers) return null;
    const [keyBytes, valueBytes] = [lengthOf(key), lengthOf(value)];
    const body = 1 + varlongSize(delta) + varintSize(i) + sizeWith(keyBytes) + sizeWith(valueBytes) + 1;
    sizes.set([keyBytes, valueBytes, body], NUMBERS_PER_MESSAGE * i);
    bytes += varintSize(body) + body;
  }
  return { messages, sizes, bytes, first, last };
}

function writeBatch(
  to: Buffer,
  from: number,
  of: {
    readonly batch: MeasuredBatch;
    readonly id: bigint;
    readonly epoch: number;
    readonly transactional: boolean;
    readonly firstSequence: number;
    readonly now: number;
  },
): number {
  const { messages, sizes, first, last, bytes } = of.batch;
  let at = to.writeBigInt64BE(0n, from);
  at = to.writeInt32BE(BATCH_HEAD_BYTES - BODY_AT + bytes, at);
  at = to.writeInt32BE(0, at);
  at = to.writeInt8(MAGIC, at);
  // The checksum's place.
  at += 4;
  at = to.writeInt16BE(of.transactional ? TRANSACTION_FLAG : 0, at);
  at = to.writeInt32BE(messages.length - 1, at);
  at = to.writeBigInt64BE(BigInt(first), at);
  at = to.writeBigInt64BE(BigInt(last), at);
  at = to.writeBigInt64BE(of.id, at);
  at = to.writeInt16BE(of.epoch, at);
  at = to.writeInt32BE(of.firstSequence, at);
  at = to.writeInt32BE(messages.length, at);
  const begin = Number(first);
  for (let i = 0; i < messages.length; i++) {
    const { key = null, value, timestamp } = messages[i];
    at = writeVarint(to, at, sizes[NUMBERS_PER_MESSAGE * i + 2]);
    to[at++] = 0;
    at = writeVarlong(to, at, Number(timestamp || of.now) - begin);
    at = writeVarint(to, at, i);
    at = writePart(to, at, key, sizes[NUMBERS_PER_MESSAGE * i]);
    at = writePart(to, at, value, sizes[NUMBERS_PER_MESSAGE * i + 1]);
    to[at++] = 0;
  }
  to.writeUInt32BE(crc32c(to.subarray(from + CRC_AT + 4, at)), from + CRC_AT);
  return at;
}

/** In UTF-8, without the two bytes of its length. */
function textBytes(text: string | null): number {
  return text === null ? 0 : Buffer.byteLength(text);
}

function writeText(to: Buffer, from: number, text: string | null): number {
  const at = to.writeInt16BE(text === null ? -1 : textBytes(text), from);
  return text === null ? at : at + to.write(text, at);
}

/** The head of the batch at `at`; null where the bytes end before it does, as those of a fetch may. */
export function readBatchHead(bytes: Buffer, at: number): BatchHead | null {
  const end = at + BODY_AT + bytes.readInt32BE(at + LENGTH_AT);
  if (end > bytes.length) return null;
  const body = at + BODY_AT;
  const attributes = bytes.readInt16BE(body + 9);
  const context: BatchContext = {
    firstOffset: String(bytes.readBigInt64BE(at)),
    firstTimestamp: String(bytes.readBigInt64BE(body + 15)),
    partitionLeaderEpoch: bytes.readInt32BE(body),
    inTransaction: (attributes & TRANSACTION_FLAG) > 0,
    isControlBatch: (attributes & CONTROL_FLAG) > 0,
    lastOffsetDelta: bytes.readInt32BE(body + 11),
    producerId: String(bytes.readBigInt64BE(body + 31)),
    producerEpoch: bytes.readInt16BE(body + 39),
    firstSequence: bytes.readInt32BE(body + 41),
    maxTimestamp: String(bytes.readBigInt64BE(body + 23)),
    timestampType: (attributes & APPEND_TIME_FLAG) > 0 ? 1 : 0,
    magicByte: bytes.readInt8(body + 4),
  };
  return { context, codec: attributes & CODEC_MASK, attributes, recordsAt: body + BODY_HEAD_BYTES, end };
}

/** `count` records, one after the other from `at`. */
export function readRecords(
  bytes: Buffer,
  at: number,
  of: { readonly count: number; readonly context: BatchContext },
): DecodedRecord[] {
  const { count, context } = of;
  const { firstOffset, firstTimestamp, maxTimestamp } = context;
  const first = { offset: Number(firstOffset), time: Number(firstTimestamp) };
  const appended = context.timestampType === 1 && maxTimestamp !== "" ? maxTimestamp : null;
  const records = new Array<DecodedRecord>(Math.max(0, count));
  const reader = new Reader(bytes, at);
  for (let i = 0; i < count; i++) {
    const length = reader.varint();
    const end = reader.at + length;
    const attributes = bytes.readInt8(reader.at++);
    const time = reader.time(first.time, firstTimestamp);
    const offset = first.offset + reader.varint();
    records[i] = new RecordInBatch(bytes, { context, attributes, offset, time: appended ?? time, partsAt: reader.at });
    reader.at = end;
  }
  return records;
}

/**
 * A record whose parts are looked up in its batch when they are asked for: some hundred thousand wait at once, and a buffer for each key and value
 * was half of what the collector moved.
 */
export class RecordInBatch implements DecodedRecord {
  readonly attributes: number;
  readonly batchContext: BatchContext;
  private readonly bytes: Buffer;
  /** The offset and the time as numbers; a text where no double says the time. */
  readonly place: number;
  readonly time: number | string;
  private readonly partsAt: number;

  constructor(
    bytes: Buffer,
    of: {
      readonly context: BatchContext;
      readonly attributes: number;
      readonly offset: number;
      readonly time: number | string;
      readonly partsAt: number;
    },
  ) {
    this.bytes = bytes;
    this.attributes = of.attributes;
    this.batchContext = of.context;
    this.place = of.offset;
    this.time = of.time;
    this.partsAt = of.partsAt;
  }

  get magicByte(): number {
    return this.batchContext.magicByte;
  }

  get isControlRecord(): boolean {
    return this.batchContext.isControlBatch;
  }

  get offset(): string {
    return String(this.place);
  }

  get timestamp(): string {
    return String(this.time);
  }

  get key(): Buffer | null {
    return new Reader(this.bytes, this.partsAt).part();
  }

  get value(): Buffer | null {
    const reader = new Reader(this.bytes, this.partsAt);
    reader.skip();
    return reader.part();
  }

  get headers(): Record<string, unknown> {
    const reader = new Reader(this.bytes, this.partsAt);
    reader.skip();
    reader.skip();
    return reader.headers();
  }

  /** Bytes of key and value. */
  get partsBytes(): number {
    const reader = new Reader(this.bytes, this.partsAt);
    return reader.skip() + reader.skip();
  }
}

class Reader {
  at: number;
  private readonly bytes: Buffer;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  /** Zigzag, of 32 bits. */
  varint(): number {
    const { bytes } = this;
    let byte = bytes[this.at++];
    let value = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      byte = bytes[this.at++];
      value += (byte & 0x7f) << shift;
    }
    return (value >>> 1) ^ -(value & 1);
  }

  /** The batch's first time, and what the record says it is later; a text where no double says it. */
  time(first: number, firstText: string): number | string {
    const { bytes, at } = this;
    let value = 0;
    let power = 1;
    for (let count = 0; count < PLAIN_BYTES_MAX; count++) {
      const byte = bytes[this.at++];
      value += (byte & 0x7f) * power;
      if (byte >= 0x80) {
        power *= 128;
        continue;
      }
      const delta = value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      const time = first + delta;
      return Number.isSafeInteger(time) && Number.isSafeInteger(first)
        ? time
        : String(BigInt(firstText) + BigInt(delta));
    }
    this.at = at;
    return String(BigInt(firstText) + this.bigVarlong());
  }

  /** Passes a part by; gives its length. */
  skip(): number {
    const length = Math.max(0, this.varint());
    this.at += length;
    return length;
  }

  /** Length and bytes; null where the length is -1. */
  part(): Buffer | null {
    const length = this.varint();
    if (length === -1) return null;
    const from = this.at;
    this.at += length;
    return this.bytes.subarray(from, from + length);
  }

  /** By name; of several of one name all, in a list. */
  headers(): Record<string, unknown> {
    const headers: Record<string, unknown> = {};
    const count = this.varint();
    for (let i = 0; i < count; i++) {
      const name = String(this.part());
      const value = this.part();
      const known = headers[name];
      if (known === undefined) headers[name] = value;
      else headers[name] = Array.isArray(known) ? [...known, value] : [known, value];
    }
    return headers;
  }

  private bigVarlong(): bigint {
    let value = 0n;
    let byte = 0x80;
    for (let shift = 0n; byte >= 0x80; shift += 7n) {
      byte = this.bytes[this.at++];
      value |= BigInt(byte & 0x7f) << shift;
    }
    return (value >> 1n) ^ -(value & 1n);
  }
}

function roomFor(bytes: number): Buffer {
  if (slabUsed + bytes <= slab.length) return slab;
  slab = Buffer.allocUnsafeSlow(Math.max(bytes, SLAB_BYTES));
  slabUsed = 0;
  return slab;
}

/** In UTF-8; -1 for null. */
function lengthOf(part: string | Uint8Array | null): number {
  if (part === null) return -1;
  return typeof part === "string" ? Buffer.byteLength(part) : part.length;
}

function sizeWith(bytes: number): number {
  return varintSize(bytes) + Math.max(0, bytes);
}

function varintSize(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  return zigzag === 0 ? 1 : Math.ceil((32 - Math.clz32(zigzag)) / 7);
}

function varlongSize(value: number): number {
  let zigzag = zigzagOf(value);
  let bytes = 1;
  for (; zigzag >= 128; zigzag = Math.floor(zigzag / 128)) bytes++;
  return bytes;
}

function zigzagOf(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function writeVarint(to: Buffer, from: number, value: number): number {
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  let at = from;
  for (; zigzag >= 128; zigzag >>>= 7) to[at++] = (zigzag & 0x7f) | 0x80;
  to[at++] = zigzag;
  return at;
}

function writeVarlong(to: Buffer, from: number, value: number): number {
  let zigzag = zigzagOf(value);
  let at = from;
  for (; zigzag >= 128; zigzag = Math.floor(zigzag / 128)) to[at++] = (zigzag % 128) | 0x80;
  to[at++] = zigzag;
  return at;
}

function writePart(to: Buffer, from: number, part: string | Uint8Array | null, bytes: number): number {
  const at = writeVarint(to, from, bytes);
  if (part === null) return at;
  if (typeof part === "string") to.write(part, at, bytes, "utf8");
  else to.set(part, at);
  return at + bytes;
}

/** Castagnoli's polynomial, its bits in reverse. */
const POLYNOMIAL = 0x82f63b78;
const SLICES = 8;
/** Slice s holds, for each byte, the remainder after s more zero bytes (Kounavis and Berry 2008: slicing by eight). */
const REMAINDERS = remainders();

function remainders(): Int32Array {
  const table = new Int32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    table[byte] = crc;
  }
  for (let at = 256; at < table.length; at++) table[at] = (table[at - 256] >>> 8) ^ table[table[at - 256] & 0xff];
  return table;
}

/** CRC-32C (RFC 3720, appendix B.4), unsigned. */
export function crc32c(bytes: Uint8Array): number {
  const table = REMAINDERS;
  const { length } = bytes;
  let crc = -1;
  let at = 0;
  for (const last = length - (SLICES - 1); at < last; at += SLICES) {
    crc ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    crc =
      table[1792 + (crc & 0xff)] ^
      table[1536 + ((crc >>> 8) & 0xff)] ^
      table[1280 + ((crc >>> 16) & 0xff)] ^
      table[1024 + (crc >>> 24)] ^
      table[768 + bytes[at + 4]] ^
      table[512 + bytes[at + 5]] ^
      table[256 + bytes[at + 6]] ^
      table[bytes[at + 7]];
  }
  for (; at < length; at++) crc = (crc >>> 8) ^ table[(crc ^ bytes[at]) & 0xff];
  return (crc ^ -1) >>> 0;
}

const MURMUR_SEED = 0x9747b28c;
const MURMUR_MIX = 0x5bd1e995;

/** MurmurHash2 of 32 bits, signed, with the seed of Kafka's clients: it decides which partition a key belongs to. */
export function murmur2(key: Uint8Array): number {
  const { length } = key;
  const whole = length & ~3;
  let h = MURMUR_SEED ^ length;
  for (let at = 0; at < whole; at += 4) {
    let k = key[at] | (key[at + 1] << 8) | (key[at + 2] << 16) | (key[at + 3] << 24);
    k = Math.imul(k, MURMUR_MIX);
    k = Math.imul(k ^ (k >>> 24), MURMUR_MIX);
    h = Math.imul(h, MURMUR_MIX) ^ k;
  }
  if (length > whole) {
    if (length > whole + 2) h ^= key[whole + 2] << 16;
    if (length > whole + 1) h ^= key[whole + 1] << 8;
    h = Math.imul(h ^ key[whole], MURMUR_MIX);
  }
  h = Math.imul(h ^ (h >>> 13), MURMUR_MIX);
  return h ^ (h >>> 15);
}
