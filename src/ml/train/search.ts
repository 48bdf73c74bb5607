// Search for parameters: random trials, thinned out by successive halving over folds of time.
import { Random } from "../../core/random.ts";
import { mean } from "../../core/stats.ts";
import { refuseParameter } from "../faults.ts";

/** Where a parameter is drawn from; `log` draws its logarithm evenly. */
export interface SearchRange {
  readonly low: number;
  readonly high: number;
  readonly log?: boolean;
  readonly whole?: boolean;
}

export type SearchSpace = Readonly<Record<string, SearchRange>>;

/** A trial's parameters by name. */
export type Trial = Readonly<Record<string, number>>;

export const TRIALS_MAX = 1000;

/** Digits of a drawn number: enough to search with, few enough to write into a pipeline file. */
const DIGITS = 3;

/** Share of the trials that goes on to the next fold. */
const KEPT = 0.5;

/**
 * `count` draws, each parameter by itself; the first n draws are the same whatever `count` is. Random search: Bergstra & Bengio,
 * "Random Search for Hyper-Parameter Optimization" (2012). Errors: `ml.parameter-invalid`.
 */
export function drawTrials(space: SearchSpace, options: { readonly count: number; readonly seed: number }): Trial[] {
  const { count, seed } = options;
  if (!Number.isInteger(count) || count < 1 || count > TRIALS_MAX) {
    refuseParameter("trials", { value: count, wanted: `a whole number from 1 to ${TRIALS_MAX}` });
  }
  const random = new Random(seed);
  return Array.from({ length: count }, () =>
    Object.fromEntries(Object.entries(space).map(([name, range]) => [name, draw(range, random)])),
  );
}

/** A trial's scores by fold; those it was dropped before are absent. */
export interface Tried {
  /** Place among the trials. */
  readonly trial: number;
  readonly scores: readonly number[];
}

/** What a search found. */
export interface Search {
  /** All trials: those that saw most folds first, then by mean score, then by place. */
  readonly ranked: readonly Tried[];
  /** The trial to use: the first of `ranked`, or 0 where that is not better by mean and in most folds. */
  readonly chosen: number;
}

/**
 * Scores trials fold by fold; after each fold the better half goes on. Trial 0, what there is without a search, is never dropped. Source:
 * Jamieson & Talwalkar, "Non-stochastic Best Arm Identification" (2016), with folds for the budget.
 */
export async function successiveHalving(given: {
  readonly trials: number;
  readonly folds: number;
  /** Higher is better; must be finite. */
  readonly score: (at: { readonly trial: number; readonly fold: number }) => Promise<number>;
}): Promise<Search> {
  const { trials, folds, score } = given;
  const scores: number[][] = Array.from({ length: trials }, () => []);
  let left = Array.from({ length: trials }, (_, trial) => trial);
  for (let fold = 0; fold < folds; fold++) {
    for (const trial of left) scores[trial].push(await score({ trial, fold }));
    if (fold + 1 === folds) break;
    const best = [...left].sort((a, b) => mean(scores[b]) - mean(scores[a]) || a - b);
    const kept = new Set([0, ...best.slice(0, Math.ceil(KEPT * left.length))]);
    left = left.filter((trial) => kept.has(trial));
  }
  const ranked = scores
    .map((own, trial) => ({ trial, scores: own }))
    .sort((a, b) => b.scores.length - a.scores.length || mean(b.scores) - mean(a.scores) || a.trial - b.trial);
  return { ranked, chosen: isBetter(ranked[0].scores, scores[0]) ? ranked[0].trial : 0 };
}

/** The most scores that {@link successiveHalving} asks for. */
export function scoresMax(trials: number, folds: number): number {
  let total = 0;
  let left = trials;
  for (let fold = 0; fold < folds; fold++) {
    total += left;
    left = Math.min(left, Math.ceil(KEPT * left) + 1);
  }
  return total;
}

/** By mean, and in more than half of the folds: one lucky fold is no reason to change a model. */
function isBetter(own: readonly number[], other: readonly number[]): boolean {
  const won = own.filter((score, fold) => score > other[fold]).length;
  return mean(own) > mean(other) && 2 * won > own.length;
}

function draw({ low, high, log, whole }: SearchRange, random: Random): number {
  if (whole) return low + random.integer(high - low + 1);
  const drawn = log ? Math.exp(random.uniform(Math.log(low), Math.log(high))) : random.uniform(low, high);
  return Math.min(high, Math.max(low, Number(drawn.toPrecision(DIGITS))));
}
