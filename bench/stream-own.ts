// What stands around a stream in its bench, each in a process of its own: a producer, one at a fixed rate, a reader that takes latencies, and the client alone.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createKafkaStreams } from "../src/drivers/stream/kafka/driver.ts";
import type { OutRecord, StreamRecord, StreamSource, Streams } from "../src/ports/stream.ts";
import { Latencies, type Percentiles } from "./latencies.ts";

interface Common {
  readonly broker: string;
  readonly topic: string;
}

export type StreamTask =
  | (Common & {
      readonly role: "fill";
      readonly bodiesFile: string;
      readonly count: number;
      readonly partitions: number;
      /** Each transaction has a customer and a terminal of its own. */
      readonly distinct: boolean;
    })
  | (Common & {
      readonly role: "pace";
      readonly bodiesFile: string;
      readonly rate: number;
      readonly warmUpSeconds: number;
      readonly seconds: number;
    })
  | (Common & { readonly role: "read"; readonly count: number; readonly secondsMax: number })
  | (Common & { readonly role: "ceiling"; readonly output: string; readonly count: number });

export interface CeilingResult {
  readonly perSecond: number;
}

/** Event times of a filled topic are so far apart. */
const SPACING_MS = 20;
const TOGETHER = 5000;
/** Records that are counted; those of the warm-up have other ids. */
export const MEASURED = "m";
const WARM = "w";
const TRANSACTION_MS = 100;
const TICK_MS = 10;

interface Body {
  amount: number;
  customer_id: string;
  terminal_id: string;
}

const task = JSON.parse(process.argv[2]) as StreamTask;
const streams = createKafkaStreams({ brokers: [task.broker], tls: false, sasl: null });
const result = await run(task);
await streams.close();
console.log(JSON.stringify(result));

async function run(task: StreamTask): Promise<object> {
  if (task.role === "fill") return fill(task);
  if (task.role === "pace") return pace(task);
  if (task.role === "read") return read(task);
  return ceiling(task);
}

function bodiesOf(file: string): readonly Body[] {
  return (JSON.parse(readFileSync(file, "utf8")) as string[]).map((text) => JSON.parse(text) as Body);
}

function recordOf(body: Body, of: { readonly id: string; readonly time: number }): OutRecord {
  const { amount, customer_id, terminal_id } = body;
  const value = JSON.stringify({ transaction_id: of.id, time: of.time, amount, customer_id, terminal_id });
  return { key: customer_id, value, timestamp: of.time };
}

async function fill(task: StreamTask & { readonly role: "fill" }): Promise<object> {
  const { topic, count, distinct, partitions } = task;
  const bodies = bodiesOf(task.bodiesFile);
  await streams.create(topic, partitions);
  const writer = await streams.writer({ id: null, group: "bench", topic });
  await writer.takeOver([]);
  const begin = Date.now() - count * SPACING_MS;
  for (let at = 0; at < count; ) {
    const records: OutRecord[] = [];
    for (const end = Math.min(count, at + TOGETHER); at < end; at++) {
      const body = bodies[at % bodies.length];
      const own = distinct ? { ...body, customer_id: `c-${at}`, terminal_id: `t-${at}` } : body;
      records.push(recordOf(own, { id: `${topic}-${at}`, time: begin + at * SPACING_MS }));
    }
    await writer.commit({ outputs: new Map([[topic, records]]), positions: new Map() });
  }
  return { count };
}

/** An open loop: what is due is sent, whatever became of the earlier ones. */
async function pace(task: StreamTask & { readonly role: "pace" }): Promise<object> {
  const { topic, rate, seconds, warmUpSeconds } = task;
  const bodies = bodiesOf(task.bodiesFile);
  const writer = await streams.writer({ id: null, group: "bench", topic });
  await writer.takeOver([]);
  const begun = performance.now();
  const warm = Math.round(rate * warmUpSeconds);
  const count = warm + Math.round(rate * seconds);
  let sent = 0;
  let sending: Promise<void> = Promise.resolve();
  while (sent < count) {
    const due = Math.min(count, Math.floor(((performance.now() - begun) / 1000) * rate));
    const records: OutRecord[] = [];
    const time = Date.now();
    for (; sent < due; sent++) {
      const id = `${sent < warm ? WARM : MEASURED}-${topic}-${sent}`;
      records.push(recordOf(bodies[sent % bodies.length], { id, time }));
    }
    if (records.length > 0) {
      sending = sending.then(() => writer.commit({ outputs: new Map([[topic, records]]), positions: new Map() }));
    }
    await sleep(TICK_MS);
  }
  await sending;
  return { sent };
}

/** From when a transaction was made to when a reader of committed records has its decision. */
async function read(task: StreamTask & { readonly role: "read" }): Promise<Percentiles> {
  const { topic, count, secondsMax } = task;
  const source = await joined(streams, topic);
  const latencies = new Latencies();
  const until = performance.now() + secondsMax * 1000;
  const mark = Buffer.from(`"transaction_id":"${MEASURED}-`);
  while (latencies.count < count && performance.now() < until) {
    await source.arrived(50);
    const now = Date.now();
    for (const { value } of takeAll(source)) {
      const bytes = Buffer.from(value!);
      if (!bytes.includes(mark)) continue;
      const { time } = JSON.parse(bytes.toString()) as { readonly time: string };
      latencies.add(now - Date.parse(time));
    }
  }
  await source.close();
  return latencies.percentiles();
}

/** Records as they are, in transactions with their positions: what the client does in a stream, and nothing else. */
async function ceiling(task: StreamTask & { readonly role: "ceiling" }): Promise<CeilingResult> {
  const { topic, output, count } = task;
  const source = await joined(streams, topic);
  const writer = await streams.writer({ id: `bench-${topic}`, group: "bench", topic });
  await writer.takeOver([output]);
  let records: StreamRecord[] = [];
  let done = 0;
  let from = { at: 0, done: 0 };
  let committing: Promise<void> | null = null;
  let flushedAt = performance.now();
  while (done < count) {
    await Promise.race([source.arrived(TICK_MS), ...(committing === null ? [] : [committing])]);
    for (const record of takeAll(source)) records.push(record);
    const isDue = records.length >= TOGETHER || performance.now() - flushedAt >= TRANSACTION_MS;
    if (records.length === 0 || committing !== null || !isDue) continue;
    const batch = records.slice(0, TOGETHER);
    records = records.slice(TOGETHER);
    flushedAt = performance.now();
    const out = batch.map(({ key, value, timestamp }): OutRecord => ({ key: key!, value: value!, timestamp }));
    const positions = new Map(batch.map(({ partition, next }) => [partition, next]));
    committing = writer.commit({ outputs: new Map([[output, out]]), positions }).then(() => {
      committing = null;
      done += batch.length;
      // The first transactions warm it up.
      if (from.at === 0 && done >= count / 10) from = { at: performance.now(), done };
    });
  }
  const perSecond = ((done - from.done) / (performance.now() - from.at)) * 1000;
  await writer.close();
  await source.close();
  return { perSecond };
}

async function joined(streams: Streams, topic: string): Promise<StreamSource> {
  const group = `bench-${process.pid}`;
  const source = await streams.subscribe({ topic, group, sessionMs: 10_000, recordBytesMax: 1e6, whole: false });
  while (source.assignment() === null) await source.arrived(50);
  const spans = await source.spans();
  for (const partition of source.assignment()!.partitions) source.start(partition, spans.get(partition)!.begin);
  return source;
}

function* takeAll(source: StreamSource): Generator<StreamRecord> {
  for (const partition of source.assignment()?.partitions ?? []) yield* source.take(partition);
}
