// The desk of a server: takes new alerts into cases and writes the labels that closings owe, also those of a process that was killed.
import { messageOf, SentinelError } from "../../core/errors.ts";
import type { EngineLog } from "../../online/counters.ts";
import type { Engine } from "../../online/engine.ts";
import { takeAndCount } from "../../online/feedback.ts";
import type { Pipelines, Stoppable } from "../../online/pipelines.ts";
import { type CaseLabel, JOINED_MAX, LABELS_TAKEN_MAX, type OwedLabel } from "../../ports/cases.ts";
import type { Clock } from "../../ports/ports.ts";
import type { Store } from "../../ports/store.ts";
import { Rounds } from "../rounds.ts";
import { deskRules, joiningOf } from "./act.ts";
import { alertMessages, type Notices } from "./notices.ts";

/** What the desk needs of an engine. */
export type DeskEngine = Engine & Stoppable;

/** A case is there within this time of its alert. */
const POLL_MS = 500;
/** Rounds from one look at what is owed to the next, where nobody closed a case here: five seconds. */
const PAY_EVERY = 10;
/** Looks at one pipeline's alerts in one round; more wait for the next, so that other pipelines have their turn. */
const LOOKS_MAX = 25;
/** How long labels are one process's own: longer than a store waits for a row, so that whoever is killed holds them up for half a minute. */
const LEASE_MS = 30_000;
/** Waits after a label that could not be written: twice as long each time. */
const AGAIN_MS = 5_000;
const AGAIN_MS_MAX = 3_600_000;
/** Tries of a label whose transaction no log knows: about three days of waiting for the server that has it. */
const TRIES_MAX = 80;
/** Who says so, in the log. */
const SOURCE = "analyst";

export interface DeskOptions<E extends DeskEngine> {
  readonly store: () => Promise<Store>;
  /** Who hears of alerts; null: nobody. */
  readonly notices: Notices | null;
  readonly pipelines: Pipelines<E>;
  readonly clock: Clock;
  readonly logger: EngineLog;
  readonly pollMs?: number;
}

/** Follows the alerts of a store, and what its cases owe. */
export class Desk<E extends DeskEngine> {
  private readonly options: DeskOptions<E>;
  private readonly ids = new Map<string, number>();
  /** By pipeline: the newest alert of the store when all of the pipeline's were in cases. */
  private readonly caughtUp = new Map<number, number>();
  private done = 0;
  /** Somebody closed a case: what it owes is paid in the next round. */
  private owing = true;
  private readonly rounds: Rounds;
  private fault: string | null = null;

  constructor(options: DeskOptions<E>) {
    this.options = options;
    this.rounds = new Rounds(() => this.round(), options.pollMs ?? POLL_MS);
  }

  /** The first look is made at once: a label that a killed process owes is written before anybody asks. */
  async start(): Promise<void> {
    await this.look();
    this.rounds.start();
  }

  stop(): Promise<void> {
    return this.rounds.stop();
  }

  /** One round over the pipelines that are up, labels included; never throws. */
  look(): Promise<void> {
    this.owing = true;
    return this.rounds.next();
  }

  private async round(): Promise<void> {
    const { logger } = this.options;
    try {
      const store = await this.options.store();
      const newest = await store.alerts.lastId();
      // Closings of other servers, and labels whose time has come, are looked for less often.
      const pays = this.owing || this.done++ % PAY_EVERY === 0;
      this.owing = false;
      for (const { name, engine } of this.options.pipelines.all()) {
        if (engine === null || this.rounds.stopped) continue;
        const id = await this.idOf(store, name);
        if (id === null) continue;
        if (this.caughtUp.get(id) !== newest && (await this.takeAlerts(store, id, engine)))
          this.caughtUp.set(id, newest);
        if (pays) await this.payLabels(store, id, engine);
      }
      if (this.fault !== null) logger.info({}, "alerts become cases again");
      this.fault = null;
    } catch (error) {
      if (this.fault === null)
        logger.warn({ error: messageOf(error) }, "alerts wait to become cases: the store does not answer");
      this.fault = messageOf(error);
    }
  }

  private async idOf({ pipelines }: Store, name: string): Promise<number | null> {
    const known = this.ids.get(name);
    if (known !== undefined) return known;
    const record = await pipelines.findBySlug(name);
    if (record !== null) this.ids.set(name, record.id);
    return record?.id ?? null;
  }

  /** False where more may wait. */
  private async takeAlerts(store: Store, id: number, { pipeline }: E): Promise<boolean> {
    const { notices } = this.options;
    const joining = joiningOf(deskRules(pipeline), (alert) => alertMessages(notices, alert, pipeline));
    for (let looks = 0; looks < LOOKS_MAX && !this.rounds.stopped; looks++) {
      if ((await store.cases.take(id, joining, this.options.clock.now())) < JOINED_MAX) return true;
    }
    return false;
  }

  /** Every label once: what is owed is taken in hand, compared with the log, written, flushed, and only then settled. */
  private async payLabels(store: Store, id: number, engine: E): Promise<void> {
    for (let looks = 0; looks < LOOKS_MAX && !this.rounds.stopped; looks++) {
      const at = this.options.clock.now();
      const owed = await store.cases.owed({ pipeline: id, at, leaseUntil: at + LEASE_MS });
      if (owed.length === 0) return;
      const settled: Settled[] = [];
      for (const label of owed) settled.push(await this.pay(label, engine, at));
      // A label is settled once it is where a killed process cannot lose it.
      await engine.log.flush();
      await store.cases.settle(settled);
      if (owed.length < LABELS_TAKEN_MAX) return;
    }
  }

  private async pay(label: OwedLabel, engine: E, at: number): Promise<Settled> {
    const { transactionId, fraud, review } = label;
    const tries = label.tries + 1;
    const done = (state: CaseLabel["state"], cause: string): Settled => ({ ...label, tries, state, cause, again: at });
    const later = (cause: string): Settled => ({
      ...done("waiting", cause),
      again: at + Math.min(AGAIN_MS_MAX, AGAIN_MS * 2 ** Math.min(tries, 20)),
    });
    try {
      const known = await engine.log.labelsOf(transactionId);
      // Written by a process that was killed before it could say so.
      if (known.some((one) => one.review?.case === review.case && one.review.closing === review.closing))
        return done("written", "");
      const outcome = await takeAndCount(engine, { transactionId, fraud, source: SOURCE, knownAt: "now", review });
      if (outcome.accepted) return done("written", "");
      const cause = outcome.message ?? "";
      const isFinal = outcome.code === "labels.invalid" || (outcome.code === "request.not-found" && tries >= TRIES_MAX);
      return isFinal ? done("refused", cause) : later(cause);
    } catch (error) {
      if (!(error instanceof SentinelError))
        this.options.logger.error({ error: messageOf(error) }, "a label cannot be written");
      return later(messageOf(error));
    }
  }
}

type Settled = OwedLabel & { readonly state: CaseLabel["state"]; readonly cause: string; readonly again: number };
