// Promises about a slice of scored rows: from which score on blocking is as precise as asked, below which as little fraud passes, with bounds by entity.
import { assert } from "../core/errors.ts";
import { descending } from "../metrics/ranking.ts";
import { lossOf } from "../metrics/summed.ts";
import { normalQuantile } from "./normal.ts";
import { wilsonBy } from "./proportion.ts";

/** Scored rows with their truth; equal lengths. */
export interface ScoredSlice {
  /** Compared as Float32, as decisions are. */
  readonly scores: Float32Array;
  readonly y: Uint8Array;
  /** Whose row it is: rows of one entity stand or fall together. */
  readonly entity: Int32Array;
}

/** What a threshold keeps of a promise on the slice. */
export interface Promised {
  /** False: no threshold keeps it, and the figures are those of the one that comes nearest. */
  readonly reached: boolean;
  /** A Float32; NaN where not reached. */
  readonly threshold: number;
  /** The share that was promised, as measured: NaN where there is nothing to measure. */
  readonly share: number;
  /** Its one-sided bound at the certainty asked for: the lower end of a precision, the upper end of a rate. */
  readonly bound: number;
  /** Rows the share is measured on. */
  readonly rows: number;
}

const NOTHING: Promised = { reached: false, threshold: Number.NaN, share: Number.NaN, bound: Number.NaN, rows: 0 };

/**
 * The lowest score, from `scoreMin` up, from which on the share of frauds is at least `precision`, with the lower end of its interval, and
 * resting on `rowsMin` rows. The interval is Wilson's with the sample that the entities are worth (`proportion.ts`); it is one-sided at
 * `certainty` for each threshold, and the lowest of many that hold is a little more hopeful than that.
 */
export function blockFrom(
  slice: ScoredSlice,
  asked: {
    readonly precision: number;
    /** From 0.5, where the share itself must reach it, to below 1. */
    readonly certainty: number;
    readonly scoreMin: number;
    readonly rowsMin: number;
  },
): Promised {
  const { scores, y, entity } = slice;
  const z = quantileOf(asked.certainty);
  const running = new RunningShare(entity);
  const order = descending(scores);
  let kept: Promised = NOTHING;
  let nearest: Promised = NOTHING;
  for (let i = 0; i < order.length && scores[order[i]] >= Math.fround(asked.scoreMin); i++) {
    const row = order[i];
    running.add(row, 1, y[row] === 1);
    if (i + 1 < order.length && scores[order[i + 1]] === scores[row]) continue;
    if (running.rows < asked.rowsMin) continue;
    const { share, low } = running.bounds(z);
    const seen = { share, bound: low, rows: running.rows };
    if (low >= asked.precision) kept = { reached: true, threshold: scores[row], ...seen };
    else if (!(low < nearest.bound)) nearest = { ...NOTHING, ...seen };
  }
  return kept.reached ? kept : nearest;
}

/**
 * The highest score below which everything may pass so that frauds are at most `rate` of the amount that passes, with the upper end of
 * its interval. A threshold of `never` lets everything pass. An amount that is missing or negative counts as 0.
 */
export function passBelow(
  slice: ScoredSlice & { readonly amounts: Float64Array },
  asked: { readonly rate: number; readonly certainty: number; readonly never: number },
): Promised {
  const { scores, y, entity, amounts } = slice;
  const z = quantileOf(asked.certainty);
  const running = new RunningShare(entity);
  const order = descending(scores);
  let kept: Promised = NOTHING;
  let nearest: Promised = NOTHING;
  for (let i = order.length - 1; i >= 0; i--) {
    const row = order[i];
    running.add(row, lossOf(amounts[row]), y[row] === 1);
    if (i > 0 && scores[order[i - 1]] === scores[row]) continue;
    const { share, high } = running.bounds(z);
    const seen = { share, bound: high, rows: running.rows };
    if (high <= asked.rate) kept = { reached: true, threshold: i > 0 ? scores[order[i - 1]] : asked.never, ...seen };
    else if (!(high > nearest.bound)) nearest = { ...NOTHING, ...seen };
  }
  return kept.reached ? kept : nearest;
}

/**
 * A weighted share whose rows are added one by one, with what its interval needs kept up to date: each bound costs the same however many
 * rows there are. The sample size is the share's variance between entities turned round (Kish 1965), never more than the weights are worth.
 */
export class RunningShare {
  rows = 0;
  private entities = 0;
  private weight = 0;
  private hits = 0;
  private rowSquares = 0;
  /** Sums over entities of hits², hits × weight, weight². */
  private hh = 0;
  private hw = 0;
  private ww = 0;
  private readonly entity: Int32Array;
  private readonly hitsOf = new Map<number, number>();
  private readonly weightOf = new Map<number, number>();

  constructor(entity: Int32Array) {
    this.entity = entity;
  }

  add(row: number, weight: number, hit: boolean): void {
    this.rows++;
    if (!(weight > 0)) return;
    const entity = this.entity[row];
    const w = this.weightOf.get(entity) ?? 0;
    const h = this.hitsOf.get(entity) ?? 0;
    const gained = hit ? weight : 0;
    if (w === 0) this.entities++;
    this.weightOf.set(entity, w + weight);
    if (hit) this.hitsOf.set(entity, h + gained);
    this.weight += weight;
    this.hits += gained;
    this.rowSquares += weight * weight;
    this.hh += gained * (2 * h + gained);
    this.hw += (h + gained) * (w + weight) - h * w;
    this.ww += weight * (2 * w + weight);
  }

  /** The share with both ends at `z` standard errors; 0 and 1 where nothing was added. */
  bounds(z: number): { readonly share: number; readonly low: number; readonly high: number } {
    const share = this.weight > 0 ? this.hits / this.weight : Number.NaN;
    return { share, ...wilsonBy(share, this.size(share), z) };
  }

  private size(share: number): number {
    if (this.entities === 0) return 0;
    const apart = this.weight ** 2 / this.ww;
    if (this.entities < 2) return apart;
    const squares = this.hh - 2 * share * this.hw + share * share * this.ww;
    // What is left of sums that cancel is no variance.
    if (!(squares > SQUARES_NOISE * this.ww)) return apart;
    const variance = (squares / this.weight ** 2) * (this.entities / (this.entities - 1));
    return Math.min(this.weight ** 2 / this.rowSquares, (share * (1 - share)) / variance);
  }
}

/** Relative error of sums of a few million squares. */
const SQUARES_NOISE = 1e-12;

function quantileOf(certainty: number): number {
  assert(certainty >= 0.5 && certainty < 1, "the pipeline's range of a certainty");
  return normalQuantile(certainty);
}
