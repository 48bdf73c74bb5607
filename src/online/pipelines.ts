// Pipelines: the engines of one process, each by the name of its pipeline; one that cannot be opened is tried again, and the others serve.
import { messageOf, SentinelError } from "../core/errors.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { ArchiveStatus } from "../ports/archive.ts";
import type { Clock, Ports } from "../ports/ports.ts";
import type { EngineLog } from "./counters.ts";

/** What an engine is opened with; `close` releases it once the engine has stopped. */
export interface OpenPipeline {
  readonly ports: Ports;
  readonly pipeline: Pipeline;
  /** JSON Schema of a transaction, canonical names. */
  readonly schema: object;
  /** How the archive of what is decided stands; absent where nothing is archived. */
  readonly archive?: () => ArchiveStatus;
  /** Made by a program: transactions may come without an id, and before there is a rule. */
  readonly made?: true;
  close(): Promise<void>;
}

/** Where a pipeline comes from: `file` of the workspace, `api` when a program added it while the server ran. */
export interface PipelineSource {
  readonly name: string;
  readonly from: "file" | "api";
  /** Reads and opens it; asked again while the pipeline cannot be opened. Errors: pipeline.*, lifecycle.locked, log.*, state.*. */
  open(): Promise<OpenPipeline>;
}

/** Why a pipeline is not up. */
export interface PipelineFault {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  /** Since when it says so. */
  readonly since: number;
  /** What was thrown. */
  readonly cause: unknown;
}

/** One pipeline; exactly one of `engine` and `fault` is null. */
export interface Slot<E> {
  readonly name: string;
  readonly from: PipelineSource["from"];
  readonly engine: E | null;
  readonly fault: PipelineFault | null;
}

/** What an engine must do to be kept here. */
export interface Stoppable {
  stop(drainMsMax: number): Promise<void>;
}

export interface PipelinesOptions<E> {
  /** Makes an engine that answers. It closes what the source opened, also when it fails. */
  readonly start: (source: PipelineSource) => Promise<E>;
  /** What the workspace has now: names that are new here are added. Absent: nothing is looked for. */
  readonly discover?: () => readonly PipelineSource[];
  readonly clock: Clock;
  readonly logger: EngineLog;
  readonly retryMs?: number;
  /** How long a removed engine goes on, so that requests that have it are answered. */
  readonly graceMs?: number;
}

/** Each has a log and a feature state in memory, so that a folder full of files must not become as many engines. */
export const PIPELINES_MAX = 100;
/** Reading a file that is broken costs a millisecond. */
const RETRY_MS = 2000;
const GRACE_MS = 2000;

/** Engines by name. Opening, removing and replacing happen one after the other; looking one up is a look-up in a map. */
export class Pipelines<E extends Stoppable> {
  /** Answers requests that name no pipeline; null: none does, or it is not up. */
  main: E | null = null;
  /** Its name; null: every request must name its pipeline. */
  readonly mainName: string | null;
  private readonly options: PipelinesOptions<E>;
  private readonly slots = new Map<string, Slot<E>>();
  private readonly sources = new Map<string, PipelineSource>();
  /** Names by the numbers that the store gave. */
  private readonly numbers = new Map<string, string>();
  /** Removed by a call while the workspace has them: not found again before they left it, or a call adds them. */
  private readonly removed = new Set<string>();
  private turn: Promise<unknown> = Promise.resolve();
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;
  private crowded = false;

  constructor(mainName: string | null, options: PipelinesOptions<E>) {
    this.mainName = mainName;
    this.options = options;
  }

  /** A pipeline's engine; null when it is not up, undefined when there is no such pipeline. */
  engine(name: string): E | null | undefined {
    return this.get(name)?.engine;
  }

  get(name: string): Slot<E> | undefined {
    return this.slots.get(name) ?? this.slots.get(this.numbers.get(name) ?? "");
  }

  /** The name of a pipeline by its name or its number; what was given where there is no such pipeline. */
  nameOf(nameOrNumber: string): string {
    return this.get(nameOrNumber)?.name ?? nameOrNumber;
  }

  /** A pipeline may be asked for by this number too, unless another one is called so. */
  number(name: string, id: number): void {
    this.numbers.set(String(id), name);
  }

  /** In the order of names, the main one first. */
  all(): readonly Slot<E>[] {
    const main = (slot: Slot<E>): number => (slot.name === this.mainName ? 0 : 1);
    return [...this.slots.values()].sort((a, b) => main(a) - main(b) || (a.name < b.name ? -1 : 1));
  }

  /**
   * A pipeline's engine, the main one's for null. Throws `request.not-found` for an unknown name, `server.not-ready` with what is wrong for
   * one that is not up.
   */
  find(name: string | null): E {
    const wanted = name ?? this.mainName;
    if (wanted === null) {
      throw new SentinelError(
        "request.not-found",
        "this server holds several pipelines, and none of them is the default",
        {
          hint: `name one: ${this.paths()}; or start it with --default NAME`,
        },
      );
    }
    const slot = this.get(wanted);
    if (slot === undefined) {
      throw new SentinelError("request.not-found", `there is no pipeline ${JSON.stringify(wanted)}`, {
        hint: `this server has ${this.paths()}`,
      });
    }
    if (slot.engine !== null) return slot.engine;
    throw new SentinelError(
      "server.not-ready",
      `pipeline ${wanted} is not up: ${slot.fault!.message} (${slot.fault!.code})`,
      {
        hint: `${slot.fault!.hint}; it comes up by itself once that is repaired`,
      },
    );
  }

  /** Adds a pipeline and opens it; one that cannot be opened is kept and tried again. Throws `pipeline.exists`, `pipeline.limit`. */
  add(source: PipelineSource): Promise<Slot<E>> {
    return this.inTurn(async () => {
      if (this.slots.has(source.name)) {
        throw new SentinelError("pipeline.exists", `there is a pipeline ${source.name} already`, {
          hint: "give the new one another name, or replace the one that is there",
        });
      }
      if (this.slots.size >= PIPELINES_MAX) {
        throw new SentinelError("pipeline.limit", `${PIPELINES_MAX} pipelines are here already`, {
          hint: "remove one that is not used, or start another server for the rest",
        });
      }
      this.removed.delete(source.name);
      this.sources.set(source.name, source);
      return this.open(source);
    });
  }

  /**
   * Adds them one after the other while there is room; what is beyond it is left out, and said: of the pipelines of one tenant too many must
   * not keep the others from being served. Throws `pipeline.exists`.
   */
  async addWhileRoom(sources: readonly PipelineSource[]): Promise<void> {
    for (const source of sources) {
      if (this.isFull()) return;
      await this.add(source);
    }
  }

  /** Ends a pipeline: at once no request finds it, and what has it is answered. Throws `pipeline.missing`. */
  remove(name: string): Promise<void> {
    return this.inTurn(async () => {
      const slot = this.known(name);
      this.sources.delete(name);
      this.slots.delete(name);
      this.removed.add(name);
      if (name === this.mainName) this.main = null;
      await this.end(slot, this.options.graceMs ?? GRACE_MS);
    });
  }

  /**
   * Ends a pipeline and opens it anew from another source of the same name; meanwhile it is not up, because two engines must not write one
   * log. Throws `pipeline.missing`.
   */
  replace(source: PipelineSource): Promise<Slot<E>> {
    return this.inTurn(async () => {
      const slot = this.known(source.name);
      const error = new SentinelError("server.not-ready", "it is being replaced", { hint: "send the request again" });
      this.put({ ...slot, engine: null, fault: this.faultOf(error) });
      await this.end(slot, this.options.graceMs ?? GRACE_MS);
      this.sources.set(source.name, source);
      return this.open(source);
    });
  }

  /**
   * Puts another engine in the place of one that is up, which goes on under it: the new one shares log, states and rules with it. Requests
   * that have the old one are answered by it. False where there is none that is up.
   */
  swap(name: string, change: (engine: E) => E): Promise<boolean> {
    return this.inTurn(async () => {
      const slot = this.slots.get(name);
      if (slot === undefined || slot.engine === null) return false;
      this.put({ ...slot, engine: change(slot.engine) });
      return true;
    });
  }

  /** Tries those that are not up, and adds what is new in the workspace. Never throws. */
  retry(): Promise<void> {
    return this.inTurn(async () => {
      const found = this.discovered();
      for (const name of this.removed) if (!found.some((source) => source.name === name)) this.removed.delete(name);
      for (const source of found) {
        if (this.slots.has(source.name) || this.removed.has(source.name) || this.isFull()) continue;
        this.sources.set(source.name, source);
        await this.open(source);
      }
      for (const { name, engine } of [...this.slots.values()]) {
        const source = this.sources.get(name);
        if (engine === null && source !== undefined && !this.stopped) await this.open(source);
      }
    });
  }

  /** Tries again from now on, one try after the other. */
  follow(): void {
    const again = (): void => {
      if (this.stopped) return;
      this.timer = setTimeout(() => void this.retry().finally(again), this.options.retryMs ?? RETRY_MS).unref();
    };
    again();
  }

  /** Stops every engine, all at the same time. Nothing is opened after it. */
  async stop(drainMsMax: number): Promise<void> {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await this.turn;
    const faults: unknown[] = [];
    const ending = [...this.slots.values()].map(({ engine }) =>
      engine?.stop(drainMsMax).catch((error: unknown) => void faults.push(error)),
    );
    await Promise.all(ending);
    if (faults.length > 0) throw faults[0];
  }

  private async open(source: PipelineSource): Promise<Slot<E>> {
    const { name, from } = source;
    const before = this.slots.get(name);
    const { logger } = this.options;
    try {
      const engine = await this.options.start(source);
      if (before !== undefined) logger.info({ pipeline: name }, "a pipeline is up again");
      return this.put({ name, from, engine, fault: null });
    } catch (error) {
      const fault = this.faultOf(error);
      const same = before?.fault?.code === fault.code && before.fault.message === fault.message;
      const { code, message, hint } = fault;
      if (!same)
        logger.error({ pipeline: name, code, error: message, hint }, "a pipeline is not up; it is tried again");
      return this.put({ name, from, engine: null, fault: same ? before.fault : fault });
    }
  }

  private put(slot: Slot<E>): Slot<E> {
    this.slots.set(slot.name, slot);
    if (slot.name === this.mainName) this.main = slot.engine;
    return slot;
  }

  private async end({ name, engine }: Slot<E>, graceMs: number): Promise<void> {
    if (engine === null) return;
    await new Promise((resolve) => setTimeout(resolve, graceMs));
    await engine.stop(graceMs).catch((error: unknown) => {
      this.options.logger.error({ pipeline: name, error: messageOf(error) }, "a pipeline did not end well");
    });
  }

  private known(name: string): Slot<E> {
    const slot = this.slots.get(name);
    if (slot !== undefined) return slot;
    throw new SentinelError("pipeline.missing", `there is no pipeline ${JSON.stringify(name)} here`, {
      hint: `this server has ${this.paths()}`,
    });
  }

  private faultOf(error: unknown): PipelineFault {
    const since = this.options.clock.now();
    const { code, hint } =
      error instanceof SentinelError
        ? error
        : { code: "bug.unexpected", hint: "this is a bug: report it with the server's log" };
    return { code, message: messageOf(error), hint, since, cause: error };
  }

  private discovered(): readonly PipelineSource[] {
    if (this.stopped) return [];
    try {
      return this.options.discover?.() ?? [];
    } catch (error) {
      this.options.logger.warn({ error: messageOf(error) }, "the workspace's pipelines cannot be listed");
      return [];
    }
  }

  private isFull(): boolean {
    if (this.slots.size < PIPELINES_MAX) return false;
    if (!this.crowded)
      this.options.logger.warn({ max: PIPELINES_MAX }, "further pipelines of the workspace are left out");
    this.crowded = true;
    return true;
  }

  private paths(): string {
    const names = [...this.slots.keys()].sort();
    return names.length === 0 ? "none" : names.map((name) => `/pipelines/${name}`).join(", ");
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = this.turn.then(work);
    this.turn = next.catch(() => {});
    return next;
  }
}
