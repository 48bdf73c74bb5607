// What one machine would need for the same training: memory by the size of the table, seconds by a little of the work, done here and now.
import { sliceRows, type Table } from "../../core/table.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import type { ColumnKind } from "../../ml/gbdt/train/kinds.ts";
import { gbdtParams } from "../../ml/gbdt/train/params.ts";
import { trainGbdtThreads } from "../../ml/gbdt/train/threads.ts";
import { type Matrix, takeMatrixRows } from "../../ml/matrix.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Clock } from "../../ports/ports.ts";
import { vectorsOf } from "../data/vectors.ts";

export interface OneMachine {
  /** What `sentinel train` would need here. */
  readonly bytes: number;
  /** For features and trees, estimated. */
  readonly seconds: number;
}

/** Of the memory that is there, what a training may take. */
export const MEMORY_SHARE = 0.5;

/** Vectors, the rows to learn from beside them, binned, and once more with the anomaly score. */
const VECTOR_COPIES = 3.5;
/** Columns, ids, times and labels of a row. */
const ROW_BYTES = 200;
/** Rows and rounds that say how long all of them take. */
const SAMPLE_ROWS = 20_000;
const SAMPLE_ROUNDS = 6;
/** Trees are boosted with the anomaly score and without. */
const MODELS = 2;
const SILENT = { line: (): void => {}, progress: (): void => {} };

/** Memory that a training of so many rows needs, bytes. */
export function bytesInMemory(rows: number, width: number): number {
  return rows * (width * Float32Array.BYTES_PER_ELEMENT * VECTOR_COPIES + ROW_BYTES);
}

/** Replays the first rows of the table and boosts some rounds on rows that calibrate: both are timed when they run for the second time. */
export async function oneMachine(
  { clock }: { readonly clock: Clock },
  of: {
    readonly table: Table;
    readonly x: Matrix;
    readonly labels: Uint8Array;
    readonly sample: Int32Array;
    readonly plan: FeaturePlan;
    readonly pipeline: Pipeline;
    readonly kinds: readonly ColumnKind[];
    /** How many rows of `table` are the first ones. */
    readonly head: number;
    readonly rows: number;
    readonly learned: number;
    readonly trees: number;
    readonly threads: number;
  },
): Promise<OneMachine> {
  const { plan, pipeline, head, rows, learned, trees } = of;
  const first = sliceRows(of.table, 0, head);
  vectorsOf(first, { plan, pipeline, report: SILENT });
  const began = clock.elapsed();
  vectorsOf(first, { plan, pipeline, report: SILENT });
  const perRow = (clock.elapsed() - began) / head;
  const sample = of.sample.subarray(0, SAMPLE_ROWS);
  const times: number[] = [];
  await trainGbdtThreads(
    {
      x: takeMatrixRows(of.x, sample),
      y: Uint8Array.from(sample, (row) => of.labels[row]),
      kinds: [...of.kinds],
      params: { ...gbdtParams(pipeline.modelParameters), trees: SAMPLE_ROUNDS, earlyStoppingRounds: 0 },
      seed: 1,
      onRound: () => times.push(clock.elapsed()),
    },
    { threads: of.threads },
  );
  const perRound = (times[times.length - 1] - times[0]) / (times.length - 1) / sample.length;
  const ms = perRow * rows + perRound * learned * trees * MODELS;
  return { bytes: bytesInMemory(rows, plan.width), seconds: ms / 1000 };
}
