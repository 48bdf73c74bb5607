// Records as bytes: what the log's thread reads is what was written, to the last bit of the vector.
import { expect, test } from "vitest";
import { Chunk, RecordWriter, readRecord } from "../../../src/drivers/log/sql/bytes.ts";
import type { PredictionRecord } from "../../../src/ports/log.ts";

test("a vector keeps its bits: missing values of any sign and payload, minus zero, the smallest and the largest numbers", () => {
  const bits = [0x7fc00000, 0xffc00000, 0x7fc00001, 0xffd12345, 0x80000000, 1, 0x7f7fffff, 0x7f800000, 0xff800000];
  const vector = new Float32Array(Uint32Array.from(bits).buffer);
  const record: Omit<PredictionRecord, "sequence"> = {
    transactionId: "a",
    time: 1,
    receivedAt: 2,
    fields: {},
    extra: {},
    vector,
    score: 0.5,
    anomalyScore: 0.5,
    decision: "approve",
    version: "1",
    bundle: "b",
    latencyMs: 0.1,
    degraded: false,
  };
  const chunk = new Chunk(1, new SharedArrayBuffer(4096));
  const writer = new RecordWriter();
  // More than once, so that the copy is compiled at last.
  for (let round = 0; round < 20_000; round++) {
    chunk.used = 0;
    const { entry } = readRecord(chunk, writer.prediction(chunk, record));
    if (round % 1000 !== 0) continue;
    const { vector: back } = entry.record as PredictionRecord;
    expect([...new Uint32Array(back.buffer)].map((word) => word.toString(16))).toEqual(
      bits.map((word) => word.toString(16)),
    );
  }
});
