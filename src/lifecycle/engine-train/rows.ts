// The rows of a training that an engine computes: those that calibrate and judge, and the first ones, from the data and from the feature table.
import { SentinelError } from "../../core/errors.ts";
import { type Column, type NumberColumn, orderBy, type Table, takeRows, textAt } from "../../core/table.ts";
import { columnsOfPlan, type FeaturePlan } from "../../features/plan.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Dataset } from "../../ports/dataset.ts";
import { labelsOf, openSource, type Source, timesOf } from "../data/source.ts";
import { LABEL_KNOWN_AT } from "../data/vectors.ts";
import { SeenValues } from "../train.ts";
import { Gathered } from "./gather.ts";
import type { Cut, Taken } from "./table.ts";

/** Column that numbers the data's rows while they are put in order. */
const ROW = "\u0003row";

export interface RawRows {
  /** The kept rows, in the feature table's order. */
  readonly source: Source;
  /** What the rows to learn from have in the columns that are asked about. */
  readonly learned: SeenValues;
}

/**
 * Reads the data once, batch by batch, and keeps the rows that have a vector in `vectors`. Errors: dataset.*; dataset.unreadable where the data is not what
 * the feature table was made of.
 */
export async function readRows(
  dataset: Dataset,
  from: { readonly path: string; readonly hash: string; readonly pipeline: Pipeline; readonly plan: FeaturePlan },
  {
    cut,
    vectors,
    onProgress,
  }: { readonly cut: Cut; readonly vectors: Taken; onProgress(done: number, total: number): void },
): Promise<RawRows> {
  const { path, hash, pipeline, plan } = from;
  const { bounds, kept, headTo } = cut;
  const opened = await openSource(dataset, pipeline, { path, plans: [plan], labelled: true, hash });
  const named = new Set<string | null>([...Object.values(pipeline.columns), LABEL_KNOWN_AT, ...columnsOfPlan(plan)]);
  const columns = [...opened.empty.columns].filter(([name]) => named.has(name));
  const numbered: NumberColumn = { kind: "number", values: new Float64Array(0) };
  const gathered = new Gathered({ rows: 0, columns: new Map<string, Column>([...columns, [ROW, numbered]]) });
  const learned = new SeenValues(plan);
  let before = 0;
  for await (const batch of opened.batches(columns.map(([name]) => name))) {
    const times = timesOf(batch, pipeline);
    const labels = labelsOf(batch, pipeline);
    const { from: start, to } = bounds.train;
    const rows = Int32Array.from({ length: batch.rows }, (_, row) => row);
    learned.add(batch, {
      times,
      rows: rows.filter((row) => times[row] >= start && times[row] < to && labels[row] < 2),
    });
    const numbers = Float64Array.from({ length: batch.rows }, (_, row) => before + row);
    const whole = {
      rows: batch.rows,
      columns: new Map<string, Column>([...batch.columns, [ROW, { ...numbered, values: numbers }]]),
    };
    gathered.add(
      whole,
      rows.filter((row) => times[row] <= headTo || times[row] >= kept.from),
    );
    before += batch.rows;
    onProgress(before, opened.rows);
  }
  const table = inOrder(gathered.table(), { pipeline, cut });
  checkSame(table, { path, pipeline, vectors });
  const { [ROW]: row, ...rest } = Object.fromEntries(table.columns);
  const part = { of: before, rows: row.kind === "text" ? new Float64Array(0) : row.values };
  return { source: { path, hash, table: { rows: table.rows, columns: new Map(Object.entries(rest)) }, part }, learned };
}

/** By time, ties as the data has them; of rows that come at the time of the last of the first ones, as many as belong to them. */
function inOrder(table: Table, { pipeline, cut }: { readonly pipeline: Pipeline; readonly cut: Cut }): Table {
  const sorted = takeRows(table, orderBy(timesOf(table, pipeline)));
  const { head, rows, from } = cut.kept;
  if (sorted.rows === rows) return sorted;
  const tail = timesOf(sorted, pipeline).findIndex((time) => time >= from);
  const begin = tail < 0 ? sorted.rows : tail;
  const first = Array.from({ length: Math.min(head, begin) }, (_, row) => row);
  const later = Array.from({ length: sorted.rows - begin }, (_, row) => begin + row);
  return takeRows(sorted, Int32Array.from([...first, ...later]));
}

function checkSame(
  table: Table,
  { path, pipeline, vectors }: { readonly path: string; readonly pipeline: Pipeline; readonly vectors: Taken },
): void {
  const { ids } = vectors;
  const id = table.columns.get(pipeline.columns.id)!;
  const odd = ids.findIndex((one, row) => row >= table.rows || textAt(id, row) !== one);
  if (odd < 0 && ids.length === table.rows) return;
  const what = odd < 0 ? `${table.rows} rows instead of ${ids.length}` : `another row in the place of ${ids[odd]}`;
  throw new SentinelError("dataset.unreadable", `${path} has ${what}: it is not what the feature table was made of`, {
    hint: "did somebody write to the data meanwhile? run it again on data that stands still",
  });
}
