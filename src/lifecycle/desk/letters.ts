// Dead letters of a stream as notices: counted by cause, put into the outbox as one message now and then, however many there are.
import { toldTo } from "../../cases/notices.ts";
import { messageOf } from "../../core/errors.ts";
import type { EngineLog } from "../../online/counters.ts";
import type { Clock } from "../../ports/ports.ts";
import type { Store } from "../../ports/store.ts";
import { Rounds } from "../rounds.ts";
import { type Buried, type LetterCause, streamLettersEvent } from "./events.ts";
import { messagesOf, type Notices } from "./notices.ts";

/** The message about the first dead letters goes this soon. */
const POLL_MS = 1000;
/** Then others wait so long: a topic of rubbish is one message every ten minutes. */
const EVERY_MS = 600_000;

export interface LetterNoticesOptions {
  /** Slug. */
  readonly pipeline: string;
  /** The topic that the dead letters are in. */
  readonly deadLetters: string;
  readonly notices: Notices;
  readonly store: () => Promise<Store>;
  readonly clock: Clock;
  readonly logger: EngineLog;
  readonly pollMs?: number;
}

/** Null where no route wants dead letters of this pipeline. */
export function letterNotices(options: LetterNoticesOptions): LetterNotices | null {
  const { notices, pipeline } = options;
  return toldTo(notices.file, { notice: "dead-letter", pipeline }).length === 0 ? null : new LetterNotices(options);
}

/** What one pipeline's stream could not judge and no message names yet. */
export class LetterNotices {
  private readonly options: LetterNoticesOptions;
  private readonly rounds: Rounds;
  /** By topic and cause, of which there are few. */
  private waiting = new Map<string, LetterCause>();
  /** When the first that waits came; milliseconds since 1970. */
  private since = 0;
  private sentAt = Number.NEGATIVE_INFINITY;
  private fault: string | null = null;

  constructor(options: LetterNoticesOptions) {
    this.options = options;
    this.rounds = new Rounds(() => this.round(EVERY_MS), options.pollMs ?? POLL_MS);
  }

  start(): void {
    this.rounds.start();
  }

  /** What waits is put into the outbox, however soon after the last. */
  async stop(): Promise<void> {
    await this.rounds.stop();
    await this.round(0);
  }

  /** One round; never throws. */
  look(): Promise<void> {
    return this.rounds.next();
  }

  /** Dead letters that are committed: each is counted once, whatever is tried again. */
  count(letters: readonly Buried[]): void {
    if (letters.length > 0 && this.waiting.size === 0) this.since = this.options.clock.now();
    for (const letter of letters) {
      const name = `${letter.code} ${letter.topic}`;
      const { first, count } = this.waiting.get(name) ?? { first: letter, count: 0 };
      this.waiting.set(name, { first, count: count + 1 });
    }
  }

  private async round(everyMs: number): Promise<void> {
    const { pipeline, deadLetters, notices, store, clock, logger } = this.options;
    if (this.waiting.size === 0 || clock.elapsed() - this.sentAt < everyMs) return;
    const { waiting: batch, since } = this;
    this.waiting = new Map();
    const event = streamLettersEvent(
      { pipeline, link: notices.file.link ?? null },
      { deadLetters, since, until: clock.now(), causes: [...batch.values()] },
    );
    try {
      await (await store()).outbox.put(messagesOf(notices, event, { notice: "dead-letter", pipeline }), clock.now());
      this.sentAt = clock.elapsed();
      this.fault = null;
    } catch (error) {
      this.giveBack(batch, since);
      if (this.fault === null) logger.warn({ pipeline, error: messageOf(error) }, "notices of dead letters wait");
      this.fault = messageOf(error);
    }
  }

  /** The message was not kept: it is made again with what came meanwhile. */
  private giveBack(batch: ReadonlyMap<string, LetterCause>, since: number): void {
    const later = this.waiting;
    this.waiting = new Map(batch);
    this.since = since;
    for (const [name, { first, count }] of later) {
      const known = batch.get(name);
      this.waiting.set(name, { first: known?.first ?? first, count: count + (known?.count ?? 0) });
    }
  }
}
