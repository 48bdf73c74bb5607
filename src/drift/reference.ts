// What the world looked like when the model learned: bins, counts and quantiles per feature, as plain data.
import { SentinelError } from "../core/errors.ts";
import { quantileSorted } from "../core/stats.ts";

/** Numbers of one column; NaN is missing. */
export type Values = Float32Array | Float64Array;

interface FeatureCounts {
  readonly name: string;
  /** Rows of each bin in the reference; missing values apart. */
  readonly counts: readonly number[];
  readonly missing: number;
}

/** Bin i holds values over edges[i − 1] up to and including edges[i]; the outer bins are open. */
export interface NumberReference extends FeatureCounts {
  readonly kind: "number";
  readonly edges: readonly number[];
  /** The values at even steps of rank, rising; all values when there are few. */
  readonly sketch: readonly number[];
}

/** Bin i holds categories[i]; the last bin holds all others, those never seen included. */
export interface CategoryReference extends FeatureCounts {
  readonly kind: "category";
  readonly categories: readonly number[];
}

export type FeatureReference = NumberReference | CategoryReference;

/** JSON-serialisable; travels in the bundle as reference.json. */
export interface Reference {
  readonly format: 1;
  readonly rows: number;
  readonly features: readonly FeatureReference[];
  readonly score: NumberReference;
  /** Rows that were alerted on (review or block). */
  readonly alerts: number;
  /** Rows that `score` and `alerts` are of, where they are others than those of the features. */
  readonly scoredRows?: number;
}

/** How many rows `score` and `alerts` are of. */
export function scoredRows({ rows, scoredRows: own = rows }: Pick<Reference, "rows" | "scoredRows">): number {
  return own;
}

/** The customary deciles; more bins see less in small windows. */
const BINS = 10;
const BINS_MAX = 20;
export const SKETCH_POINTS = 256;

/**
 * One column per name, all with as many rows as scores. `categories` names the features whose numbers are codes. Throws
 * `drift.reference-missing` when there is nothing to learn from.
 */
export function buildReference(input: {
  readonly names: readonly string[];
  readonly columns: readonly Values[];
  readonly scores: Values;
  readonly alerts: number;
  /** Other rows' scores, which the reference's score and alerts are of. */
  readonly scored?: Values;
  readonly categories?: readonly string[];
  readonly bins?: number;
}): Reference {
  const { names, columns, scores, categories = [], bins = BINS } = input;
  if (scores.length === 0) refuse("there are no rows");
  if (names.length !== columns.length) refuse(`${names.length} names come with ${columns.length} columns`);
  if (!(Number.isInteger(bins) && bins >= 2 && bins <= BINS_MAX)) refuse(`bins is ${bins}, not from 2 to ${BINS_MAX}`);
  const features = names.map((name, i) => {
    if (columns[i].length !== scores.length) refuse(`${name} has ${columns[i].length} rows, not ${scores.length}`);
    return categories.includes(name) ? categoryReference(name, columns[i]) : numberReference(name, columns[i], bins);
  });
  return {
    format: 1,
    rows: scores.length,
    features,
    score: numberReference("score", input.scored ?? scores, bins),
    alerts: input.alerts,
    ...(input.scored === undefined ? {} : { scoredRows: input.scored.length }),
  };
}

interface BinnedColumn {
  readonly counts: number[];
  readonly missing: number;
}

/** A column in the reference's own bins. */
export function binColumn(reference: FeatureReference, values: Values): BinnedColumn {
  const counts = new Array<number>(reference.counts.length).fill(0);
  const binOf = binFinder(reference);
  let missing = 0;
  for (let row = 0; row < values.length; row++) {
    const value = values[row];
    if (Number.isNaN(value)) missing++;
    else counts[binOf(value)]++;
  }
  return { counts, missing };
}

/** The bin of a value that is not missing. */
export function binFinder(reference: FeatureReference): (value: number) => number {
  return reference.kind === "number" ? (value) => binAt(reference.edges, value) : categoryFinder(reference);
}

/** The present values, rising. */
function presentSorted(values: Values): Float64Array {
  return Float64Array.from(values.filter((value) => !Number.isNaN(value))).sort();
}

function numberReference(name: string, values: Values, bins: number): NumberReference {
  const sorted = presentSorted(values);
  const edges: number[] = [];
  for (let i = 1; i < bins && sorted.length > 0; i++) {
    // The value at the rank itself: an edge between two values would split ties by rounding.
    const edge = sorted[Math.ceil((i / bins) * sorted.length) - 1];
    // Many equal values make equal edges (merged) and an edge at the top would leave nothing above it.
    if (edge !== edges.at(-1) && edge < sorted[sorted.length - 1]) edges.push(edge);
  }
  const empty = {
    kind: "number" as const,
    name,
    edges,
    counts: new Array<number>(edges.length + 1).fill(0),
    missing: 0,
  };
  return { ...empty, ...binColumn({ ...empty, sketch: [] }, values), sketch: sketchOf(sorted) };
}

function sketchOf(sorted: Float64Array): number[] {
  if (sorted.length <= SKETCH_POINTS) return [...sorted];
  return Array.from({ length: SKETCH_POINTS }, (_, i) => quantileSorted(sorted, (i + 0.5) / SKETCH_POINTS));
}

function categoryReference(name: string, values: Values): CategoryReference {
  const counts = new Map<number, number>();
  let missing = 0;
  for (const value of values) {
    if (Number.isNaN(value)) missing++;
    else counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const kept = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, BINS_MAX - 1);
  const inKept = kept.reduce((sum, [, count]) => sum + count, 0);
  return {
    kind: "category",
    name,
    categories: kept.map(([category]) => category),
    counts: [...kept.map(([, count]) => count), values.length - missing - inKept],
    missing,
  };
}

/** Number of edges below the value; edges are at most 19, so a plain walk is quick. */
function binAt(edges: readonly number[], value: number): number {
  let bin = 0;
  while (bin < edges.length && value > edges[bin]) bin++;
  return bin;
}

function categoryFinder(reference: CategoryReference): (value: number) => number {
  const bins = new Map(reference.categories.map((category, bin) => [category, bin]));
  return (value) => bins.get(value) ?? reference.categories.length;
}

function refuse(what: string): never {
  throw new SentinelError("drift.reference-missing", `cannot make a drift reference: ${what}`, {
    hint: "give the training rows' columns, one per feature name, with their scores",
  });
}
