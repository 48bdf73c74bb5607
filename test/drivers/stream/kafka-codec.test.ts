// Record batches, checksums and partitions, beside kafkajs's own: the same bytes out, the same records in.
import { createRequire } from "node:module";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import {
  crc32c,
  type DecodedRecord,
  encodeProduce,
  encodeRecord,
  murmur2,
  readBatchHead,
  readRecords,
} from "../../../src/drivers/stream/kafka/codec.ts";
import { kafkajs, keyPartitioner } from "../../../src/drivers/stream/kafka/library.ts";

const require = createRequire(import.meta.url);

interface Bytes {
  readonly buffer: Buffer;
}
interface Decoder {
  readonly buffer: Buffer;
  offset: number;
}

/** A module of kafkajs as it came, also where the driver has put its own in its place. */
function original<T>(name: string): T {
  const file = require.resolve(`kafkajs/src/${name}`);
  const kept = require.cache[file];
  delete require.cache[file];
  const fresh = require(file) as T;
  require.cache[file] = kept;
  return fresh;
}

const theirRecord = original<(record: object) => Bytes>("protocol/recordBatch/record/v0");
const theirCrc = original<(bytes: Buffer) => number>("protocol/recordBatch/crc32C");
const theirHash = original<(key: Buffer) => number>("producer/partitioners/default/murmur2");
const theirGroups = original<(grouping: object) => object>("producer/groupMessagesPerPartition");
const theirBatch = original<{ RecordBatch(batch: object): Promise<Bytes> }>("protocol/recordBatch/v0").RecordBatch;
const theirDecoder = original<(decoder: Decoder) => Promise<{ records: object[] }>>("protocol/recordBatch/v0/decoder");
const Decoder = original<new (bytes: Buffer) => Decoder>("protocol/decoder");
const ours = require("kafkajs/src/protocol/recordBatch/v0/decoder") as typeof theirDecoder;

const part = fc.oneof(
  fc.constant(null),
  fc.string({ unit: "binary", maxLength: 40 }).map((text) => Buffer.from(text).toString()),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.nat(20_000).map((length) => "x".repeat(length)),
);
const delta = fc.oneof(fc.nat(300), fc.integer(), fc.integer({ min: -(2 ** 45), max: 2 ** 45 }));
const record = fc.record({ key: part, value: part, timestampDelta: delta, offsetDelta: fc.nat(70_000) });

test("a record is the library's, byte for byte", () => {
  fc.assert(
    fc.property(record, (one) => {
      expect(encodeRecord(one)!.buffer.equals(theirRecord(one).buffer)).toBe(true);
    }),
  );
  expect(encodeRecord({ value: "v", headers: { a: "b" } })).toBeNull();
  expect(encodeRecord({ value: "v", headers: {} })).not.toBeNull();
  expect(encodeRecord({ value: "v", timestampDelta: 2 ** 52 })).toBeNull();
  expect(encodeRecord({ value: "v", timestampDelta: Number.NaN })).toBeNull();
});

test("a produce request is the library's, byte for byte: topics, partitions, messages with and without times", async () => {
  type Produce = (request: Parameters<typeof encodeProduce>[0]) => { encode(): Promise<Bytes> };
  const theirs = original<Produce>("protocol/requests/produce/v3/request");
  const mine = require("kafkajs/src/protocol/requests/produce/v3/request") as Produce;
  vi.spyOn(Date, "now").mockReturnValue(1_760_000_000_123);
  const message = fc.record(
    { key: part, value: part, timestamp: fc.oneof(fc.nat(), fc.integer({ min: 1e12, max: 2e12 })).map(String) },
    { requiredKeys: ["value"] },
  );
  const odd = fc.oneof(
    { weight: 30, arbitrary: message },
    { weight: 1, arbitrary: fc.constant({ value: "v", headers: { trace: "t" } }) },
  );
  const partition = fc.record(
    { partition: fc.nat(40), messages: fc.array(odd, { maxLength: 9 }), firstSequence: fc.nat() },
    { requiredKeys: ["partition", "messages"] },
  );
  const topic = fc.record({ topic: fc.string({ maxLength: 9 }), partitions: fc.array(partition, { maxLength: 3 }) });
  const request = fc.record(
    {
      transactionalId: fc.constantFrom(null, "bench-ü"),
      acks: fc.constantFrom(-1, 1),
      timeout: fc.nat(60_000),
      producerId: fc.constantFrom("0", "4294967296123", 7),
      producerEpoch: fc.nat(30_000),
      compression: fc.constantFrom(0, 0, 0, 1),
      topicData: fc.array(topic, { maxLength: 3 }),
    },
    { requiredKeys: ["acks", "timeout", "topicData"] },
  );
  let plain = 0;
  await fc.assert(
    fc.asyncProperty(request, async (one) => {
      const wanted = (await theirs(one).encode()).buffer;
      expect((await mine(one).encode()).buffer.equals(wanted)).toBe(true);
      plain += Number(encodeProduce(one, Date.now()) !== null);
    }),
    { numRuns: 60 },
  );
  expect(plain).toBeGreaterThan(20);
  vi.restoreAllMocks();
});

test("records that were written before stay as they are", () => {
  const values = Array.from({ length: 300 }, (_, i) => String(i % 10).repeat(3000 + i));
  const written = values.map((value) => encodeRecord({ value }) as Bytes);
  for (const [i, value] of values.entries()) expect(written[i].buffer.equals(theirRecord({ value }).buffer)).toBe(true);
});

test("checksums and hashes of keys are the library's", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const buffer = Buffer.from(bytes);
      expect(crc32c(buffer)).toBe(theirCrc(buffer));
      expect(murmur2(buffer)).toBe(theirHash(buffer));
    }),
  );
  // RFC 3720, B.4.
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
});

test("keys and messages find the partitions of the library", () => {
  const partitionMetadata = Array.from({ length: 7 }, (_, partitionId) => ({ partitionId, leader: 1 }));
  const [mine, theirs] = [keyPartitioner(), kafkajs.Partitioners.DefaultPartitioner()];
  const message = fc.record({ key: part.filter((key) => key !== null), value: part });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 30 }), (messages) => {
      const grouping = { topic: "t", partitionMetadata, messages };
      const group = require("kafkajs/src/producer/groupMessagesPerPartition") as typeof theirGroups;
      expect(group({ ...grouping, partitioner: mine })).toEqual(theirGroups({ ...grouping, partitioner: theirs }));
    }),
  );
  const args = { topic: "t", partitionMetadata: partitionMetadata as never, message: { partition: 3, value: "v" } };
  expect(mine(args)).toBe(3);
});

const headers = fc.option(
  fc.dictionary(
    fc.string({ maxLength: 5 }).filter((name) => name !== "__proto__"),
    fc.oneof(fc.string({ maxLength: 9 }), fc.array(fc.string({ maxLength: 9 }), { minLength: 2, maxLength: 3 })),
    { maxKeys: 3 },
  ),
  { nil: undefined },
);

/** What the library reads of a record: ours looks most of it up when it is asked. */
function partsOf(record: object): DecodedRecord {
  const { magicByte, attributes, timestamp, offset, key, value } = record as DecodedRecord;
  const { headers, isControlRecord, batchContext } = record as DecodedRecord;
  return { magicByte, attributes, timestamp, offset, key, value, headers, isControlRecord, batchContext };
}

test("what the library wrote is read as it reads it: times, offsets, headers, marks, batches that end too soon", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(record, headers), { minLength: 1, maxLength: 12 }),
      fc.record({
        firstOffset: fc.nat(),
        firstTimestamp: fc.oneof(fc.constant(-1), fc.nat(), fc.constant(1_760_000_000_123)),
        transactional: fc.boolean(),
        compression: fc.constantFrom(0, 1),
        flags: fc.constantFrom(0, 0x08, 0x20),
      }),
      fc.nat(),
      async (records, { flags, ...batch }, cut) => {
        const encoders = records.map(([one, named], offsetDelta) =>
          theirRecord({ ...one, offsetDelta, ...(named === undefined ? {} : { headers: named }) }),
        );
        const bytes = (
          await theirBatch({
            ...batch,
            maxTimestamp: batch.firstTimestamp + 5,
            producerId: 77,
            producerEpoch: 3,
            firstSequence: 9,
            lastOffsetDelta: records.length - 1,
            records: encoders,
          })
        ).buffer;
        bytes.writeInt16BE(bytes.readInt16BE(21) | flags, 21);
        const twice = Buffer.concat([bytes, bytes]);
        const [mine, theirs] = [new Decoder(twice), new Decoder(twice)];
        for (let i = 0; i < 2; i++) {
          expect((await ours(mine)).records.map(partsOf)).toEqual((await theirDecoder(theirs)).records.map(partsOf));
          expect(mine.offset).toBe(theirs.offset);
        }
        const short = bytes.subarray(0, Math.max(61, cut % bytes.length));
        if (short.length < bytes.length) {
          await expect(ours(new Decoder(short))).rejects.toMatchObject({ name: "KafkaJSPartialMessageError" });
        }
      },
    ),
    { numRuns: 25 },
  );
});

test("a time that no plain number holds is read whole", () => {
  const first = 2n ** 62n;
  const batch = Buffer.alloc(61 + 20);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeBigInt64BE(first, 27);
  const { context, recordsAt } = readBatchHead(batch, 0)!;
  expect(context.firstTimestamp).toBe(String(first));
  // Length 15, attributes, the delta -2^62 in ten bytes, offset 0, no key, no value, no headers.
  const later = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
  batch.set([28, 0, ...later, 0, 1, 1, 0], recordsAt + 4);
  const [{ timestamp }] = readRecords(batch, recordsAt + 4, { count: 1, context });
  expect(timestamp).toBe(String(first - 2n ** 62n));
});
