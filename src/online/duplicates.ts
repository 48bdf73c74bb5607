// Duplicates: a transaction id that was answered before gets the same answer, or a refusal if its content differs.

import { otherContent } from "../core/transaction.ts";
import type { PredictionLog } from "../ports/log.ts";
import type { SnapshotStore } from "../ports/ports.ts";
import { type Content, isSameContent } from "./duplicates/content.ts";
import { IdFilter } from "./duplicates/filter.ts";
import { type Hold, Holds } from "./duplicates/holds.ts";
import { loadIds, saveIds } from "./duplicates/saved.ts";
import type { Parsed } from "./parse.ts";
import { type Reply, replyOfRecord } from "./reply.ts";
import type { PredictionDraft } from "./states.ts";

export type { Content } from "./duplicates/content.ts";
export type { Hold } from "./duplicates/holds.ts";

/** Hears of the record of a transaction that was answered before. */
export type Known = (record: PredictionDraft) => void;

export interface DuplicatesOptions {
  readonly model: string;
  /** More processes than this one answer, so that an unknown id always needs a look-up. */
  readonly others?: boolean;
  /** Ids in one filter of the row; absent: about a million. Tests have smaller ones. */
  readonly idsPerFilter?: number;
  /** Where the filter is saved, and under which pipeline's name; absent: a start reads all ids of the log. */
  readonly saved?: { readonly store: SnapshotStore; readonly pipeline: string };
  /** The content as the log holds it. */
  readonly redact?: (content: Content) => Content;
}

/**
 * Three steps, each asked only where the one before says "perhaps": a filter of all ids that the log holds, the log's own memory of
 * what was appended recently, the log. While the filter is being filled after a start, every id is asked for.
 */
export class Duplicates {
  private readonly log: PredictionLog;
  private readonly options: DuplicatesOptions;
  private readonly filter: IdFilter;
  private readonly holds = new Holds();
  /** True once the filter has every id. */
  private complete = false;
  private stopped = false;
  private savedCount = 0;

  constructor(log: PredictionLog, options: DuplicatesOptions) {
    this.log = log;
    this.options = options;
    this.filter = new IdFilter({ idsPerFilter: options.idsPerFilter });
  }

  /**
   * Fills the filter beside the traffic: with what was saved, and what the log holds since. Gives how many ids were read from the log.
   * Errors: log.unreadable, log.unwritable; without the filter the log is asked.
   */
  async open(): Promise<number> {
    // Where others write too, their ids are in no filter of ours.
    if (this.options.others) return 0;
    let read = 0;
    for await (const ids of this.log.ids((await this.savedUpTo()) + 1)) {
      if (this.stopped) return read;
      for (const id of ids) this.filter.add(id);
      read += ids.length;
    }
    this.complete = true;
    return read;
  }

  /**
   * Lets ids go that the log has forgotten; then saves the filter where it has every id and has grown since it was last saved. Errors: those
   * of the log and of the store.
   */
  async persist(): Promise<void> {
    const { saved } = this.options;
    await this.forget();
    const { count } = this.filter;
    if (saved === undefined || !this.complete || count === this.savedCount) return;
    await saveIds({ filter: this.filter, log: this.log, ...saved });
    this.savedCount = count;
  }

  /**
   * Where the log really begins decides, not how much it should keep: while its archive is away it forgets nothing, and an id that it has
   * must not be taken for new. Each full filter learns where its ids stand at most, and goes once the log begins after that.
   */
  private async forget(): Promise<void> {
    const { full } = this.filter;
    if (full === 0) return;
    // Its ids were appended before they were added, and what was appended is on the disk when the log says how long it is.
    this.filter.placed(full, (await this.log.last()).sequence);
    const oldest = await this.oldest();
    if (oldest !== null) this.filter.forgetBefore(oldest);
  }

  /** The place of the log's oldest prediction; null where it has none, or has just forgotten it. */
  private async oldest(): Promise<number | null> {
    // What `begin` gives may lie behind predictions that are still there: labels share the sequence, and go with older transactions.
    for await (const [id] of this.log.ids(0)) return (await this.log.find(id))?.sequence ?? null;
    return null;
  }

  /** Ids that requests brought meanwhile are in the log as well, behind what was saved. */
  private async savedUpTo(): Promise<number> {
    const { saved } = this.options;
    if (saved === undefined) return 0;
    return loadIds({ filter: this.filter, log: this.log, ...saved }).catch(() => 0);
  }

  /** Ends {@link open}. */
  stop(): void {
    this.stopped = true;
  }

  /**
   * The earlier answer if memory has it, null if there was none, undefined if only the log can tell; `known` is called with its record.
   * Throws `request.duplicate`.
   */
  recall(parsed: Parsed, known?: Known): Reply | null | undefined {
    const { id } = parsed.transaction;
    if (this.complete && !this.filter.mayHave(id)) return null;
    const record = this.log.recall(id);
    return record === null ? undefined : this.same(record, parsed, known);
  }

  /** Asks memory, then the log. Throws `request.duplicate`, `log.unreadable`. */
  async find(parsed: Parsed, known?: Known): Promise<Reply | null> {
    const recalled = this.recall(parsed, known);
    if (recalled !== undefined) return recalled;
    const { id } = parsed.transaction;
    // Another request with this id may have been answered while the log was asked.
    const record = (await this.log.find(id)) ?? this.log.recall(id);
    return record === null ? null : this.same(record, parsed, known);
  }

  /** The answer of a record of the same id. Throws `request.duplicate`. */
  recognise(parsed: Parsed, record: PredictionDraft, known?: Known): Reply {
    this.remember(record.transactionId);
    return this.same(record, parsed, known);
  }

  /** An id that was answered and that the log took. */
  remember(id: string): void {
    if (!this.options.others) this.filter.add(id);
  }

  /** Holds all of these ids for one batch, once nobody else answers one of them. */
  hold(ids: readonly string[]): Promise<Hold> {
    return this.holds.take(ids);
  }

  /** What a request of this id waits for before it may be answered; null: nothing. */
  waitFor(id: string, own: Hold | undefined): Promise<void> | null {
    return this.holds.of(id, own);
  }

  /** Tells batches that this id is being answered. */
  during<T>(id: string, answering: Promise<T>): Promise<T> {
    return this.holds.during(id, answering);
  }

  private same(record: PredictionDraft, parsed: Parsed, known?: Known): Reply {
    const { transaction, extra, timed } = parsed;
    const content = { fields: transaction.fields, extra };
    const { redact = (as: Content): Content => as } = this.options;
    // A repeat without a time is of any time: the first one's arrival counted.
    const isRepeat =
      (!timed || record.time === transaction.time) &&
      (isSameContent(record, content) || isSameContent(record, redact(content)));
    if (!isRepeat) throw otherContent(transaction.id);
    known?.(record);
    return replyOfRecord(record, this.options.model);
  }
}

/** Throws `request.duplicate` when two transactions of one id are not the same. */
export function checkSame(a: Parsed, b: Parsed): void {
  const [one, other] = [a, b].map(({ transaction, extra }) => ({ fields: transaction.fields, extra }));
  const sameTime = !b.timed || a.transaction.time === b.transaction.time;
  if (!sameTime || !isSameContent(one, other)) throw otherContent(a.transaction.id);
}
