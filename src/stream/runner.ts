// The runner of one pipeline: joins the group, restores the state, judges and commits until it is stopped; after trouble it begins anew.
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, SentinelError } from "../core/errors.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import type { Engine } from "../online/engine.ts";
import { type StreamSettings, streamSettings } from "../pipeline/stream.ts";
import type { Schemas } from "../ports/schemas.ts";
import type { Assignment, Span, StreamSource, Streams, StreamWriter } from "../ports/stream.ts";
import { noStreamCounters, type StreamCounters } from "./counters.ts";
import { decoderOf } from "./format.ts";
import { checkConsumers, checkKeys, keysInWords } from "./keys.ts";
import { followLabels } from "./labels.ts";
import { Lane, type LaneParts, type LaneStart, pipeTopic } from "./lane.ts";
import { readReached, saveReached } from "./positions.ts";

export interface RunnerOptions {
  readonly engine: Engine;
  readonly streams: Streams;
  /** Called with the position of each record before it is parsed. */
  readonly named?: (position: string) => void;
  /** Where Avro schemas are kept. */
  readonly schemas?: Schemas | null;
  readonly counters?: StreamCounters;
  /** Stop at the end that the input has when reading begins. */
  readonly untilEnd?: boolean;
  /** Judge the dead letters again, in place of the topic. */
  readonly deadLetters?: boolean;
  /** Make the topics that are written, where they are not there. */
  readonly create?: boolean;
}

export interface RunnerStatus {
  /** Whether it judges records that come. */
  readonly ready: boolean;
  /** What it waits for, or why it ended; null where it works. */
  readonly fault: string | null;
  /** Records between what is judged and the end, by partition. */
  readonly lag: ReadonlyMap<number, number>;
}

const WAIT_MS = 20;
/** How often the ends of the partitions are asked for, and how often a group that gives too few partitions is looked at. */
const LOOK_MS = 5_000;
const ASSIGN_MS = 100;
const PAUSE_FIRST_MS = 200;
const PAUSE_LONGEST_MS = 10_000;

export class Runner {
  readonly settings: StreamSettings;
  /** Settles when it ended: at the end of the input, or stopped. Rejects with what it gave up on. */
  readonly done: Promise<void>;
  private readonly options: RunnerOptions;
  private engine: Engine;
  private readonly streams: Streams;
  private readonly counters: StreamCounters;
  private readonly parts: LaneParts;
  private readonly writers = new Map<string, StreamWriter>();
  /** What is read. */
  readonly topic: string;
  /** What became of the records since the start. */
  readonly totals = {
    decided: 0,
    alerts: 0,
    duplicates: 0,
    deadLetters: 0,
    restored: 0,
    committed: 0,
    retries: 0,
    lost: 0,
    expired: 0,
  };
  private readonly group: string;
  private lanes: readonly Lane[] = [];
  private spans: ReadonlyMap<number, Span> = new Map();
  private stopping = false;
  private restored = false;
  private waitsFor: string | null = "it starts";
  private workedAt: number;
  private keysSaid = false;
  private ended = false;
  private labelFault: string | null = null;
  private readonly labelling: Promise<void>;
  private savedAt: number;
  private saving: Promise<void> = Promise.resolve();
  private lookedAt = Number.NEGATIVE_INFINITY;
  /** By partition: a record before this offset is committed, or was said to be lost. */
  private readonly accounted = new Map<number, number>();

  constructor(options: RunnerOptions) {
    const { engine, streams, deadLetters = false } = options;
    const counters = this.counting(options.counters ?? noStreamCounters);
    this.options = options;
    this.engine = engine;
    this.streams = streams;
    this.counters = counters;
    this.settings = streamSettings(engine.pipeline);
    this.topic = deadLetters ? this.settings.deadLetters : this.settings.topic;
    this.group = deadLetters ? `${this.settings.group}-dead-letters` : this.settings.group;
    const { clock } = engine.ports;
    this.parts = {
      engine,
      settings: this.settings,
      counters,
      deadLetters,
      replayable: streams.replayable,
      untilEnd: options.untilEnd === true,
      outputs: [this.settings.decisions, this.settings.alerts, this.settings.deadLetters],
      positionTopic: streams.replayable ? this.topic : pipeTopic(clock.now()),
      schemaHash: sha256(canonicalJson(engine.schema)),
      named: options.named,
      decode: decoderOf(this.settings.format, { schemas: options.schemas ?? null, streams }),
      elapsed: () => clock.elapsed(),
      keeps: new Map(),
      expiring: new Set(),
      seen: new Map(),
    };
    this.workedAt = clock.elapsed();
    this.savedAt = clock.elapsed();
    this.done = this.run();
    this.labelling = this.followLabels();
    // Whoever waits hears of it; nobody need.
    this.done.catch(() => {});
  }

  get where(): string {
    return this.streams.where;
  }

  /** Goes on with an engine that shares log, states and rules with the one before. */
  swap(engine: Engine): void {
    this.engine = engine;
    this.parts.engine = engine;
  }

  status(): RunnerStatus {
    const { status: asked } = this.engine.live;
    const trouble =
      (asked === "active" ? this.waitsFor : null) ?? this.lanes.find((lane) => lane.trouble !== null)?.trouble ?? null;
    const ready =
      trouble === null && asked === "active" && !this.stopping && this.lanes.every(({ caughtUp }) => caughtUp);
    const lag = new Map<number, number>();
    for (const [partition, { begin, end }] of this.spans) {
      lag.set(partition, Math.max(0, end - Math.max(begin, this.parts.seen.get(partition) ?? 0)));
    }
    // Somebody wanted it to wait: that is no fault.
    const fault = trouble ?? this.labelFault ?? (ready || asked !== "active" ? null : "it restores its state");
    return { ready: ready && this.labelFault === null, fault, lag };
  }

  /** What is judged is committed, then the group is left. */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.done.catch(() => {});
    await this.labelling;
  }

  private async run(): Promise<void> {
    let pause = PAUSE_FIRST_MS;
    try {
      while (!this.stopping) {
        try {
          if (this.engine.live.status === "stopped") {
            await this.idle();
            continue;
          }
          if (await this.round()) break;
          pause = PAUSE_FIRST_MS;
        } catch (error) {
          if (this.stopping) break;
          const passes = error instanceof SentinelError && error.kind.retryable;
          if (!passes || this.parts.elapsed() - this.workedAt > this.settings.retryMs) throw error;
          this.counters.retried(error.code);
          this.waitsFor = error.message;
          this.engine.logger.warn({ code: error.code, error: error.message }, "the stream begins anew");
          await sleep(pause);
          pause = Math.min(2 * pause, PAUSE_LONGEST_MS);
        }
      }
      this.waitsFor = "it has ended";
      await this.saving;
      await this.save();
    } catch (error) {
      this.waitsFor = messageOf(error);
      throw error;
    } finally {
      this.ended = true;
      await this.saving;
      for (const writer of this.writers.values()) await writer.close().catch(() => {});
    }
  }

  /** Beside the transactions, where the pipeline names a topic of labels and the input goes on. Never rejects. */
  private async followLabels(): Promise<void> {
    const { settings, streams, counters, options } = this;
    const { labels: topic } = settings;
    if (topic === null || options.untilEnd === true || options.deadLetters === true || !streams.replayable) return;
    // An id can be looked up once the log's are known.
    await this.engine.settled();
    try {
      await followLabels({
        engine: () => this.engine,
        streams,
        settings,
        topic,
        counters,
        schemaHash: this.parts.schemaHash,
        lagging: () => [...this.status().lag.values()].some((records) => records > 0),
        stopping: () => this.stopping || this.ended,
      });
    } catch (error) {
      this.labelFault = `labels from ${topic}: ${messageOf(error)}`;
      this.engine.logger.error({ topic, error: messageOf(error) }, "the labels of the stream are taken no more");
    }
  }

  /** From joining the group to leaving it; true at the end of the input. */
  private async round(): Promise<boolean> {
    await this.begin();
    const { settings, group } = this;
    const source = await this.streams.subscribe({
      topic: this.topic,
      group,
      sessionMs: settings.sessionMs,
      recordBytesMax: settings.recordMaxBytes,
      whole: this.options.untilEnd === true || !this.streams.replayable,
    });
    try {
      while (!this.stopping && this.engine.live.status !== "stopped") {
        const assignment = await this.assigned(source);
        if (assignment === null) continue;
        if (await this.work(source, assignment)) return true;
      }
      return false;
    } catch (error) {
      // What waits for a client that is stuck waits no more: the next round takes the ids over and asks what is committed.
      for (const writer of this.writers.values()) void writer.close().catch(() => {});
      throw error;
    } finally {
      for (const lane of this.lanes) lane.abandon();
      await Promise.all(this.lanes.map(({ committing }) => committing));
      this.lanes = [];
      await source.close();
    }
  }

  /** Somebody stopped the pipeline: others of the group may have its partitions. */
  private async idle(): Promise<void> {
    this.waitsFor = "the pipeline is stopped";
    this.workedAt = this.parts.elapsed();
    await sleep(PAUSE_FIRST_MS);
  }

  /** Topics are there, a champion or rules answer, and what the log holds is known. */
  private async begin(): Promise<void> {
    const { engine, streams, settings } = this;
    await this.checkTopics();
    await engine.settled();
    const plan = engine.live.current.champion?.scorer.plan ?? null;
    checkConsumers(plan, { consumers: settings.consumers, key: settings.key, shared: this.isShared });
    if (plan !== null && !this.keysSaid && !this.isShared && streams.replayable) {
      const check = checkKeys(plan, settings.key);
      if (check.features.length > 0) {
        const facts = { key: settings.key, features: check.features.length };
        engine.logger.info(facts, `one process must read all partitions, because of ${keysInWords(check)}`);
      }
      this.keysSaid = true;
    }
    if (this.restored || this.isShared || !streams.replayable) return;
    const reached = await readReached(engine, this.topic);
    for (const [partition, position] of reached.positions) this.parts.seen.set(partition, position);
    this.restored = true;
  }

  private counting(counters: StreamCounters): StreamCounters {
    const { totals } = this;
    return {
      ...counters,
      decided(decision) {
        totals.decided++;
        if (decision !== "approve") totals.alerts++;
        counters.decided(decision);
      },
      duplicate() {
        totals.duplicates++;
        counters.duplicate();
      },
      deadLetter(code) {
        totals.deadLetters++;
        counters.deadLetter(code);
      },
      restored() {
        totals.restored++;
        counters.restored();
      },
      committed(records, seconds) {
        totals.committed += records;
        counters.committed(records, seconds);
      },
      retried(code) {
        totals.retries++;
        counters.retried(code);
      },
      lost(records) {
        totals.lost += records;
        counters.lost(records);
      },
      expired(records) {
        totals.expired += records;
        counters.expired(records);
      },
    };
  }

  private get isShared(): boolean {
    return this.engine.states.sharing() !== null;
  }

  private async checkTopics(): Promise<void> {
    const { streams, settings, topic } = this;
    if (streams.makesTopics) return;
    const outputs = [settings.decisions, settings.alerts, settings.deadLetters].filter((name) => name !== topic);
    const there = await streams.topics([topic, ...outputs]);
    const missing = outputs.filter((name) => !there.has(name));
    // To read from it will say so.
    if (!there.has(topic)) return;
    if (missing.length > 0 && this.options.create !== true) {
      throw new SentinelError("stream.missing", `${streams.where} has no topic ${missing.join(", ")}`, {
        hint: "create what the stream writes, or start it with --create: then each gets as many partitions as the input",
      });
    }
    for (const name of missing) await streams.create(name, there.get(topic)!);
    this.parts.keeps = await streams.keeps(outputs);
  }

  /** The partitions, once they are all that this process needs; null while they are not. */
  private async assigned(source: StreamSource): Promise<Assignment | null> {
    const assignment = source.assignment();
    const isAll = assignment !== null && assignment.partitions.length === assignment.total;
    const mayShare = this.settings.consumers === "several";
    if (assignment !== null && (isAll || (mayShare && assignment.partitions.length > 0))) return assignment;
    this.waitsFor =
      assignment === null
        ? "the group gives out its partitions"
        : `the group has other members: ${assignment.partitions.length} of ${assignment.total} partitions are here`;
    if (assignment !== null && !mayShare && this.parts.elapsed() - this.lookedAt > LOOK_MS) {
      this.lookedAt = this.parts.elapsed();
      this.engine.logger.warn(
        { group: this.group, here: assignment.partitions.length, total: assignment.total },
        "another process reads some of the partitions, and this one's own state needs all: it waits",
      );
    }
    this.workedAt = this.parts.elapsed();
    await source.arrived(ASSIGN_MS);
    return null;
  }

  /** Until the assignment changes (false), the runner is stopped (false) or the input ends (true). */
  private async work(source: StreamSource, assignment: Assignment): Promise<boolean> {
    const begun = this.parts.elapsed();
    const groups =
      this.settings.consumers === "several" ? assignment.partitions.map((one) => [one]) : [assignment.partitions];
    const lanes: Lane[] = [];
    this.lanes = lanes;
    for (const partitions of groups) {
      const writer = await this.writerOf(partitions);
      await writer.takeOver(this.parts.outputs);
      // After the writer of before is shut out, so that it commits nothing later.
      const starts = await this.startsOf(source, partitions);
      if (source.assignment()?.generation !== assignment.generation) return false;
      if (await this.fixBeginnings(writer, starts)) return false;
      lanes.push(new Lane(this.parts, { source, writer, starts }));
      for (const { partition, start } of starts) source.start(partition, start);
    }
    this.waitsFor = null;
    let isSaid = false;
    let arriving: Promise<void> | null = null;
    for (;;) {
      if (source.assignment()?.generation !== assignment.generation) {
        for (const lane of lanes) lane.abandon();
        await Promise.all(lanes.map(({ committing }) => committing));
        await arriving?.catch(() => {});
        return false;
      }
      const { status } = this.engine.live;
      if (this.stopping || status === "stopped") {
        for (const lane of lanes) await lane.settle();
        await arriving?.catch(() => {});
        return false;
      }
      // What is judged is committed; the group keeps its member, and nothing more is read than fits.
      if (status === "paused") for (const lane of lanes) await lane.settle();
      let busy = false;
      for (const lane of lanes) busy = (await lane.step()) || busy;
      if (!isSaid && lanes.every(({ caughtUp }) => caughtUp)) {
        isSaid = true;
        this.counters.restoredIn((this.parts.elapsed() - begun) / 1000);
      }
      this.upkeep(source);
      if (this.options.untilEnd === true || !this.streams.replayable) {
        if (lanes.every(({ finished }) => finished)) {
          await arriving?.catch(() => {});
          return true;
        }
      }
      if (busy) {
        this.workedAt = this.parts.elapsed();
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      arriving ??= source.arrived(WAIT_MS).finally(() => {
        arriving = null;
      });
      arriving.catch(() => {});
      await Promise.race([arriving, ...lanes.flatMap(({ committing }) => (committing === null ? [] : [committing]))]);
      this.workedAt = this.parts.elapsed();
    }
  }

  private async writerOf(partitions: readonly number[]): Promise<StreamWriter> {
    const { group, topic } = this;
    const id = this.settings.consumers === "several" ? `${group}-${topic}-${partitions[0]}` : `${group}-${topic}`;
    let writer = this.writers.get(id);
    if (writer === undefined) {
      writer = await this.streams.writer({ id, group, topic });
      this.writers.set(id, writer);
    }
    return writer;
  }

  /**
   * Reading begins at the record after the last that the log holds, or at the first that is not committed, whichever comes first. A state that
   * several share needs nothing that was committed.
   */
  private async startsOf(source: StreamSource, partitions: readonly number[]): Promise<readonly LaneStart[]> {
    const committed = await source.committed();
    this.spans = await source.spans();
    return partitions.map((partition) => {
      const { begin, end } = this.spans.get(partition) ?? { begin: 0, end: 0 };
      const position = committed.get(partition);
      if (position !== undefined && position > end) {
        throw new SentinelError(
          "stream.invalid",
          `group ${this.group} has read ${this.topic} partition ${partition} up to ${position}, and it ends at ${end}`,
          { hint: "the topic was made anew or the file replaced: give the stream another `stream.group`" },
        );
      }
      let emit = position ?? (this.settings.from === "latest" ? end : begin);
      if (position !== undefined) this.missed(partition, { from: position, to: begin });
      emit = Math.max(emit, begin);
      this.accounted.set(partition, Math.max(emit, this.accounted.get(partition) ?? 0));
      const seen = this.parts.seen.get(partition);
      const known = seen ?? (position === undefined ? emit : begin);
      const start = this.isShared || !this.streams.replayable ? emit : Math.max(begin, Math.min(known, emit));
      return { partition, start, emit, end, committed: position };
    });
  }

  /**
   * `from: latest` begins where the first start found the end, also when that start was killed before it committed anything. True when
   * something was committed, so that the positions are to be asked for again.
   */
  private async fixBeginnings(writer: StreamWriter, starts: readonly LaneStart[]): Promise<boolean> {
    if (this.settings.from !== "latest" || !this.streams.replayable) return false;
    const positions = starts
      .filter(({ committed }) => committed === undefined)
      .map(({ partition, emit }) => [partition, emit] as const);
    if (positions.length === 0) return false;
    await writer.commit({ outputs: new Map(), positions: new Map(positions) });
    return true;
  }

  /** The topic forgot what nobody had read. */
  private missed(partition: number, span: { readonly from: number; readonly to: number }): void {
    const lost = span.to - Math.max(span.from, this.accounted.get(partition) ?? 0);
    if (lost <= 0) return;
    this.accounted.set(partition, span.to);
    this.counters.lost(lost);
    this.engine.logger.error(
      { topic: this.topic, partition, lost },
      "the topic forgot records before they were read: raise its retention",
    );
  }

  /** Saves the state, and asks how far behind the stream is; neither keeps a record waiting. */
  private upkeep(source: StreamSource): void {
    const now = this.parts.elapsed();
    if (now - this.savedAt >= this.settings.snapshotMs) {
      this.savedAt = now;
      this.saving = this.save();
    }
    if (now - this.lookedAt < LOOK_MS) return;
    this.lookedAt = now;
    const generation = source.assignment()?.generation;
    void source
      .spans()
      .then((spans) => {
        this.spans = spans;
        const { partitions = [], generation: later } = source.assignment() ?? {};
        if (later === undefined || later !== generation) return;
        for (const partition of partitions) {
          this.missed(partition, { from: source.readTo(partition), to: spans.get(partition)?.begin ?? 0 });
        }
      })
      .catch(() => {});
  }

  private async save(): Promise<void> {
    const { engine, parts } = this;
    const seen = new Map(parts.seen);
    await engine.persist();
    if (this.isShared || !this.streams.replayable) return;
    await saveReached(engine, this.topic, seen).catch((error) => {
      engine.logger.warn(
        { error: messageOf(error) },
        "how far the log reaches could not be saved: a start reads more of it",
      );
    });
  }
}
