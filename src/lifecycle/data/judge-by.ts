// Which model of a version may be judged on which days: no model is judged on what it has learned from.
import { type Scorer, twinOf } from "../../online/score.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { labelsOf, type Source, timesOf, UNLABELLED } from "./source.ts";

/** Fewest frauds that a refitted model is judged on itself; as in an evaluation slice, figures of fewer are noise. */
const FRAUDS_MIN = 10;

/** The model that serves, or the judged twin of a refitted one. */
export type ModelWord = "served" | "twin";

export interface JudgedBy {
  readonly scorer: Scorer;
  readonly model: ModelWord;
}

export interface Judgeable {
  /** One for each version, in their order. */
  readonly scorers: readonly JudgedBy[];
  /** Event time of the first row judged. */
  readonly from: number;
  readonly rows: Int32Array;
}

/**
 * For days from `from` on: the model that serves where it has learned from nothing later; else its twin, which has learned from less.
 * Where that is not enough either, the caller sees it at `manifest.learnedUpTo`.
 */
export function newTo(scorer: Scorer, from: number): JudgedBy {
  const twin = scorer.manifest.learnedUpTo <= from ? null : twinOf(scorer);
  return twin === null ? { scorer, model: "served" } : { scorer: twin, model: "twin" };
}

/**
 * The labelled rows that come a label delay after all that the models learned from: the models that serve, where the table has enough
 * of them; else the judged twins of refitted ones, which are fewer days old. No rows: the table ends too early for them, too.
 */
export function judgeable(source: Source, pipeline: Pipeline, versions: readonly Scorer[]): Judgeable {
  const asServed = laterThan(
    source,
    pipeline,
    versions.map((scorer): JudgedBy => ({ scorer, model: "served" })),
  );
  if (versions.every(({ manifest }) => manifest.refit === undefined)) return asServed;
  const labels = labelsOf(source.table, pipeline);
  const frauds = asServed.rows.reduce((sum, row) => sum + labels[row], 0);
  if (frauds >= FRAUDS_MIN) return asServed;
  return laterThan(
    source,
    pipeline,
    versions.map((scorer) => newTo(scorer, Number.NEGATIVE_INFINITY)),
  );
}

function laterThan(source: Source, pipeline: Pipeline, scorers: readonly JudgedBy[]): Judgeable {
  const learned = scorers.map(({ scorer }) => scorer.manifest.learnedUpTo);
  const from = Math.max(...learned) + pipeline.labels.delayMs;
  return { scorers, from, rows: rowsToJudge(source, pipeline, from) };
}

/** The rows from a time on whose truth counts. */
export function rowsToJudge(source: Source, pipeline: Pipeline, from: number): Int32Array {
  const times = timesOf(source.table, pipeline);
  const labels = labelsOf(source.table, pipeline);
  const rows: number[] = [];
  for (let row = 0; row < times.length; row++) if (times[row] >= from && labels[row] !== UNLABELLED) rows.push(row);
  return Int32Array.from(rows);
}
