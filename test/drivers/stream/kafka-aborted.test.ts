// Which records of a fetch are committed: transactions of several producers among each other, marks within the fetch and beyond it.
import { expect, test } from "vitest";
import { committedOf, type RawMessage } from "../../../src/drivers/stream/kafka/aborted.ts";

const message = (offset: number, producerId: string, more: object = {}): RawMessage =>
  ({
    offset: String(offset),
    key: null,
    value: Buffer.from(`${offset}`),
    timestamp: "0",
    attributes: 0,
    isControlRecord: false,
    batchContext: { producerId, inTransaction: true },
    ...more,
  }) as RawMessage;
const mark = (offset: number, producerId: string, type: 0 | 1): RawMessage =>
  message(offset, producerId, { isControlRecord: true, key: Buffer.from([0, 0, 0, type]) });
const offsets = (raw: readonly RawMessage[], kept: readonly RawMessage[], fetchedOffset = "0"): number[] =>
  committedOf(raw, { fetchedOffset, kept }).map(({ offset }) => Number(offset));

test("each record has the end of its own producer's transaction, whatever the library kept", () => {
  const raw = [
    message(0, "a"),
    message(1, "b"),
    message(2, "c"),
    mark(3, "b", 0),
    mark(4, "a", 0),
    message(5, "a"),
    mark(6, "c", 1),
    mark(7, "a", 1),
  ];
  // It let an aborted record through and left a committed one out.
  expect(offsets(raw, [raw[0], raw[2]])).toEqual([2, 5]);
});

test("beyond the fetch the library's word counts; records before the wanted offset, and marks, are none", () => {
  const raw = [message(0, "a"), message(1, "a"), message(2, "b"), mark(3, "a", 1), message(4, "c")];
  expect(offsets(raw, [raw[1], raw[4]], "1")).toEqual([1, 4]);
  expect(offsets(raw, [raw[1], raw[2]], "1")).toEqual([1, 2]);
});

test("records without a transaction are as they were, also with a key that looks like a mark", () => {
  const plain = { batchContext: { producerId: "-1", inTransaction: false } };
  const raw = [message(0, "-1", { ...plain, key: Buffer.from([0, 0, 0, 0]) }), message(1, "-1", plain)];
  expect(offsets(raw, raw)).toEqual([0, 1]);
});
