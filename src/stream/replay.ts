// Replay of a topic: a recorded stream judged again by another bundle or rule set, beside what was decided of it; nothing is written or learned.
import { SentinelError } from "../core/errors.ts";
import { noCounters } from "../online/counters.ts";
import { type EngineOptions, openEngine } from "../online/engine.ts";
import type { OpenPipeline } from "../online/pipelines.ts";
import { streamSettings } from "../pipeline/stream.ts";
import type { Schemas } from "../ports/schemas.ts";
import type { Span, StreamSource, Streams, StreamWriter } from "../ports/stream.ts";
import { Runner } from "./runner.ts";

export interface TopicReplayInput {
  /** Ports of a log, snapshots and rules of its own, so that what is judged leaves no trace in the workspace. */
  readonly pipeline: Omit<OpenPipeline, "close">;
  readonly input: Streams;
  /** Where the decisions of that time are. */
  readonly recorded: Streams;
  readonly schemas: Schemas | null;
  /** By partition, or of all of them: the first offset that is compared, and the one before which it ends. Absent: the topic's. */
  readonly from?: Offsets;
  readonly until?: Offsets;
  readonly options?: Pick<EngineOptions, "logger" | "redactKey">;
}

/** One number for every partition, or numbers by partition. */
export type Offsets = number | ReadonlyMap<number, number>;

interface Side {
  readonly decision: string;
  readonly score: number | null;
  /** Who decided: model, rule, list, policy; the rule where one did. */
  readonly by: string;
}

export interface Change {
  readonly transactionId: string;
  readonly before: Side;
  readonly after: Side;
}

export interface TopicReplay {
  readonly topic: string;
  /** Decisions that were made again. */
  readonly decided: number;
  /** Of them, those that stand in the topic of decisions too. */
  readonly compared: number;
  /** Decisions that differ: "approve → block" and how many. */
  readonly changes: Readonly<Record<string, number>>;
  readonly changed: number;
  /** The decision is the same, and the score is not. */
  readonly rescored: number;
  /** Records that were decided then and cannot be judged now, or the other way round. */
  readonly deadLetters: number;
  /** The first of those that differ. */
  readonly examples: readonly Change[];
}

/** Decisions that fit into memory beside each other. */
const DECISIONS_MAX = 2_000_000;
const EXAMPLES_MAX = 20;
const SESSION_MS = 30_000;
const WAIT_MS = 50;

/** Errors: stream.*, schemas.*, server.not-ready, log.*. */
export async function replayTopic(input: TopicReplayInput): Promise<TopicReplay> {
  const { ports, schema, pipeline, made } = input.pipeline;
  const settings = streamSettings(pipeline);
  const before = await recordedDecisions(
    input.recorded,
    settings.decisions,
    `replay-${pipeline.name}-${ports.clock.now()}`,
  );
  const after = new Map<string, Side>();
  let deadLetters = 0;
  const take = (topic: string, values: readonly (string | Uint8Array)[]): void => {
    if (topic === settings.deadLetters) deadLetters += values.length;
    if (topic === settings.decisions) for (const value of values) keep(after, String(value));
  };
  let position = "";
  const makeId = (): string => position;
  const counters = noCounters;
  const options = { ...input.options, counters, persistMs: 2 ** 31 - 1, ...(made ? { makeId } : {}) };
  const engine = await openEngine({ ports, pipeline, schema, options });
  try {
    await engine.start();
    const streams = aside(input.input, { from: input.from, until: input.until, take });
    const named = (at: string): void => {
      position = at;
    };
    const runner = new Runner({ engine, streams, named, schemas: input.schemas, untilEnd: true });
    await runner.done;
  } finally {
    await engine.stop(0);
  }
  return { topic: settings.topic, ...compare(before, after), deadLetters };
}

/** The topic read from its beginning by a group that commits nothing; what would be written is taken. */
function aside(
  streams: Streams,
  on: {
    readonly from?: Offsets;
    readonly until?: Offsets;
    readonly take: (topic: string, values: readonly (string | Uint8Array)[]) => void;
  },
): Streams {
  const clipped = (spans: ReadonlyMap<number, Span>): ReadonlyMap<number, Span> =>
    new Map(
      [...spans].map(([partition, { begin, end }]) => {
        const last = Math.min(end, offsetOf(on.until, partition) ?? end);
        const first = Math.max(begin, offsetOf(on.from, partition) ?? begin);
        return [partition, { begin: Math.min(first, last), end: last }];
      }),
    );
  return {
    ...streams,
    // Nothing is written, so that nothing needs to be there.
    makesTopics: true,
    keeps: async () => new Map(),
    async subscribe(options) {
      const source = await streams.subscribe({ ...options, group: `replay-${options.group}-${process.pid}` });
      return reading(source, clipped);
    },
    writer: async (): Promise<StreamWriter> => ({
      takeOver: async () => {},
      async commit({ outputs }) {
        for (const [topic, records] of outputs)
          on.take(
            topic,
            records.map(({ value }) => value),
          );
      },
      close: async () => {},
    }),
  };
}

function reading(
  source: StreamSource,
  clipped: (spans: ReadonlyMap<number, Span>) => ReadonlyMap<number, Span>,
): StreamSource {
  return {
    topic: source.topic,
    assignment: () => source.assignment(),
    committed: async () => new Map(),
    spans: async () => clipped(await source.spans()),
    start: (partition, position) => source.start(partition, position),
    take: (partition) => source.take(partition),
    readTo: (partition) => source.readTo(partition),
    arrived: (waitMs) => source.arrived(waitMs),
    close: () => source.close(),
  };
}

function offsetOf(offsets: Offsets | undefined, partition: number): number | undefined {
  return typeof offsets === "object" ? offsets.get(partition) : offsets;
}

async function recordedDecisions(streams: Streams, topic: string, group: string): Promise<ReadonlyMap<string, Side>> {
  const found = new Map<string, Side>();
  const source = await streams.subscribe({
    topic,
    group,
    sessionMs: SESSION_MS,
    recordBytesMax: 1_048_576,
    whole: true,
  });
  try {
    while (source.assignment() === null) await source.arrived(WAIT_MS);
    const spans = await source.spans();
    for (const [partition, { begin }] of spans) source.start(partition, begin);
    for (const [partition, { end }] of spans) {
      for (;;) {
        for (const { value } of source.take(partition)) if (value !== null) keep(found, Buffer.from(value).toString());
        if (source.readTo(partition) >= end) break;
        await source.arrived(WAIT_MS);
      }
    }
  } finally {
    await source.close();
  }
  return found;
}

/** What is no decision of a stream is left out. */
function keep(decisions: Map<string, Side>, line: string): void {
  let parsed: Partial<Record<"transaction_id" | "decision" | "score" | "decided_by" | "rules", unknown>> | null = null;
  try {
    parsed = JSON.parse(line);
  } catch {
    return;
  }
  const { transaction_id: id, decision, score, decided_by: by, rules } = parsed ?? {};
  if (typeof id !== "string" || typeof decision !== "string") return;
  if (decisions.size >= DECISIONS_MAX && !decisions.has(id)) {
    throw new SentinelError("stream.invalid", `more than ${DECISIONS_MAX} decisions are to be compared`, {
      hint: "replay a part of the topic: --from-offsets and --until-offsets",
    });
  }
  const { rule } = (rules ?? {}) as { readonly rule?: unknown };
  const who = typeof by === "string" ? by : "model";
  const name = typeof rule === "string" ? `${who} ${rule}` : who;
  decisions.set(id, { decision, score: typeof score === "number" ? score : null, by: name });
}

function compare(
  before: ReadonlyMap<string, Side>,
  after: ReadonlyMap<string, Side>,
): Omit<TopicReplay, "topic" | "deadLetters"> {
  const changes: Record<string, number> = {};
  const examples: Change[] = [];
  let [compared, changed, rescored] = [0, 0, 0];
  for (const [transactionId, now] of after) {
    const then = before.get(transactionId);
    if (then === undefined) continue;
    compared++;
    if (then.decision === now.decision) {
      if (!Object.is(then.score, now.score)) rescored++;
      continue;
    }
    changed++;
    const what = `${then.decision} → ${now.decision}`;
    changes[what] = (changes[what] ?? 0) + 1;
    if (examples.length < EXAMPLES_MAX) examples.push({ transactionId, before: then, after: now });
  }
  return { decided: after.size, compared, changes, changed, rescored, examples };
}
