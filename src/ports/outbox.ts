// The outbox port: messages that wait for their receivers, in order for each, and those that nobody took; and what sends one.
import type { Page } from "./records.ts";

/** Messages that may wait for one target; a further one is a dead letter at once. */
export const OUTBOX_WAITING_MAX = 10_000;
/** Dead letters kept; the oldest go. */
export const DEAD_LETTERS_MAX = 10_000;
/** Sent messages kept, so that what came before is known to have come. */
export const SENT_KEPT_MAX = 10_000;
/** Characters of one message. */
export const MESSAGE_LENGTH_MAX = 100_000;

/** Something to be sent to one target. */
export interface NewMessage {
  /** Name of the target. */
  readonly target: string;
  /** What happened; the same for one target is kept once. */
  readonly key: string;
  /** Kind of notice, for people. */
  readonly notice: string;
  /** Slug; null where it is about no pipeline. */
  readonly pipeline: string | null;
  /** A CloudEvent as JSON. */
  readonly body: string;
}

export interface Message extends NewMessage {
  /** Grows in the order in which messages became visible. */
  readonly id: number;
  readonly at: number;
  /** Tries so far. */
  readonly tries: number;
  /** Why the last try failed; "" before one did. */
  readonly cause: string;
  /** It is not tried before then. */
  readonly nextAt: number;
}

export interface DeadLetter extends Message {
  readonly diedAt: number;
}

/** What became of a try. */
export type Settling =
  | { readonly outcome: "sent" }
  | { readonly outcome: "again"; readonly cause: string; readonly nextAt: number }
  | { readonly outcome: "dead"; readonly cause: string };

export interface TargetState {
  readonly target: string;
  readonly waiting: number;
  /** When the oldest that waits was put in; null: none waits. */
  readonly oldestAt: number | null;
  readonly dead: number;
  readonly sent: number;
}

/** Errors of all: store.unreachable, store.unwritable. */
export interface OutboxStore {
  /** In one transaction; gives how many were new. Errors also: store.invalid. */
  put(messages: readonly NewMessage[], at: number): Promise<number>;
  /** The oldest that waits for each target, where its time has come, for this asker alone until `leaseUntil`. */
  due(of: {
    readonly targets: readonly string[];
    readonly at: number;
    readonly leaseUntil: number;
  }): Promise<readonly Message[]>;
  /** What became of one that was due. A dead letter makes room for the next; `more` is put in the same transaction. */
  settle(
    message: Message,
    settling: Settling,
    of: { readonly at: number; readonly more?: readonly NewMessage[] },
  ): Promise<void>;
  states(): Promise<readonly TargetState[]>;
  /** Newest first. */
  waiting(page: { readonly limit: number; readonly cursor?: string | null }): Promise<Page<Message>>;
  deadLetters(page: { readonly limit: number; readonly cursor?: string | null }): Promise<Page<DeadLetter>>;
  find(id: number): Promise<Message | null>;
  /** Puts a dead letter behind what waits for its target, or sends one that waits at once; null where there is none of this id. */
  retry(id: number, at: number): Promise<Message | null>;
}

/** One receiver. */
export interface Target {
  readonly name: string;
  /**
   * Sends one message. `again`: a later try may help; `refused`: no try will. Never rejects.
   */
  send(
    message: Pick<Message, "id" | "key" | "body" | "notice">,
  ): Promise<{ readonly outcome: "taken" } | { readonly outcome: "again" | "refused"; readonly cause: string }>;
}
