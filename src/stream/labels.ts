// Labels of a stream: a topic of them is taken by the road of every label, beside the transactions; what cannot be taken goes to the dead letters.
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, SentinelError } from "../core/errors.ts";
import type { Buried } from "../lifecycle/desk.ts";
import type { Engine } from "../online/engine.ts";
import { parseLabel, refusedLabel, takeAndCount } from "../online/feedback.ts";
import type { StreamSettings } from "../pipeline/stream.ts";
import type { Assignment, OutRecord, StreamRecord, StreamSource, Streams, StreamWriter } from "../ports/stream.ts";
import type { StreamCounters } from "./counters.ts";
import { buriedOf, incomingOf, letterOf } from "./dead-letter.ts";
import { decodeJson } from "./format.ts";

export interface LabelParts {
  readonly engine: () => Engine;
  readonly streams: Streams;
  readonly settings: StreamSettings;
  readonly topic: string;
  readonly counters: StreamCounters;
  readonly schemaHash: string;
  /** Whether transactions are waiting to be judged: then one that a label names may be among them. */
  readonly lagging: () => boolean;
  readonly stopping: () => boolean;
}

/** Labels whose positions are committed together. */
const TOGETHER_MAX = 500;
const WAIT_MS = 200;
/** A label of a transaction that nobody answered waits so long for it while the stream lags. */
const UNKNOWN_MS_MAX = 60_000;
const PAUSE_FIRST_MS = 200;
const PAUSE_LONGEST_MS = 10_000;

/**
 * Takes labels until it is stopped; begins anew after trouble. A label that was taken and not committed is taken once more after a kill, which
 * changes nothing. Rejects with what cannot pass, such as a topic that is not there.
 */
export async function followLabels(parts: LabelParts): Promise<void> {
  const { engine, counters, stopping } = parts;
  for (let pause = PAUSE_FIRST_MS; !stopping(); ) {
    try {
      await round(parts);
      pause = PAUSE_FIRST_MS;
    } catch (error) {
      if (!(error instanceof SentinelError) || !error.kind.retryable) throw error;
      counters.retried(error.code);
      engine().logger.warn({ code: error.code, error: error.message }, "the labels of the stream begin anew");
      await sleep(pause);
      pause = Math.min(2 * pause, PAUSE_LONGEST_MS);
    }
  }
}

/** From joining the group to leaving it, or until the assignment changes. */
async function round(parts: LabelParts): Promise<void> {
  const { streams, settings, topic, stopping } = parts;
  const group = `${settings.group}-labels`;
  const { sessionMs, recordMaxBytes: recordBytesMax } = settings;
  const source = await streams.subscribe({ topic, group, sessionMs, recordBytesMax, whole: false });
  const writers: StreamWriter[] = [];
  try {
    let assignment: Assignment | null = null;
    while (assignment === null && !stopping()) {
      await source.arrived(WAIT_MS);
      assignment = source.assignment();
    }
    if (assignment === null) return;
    const { generation, partitions } = assignment;
    const writerOf = new Map<number, StreamWriter>();
    for (const partition of partitions) {
      const writer = await streams.writer({ id: `${group}-${topic}-${partition}`, group, topic });
      writers.push(writer);
      await writer.takeOver([settings.deadLetters]);
      writerOf.set(partition, writer);
    }
    const [committed, spans] = [await source.committed(), await source.spans()];
    for (const one of partitions) source.start(one, committed.get(one) ?? spans.get(one)?.begin ?? 0);
    while (!stopping() && source.assignment()?.generation === generation) {
      let some = false;
      for (const partition of partitions) {
        some = (await takePartition(parts, { source, partition, writer: writerOf.get(partition)! })) || some;
      }
      if (!some) await source.arrived(WAIT_MS);
    }
  } finally {
    for (const writer of writers) await writer.close().catch(() => {});
    await source.close();
  }
}

/** What has come of one partition; false when nothing had. */
async function takePartition(
  parts: LabelParts,
  on: { readonly source: StreamSource; readonly partition: number; readonly writer: StreamWriter },
): Promise<boolean> {
  const { settings, topic, counters, schemaHash, stopping } = parts;
  const { source, partition, writer } = on;
  const records = source.take(partition);
  for (let at = 0; at < records.length && !stopping(); at += TOGETHER_MAX) {
    const some = records.slice(at, at + TOGETHER_MAX);
    const letters: OutRecord[] = [];
    const buried: Buried[] = [];
    for (const record of some) {
      const fault = await takeOne(parts, record);
      if (fault === null) continue;
      const incoming = incomingOf(record, topic);
      letters.push(letterOf(incoming, { error: fault, pipeline: parts.engine().pipeline.name, schemaHash }));
      buried.push(buriedOf(incoming, fault));
    }
    await parts.engine().log.flush();
    const outputs = new Map(letters.length === 0 ? [] : [[settings.deadLetters, letters] as const]);
    await writer.commit({ outputs, positions: new Map([[partition, some.at(-1)!.next]]) });
    if (buried.length > 0) counters.buried(buried);
  }
  return records.length > 0;
}

/** Null once it is taken, else what it is a dead letter for. Errors: state.*, log.*, server.overloaded. */
async function takeOne(parts: LabelParts, record: StreamRecord): Promise<SentinelError | null> {
  const { engine, counters, lagging, stopping } = parts;
  for (let waited = 0; ; waited += WAIT_MS) {
    const fault = await takeLabelRecord(engine(), record.value);
    if (fault === null) return null;
    const mayCome = fault.code === "request.not-found" && lagging() && waited < UNKNOWN_MS_MAX && !stopping();
    if (!mayCome) {
      counters.deadLetter(fault.code);
      return fault;
    }
    await sleep(WAIT_MS);
  }
}

/** Takes a label as it stands in a record; what is wrong with it, or null. Errors (a retry may help): state.*, log.*, server.overloaded. */
export async function takeLabelRecord(engine: Engine, value: Uint8Array | null): Promise<SentinelError | null> {
  try {
    if (value === null) {
      throw new SentinelError("request.malformed", "the record has no value: it is a deletion mark", {
        hint: "write labels to this topic and nothing else",
      });
    }
    const outcome = await takeAndCount(engine, parseLabel(engine, decodeJson(value), ""));
    if (outcome.accepted) return null;
    throw refusedLabel(outcome);
  } catch (error) {
    if (error instanceof SentinelError) {
      if (error.kind.retryable) throw error;
      return error;
    }
    const hint = "report it, with the label";
    return new SentinelError("bug.unexpected", messageOf(error), { hint, cause: error });
  }
}
