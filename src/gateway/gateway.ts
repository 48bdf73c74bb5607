// The gateway: a transaction in, an answer out in time, whoever gives it, and both in the ledger.
import { isDeepStrictEqual } from "node:util";
import type { Decision } from "../core/decision.ts";
import { SentinelError } from "../core/errors.ts";
import { ID_LENGTH_MAX, idOf, otherContent } from "../core/transaction.ts";
import type { Ledger, LedgerEntry, LedgerRecord } from "../ports/ledger.ts";
import type { Clock } from "../ports/ports.ts";
import type { NoAnswer, Pool } from "./pool.ts";
import type { LedgerWriter } from "./writer.ts";

export interface GatewayOptions {
  readonly pool: Pool;
  readonly writer: LedgerWriter;
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** From the request's arrival to its answer. */
  readonly deadlineMs: number;
  /** What is answered while no brain does. */
  readonly policy: Decision;
  /** `sync`: the answer leaves when the ledger (or its spool) has it; `async`: at once. */
  readonly durability: "sync" | "async";
  readonly counters?: GatewayCounters;
}

export interface GatewayCounters {
  answered(by: LedgerEntry["by"] | "repeat", ms: number): void;
  policy(why: NoAnswer): void;
  refused(status: number): void;
  settled(): void;
  /** An entry of an asynchronous ledger could not be kept anywhere. */
  lost(): void;
}

export interface GatewayAnswer {
  readonly status: number;
  readonly text: string;
}

/** Of the deadline, so much is kept for the ledger. */
const LEDGER_SHARE = 0.2;
/** Answers of a policy that are scored afterwards in one round, and how long a brain may take for one. */
const SETTLED_MAX = 100;
const SETTLE_MS_MAX = 5000;
/** Of one round, how many transactions brains may fail at: one that no brain can judge keeps the others waiting no longer than this. */
const SETTLE_FAILURES_MAX = 3;

const WORDS: Readonly<Record<NoAnswer, string>> = {
  "no-brain": "no brain is known",
  "circuit-open": "every brain is left alone after failures",
  "too-slow": "no brain answered in time",
  failed: "the brains that were asked failed",
};

const countNothing: GatewayCounters = {
  answered: () => {},
  policy: () => {},
  refused: () => {},
  settled: () => {},
  lost: () => {},
};

export class Gateway {
  private readonly options: GatewayOptions;
  private readonly counters: GatewayCounters;
  private settling: Promise<number> | null = null;
  /** Ids that wait and that brains failed at before. */
  private unsettled = new Set<string>();

  constructor(options: GatewayOptions) {
    this.options = options;
    this.counters = options.counters ?? countNothing;
  }

  /**
   * Answers a transaction. A 4xx of a brain is passed on, and is no transaction for the ledger. Errors: request.malformed, request.invalid,
   * request.duplicate (the id with other content), store.unwritable.
   */
  async answer(body: string, requestId: string): Promise<GatewayAnswer> {
    const { pool, clock, deadlineMs, writer, durability } = this.options;
    const begun = clock.elapsed();
    const receivedAt = clock.now();
    const id = idIn(body);
    writer.admit();
    const asked = await pool.ask(body, { requestId, msMax: deadlineMs * (1 - LEDGER_SHARE) });
    let given: Given;
    if (asked.kind === "none") given = this.byPolicy(asked.why, id);
    else if (asked.reply.kind === "answer") given = byBrain(asked.where, asked.reply.answer);
    else {
      this.counters.refused(asked.reply.status);
      return asked.reply;
    }
    const { text, by, brain } = given;
    const entry: LedgerEntry = { id, transaction: body, answer: text, by, brain, receivedAt, answeredAt: clock.now() };
    const writing = writer.write(entry);
    if (durability === "sync") {
      const before = await writing;
      if (before !== null) return this.repeat(before, body, begun);
    } else writing.catch(() => this.counters.lost());
    this.counters.answered(by, clock.elapsed() - begun);
    return { status: 200, text };
  }

  /** Has brains score what a policy answered; how many were. One round at a time. Errors: those of the ledger. */
  settle(): Promise<number> {
    this.settling ??= this.settleSome().finally(() => {
      this.settling = null;
    });
    return this.settling;
  }

  private async settleSome(): Promise<number> {
    const { pool, ledger, clock } = this.options;
    if (!pool.isOpen()) return 0;
    let [count, failures] = [0, 0];
    const pending = await ledger.pending(SETTLED_MAX);
    const again = pending.filter(({ id }) => this.unsettled.has(id));
    this.unsettled = new Set(again.map(({ id }) => id));
    // Those that failed before come last: a round may be over before its end.
    const inTurn = [...pending.filter(({ id }) => !this.unsettled.has(id)), ...again];
    for (const { id, transaction } of inTurn) {
      const asked = await pool.ask(transaction, { requestId: `settle-${count}`, msMax: SETTLE_MS_MAX });
      if (asked.kind === "none") {
        this.unsettled.add(id);
        if (asked.why === "no-brain" || asked.why === "circuit-open" || ++failures === SETTLE_FAILURES_MAX) break;
        continue;
      }
      // A refusal is an answer too: this one will never be scored.
      const { reply, where } = asked;
      const answer = reply.kind === "answer" ? JSON.stringify(reply.answer) : reply.text;
      await ledger.settle(id, { answer, brain: where, at: clock.now() });
      this.counters.settled();
      count++;
    }
    return count;
  }

  private byPolicy(why: NoAnswer, id: string): Given {
    const { policy } = this.options;
    this.counters.policy(why);
    const answer = {
      transaction_id: id,
      score: null,
      decision: policy,
      is_fraud: policy === "block",
      degraded: true,
      answered_by: "policy",
      why: WORDS[why],
      circuit: why === "circuit-open" ? "open" : "closed",
    };
    return { text: JSON.stringify(answer), by: "policy", brain: null };
  }

  /** The answer that this id was given first. */
  private repeat(before: LedgerRecord, body: string, begun: number): GatewayAnswer {
    if (!isSame(before.transaction, body)) throw otherContent(before.id);
    this.counters.answered("repeat", this.options.clock.elapsed() - begun);
    return { status: 200, text: before.answer };
  }
}

/** The text of an answer, and who gave it. */
type Given = Pick<LedgerEntry, "by" | "brain"> & { readonly text: string };

function byBrain(where: string, decision: Readonly<Record<string, unknown>>): Given {
  const answer = { ...decision, is_fraud: decision.decision === "block", answered_by: "brain", brain: where };
  return { text: JSON.stringify(answer), by: "brain", brain: where };
}

function isSame(one: string, other: string): boolean {
  return one === other || isDeepStrictEqual(JSON.parse(one), JSON.parse(other));
}

/** The transaction's id as the ledger keeps it. Errors: request.malformed, request.invalid. */
function idIn(body: string): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw new SentinelError("request.malformed", "the body is no JSON", {
      hint: "send one transaction as a JSON object",
      cause,
    });
  }
  const given =
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.hasOwn(value, "transaction_id")
      ? (value as { readonly transaction_id: unknown }).transaction_id
      : undefined;
  const id = idOf(given);
  if (id !== null) return id;
  throw new SentinelError("request.invalid", "transaction_id is missing, or no id", {
    hint: `send transaction_id: a text of 1 to ${ID_LENGTH_MAX} characters or a whole number; the ledger knows a transaction by it`,
  });
}
