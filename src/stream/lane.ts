// A lane: partitions that are judged in one order and committed in one transaction at a time, while the next batch is being judged.
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, SentinelError } from "../core/errors.ts";
import type { Buried } from "../lifecycle/desk.ts";
import type { Engine } from "../online/engine.ts";
import type { PredictionDraft } from "../online/states.ts";
import type { StreamSettings } from "../pipeline/stream.ts";
import type { OutRecord, StreamRecord, StreamSource, StreamWriter } from "../ports/stream.ts";
import type { StreamCounters } from "./counters.ts";
import { buriedOf, type Incoming, incomingOf, letterOf, recordOf } from "./dead-letter.ts";
import { decide, type Outcome } from "./decide.ts";
import type { Decode } from "./format.ts";
import { takeLabelRecord } from "./labels.ts";
import { Merge } from "./merge.ts";
import { parsePosition, positionOf } from "./positions.ts";

/** What all lanes of a pipeline have in common. */
export interface LaneParts {
  /** Another one takes its place when the pipeline gets more fields. */
  engine: Engine;
  readonly settings: StreamSettings;
  readonly counters: StreamCounters;
  /** The topic of positions: one of its own per run where the input cannot be read twice. */
  readonly positionTopic: string;
  readonly replayable: boolean;
  readonly deadLetters: boolean;
  readonly schemaHash: string;
  readonly decode: Decode;
  readonly named?: (position: string) => void;
  readonly untilEnd: boolean;
  /** The topics that are written. */
  readonly outputs: readonly string[];
  readonly elapsed: () => number;
  /** By topic that is written: for how many milliseconds after their own time it keeps records; absent: for ever. */
  keeps: ReadonlyMap<string, number>;
  /** Topics of which it was said that records are too old for them. */
  readonly expiring: Set<string>;
  /** Positions after the newest record that this process judged; grows with every record. */
  readonly seen: Map<number, number>;
}

/** Where a lane begins: it reads from `start`, and writes what stands at `emit` and beyond. */
export interface LaneStart {
  readonly partition: number;
  readonly start: number;
  readonly emit: number;
  readonly end: number;
  /** What the group has committed; undefined: nothing. */
  readonly committed: number | undefined;
}

interface Batch {
  readonly outputs: Map<string, OutRecord[]>;
  readonly positions: Map<number, number>;
  /** By partition: what is committed before this batch is; undefined: nothing. */
  readonly before: Map<number, number | undefined>;
  readonly letters: Buried[];
  records: number;
  openedAt: number;
}

interface Judged {
  readonly outcome: Outcome;
  readonly incoming: Incoming;
}

/** Records judged before others get a turn. */
const SLICE = 200;
/** Pauses between tries, doubled up to the longest. */
const PAUSE_FIRST_MS = 50;
const PAUSE_LONGEST_MS = 5_000;

export class Lane {
  /** The transaction that is being committed; never rejects. */
  committing: Promise<void> | null = null;
  /** What it waits for and tries again; null where it works. */
  trouble: string | null = null;
  private readonly parts: LaneParts;
  private readonly source: StreamSource;
  private readonly writer: StreamWriter;
  private readonly merge: Merge;
  private readonly emitFrom: ReadonlyMap<number, number>;
  private readonly starts: readonly LaneStart[];
  /** By partition: what is committed once every batch that was begun is. */
  private readonly planned: Map<number, number | undefined>;
  private batch: Batch;
  private fault: unknown = null;
  private stopped = false;
  /** Records that are to be judged before the lane has caught up with what is committed. */
  private restoring: boolean;

  constructor(
    parts: LaneParts,
    on: { readonly source: StreamSource; readonly writer: StreamWriter; readonly starts: readonly LaneStart[] },
  ) {
    this.parts = parts;
    this.source = on.source;
    this.writer = on.writer;
    this.starts = on.starts;
    const { elapsed, untilEnd } = parts;
    this.planned = new Map(on.starts.map(({ partition, committed }) => [partition, committed]));
    this.emitFrom = new Map(on.starts.map(({ partition, emit }) => [partition, emit]));
    this.restoring = on.starts.some(({ start, emit }) => start < emit);
    const ends = new Map(on.starts.map(({ partition, end }) => [partition, end]));
    this.merge = new Merge(
      on.source,
      on.starts.map(({ partition }) => partition),
      { ends, elapsed, untilEnd },
    );
    this.batch = this.newBatch();
  }

  /** Everything up to the ends that were known at the start is judged and committed. */
  get finished(): boolean {
    // The next step throws what a transaction failed by since the last one.
    return this.fault === null && this.merge.finished && this.batch.records === 0 && this.committing === null;
  }

  /** True once what was committed before this process came is in its state. */
  get caughtUp(): boolean {
    if (this.restoring) {
      this.restoring = !this.starts.every(({ partition, emit }) => this.merge.passed(partition, emit));
    }
    return !this.restoring;
  }

  /**
   * Judges some of what is there, and begins a transaction when one is due. False when there was nothing to do. Errors: what a transaction or
   * a record could not be done for in `stream.retry`.
   */
  async step(): Promise<boolean> {
    if (this.fault !== null) throw this.fault;
    const { records, every } = { records: this.parts.settings.batch.records, every: this.parts.settings.batch.everyMs };
    const isFull = this.batch.records >= records;
    if (this.batch.records > 0 && this.committing === null) {
      if (isFull || this.parts.elapsed() - this.batch.openedAt >= every) this.flush();
    }
    if (this.batch.records >= records) return false;
    const most = Math.min(SLICE, records - this.batch.records);
    let done = 0;
    for (; done < most && !this.stopped && this.parts.engine.live.status === "active"; done++) {
      const record = this.merge.next();
      if (record === null) break;
      const pending = this.judge(record);
      if (pending !== null) await pending;
    }
    return done > 0;
  }

  /** Commits what is judged. Errors: as of {@link step}. */
  async settle(): Promise<void> {
    await this.committing;
    if (this.fault !== null) throw this.fault;
    if (this.batch.records > 0) this.flush();
    await this.committing;
    if (this.fault !== null) throw this.fault;
  }

  /** Ends waiting for anything; what is judged and not committed will be found in the log. */
  abandon(): void {
    this.stopped = true;
  }

  private newBatch(): Batch {
    const openedAt = this.parts.elapsed();
    return { outputs: new Map(), positions: new Map(), before: new Map(), letters: [], records: 0, openedAt };
  }

  /** Without a promise where nothing has to be waited for. */
  private judge(record: StreamRecord): Promise<void> | null {
    if (this.batch.records === 0) this.batch.openedAt = this.parts.elapsed();
    let first: Judged | Promise<Judged>;
    try {
      first = this.decideOn(record);
    } catch (error) {
      first = Promise.reject(error);
    }
    if (!(first instanceof Promise)) {
      this.judged(record, first);
      return null;
    }
    // An abandoned lane asks nobody.
    first.catch(() => {});
    let tries = 0;
    const pending = this.patiently(async () => (tries++ === 0 ? first : this.decideOn(record)));
    return pending.then((done) => {
      if (done !== null) this.judged(record, done);
    });
  }

  private judged(record: StreamRecord, { outcome, incoming }: Judged): void {
    const { counters, seen } = this.parts;
    const { partition, next } = record;
    seen.set(partition, Math.max(seen.get(partition) ?? 0, next));
    const isNew = record.offset >= (this.emitFrom.get(partition) ?? 0);
    if (!isNew) {
      counters.restored();
      return;
    }
    this.batch.records++;
    if (!this.batch.before.has(partition)) this.batch.before.set(partition, this.planned.get(partition));
    this.batch.positions.set(partition, next);
    this.planned.set(partition, next);
    this.write(outcome, incoming);
  }

  private decideOn(record: StreamRecord): Judged | Promise<Judged> {
    const { engine, settings, positionTopic, deadLetters, decode, named } = this.parts;
    const position = positionOf(positionTopic, record);
    let incoming = incomingOf(record, settings.topic);
    if (deadLetters) {
      try {
        incoming = recordOf(record);
      } catch (error) {
        if (!(error instanceof SentinelError)) throw error;
        return { outcome: { kind: "poison", error }, incoming };
      }
    }
    if (deadLetters && incoming.origin.topic === settings.labels) return this.labelAgain(incoming);
    const again = (known: PredictionDraft): boolean => this.isOurs(known, position);
    const { recordMaxBytes: recordBytesMax } = settings;
    const outcome = decide(engine, incoming, { position, again, decode, named, recordBytesMax });
    return outcome instanceof Promise ? outcome.then((made) => ({ outcome: made, incoming })) : { outcome, incoming };
  }

  private async labelAgain(incoming: Incoming): Promise<Judged> {
    const error = await takeLabelRecord(this.parts.engine, incoming.value);
    return { outcome: error === null ? { kind: "labelled" } : { kind: "poison", error }, incoming };
  }

  /** Where an input cannot be read twice, what another run answered may never have been written: it is written again. */
  private isOurs({ position: known }: PredictionDraft, position: string): boolean {
    if (known === position) return true;
    if (this.parts.replayable || known === undefined) return false;
    const { topic } = parsePosition(known) ?? {};
    return topic !== undefined && topic !== this.parts.positionTopic && isPipe(topic);
  }

  private write(outcome: Outcome, incoming: Incoming): void {
    const { settings, counters, engine, schemaHash } = this.parts;
    if (outcome.kind === "duplicate") {
      counters.duplicate();
      return;
    }
    if (outcome.kind === "labelled") return;
    if (outcome.kind === "poison") {
      const { error } = outcome;
      counters.deadLetter(error.code);
      this.batch.letters.push(buriedOf(incoming, error));
      this.put(settings.deadLetters, letterOf(incoming, { error, pipeline: engine.pipeline.name, schemaHash }));
      return;
    }
    counters.decided(outcome.reply.decision);
    this.put(settings.decisions, outcome.decision);
    if (outcome.alert !== null) this.put(settings.alerts, outcome.alert);
  }

  private put(topic: string, record: OutRecord): void {
    const records = this.batch.outputs.get(topic);
    if (records === undefined) this.batch.outputs.set(topic, [record]);
    else records.push(record);
  }

  private flush(): void {
    const { batch } = this;
    this.batch = this.newBatch();
    this.committing = this.commit(batch)
      .catch((error) => {
        this.fault ??= error;
      })
      .finally(() => {
        this.committing = null;
      });
  }

  /** The log first: what is committed is always in the log, so that a restart's state holds it. */
  private async commit(batch: Batch): Promise<void> {
    const { engine, counters, elapsed } = this.parts;
    const begun = elapsed();
    let tries = 0;
    const outcome = await this.patiently(async () => {
      const state = tries++ === 0 ? "open" : await this.stateOf(batch);
      if (state !== "open") return state;
      await engine.log.flush();
      await this.writer.commit(batch);
      return "committed";
    });
    if (outcome === null) return;
    if (outcome === "moved") {
      throw new SentinelError("stream.taken-over", "another process of the group committed what this one judged", {
        hint: "the stream goes on from what is committed; let one process consume where the state is its own",
      });
    }
    counters.committed(batch.records, (elapsed() - begun) / 1000);
    if (batch.letters.length > 0) counters.buried(batch.letters);
    this.countExpired(batch);
  }

  /** What is written has the time of the record that it answers, and by that time a broker deletes it. */
  private countExpired({ outputs }: Batch): void {
    const { engine, counters, keeps, expiring } = this.parts;
    for (const [topic, records] of outputs) {
      const keptMs = keeps.get(topic);
      if (keptMs === undefined) continue;
      const oldest = engine.ports.clock.now() - keptMs;
      const expired = records.reduce((sum, { timestamp }) => sum + Number(timestamp !== null && timestamp < oldest), 0);
      if (expired === 0) continue;
      counters.expired(expired);
      if (expiring.has(topic)) continue;
      expiring.add(topic);
      engine.logger.error(
        { topic, expired, keptMs },
        "records were written that are older than the topic keeps them: the broker deletes them within minutes; let it keep them longer (retention.ms), or count from when they are written (message.timestamp.type=LogAppendTime)",
      );
    }
  }

  /**
   * After a fault nobody knows whether the transaction was committed: a new writer undoes it, or it is found done. Anything else is another
   * process's work.
   */
  private async stateOf({ positions, before }: Batch): Promise<"committed" | "open" | "moved"> {
    await this.writer.takeOver(this.parts.outputs);
    const committed = await this.source.committed();
    const all = (of: (partition: number) => number | undefined): boolean =>
      [...positions.keys()].every((partition) => committed.get(partition) === of(partition));
    if (all((partition) => positions.get(partition))) return "committed";
    return all((partition) => before.get(partition)) ? "open" : "moved";
  }

  /**
   * Tries until it works, with growing pauses, for as long as `stream.retry` says; null once the lane is abandoned. Errors: what cannot pass,
   * and what did not.
   */
  private async patiently<T>(work: () => Promise<T>): Promise<T | null> {
    const { settings, counters, elapsed, engine } = this.parts;
    const begun = elapsed();
    for (let pause = PAUSE_FIRST_MS; ; pause = Math.min(2 * pause, PAUSE_LONGEST_MS)) {
      if (this.stopped) return null;
      try {
        const done = await work();
        this.trouble = null;
        return done;
      } catch (error) {
        if (this.stopped) return null;
        this.trouble = messageOf(error);
        if (isPaused(error)) {
          await sleep(PAUSE_FIRST_MS);
          continue;
        }
        const passes = error instanceof SentinelError && error.kind.retryable;
        if (!passes || elapsed() - begun > settings.retryMs) throw error;
        counters.retried(error.code);
        engine.logger.warn({ code: error.code, error: messageOf(error) }, "the stream waits and tries again");
        await sleep(pause);
      }
    }
  }
}

/** Somebody paused or stopped the pipeline while a record was on its way: it waits, and no time of `stream.retry` passes. */
function isPaused(error: unknown): boolean {
  return error instanceof SentinelError && ["pipeline.paused", "pipeline.stopped"].includes(error.code);
}

const PIPE = "stdin@";

/** The topic of positions of one run over an input that is read once. */
export function pipeTopic(startedAt: number): string {
  return `${PIPE}${startedAt}`;
}

function isPipe(topic: string): boolean {
  return topic.startsWith(PIPE);
}
