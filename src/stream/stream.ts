// Streams of several pipelines in one process: each has its engine and its runner, and one that fails leaves the others alone.
import { messageOf } from "../core/errors.ts";
import { type LetterNotices, letterNotices, type Notices } from "../lifecycle/desk.ts";
import { Platform } from "../lifecycle/platform.ts";
import { type EngineLog, noCounters, silentLog } from "../online/counters.ts";
import { type Engine, type EngineOptions, grownBy, openEngine } from "../online/engine.ts";
import { type PipelineSource, Pipelines } from "../online/pipelines.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { streamSettings } from "../pipeline/stream.ts";
import type { Clock } from "../ports/ports.ts";
import type { Store } from "../ports/store.ts";
import type { Streams } from "../ports/stream.ts";
import type { StreamCounters } from "./counters.ts";
import { createStreamMeasures } from "./measures.ts";
import { openProbes, type Probes } from "./probes.ts";
import { Runner, type RunnerOptions } from "./runner.ts";

export interface StreamInput {
  readonly sources: readonly PipelineSource[];
  readonly streamsOf: (pipeline: Pipeline) => Promise<Streams>;
  readonly clock: Clock;
  /** Pipelines of the store: their status is followed, and those that programs made are opened. Absent: there is no store. */
  readonly platform?: {
    readonly store: () => Promise<Store>;
    readonly workspace: string;
    readonly sourceOf: (name: string) => PipelineSource;
    /** Absent: all of them. */
    readonly only?: ReadonlySet<string>;
  };
  /** Who hears of dead letters, by the outbox of this store; null or absent: nobody. */
  readonly notices?: (Notices & { readonly store: () => Promise<Store> }) | null;
  readonly options: EngineOptions & Pick<RunnerOptions, "untilEnd" | "deadLetters" | "create" | "schemas">;
  /** Where probes and measures are; null: nowhere. */
  readonly at: { readonly host: string; readonly port: number } | null;
}

/** One pipeline at work. */
export interface Streaming extends Pick<Engine, "live" | "pipeline" | "schema" | "rules"> {
  readonly engine: Engine;
  readonly runner: Runner;
  /** Names transactions that bring no id; absent: such are refused. */
  readonly makeId?: () => string;
  stop(drainMsMax: number): Promise<void>;
}

const DRAIN_MS_MAX = 10_000;

export interface StreamProcess {
  readonly pipelines: Pipelines<Streaming>;
  readonly probes: Probes | null;
  /** Resolves when every pipeline that is up has ended; rejects when none works any more, with what the first gave up on. */
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

/** Starts to stream. Errors: server.port-in-use; of pipelines only when none can be opened. */
export async function startStreaming(input: StreamInput): Promise<StreamProcess> {
  const { sources, clock, options, at } = input;
  const { logger } = options;
  const measures = createStreamMeasures();
  const start = async (source: PipelineSource): Promise<Streaming> => {
    const { ports, pipeline, schema, made, close } = await source.open();
    let engine: Engine | null = null;
    // A transaction without an id is called by where it stands: the same after every restart.
    let position = "";
    const makeId = (): string => position;
    try {
      const counters = { ...noCounters, ...measures.engineOf(pipeline.name) };
      // The runner saves the state itself, with how far it reaches.
      const persistMs = 2 ** 31 - 1;
      const naming = made ? { makeId } : {};
      engine = await openEngine({ ports, pipeline, schema, options: { persistMs, ...options, counters, ...naming } });
      const started = engine;
      await started.start();
      const streams = await input.streamsOf(pipeline);
      const named = (at: string): void => {
        position = at;
      };
      const letters = lettersOf(input, started);
      const buried: StreamCounters["buried"] = (some) => letters?.count(some);
      const counted = { ...measures.of(pipeline.name), buried };
      const runner = new Runner({ ...options, engine: started, streams, named, counters: counted });
      letters?.start();
      return {
        ...partsOf(started),
        engine: started,
        runner,
        ...(made ? { makeId } : {}),
        async stop(drainMsMax) {
          await runner.stop();
          await letters?.stop();
          await streams.close();
          await started.stop(drainMsMax);
          await close();
        },
      };
    } catch (error) {
      await engine?.stop(0);
      await close();
      throw error;
    }
  };
  const pipelines = new Pipelines<Streaming>(sources.length === 1 ? sources[0].name : null, {
    start,
    clock,
    logger: logger ?? silentLog,
  });
  for (const source of sources) await pipelines.add(source);
  pipelines.follow();
  const platform = input.platform === undefined ? null : platformOf(input.platform, { pipelines, clock, logger });
  await platform?.start();
  const faults = (): { pipeline: string; fault: string }[] =>
    pipelines.all().flatMap(({ name, from, engine, fault }) => {
      // A program made it, and a server answers it: nobody asked this process for it.
      if (from === "api" && fault?.code === "lifecycle.locked") return [];
      const what = engine === null ? (fault?.message ?? "it is not up") : engine.runner.status().fault;
      return what === null ? [] : [{ pipeline: name, fault: what }];
    });
  const text = (): Promise<string> =>
    measures.text(pipelines.all().map(({ name, engine }) => ({ name, status: engine?.runner.status() ?? null })));
  const stop = async (): Promise<void> => {
    await platform?.stop();
    await pipelines.stop(DRAIN_MS_MAX);
  };
  let probes: Probes | null = null;
  try {
    probes = at === null ? null : await openProbes({ faults, metrics: text, contentType: measures.contentType }, at);
  } catch (error) {
    await stop();
    throw error;
  }
  const done = allEnded(pipelines, (name, error) =>
    logger?.error({ pipeline: name, error: messageOf(error) }, "the stream of a pipeline has ended"),
  );
  done.catch(() => {});
  return {
    pipelines,
    probes,
    done,
    async stop() {
      await probes?.close();
      await stop();
    },
  };
}

function partsOf({ live, pipeline, schema, rules }: Engine): Pick<Engine, "live" | "pipeline" | "schema" | "rules"> {
  return { live, pipeline, schema, rules };
}

function lettersOf({ notices = null, clock, options }: StreamInput, { pipeline }: Engine): LetterNotices | null {
  if (notices === null) return null;
  const { deadLetters } = streamSettings(pipeline);
  const { store } = notices;
  const logger = options.logger ?? silentLog;
  return letterNotices({ pipeline: pipeline.name, deadLetters, notices, store, clock, logger });
}

/** Pauses, resumes and stops pipelines as the store says, and opens those that programs made. */
function platformOf(
  of: NonNullable<StreamInput["platform"]>,
  on: { readonly pipelines: Pipelines<Streaming>; readonly clock: Clock; readonly logger?: EngineLog },
): Platform<Streaming> {
  const grow = (
    before: Streaming,
    { schema, pipeline }: { readonly schema: object; readonly pipeline: Pipeline },
  ): Streaming => {
    const engine = { ...before.engine, pipeline, ...grownBy(schema, { ...before.engine, pipeline }, before.makeId) };
    before.runner.swap(engine);
    return { ...before, ...partsOf(engine), engine };
  };
  const { only = null, ...rest } = of;
  return new Platform<Streaming>({ ...rest, only, grow, ...on, logger: on.logger ?? silentLog });
}

/** Ends with the last runner; where all of them failed, as the first of them did. */
async function allEnded(
  pipelines: Pipelines<Streaming>,
  onFault: (name: string, error: unknown) => void,
): Promise<void> {
  const faults: unknown[] = [];
  const up = pipelines.all().flatMap(({ name, engine, fault }) => {
    if (engine === null) faults.push(fault?.cause);
    return engine === null ? [] : [{ name, done: engine.runner.done }];
  });
  if (up.length === 0) throw faults[0];
  let failed = 0;
  for (const { name, done } of up) {
    await done.catch((error: unknown) => {
      failed++;
      faults.push(error);
      onFault(name, error);
    });
  }
  if (failed === up.length) throw faults.at(-1);
}
