// A proportion with its interval, where rows of one entity stand or fall together.
import { normalQuantile } from "./normal.ts";

export interface Proportion {
  readonly value: number;
  /** Ends of the interval at `level`; NaN where there is nothing to measure. */
  readonly low: number;
  readonly high: number;
  readonly hits: number;
  readonly rows: number;
  readonly entities: number;
}

/** Hits and rows of one entity. */
export interface EntityCount {
  readonly hits: number;
  readonly rows: number;
}

/**
 * Wilson's interval (1927) with the sample size that the entities are worth: rows divided by the design effect of the ratio estimator
 * (Kish 1965), as Franco, Little, Louis and Slud (2019) recommend for clustered samples. Where the rows show no variance between entities, as
 * where all are hits, the entities themselves are the sample.
 */
export function clusteredProportion(counts: Iterable<EntityCount>, level = 0.95): Proportion {
  const all = [...counts].filter(({ rows }) => rows > 0);
  let hits = 0;
  let rows = 0;
  for (const one of all) {
    hits += one.hits;
    rows += one.rows;
  }
  const entities = all.length;
  if (rows === 0) return { value: Number.NaN, low: Number.NaN, high: Number.NaN, hits, rows, entities };
  const value = hits / rows;
  const size = effectiveSize(all, { value, rows });
  return { value, ...wilson(value, size, level), hits, rows, entities };
}

function effectiveSize(
  all: readonly EntityCount[],
  { value, rows }: { readonly value: number; readonly rows: number },
): number {
  const entities = all.length;
  if (entities < 2) return entities;
  let squares = 0;
  for (const one of all) squares += (one.hits - value * one.rows) ** 2;
  const variance = (squares / rows ** 2) * (entities / (entities - 1));
  // No more than the rows, no fewer than the entities would be if each were one row.
  return variance > 0 ? Math.min(rows, (value * (1 - value)) / variance) : entities;
}

/** Wilson's score interval of a share in a sample of any positive size. */
export function wilson(share: number, size: number, level = 0.95): { readonly low: number; readonly high: number } {
  return wilsonBy(share, size, normalQuantile((1 + level) / 2));
}

/** The same with the quantile of the normal distribution given, for loops. */
export function wilsonBy(share: number, size: number, z: number): { readonly low: number; readonly high: number } {
  if (!(size > 0)) return { low: 0, high: 1 };
  const middle = (share + (z * z) / (2 * size)) / (1 + (z * z) / size);
  const half = (z / (1 + (z * z) / size)) * Math.sqrt((share * (1 - share)) / size + (z * z) / (4 * size * size));
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}
