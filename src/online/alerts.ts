// Alerts: what somebody should look at goes to the store after its answer, in bounded batches; what did not get there is made from the log.
import { messageOf, SentinelError } from "../core/errors.ts";
import type { PredictionLog } from "../ports/log.ts";
import type { Clock, SnapshotStore } from "../ports/ports.ts";
import type { NewAlert, PipelineFields, Store } from "../ports/store.ts";
import { type AlertColumns, alertOf, type Drawing, hasReasons, mayAlert, type RulesOf } from "./alerts/alert.ts";
import { Explaining, type ModelReasons, type ScorerOf } from "./alerts/explaining.ts";
import { loadPosition, type Position, savePosition } from "./alerts/position.ts";
import type { Counters, EngineLog } from "./counters.ts";
import type { PredictionDraft } from "./states.ts";

/** Answers that wait to become alerts; what finds no room is made from the log once there is some. */
export const ALERTS_WAITING_MAX = 10_000;
/** Alerts of one write: the embedded store takes some milliseconds of this thread for it. */
const BATCH_MAX = 200;
/** An alert is seen within a second of its transaction: it waits a quarter of it, since a write costs more than the alerts in it. */
export const FLUSH_MS = 250;
/** How often it is noted up to where the log's alerts are in the store. */
const MARK_MS = 10_000;
/** Only what was answered so long ago counts: another process that writes the same log has stored its alerts by then. */
const SETTLED_MS = 30_000;
/** After a store that failed. */
const RETRY_MS = 1000;
/** Entries of the log that are looked at between two breaths. */
const ENTRIES_AT_ONCE = 500;

export interface AlertsOptions {
  readonly pipeline: {
    readonly name: string;
    readonly columns: AlertColumns;
    readonly cases: { readonly explore: Drawing };
  };
  readonly log: PredictionLog;
  readonly store: () => Promise<Store>;
  readonly snapshots: () => Promise<SnapshotStore>;
  /** What the store keeps of the pipeline. */
  readonly declare: () => PipelineFields;
  /** The rules of a set, as they were. Errors: rules.*. */
  readonly rulesOf: RulesOf;
  /** The bundle that judged, whose reasons are frozen with the alert. */
  readonly scorerOf: ScorerOf;
  readonly clock: Clock;
  readonly logger: EngineLog;
  readonly counters: Pick<Counters, "alerted" | "alertLate">;
}

/** The alerts of one pipeline. */
export class Alerts {
  private readonly options: AlertsOptions;
  private readonly explaining: Explaining;
  private waiting: PredictionDraft[] = [];
  /** Something found no room, or was answered before this process began: the log is read from `position` on. */
  private behind = false;
  private position: Position | null = null;
  private marks: { readonly sequence: number; readonly at: number }[] = [];
  private pipelineId: number | null = null;
  private retryAt = 0;
  private fault: string | null = null;
  private flushing: Promise<void> | null = null;
  private timer: NodeJS.Timeout | undefined;
  private drawing: Drawing;
  private markedAt = 0;
  private stopped = false;

  constructor(options: AlertsOptions) {
    this.options = options;
    this.drawing = options.pipeline.cases.explore;
    const { scorerOf, clock, logger } = options;
    const onFault = (error: string): void => logger.warn({ error }, "alerts go on without reasons for a while");
    this.explaining = new Explaining({ scorerOf, elapsed: () => clock.elapsed(), onFault });
  }

  /** What is drawn by chance from now on. */
  drawBy(drawing: Drawing): void {
    this.drawing = drawing;
  }

  /** Takes an answer that was logged; one that nothing flags costs a comparison or two. */
  offer(draft: PredictionDraft): void {
    if (!mayAlert(draft, this.drawing)) return;
    if (this.waiting.length >= ALERTS_WAITING_MAX) {
      this.behind = true;
      this.options.counters.alertLate();
      return;
    }
    this.waiting.push(draft);
  }

  /** Answers that wait for the store. */
  get waitingCount(): number {
    return this.waiting.length;
  }

  /** Why the store did not take the last batch; null: it did. */
  get storeFault(): string | null {
    return this.fault;
  }

  /** Before the first answer. Never throws: without a store answers wait, and the log has them. */
  async start(): Promise<void> {
    const { snapshots, pipeline, log, logger } = this.options;
    try {
      this.position = await loadPosition(await snapshots(), pipeline.name);
      // The first start in this workspace: what was answered before there were alerts raises none.
      this.position ??= { sequence: (await log.last()).sequence, lastAlert: 0 };
      await savePosition(await snapshots(), pipeline.name, this.position);
      // Always one look: the store may have lost alerts since.
      this.behind = true;
    } catch (error) {
      logger.warn({ error: messageOf(error) }, "the place of the alerts in the log cannot be read: alerts begin now");
      this.position ??= { sequence: (await log.last().catch(() => ({ sequence: 0 }))).sequence, lastAlert: 0 };
    }
    this.timer = setInterval(() => void this.flush(), FLUSH_MS).unref();
  }

  /** Writes what waits. Alerts that the store does not take now are made from the log at the next start. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    this.stopped = true;
    await this.flushing;
    this.retryAt = 0;
    await this.run();
    await this.explaining.stop();
    this.markedAt = Number.NEGATIVE_INFINITY;
    await this.mark();
  }

  /** Concurrent calls share one write. Never throws. */
  flush(): Promise<void> {
    this.flushing ??= this.run()
      .then(() => this.mark())
      .finally(() => {
        this.flushing = null;
      });
    return this.flushing;
  }

  private async run(): Promise<void> {
    if (this.waiting.length === 0 && !this.behind) return;
    const { clock, logger, counters } = this.options;
    if (clock.elapsed() < this.retryAt) return;
    try {
      while (this.waiting.length > 0) {
        const batch = this.waiting.slice(0, BATCH_MAX);
        await this.write(batch);
        this.waiting.splice(0, batch.length);
      }
      if (this.behind && !this.stopped) await this.catchUp();
      if (this.fault !== null) logger.info({}, "the store takes alerts again");
      this.fault = null;
    } catch (error) {
      this.retryAt = clock.elapsed() + RETRY_MS;
      const code = error instanceof SentinelError ? error.code : "bug.unexpected";
      if (this.fault === null)
        logger.warn({ code, error: messageOf(error) }, "alerts wait: the store does not take them");
      this.fault = messageOf(error);
      counters.alerted(0, code);
    }
  }

  /** Answers that waited no place for, and those of a process that was killed. What is there already is not made twice. */
  private async catchUp(): Promise<void> {
    const { log, store, logger } = this.options;
    const last = (await log.last()).sequence;
    this.behind = false;
    try {
      // A store that lost alerts, since it was put back from a copy, gets all that the log has.
      const lost = (await (await store()).alerts.lastId()) < (this.position?.lastAlert ?? 0);
      const from = lost ? 0 : (this.position?.sequence ?? 0) + 1;
      let batch: PredictionDraft[] = [];
      let seen = 0;
      for await (const { kind, record } of log.scan(from)) {
        if (this.stopped || record.sequence > last) break;
        if (++seen % ENTRIES_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
        if (kind !== "prediction" || !mayAlert(record, this.drawing)) continue;
        batch.push(record);
        if (batch.length < BATCH_MAX) continue;
        await this.write(batch);
        batch = [];
      }
      await this.write(batch);
      if (seen > 0) logger.info({ entries: seen }, "alerts were made from the log, where they were missing");
    } catch (error) {
      this.behind = true;
      throw error;
    }
    if (this.stopped) this.behind = true;
  }

  private async write(drafts: readonly PredictionDraft[]): Promise<void> {
    if (drafts.length === 0) return;
    const { store, rulesOf, pipeline, counters } = this.options;
    const opened = await store();
    this.pipelineId ??= await this.idIn(opened);
    const alerts: NewAlert[] = [];
    const judged = drafts.filter(hasReasons);
    const why = new Map<PredictionDraft, ModelReasons>();
    if (judged.length > 0) {
      const reasons = await this.explaining.reasonsOf(judged);
      for (const [at, draft] of judged.entries()) why.set(draft, reasons[at]);
    }
    for (const draft of drafts) {
      const rules = draft.rules === undefined ? null : await rulesOf(draft.rules.set);
      const on = { pipelineId: this.pipelineId, columns: pipeline.columns, rules, why: why.get(draft) ?? null };
      const alert = alertOf(draft, { ...on, drawing: this.drawing });
      if (alert !== null) alerts.push(alert);
    }
    if (alerts.length === 0) return;
    const ids = await opened.alerts.append(alerts);
    const made = ids.filter((id) => id !== null);
    counters.alerted(made.length, null);
  }

  /** A pipeline of a file is made known where it is not yet: whoever embeds an engine may run no platform. */
  private async idIn({ pipelines }: Store): Promise<number> {
    const { pipeline, declare, clock } = this.options;
    const record = await pipelines.findBySlug(pipeline.name);
    return (record ?? (await pipelines.declare(declare(), { actor: "serve", at: clock.now() }))).id;
  }

  /** Notes up to where everything is in the store, every few seconds. */
  private async mark(): Promise<void> {
    const { clock, log, snapshots, store, pipeline, logger } = this.options;
    const now = clock.elapsed();
    if (now - this.markedAt < MARK_MS || this.fault !== null || this.behind) return;
    this.markedAt = now;
    try {
      // What the log has was offered before; what was offered is written by now, unless it came meanwhile.
      const { sequence } = await log.last();
      if (this.waiting.length > 0) await this.run();
      if (this.fault !== null || this.behind) return;
      this.marks.push({ sequence, at: now });
      const settled = this.marks.findLastIndex(({ at }) => now - at >= SETTLED_MS);
      if (settled < 0) return;
      const position = { sequence: this.marks[settled].sequence, lastAlert: await (await store()).alerts.lastId() };
      this.marks = this.marks.slice(settled);
      if (position.sequence === this.position?.sequence) return;
      await savePosition(await snapshots(), pipeline.name, position);
      this.position = position;
    } catch (error) {
      logger.warn({ error: messageOf(error) }, "the place of the alerts in the log cannot be kept");
    }
  }
}
