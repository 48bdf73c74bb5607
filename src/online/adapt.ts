// Adapting: between trainings the review threshold follows the newest scores, so that analysts get as many alerts as were agreed.
import type { Thresholds } from "../core/decision.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import { budgetThreshold, rank } from "../metrics/ranking.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { PredictionRecord } from "../ports/log.ts";

/** What is asked for a threshold: who judges, and when. */
export interface Judging {
  readonly bundle: string;
  readonly thresholds: Thresholds;
  readonly receivedAt: number;
}

/** What is seen of an answer. */
export type Seen = Pick<PredictionRecord, "bundle" | "score" | "receivedAt" | "degraded" | "adapted">;

/** A threshold that moved. */
export interface ThresholdMove {
  readonly at: number;
  readonly bundle: string;
  readonly from: number;
  readonly to: number;
  /** Scores it was taken from, and the share of them that the threshold before would have flagged. */
  readonly rows: number;
  readonly flaggedBefore: number;
}

/** Alerts that a window must be worth before a threshold is taken from it: fewer are mostly luck. */
export const ALERTS_MIN = 10;

type AdaptKeys = Pick<Pipeline["decisions"], "reviewShare" | "adaptRows" | "adaptEveryMs" | "adaptRange">;

/**
 * The review threshold of each answer as a function of the answers before it, in the order of the log: the same records give the same
 * thresholds, in a server, after its restart and in a replay. It begins with the bundle's own, and anew with each other bundle.
 */
export class ReviewBudget {
  /** Names the settings: thresholds by other ones cannot be recomputed by these. */
  readonly rules: string;
  private readonly keys: AdaptKeys;
  private readonly scores: Float32Array;
  private bundle: string | null = null;
  private count = 0;
  private step: number | null = null;
  private review = Number.NaN;
  /** Of the step it was computed for. */
  private next: { readonly step: number; readonly count: number; readonly review: number } | null = null;
  /** Whether the records since the run began, or since the window is full of known ones, determine the threshold. */
  private determined: boolean;

  /** `whole`: the first record that is observed is the first there ever was. */
  constructor(keys: AdaptKeys, { whole }: { readonly whole: boolean }) {
    const { reviewShare, adaptRows, adaptEveryMs, adaptRange } = keys;
    this.keys = keys;
    // `of`: a budget that also paid for what is blocked had other thresholds, and no such word.
    this.rules = sha256(canonicalJson({ of: "reviewed", reviewShare, adaptRows, adaptEveryMs, adaptRange })).slice(
      0,
      16,
    );
    this.scores = new Float32Array(adaptRows);
    this.determined = whole;
  }

  /** The threshold that judges now. Changes nothing. */
  reviewFor({ bundle, thresholds, receivedAt }: Judging): number {
    if (bundle !== this.bundle) return thresholds.review;
    const step = this.stepOf(receivedAt);
    if (step === this.step || this.rows * this.keys.reviewShare < ALERTS_MIN) return this.review;
    if (this.next?.step !== step || this.next.count !== this.count) {
      this.next = { step, count: this.count, review: this.fromScores(thresholds) };
    }
    return this.next.review;
  }

  /** Whether what {@link reviewFor} says of this bundle is known, or began before the first record that was observed. */
  isDetermined(bundle: string): boolean {
    return this.determined || (this.bundle !== null && bundle !== this.bundle);
  }

  /** Takes the next record of the log; the move that it shows, or null. */
  observe({ bundle, score, receivedAt, degraded, adapted }: Seen): ThresholdMove | null {
    // The policy's answers have no score.
    if (degraded) return null;
    if (adapted === undefined || adapted.rules !== this.rules || bundle !== this.bundle) {
      if (this.bundle !== null) this.determined = true;
      this.bundle = adapted?.rules === this.rules ? bundle : "";
      this.count = 0;
      this.step = null;
      this.review = adapted?.review ?? Number.NaN;
    }
    if (adapted === undefined) return null;
    const step = this.stepOf(receivedAt);
    if (this.step !== null && step !== this.step && this.count >= this.scores.length) this.determined = true;
    const before = this.review;
    const moved =
      adapted.review === before
        ? null
        : {
            at: receivedAt,
            bundle,
            from: before,
            to: adapted.review,
            rows: this.rows,
            flaggedBefore: this.flagged(before),
          };
    this.scores[this.count++ % this.scores.length] = score;
    this.step = step;
    this.review = adapted.review;
    return moved;
  }

  /** Scores that the next threshold would be taken from. */
  get rows(): number {
    return Math.min(this.count, this.scores.length);
  }

  private stepOf(time: number): number {
    return Math.floor(time / this.keys.adaptEveryMs);
  }

  private fromScores(own: Thresholds): number {
    const scores = this.scores.subarray(0, this.rows);
    const ranking = rank(scores, new Uint8Array(scores.length));
    const wanted = budgetThreshold(ranking, this.keys.reviewShare, own.block);
    const [low, high] = boundsOf(own, this.keys.adaptRange);
    return Math.fround(Math.min(Math.max(wanted, low), high));
  }

  private flagged(review: number): number {
    const scores = this.scores.subarray(0, this.rows);
    return scores.reduce((sum, score) => sum + (score >= review ? 1 : 0), 0) / scores.length;
  }
}

/**
 * How far the review threshold may move from the bundle's own: to odds that are `range` times lower or higher, and never over the block
 * threshold. One that nothing reaches (1 and more) or that all reach (0) stays.
 */
export function boundsOf({ review, block }: Thresholds, range: number): readonly [low: number, high: number] {
  if (!(review > 0 && review < 1)) return [review, review];
  const odds = review / (1 - review);
  const at = (moved: number): number => moved / (1 + moved);
  return [at(odds / range), Math.min(at(odds * range), block)];
}
