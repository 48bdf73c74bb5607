// Notices on their way: what happens is put into the outbox, and each receiver gets its messages in order, at least once, or they are dead letters.
import { dailyBefore, type Happening, TRIED_FOR_MS, toldTo, waitAfter } from "../../cases/notices.ts";
import { DAY_MS } from "../../core/duration.ts";
import { messageOf } from "../../core/errors.ts";
import { movesOfAlias } from "../../core/journal.ts";
import type { EngineLog } from "../../online/counters.ts";
import type { Pipelines } from "../../online/pipelines.ts";
import { hasModel } from "../../pipeline/source.ts";
import type { Message, NewMessage, Settling, Target } from "../../ports/outbox.ts";
import type { Clock } from "../../ports/ports.ts";
import type { Store } from "../../ports/store.ts";
import { Rounds } from "../rounds.ts";
import { dailyEvent, deadLetterEvent, moveEvent } from "./events.ts";
import type { DeskEngine } from "./follow.ts";
import { messagesOf, type Notices } from "./notices.ts";

const POLL_MS = 500;
/** Messages of one target in one round: then others have their turn. */
const ROUND_MAX = 100;
/** Longer than any receiver is waited for. */
const LEASE_MS = 60_000;
/** How often journals are looked at; on a registry of MLflow a look costs a request. */
const JOURNAL_MS = 30_000;

export interface NotifierOptions<E extends DeskEngine> {
  readonly notices: Notices;
  readonly store: () => Promise<Store>;
  readonly pipelines: Pipelines<E>;
  readonly clock: Clock;
  readonly logger: EngineLog;
  readonly pollMs?: number;
  /** Hears what became of each try. */
  readonly onSettled?: (target: string, outcome: Settling["outcome"]) => void;
}

/** Tells receivers, and puts in what nobody else does: daily summaries and moves of models. */
export class Notifier<E extends DeskEngine> {
  private readonly options: NotifierOptions<E>;
  private readonly days = new Map<string, number>();
  private journalAt = Number.NEGATIVE_INFINITY;
  private readonly rounds: Rounds;
  /** Targets that are being told, by name: a slow one keeps no other waiting. */
  private readonly telling = new Map<string, Promise<void>>();
  private fault: string | null = null;

  constructor(options: NotifierOptions<E>) {
    this.options = options;
    this.rounds = new Rounds(() => this.round(), options.pollMs ?? POLL_MS);
  }

  start(): void {
    this.rounds.start();
  }

  /** Waits for what is under way; what waits is sent by the next server. */
  async stop(): Promise<void> {
    await this.rounds.stop();
    await this.emptied();
  }

  /** One round, and what it began; never throws. */
  async look(): Promise<void> {
    await this.rounds.next();
    await this.emptied();
  }

  private async emptied(): Promise<void> {
    await Promise.all(this.telling.values());
  }

  private async round(): Promise<void> {
    try {
      const store = await this.options.store();
      await this.putDays(store);
      await this.putMoves(store);
      for (const target of this.options.notices.targets) {
        if (!this.telling.has(target.name)) this.telling.set(target.name, this.tell(store, target));
      }
    } catch (error) {
      this.failed(error);
    }
  }

  /** Never rejects. */
  private async tell(store: Store, target: Target): Promise<void> {
    try {
      await this.empty(store, target);
      this.fault = null;
    } catch (error) {
      this.failed(error);
    } finally {
      this.telling.delete(target.name);
    }
  }

  private failed(error: unknown): void {
    if (this.fault === null)
      this.options.logger.warn({ error: messageOf(error) }, "notices wait: the store does not answer");
    this.fault = messageOf(error);
  }

  /** One after the other: a message that was not taken keeps those behind it waiting. */
  private async empty(store: Store, target: Target): Promise<void> {
    const { clock } = this.options;
    for (let sent = 0; sent < ROUND_MAX && !this.rounds.stopped; sent++) {
      const at = clock.now();
      const [message] = await store.outbox.due({ targets: [target.name], at, leaseUntil: at + LEASE_MS });
      if (message === undefined) return;
      const settling = await this.tried(target, message);
      const more = settling.outcome === "dead" ? this.toldOf(message, settling.cause) : [];
      await store.outbox.settle(message, settling, { at: clock.now(), more });
      this.options.onSettled?.(target.name, settling.outcome);
      if (settling.outcome === "again") return;
    }
  }

  private async tried(target: Target, message: Message): Promise<Settling> {
    const { clock, logger } = this.options;
    const result = await target.send(message);
    if (result.outcome === "taken") return { outcome: "sent" };
    const { cause } = result;
    const about = { target: target.name, message: message.id, notice: message.notice, cause };
    const now = clock.now();
    if (result.outcome === "again" && now - message.at < TRIED_FOR_MS) {
      if (message.tries === 0) logger.warn(about, "a receiver does not take a notice: it is tried again");
      return { outcome: "again", cause, nextAt: now + waitAfter(message.tries + 1) };
    }
    logger.error(about, "a notice is a dead letter");
    return { outcome: "dead", cause };
  }

  /** Others hear of a dead letter, never to the one that did not take it, and never of another dead letter: that would have no end. */
  private toldOf(message: Message, cause: string): readonly NewMessage[] {
    if (message.notice === "dead-letter") return [];
    const { notices, clock } = this.options;
    const letter = { ...message, cause, tries: message.tries + 1 };
    const event = deadLetterEvent(letter, { link: notices.file.link ?? null, at: clock.now() });
    const { pipeline } = message;
    return messagesOf(notices, event, { notice: "dead-letter", pipeline }).filter(
      ({ target }) => target !== message.target,
    );
  }

  /** A summary per pipeline and day; the outbox keeps each once, however many servers there are. */
  private async putDays(store: Store): Promise<void> {
    const { notices, pipelines, clock } = this.options;
    const to = dailyBefore(clock.now(), notices.file.daily);
    for (const { name, engine } of pipelines.all()) {
      const happening = { notice: "daily", pipeline: name } as const;
      if (engine === null || this.days.get(name) === to || toldTo(notices.file, happening).length === 0) continue;
      const record = await store.pipelines.findBySlug(name);
      if (record === null) continue;
      const [since, later] = [await store.alerts.counts(to - DAY_MS), await store.alerts.counts(to)];
      const alerts = [...since, ...later.map((one) => ({ ...one, count: -one.count }))].filter(
        ({ pipeline }) => pipeline === record.id,
      );
      const asked = { pipelines: [record.id], at: to, since: to - DAY_MS, daysMax: 31 };
      const { open, closed } = await store.cases.summary(asked);
      const event = dailyEvent({ pipeline: name, link: notices.file.link ?? null }, { to, alerts, open, closed });
      await store.outbox.put(messagesOf(notices, event, happening), clock.now());
      this.days.set(name, to);
    }
  }

  /** Promotions and rollbacks of the last day, whoever made them: the journal has them all, and the outbox keeps each once. */
  private async putMoves(store: Store): Promise<void> {
    const { notices, pipelines, clock, logger } = this.options;
    const wants = (notice: Happening["notice"]): boolean =>
      notices.file.routes.some(({ events }) => events.includes(notice));
    if (!wants("promotion") && !wants("rollback")) return;
    if (clock.elapsed() - this.journalAt < JOURNAL_MS) return;
    this.journalAt = clock.elapsed();
    for (const { name, engine } of pipelines.all()) {
      if (engine === null || !hasModel(engine.pipeline)) continue;
      const { model } = engine.pipeline;
      try {
        const journal = await (await engine.ports.registry()).journal(model);
        for (const { entry, to } of movesOfAlias(journal, "champion")) {
          if (to === null || entry.at < clock.now() - DAY_MS) continue;
          const notice = entry.verb === "rollback" ? "rollback" : "promotion";
          const event = moveEvent({ pipeline: name, link: notices.file.link ?? null }, { model, entry });
          await store.outbox.put(messagesOf(notices, event, { notice, pipeline: name }), clock.now());
        }
      } catch (error) {
        logger.warn({ pipeline: name, error: messageOf(error) }, "the journal cannot be looked at for notices");
      }
    }
  }
}
