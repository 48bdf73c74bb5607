// The adapting threshold of a live engine: taken up from the log at the start, moved with the answers, each move kept in a journal.
import { messageOf } from "../core/errors.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { PredictionLog } from "../ports/log.ts";
import type { SnapshotStore } from "../ports/ports.ts";
import { type Judging, ReviewBudget, type Seen, type ThresholdMove } from "./adapt.ts";
import type { Counters, EngineLog } from "./counters.ts";
import type { Scorer } from "./score.ts";

/** The score from which on a bundle's answers are reviewed now. */
export function reviewNow(
  adapting: Adapting | null,
  { scorer, now }: { readonly scorer: Scorer; readonly now: number },
): number {
  const { bundle, manifest } = scorer;
  const { thresholds } = manifest;
  return adapting?.reviewFor({ bundle, thresholds, receivedAt: now }) ?? thresholds.review;
}

/** Moves that the journal keeps: the newest, about six weeks of hourly ones. */
const MOVES_MAX = 1000;
/** Records read at the start for each score that is wanted, at most: answers of the policy and of rules have none. */
const READ_FACTOR_MAX = 8;
const FORMAT = 1;

/** A threshold that moves with the newest scores. */
export class Adapting {
  private readonly budget: ReviewBudget;
  private readonly pipeline: Pick<Pipeline, "name" | "decisions">;
  private readonly log: PredictionLog;
  private readonly store: SnapshotStore;
  private readonly counters: Pick<Counters, "thresholdMoved">;
  private readonly logger: EngineLog;
  private moves: ThresholdMove[] = [];
  private saving: Promise<void> = Promise.resolve();

  constructor(given: {
    readonly pipeline: Pick<Pipeline, "name" | "decisions">;
    readonly log: PredictionLog;
    readonly store: SnapshotStore;
    readonly counters: Pick<Counters, "thresholdMoved">;
    readonly logger: EngineLog;
  }) {
    this.pipeline = given.pipeline;
    this.log = given.log;
    this.store = given.store;
    this.counters = given.counters;
    this.logger = given.logger;
    this.budget = new ReviewBudget(given.pipeline.decisions, { whole: true });
  }

  get rules(): string {
    return this.budget.rules;
  }

  /** Goes on where the log ends. Errors: log.unreadable. */
  async open(): Promise<void> {
    this.moves = await this.journalled();
    const { adaptRows } = this.pipeline.decisions;
    const most = READ_FACTOR_MAX * adaptRows;
    for (let limit = 2 * adaptRows; ; limit = Math.min(2 * limit, most)) {
      const records = await this.log.recent(limit);
      const scored = records.filter(({ degraded, bundle }) => !degraded && bundle !== "").length;
      if (scored < adaptRows && records.length === limit && limit < most) continue;
      for (const record of records) this.budget.observe(record);
      return;
    }
  }

  /** The threshold that judges now, in the tick in which its record is appended. */
  reviewFor(judging: Judging): number {
    return this.budget.reviewFor(judging);
  }

  /** Takes what was logged, in the log's order. */
  observe(record: Seen & { readonly version: string }): void {
    const move = this.budget.observe(record);
    if (move === null) return;
    this.counters.thresholdMoved();
    const { from, to, flaggedBefore } = move;
    this.logger.info({ version: record.version, from, to, flaggedBefore }, "the review threshold follows the budget");
    this.moves = [...this.moves, move].slice(-MOVES_MAX);
    const bytes = Buffer.from(JSON.stringify({ format: FORMAT, moves: this.moves }));
    // One after the other, so that the last one stays.
    this.saving = this.saving
      .then(() => this.store.save(this.name, bytes))
      .catch((error) => this.logger.warn({ error: messageOf(error) }, "a moved threshold could not be journalled"));
  }

  /** The newest moves, oldest first. */
  history(): readonly ThresholdMove[] {
    return this.moves;
  }

  /** Until the journal is written. */
  settled(): Promise<void> {
    return this.saving;
  }

  private get name(): string {
    return `${this.pipeline.name}-thresholds`;
  }

  private async journalled(): Promise<ThresholdMove[]> {
    try {
      const bytes = await this.store.load(this.name);
      if (bytes === null) return [];
      const kept = JSON.parse(Buffer.from(bytes).toString()) as {
        readonly format: number;
        readonly moves: ThresholdMove[];
      };
      return kept.format === FORMAT ? kept.moves : [];
    } catch (error) {
      // The records themselves name their thresholds; the journal only makes the moves easy to find.
      this.logger.warn({ error: messageOf(error) }, "the journal of thresholds cannot be read: it begins anew");
      return [];
    }
  }
}
