// The platform of a server: pipelines that the store has are opened, grown, paused and resumed here, whoever changed them.
import { messageOf, SentinelError } from "../../core/errors.ts";
import { canonicalJson } from "../../core/hash.ts";
import type { EngineLog } from "../../online/counters.ts";
import { declared } from "../../online/declared.ts";
import type { Engine } from "../../online/engine.ts";
import type { PipelineSource, Pipelines, Stoppable } from "../../online/pipelines.ts";
import { madeSchema } from "../../pipeline/made.ts";
import { loadPipeline, madeNames, type Pipeline } from "../../pipeline/pipeline.ts";
import type { Clock } from "../../ports/ports.ts";
import type { PipelineRecord, Store } from "../../ports/store.ts";
import { Rounds } from "../rounds.ts";
import { madeOf, writeMade } from "./made.ts";

/** A change that another process made is here within this time. */
const POLL_MS = 1000;
const ACTOR = "serve";

/** What the platform needs of an engine. */
export type PlatformEngine = Stoppable & Pick<Engine, "live" | "pipeline" | "schema" | "rules">;

export interface PlatformOptions<E extends PlatformEngine> {
  readonly store: () => Promise<Store>;
  readonly pipelines: Pipelines<E>;
  readonly workspace: string;
  /** A pipeline whose files are written as a source of an engine. */
  readonly sourceOf: (slug: string) => PipelineSource;
  /** The engine with a schema that has more fields, and other settings. */
  readonly grow: (engine: E, to: { readonly schema: object; readonly pipeline: Pipeline }) => E;
  /** The pipelines that the server shall open, whatever the store has; null: all. */
  readonly only: ReadonlySet<string> | null;
  readonly clock: Clock;
  readonly logger: EngineLog;
  readonly pollMs?: number;
}

/** Follows the pipelines of a store. */
export class Platform<E extends PlatformEngine> {
  /** Why the store cannot be read; null: it can. What is known goes on. */
  fault: string | null = null;
  private readonly options: PlatformOptions<E>;
  private known: readonly PipelineRecord[] = [];
  private revision = -1;
  /** What engines were opened with, in one text each. */
  private readonly forms = new Map<string, string>();
  private readonly declaredNames = new Set<string>();
  private readonly rounds: Rounds;

  constructor(options: PlatformOptions<E>) {
    this.options = options;
    this.rounds = new Rounds(() => this.once(), options.pollMs ?? POLL_MS);
  }

  /** The first look, and one every second from then on. Never throws. */
  async start(): Promise<void> {
    await this.look();
    if (this.fault !== null) await this.openKnown();
    this.rounds.start();
  }

  stop(): Promise<void> {
    return this.rounds.stop();
  }

  /** Brings this process up to what the store has when the call is made; never throws. */
  look(): Promise<void> {
    return this.rounds.next();
  }

  /** The store's record of a pipeline by its name; undefined where this process has not seen it. */
  record(slug: string): PipelineRecord | undefined {
    return this.known.find((one) => one.slug === slug);
  }

  /** A store that is away at the start: pipelines serve as this machine knew them last. */
  private async openKnown(): Promise<void> {
    const { pipelines, only, workspace, sourceOf, logger } = this.options;
    for (const name of madeNames(workspace)) {
      if (pipelines.get(name) !== undefined || (only !== null && !only.has(name))) continue;
      await pipelines.add(sourceOf(name)).catch((error: unknown) => {
        logger.error({ pipeline: name, error: messageOf(error) }, "a pipeline cannot be opened as it was known last");
      });
    }
  }

  private async once(): Promise<void> {
    const { logger } = this.options;
    try {
      await this.read(await this.options.store());
      if (this.fault !== null) logger.info({}, "the store can be read again");
      this.fault = null;
    } catch (error) {
      if (this.fault === null)
        logger.warn({ error: messageOf(error) }, "the store cannot be read: what is known of it goes on");
      this.fault = messageOf(error);
    }
    for (const record of this.known) await this.apply(record);
  }

  private async read(store: Store): Promise<void> {
    await this.declareFiles(store);
    const revision = await store.pipelines.revision();
    if (revision === this.revision) return;
    this.known = await store.pipelines.list();
    this.revision = revision;
  }

  private async declareFiles(store: Store): Promise<void> {
    const { pipelines, clock, logger } = this.options;
    for (const slot of pipelines.all()) {
      if (slot.from !== "file" || slot.engine === null || this.declaredNames.has(slot.name)) continue;
      try {
        await store.pipelines.declare(declared(slot.engine), { actor: ACTOR, at: clock.now() });
      } catch (error) {
        if (!(error instanceof SentinelError) || error.kind.exit === 3) throw error;
        logger.warn(
          { pipeline: slot.name, error: error.message, hint: error.hint },
          "the store does not take this pipeline",
        );
      }
      this.declaredNames.add(slot.name);
    }
  }

  /** Never throws. */
  private async apply(record: PipelineRecord): Promise<void> {
    const { pipelines, only, logger } = this.options;
    try {
      const wants = record.source === "api" && (only === null || only.has(record.slug));
      if (wants && pipelines.get(record.slug) === undefined) await pipelines.add(this.source(record.slug));
      const slot = pipelines.get(record.slug);
      if (slot === undefined || slot.from !== record.source) return;
      pipelines.number(record.slug, record.id);
      if (slot.engine === null) return;
      if (record.source === "api" && this.forms.get(record.slug) !== formOf(record)) await this.grow(record);
      const wanted = record.status === "active" ? null : record.status;
      const { engine } = pipelines.get(record.slug)!;
      if (engine !== null && engine.live.status !== record.status) engine.live.pause(wanted);
    } catch (error) {
      logger.error(
        { pipeline: record.slug, error: messageOf(error) },
        "a pipeline of the store cannot be served as it is there",
      );
    }
  }

  /** Files are written as the record is when they are read. */
  private source(slug: string): PipelineSource {
    const source = this.options.sourceOf(slug);
    return {
      ...source,
      open: async () => {
        const record = this.record(slug)!;
        writeMade(this.options.workspace, record);
        const opened = await source.open();
        this.forms.set(slug, formOf(record));
        return opened;
      },
    };
  }

  private async grow(record: PipelineRecord): Promise<void> {
    const { pipelines, workspace, grow, logger } = this.options;
    writeMade(workspace, record);
    const schema = madeSchema(madeOf(record));
    const pipeline = loadPipeline(workspace, record.slug);
    const grown = await pipelines.swap(record.slug, (engine) => grow(engine, { schema, pipeline }));
    if (!grown) return;
    this.forms.set(record.slug, formOf(record));
    await pipelines.get(record.slug)?.engine?.live.poll();
    logger.info(
      { pipeline: record.slug, version: record.schemaVersion },
      "a pipeline has more fields, or other settings",
    );
  }
}

/** What an engine is made from. */
function formOf({ schemaVersion, settings }: PipelineRecord): string {
  return canonicalJson({ schemaVersion, settings });
}
