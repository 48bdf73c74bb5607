// The library kafkajs, with record batches, checksums and partitions computed by codec.ts: its own go through big integers and a buffer per part.
import { createRequire } from "node:module";
import type { Message, PartitionerArgs, PartitionMetadata } from "kafkajs";
import {
  crc32c,
  type DecodedRecord,
  type EncodedRecord,
  encodeProduce,
  encodeRecord,
  murmur2,
  type ProduceToEncode,
  type RecordToEncode,
  readBatchHead,
  readRecords,
} from "./codec.ts";

type Library = typeof import("kafkajs");
/** A request of kafkajs, whose body is made when it is sent. */
interface LibraryRequest {
  encode(): Promise<EncodedRecord>;
}
type EncodeRecord = (record: RecordToEncode) => EncodedRecord;
/** A decoder of kafkajs: bytes, and how many of them are read. */
interface Decoder {
  readonly buffer: Buffer;
  offset: number;
}
interface Compression {
  /** Null where nothing is compressed. Throws for codecs that are not there. */
  lookupCodecByAttributes(attributes: number): { decompress(bytes: Buffer): Promise<Buffer> } | null;
}
interface Grouping {
  readonly topic: string;
  readonly partitionMetadata: readonly PartitionMetadata[];
  readonly messages: readonly Message[];
  readonly partitioner: (
    args: Omit<PartitionerArgs, "partitionMetadata"> & Pick<Grouping, "partitionMetadata">,
  ) => number;
}

/** The only version whose inner modules are known; another one works as it comes. */
const VERSION = "2.2.4";
/** Says of a function that it is a replacement: this module may be loaded more than once, kafkajs is not. */
const MARK = Symbol.for("sentinel's part of kafkajs");
const COUNT_BYTES = 4;

const require = createRequire(import.meta.url);

/** The library; its parts are replaced before the first one who asks has loaded it. */
export const kafkajs: Library = loadLibrary();

function loadLibrary(): Library {
  const { version } = require("kafkajs/package.json") as { readonly version: string };
  if (version === VERSION) replaceParts();
  return require("kafkajs") as Library;
}

function replaceParts(): void {
  const part = (name: string): string => require.resolve(`kafkajs/src/${name}`);
  const replace = <T extends object>(name: string, by: (original: T) => T): void => {
    const file = part(name);
    const original = require(file) as T;
    if (!(MARK in original)) require.cache[file]!.exports = Object.assign(by(original), { [MARK]: true });
  };
  const compression = require(part("protocol/message/compression")) as Compression;
  const { KafkaJSPartialMessageError } = require(part("errors")) as {
    KafkaJSPartialMessageError: new (text: string) => Error;
  };
  replace<EncodeRecord>(
    "protocol/recordBatch/record/v0",
    (original) => (record) => encodeRecord(record) ?? original(record),
  );
  replace<(request: ProduceToEncode) => LibraryRequest>(
    "protocol/requests/produce/v3/request",
    (original) => (request) => {
      const theirs = original(request);
      return { ...theirs, encode: async () => encodeProduce(request, Date.now()) ?? theirs.encode() };
    },
  );
  replace<(bytes: Uint8Array) => number>("protocol/recordBatch/crc32C", () => (bytes) => crc32c(bytes));
  replace<(grouping: Grouping) => object>(
    "producer/groupMessagesPerPartition",
    () => (grouping) => byPartition(grouping),
  );
  replace<(decoder: Decoder) => Promise<{ readonly records: readonly DecodedRecord[] }>>(
    "protocol/recordBatch/v0/decoder",
    () => async (decoder) => {
      const { buffer } = decoder;
      const head = readBatchHead(buffer, decoder.offset);
      if (head === null) throw new KafkaJSPartialMessageError("the fetch ends within a batch of records");
      decoder.offset = head.end;
      const { attributes, context, recordsAt, end } = head;
      const codec = compression.lookupCodecByAttributes(attributes);
      const count = buffer.readInt32BE(recordsAt);
      const from = recordsAt + COUNT_BYTES;
      if (codec === null) return { ...context, records: readRecords(buffer, from, { count, context }) };
      const plain = count <= 0 ? buffer : await codec.decompress(buffer.subarray(from, end));
      return { ...context, records: readRecords(plain, 0, { count, context }) };
    },
  );
}

/** Messages by partition, in order; the library copies a partition's list for each message. */
function byPartition({ topic, partitionMetadata, messages, partitioner }: Grouping): Record<number, Message[]> {
  const grouped: Record<number, Message[]> = {};
  if (partitionMetadata.length === 0) return grouped;
  for (const message of messages) {
    const partition = partitioner({ topic, partitionMetadata, message });
    const group = grouped[partition];
    if (group === undefined) grouped[partition] = [message];
    else group.push(message);
  }
  return grouped;
}

/** The partition that every Kafka client gives a key; the library's own choice for a message without one. */
export function keyPartitioner(): (args: PartitionerArgs) => number {
  const other = kafkajs.Partitioners.DefaultPartitioner();
  return (args) => {
    const { key, partition } = args.message;
    if (key === null || key === undefined || (partition !== null && partition !== undefined)) return other(args);
    const bytes = typeof key === "string" ? Buffer.from(key) : key;
    return (murmur2(bytes) & 0x7fffffff) % args.partitionMetadata.length;
  };
}
