// Streams in files: the contract, and what files have of their own: lines that grow, folders, pipes, a transaction cut off.
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createNdjsonStreams } from "../../../src/drivers/stream/ndjson/driver.ts";
import { LineCutter } from "../../../src/drivers/stream/ndjson/lines.ts";
import type { StreamSource } from "../../../src/ports/stream.ts";
import { streamsContract } from "../../contracts/streams.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "sentinel-ndjson-"));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const fileOf = (topic: string): string => path.join(dir, `${topic}.ndjson`);
let names = 0;

streamsContract("NDJSON files", async () => ({
  open: () => createNdjsonStreams({ folder: dir }),
  async append(topic, records) {
    appendFileSync(fileOf(topic), records.map(({ value }) => `${value}\n`).join(""));
  },
  async read(topic) {
    if (!existsSync(fileOf(topic))) return [];
    return readFileSync(fileOf(topic), "utf8").split("\n").slice(0, -1);
  },
  name: () => `topic${names++}`,
}));

const asked = { topic: "t", group: "g", sessionMs: 1000, recordBytesMax: 10, whole: false };

async function lines(source: StreamSource, partition = 0, waits = 3): Promise<[string, number, boolean][]> {
  const found: [string, number, boolean][] = [];
  for (let i = 0; i < waits; i++) {
    await source.arrived(20);
    for (const { value, offset, cut = false } of source.take(partition)) {
      found.push([Buffer.from(value!).toString(), offset, cut]);
    }
  }
  return found;
}

test("a line counts once it is whole; empty lines and carriage returns are no part of it; a long one is cut", async () => {
  const streams = createNdjsonStreams({ folder: dir });
  writeFileSync(fileOf("t"), "a\n\n\r\nb\r\n0123456789ABCDEF\nh");
  const source = await streams.subscribe(asked);
  source.start(0, 0);
  expect(await lines(source)).toEqual([
    ["a", 0, false],
    ["b", 5, false],
    ["0123456789", 8, true],
  ]);
  expect(source.readTo(0)).toBe(25);
  appendFileSync(fileOf("t"), "alf\n");
  expect(await lines(source)).toEqual([["half", 25, false]]);
  await source.close();
});

test("the last line of a whole input needs no break", async () => {
  writeFileSync(fileOf("t"), "a\nlast");
  const source = await createNdjsonStreams({ folder: dir }).subscribe({ ...asked, whole: true });
  source.start(0, 0);
  expect((await lines(source)).map(([text]) => text)).toEqual(["a", "last"]);
  expect(source.readTo(0)).toBe((await source.spans()).get(0)!.end);
  await source.close();
});

test("any cut of the bytes gives the same lines", () => {
  const text = '{"a":1}\n\n{"b":"ü€😀"}\r\n{"long":"0123456789"}\nx';
  const bytes = new TextEncoder().encode(text);
  const whole = new LineCutter(0, { partition: 0, lineBytesMax: 15, whole: true });
  const wanted = [...whole.push(bytes), ...whole.finish()];
  for (let size = 1; size < bytes.length; size++) {
    const cutter = new LineCutter(0, { partition: 0, lineBytesMax: 15, whole: true });
    const found = [];
    for (let at = 0; at < bytes.length; at += size) found.push(...cutter.push(bytes.slice(at, at + size)));
    expect([...found, ...cutter.finish()]).toEqual(wanted);
  }
});

test("files of a folder are partitions that keep their numbers, also when one comes that sorts before them", async () => {
  mkdirSync(path.join(dir, "t"));
  writeFileSync(path.join(dir, "t", "b.ndjson"), "1\n");
  const streams = createNdjsonStreams({ folder: dir });
  const first = await streams.subscribe(asked);
  expect(first.assignment()?.partitions).toEqual([0]);
  await first.close();
  writeFileSync(path.join(dir, "t", "a.ndjson"), "2\n");
  const source = await streams.subscribe(asked);
  expect(source.assignment()?.partitions).toEqual([0, 1]);
  source.start(0, 0);
  source.start(1, 0);
  await source.arrived(50);
  const texts = [0, 1].map((partition) => source.take(partition).map(({ value }) => Buffer.from(value!).toString()));
  expect(texts).toEqual([["1"], ["2"]]);
  rmSync(path.join(dir, "t", "b.ndjson"));
  const later = await streams.subscribe(asked);
  expect(later.assignment()?.partitions).toEqual([1]);
  await source.close();
  await later.close();
});

test("what a killed process wrote and did not commit is cut off by the next one", async () => {
  const streams = createNdjsonStreams({ folder: dir });
  const writer = await streams.writer({ id: "w", group: "g", topic: "t" });
  await writer.takeOver([]);
  const commit = (value: string, position: number): Promise<void> =>
    writer.commit({
      outputs: new Map([["out", [{ key: "", value, timestamp: null }]]]),
      positions: new Map([[0, position]]),
    });
  await commit("one", 4);
  appendFileSync(fileOf("out"), "two\nthr");
  await writer.takeOver([]);
  expect(readFileSync(fileOf("out"), "utf8")).toBe("one\n");
  await commit("two", 8);
  expect(readFileSync(fileOf("out"), "utf8")).toBe("one\ntwo\n");
});

test("what stood in an output before the first transaction stays, also when that one is killed", async () => {
  writeFileSync(fileOf("out"), "earlier\n");
  const streams = createNdjsonStreams({ folder: dir });
  const writer = await streams.writer({ id: "w", group: "g", topic: "t" });
  await writer.takeOver([]);
  const failing = new Map([[0, 1]]);
  failing[Symbol.iterator] = () => {
    throw new Error("killed");
  };
  const outputs = new Map([["out", [{ key: "", value: "lost", timestamp: null }]]]);
  await expect(writer.commit({ outputs, positions: failing })).rejects.toThrow("killed");
  expect(readFileSync(fileOf("out"), "utf8")).toBe("earlier\nlost\n");
  await writer.takeOver([]);
  expect(readFileSync(fileOf("out"), "utf8")).toBe("earlier\n");
});

test("a file that became shorter is refused", async () => {
  const streams = createNdjsonStreams({ folder: dir });
  writeFileSync(fileOf("t"), "abcdef\nghi\n");
  const source = await streams.subscribe(asked);
  source.start(0, 0);
  await lines(source);
  writeFileSync(fileOf("t"), "x\n");
  await expect(source.arrived(50)).rejects.toMatchObject({ code: "stream.invalid" });
  await source.close();
});

test("a pipe is read once, to its end", async () => {
  const pipe = new PassThrough();
  const source = await createNdjsonStreams({ folder: dir, input: pipe }).subscribe(asked);
  pipe.write("a\nb");
  expect(await lines(source)).toEqual([["a", 0, false]]);
  pipe.end();
  expect(await lines(source)).toEqual([["b", 2, false]]);
  expect(source.readTo(0)).toBe(Number.MAX_SAFE_INTEGER);
});
