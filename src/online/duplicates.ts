// Duplicates: a transaction id that was answered before gets the same answer, or a refusal if its content differs.

import { SentinelError } from "../core/errors.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import type { Transaction } from "../core/transaction.ts";
import type { PredictionLog } from "../ports/log.ts";
import type { Parsed } from "./parse.ts";
import { type Reply, replyOfRecord } from "./reply.ts";
import type { PredictionDraft } from "./states.ts";

interface Known {
  readonly time: number;
  readonly content: string;
  readonly body: Reply;
}

/** Answers kept in memory, about 500 bytes each; older ones are looked up in the log. */
const KNOWN_MAX = 50_000;

/** The newest answers by transaction id, in memory; the log behind them. */
export class Duplicates {
  private readonly known = new Map<string, Known>();
  private readonly log: PredictionLog;
  private readonly model: string;
  private readonly knownMax: number;
  private readonly others: boolean;
  /** True while memory holds every answer the log does: then an unknown id needs no look-up. */
  private complete = false;

  /** `others`: more processes than this one answer, so that an unknown id always needs a look-up. */
  constructor(
    log: PredictionLog,
    options: { readonly model: string; readonly knownMax?: number; readonly others?: boolean },
  ) {
    this.log = log;
    this.model = options.model;
    this.knownMax = options.knownMax ?? KNOWN_MAX;
    this.others = options.others ?? false;
  }

  /** Fills memory from the log. */
  async open(): Promise<void> {
    for (const record of await this.log.recent(this.knownMax)) {
      this.known.set(record.transactionId, knownOf(record, this.model));
    }
    this.complete = !this.others && this.known.size < this.knownMax;
  }

  /** The earlier answer if memory has it, null if there was none, undefined if only the log can tell. Throws `request.duplicate`. */
  recall(parsed: Parsed): Reply | null | undefined {
    const known = this.known.get(parsed.transaction.id);
    if (known !== undefined) return same(known, parsed);
    return this.complete ? null : undefined;
  }

  /** Asks memory, then the log. Throws `request.duplicate`, `log.unreadable`. */
  async find(parsed: Parsed): Promise<Reply | null> {
    const recalled = this.recall(parsed);
    if (recalled !== undefined) return recalled;
    const record = await this.log.find(parsed.transaction.id);
    // Another request with this id may have been answered while the log was asked.
    const meanwhile = this.known.get(parsed.transaction.id);
    if (meanwhile !== undefined) return same(meanwhile, parsed);
    return record === null ? null : same(knownOf(record, this.model), parsed);
  }

  /** The answer of a record of the same id, remembered from now on. Throws `request.duplicate`. */
  recognise(parsed: Parsed, record: PredictionDraft): Reply {
    const body = same(knownOf(record, this.model), parsed);
    this.remember(parsed, body);
    return body;
  }

  remember(parsed: Parsed, body: Reply): void {
    if (this.known.size >= this.knownMax) {
      this.complete = false;
      this.known.delete(this.known.keys().next().value!);
    }
    const { id, time, fields } = parsed.transaction;
    this.known.set(id, { time, content: contentOf(fields, parsed.extra), body });
  }
}

/** Throws `request.duplicate` when two transactions of one id are not the same. */
export function checkSame(a: Parsed, b: Parsed): void {
  const { time, fields } = a.transaction;
  if (!isSame({ time, content: contentOf(fields, a.extra) }, b)) throw conflict(a.transaction.id);
}

function same(known: Known, parsed: Parsed): Reply {
  if (isSame(known, parsed)) return known.body;
  throw conflict(parsed.transaction.id);
}

/** A repeat without a time is of any time: the first one's arrival counted. */
function isSame(known: Omit<Known, "body">, parsed: Parsed): boolean {
  const { time, fields } = parsed.transaction;
  return (!parsed.timed || known.time === time) && known.content === contentOf(fields, parsed.extra);
}

function knownOf(record: PredictionDraft, model: string): Known {
  const { time, fields, extra } = record;
  return { time, content: contentOf(fields, extra), body: replyOfRecord(record, model) };
}

function conflict(id: string): SentinelError {
  return new SentinelError("request.duplicate", `transaction ${JSON.stringify(id)} was answered with other content`, {
    hint: "give every transaction its own id; send exactly the same content to get the same answer again",
  });
}

function contentOf(fields: Transaction["fields"], extra: Parsed["extra"]): string {
  return sha256(canonicalJson({ fields, extra }));
}
