// The slices of a training by an engine, on the machine that asks: rows that calibrate and judge with their vectors, the forest, and the state for servers.
import { existsSync } from "node:fs";
import { SentinelError } from "../../core/errors.ts";
import { textAt } from "../../core/table.ts";
import { STATE_LIMITS } from "../../features/limits.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import type { FeatureState } from "../../features/state.ts";
import type { IsolationForest } from "../../ml/iforest/model.ts";
import { drawnRows, trainIsolationForest } from "../../ml/iforest/train/train.ts";
import type { Matrix } from "../../ml/matrix.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import { aheadText, lackingText, laterThan } from "../data/plausible.ts";
import { labelsOf, type Source, spanText, timesOf, unlabelledLine } from "../data/source.ts";
import { mergeStates } from "../partitioned.ts";
import { habitColumns, type SeenValues, type Split, splitCounted } from "../train.ts";
import { readRows } from "./rows.ts";
import { type Cut, cutTable, type FeatureTable, placeAtLeast, takeVectors } from "./table.ts";

/** What is asked of a feature table. */
export interface SlicesInput {
  readonly pipeline: Pipeline;
  readonly plan: FeaturePlan;
  /** The data that the table was made of. */
  readonly path: string;
  readonly dataHash: string;
  readonly seed: number;
  /** Where the partitions left what they know of their keys. */
  readonly stateFolder: string;
}

export interface Slices {
  readonly cut: Cut;
  readonly source: Source;
  readonly split: Split;
  readonly times: Float64Array;
  readonly labels: Uint8Array;
  readonly x: Matrix;
  readonly learned: SeenValues;
  readonly forest: IsolationForest;
  readonly state: FeatureState | null;
}

/** Ids of two latenesses are what a state may remember. */
const TAIL_MS = 2 * STATE_LIMITS.latenessMs;

/** Errors: dataset.*, lifecycle.not-enough-data, ml.one-class, state.corrupt. */
export async function takeSlices(ports: Ports, table: FeatureTable, input: SlicesInput): Promise<Slices> {
  const { pipeline, plan, path, dataHash, seed } = input;
  const dataset = await ports.dataset();
  const cut = await cutOf(ports, table, pipeline);
  if (cut.learned.count < 2) throw tooFew(cut);
  const { anomalyTrees: trees, anomalySample: sample } = pipeline.modelParameters;
  const draws = { rows: cut.learned.count, trees, sample, seed };
  const drawn = drawnRows(draws);
  const vectors = await takeVectors(dataset, table, { cut, pipeline, drawn });
  const { report } = ports;
  const onProgress = (done: number, total: number): void => report.progress("rows that judge", done, total);
  const from = { path, hash: dataHash, pipeline, plan };
  const { source, learned } = await readRows(dataset, from, { cut, vectors, onProgress });
  const times = timesOf(source.table, pipeline);
  const labels = labelsOf(source.table, pipeline);
  const split = splitCounted({ times, labels }, cut.bounds, cut.learned);
  for (const text of linesOf(ports, { cut, source, plan, pipeline })) report.line(text);
  const of = { rows: draws.rows, placeOf: (row: number) => placeAtLeast(drawn, row) };
  const columns = habitColumns(plan.spec);
  const forest = trainIsolationForest({ x: vectors.drawn, columns, trees, sample, seed, of });
  const state = stateOf(ports, { ...input, cut, source });
  return { cut, source, split, times, labels, x: vectors.x, learned, forest, state };
}

/** Vectors of the same rows out of another table of the same data. */
export async function vectorsLike(ports: Ports, table: FeatureTable, pipeline: Pipeline): Promise<Matrix> {
  const cut = await cutOf(ports, table, pipeline);
  return (await takeVectors(await ports.dataset(), table, { cut, pipeline, drawn: new Int32Array(0) })).x;
}

async function cutOf(ports: Ports, table: FeatureTable, pipeline: Pipeline): Promise<Cut> {
  const head = pipeline.gates.logic.parityRows;
  const later = laterThan(ports.clock.now());
  return cutTable(await ports.dataset(), table, { pipeline, head, tailMs: TAIL_MS, laterThan: later });
}

function linesOf(
  { clock }: Pick<Ports, "clock">,
  of: { readonly cut: Cut; readonly source: Source; readonly plan: FeaturePlan; readonly pipeline: Pipeline },
): readonly string[] {
  const { cut, source, plan, pipeline } = of;
  const lines = [
    `  ${cut.rows.toLocaleString("en")} transactions, ${spanText(Float64Array.of(cut.span.first, cut.span.last))}`,
    pipeline.training.refit === true ? "  not refitted: training.refit belongs to one machine" : null,
    unlabelledLine({ count: cut.unlabelled, of: cut.rows }, pipeline),
    lackingText(source, plan),
    aheadText(source, { pipeline, now: clock.now(), count: cut.ahead }),
  ];
  return lines.filter((line) => line !== null);
}

/** The state that servers begin with, out of what the partitions left. */
function stateOf(
  { report }: Pick<Ports, "report">,
  of: SlicesInput & { readonly cut: Cut; readonly source: Source },
): FeatureState | null {
  const { plan, cut, source, pipeline, stateFolder } = of;
  if (plan.series.length > 0 && !existsSync(stateFolder)) {
    report.line(`  ? there is no feature state in ${stateFolder}: servers begin with what they have`);
    return null;
  }
  const times = timesOf(source.table, pipeline);
  const id = source.table.columns.get(pipeline.columns.id)!;
  const ids = Array.from(times, (_, row) => textAt(id, row) ?? "");
  const given = { plan, rows: cut.rows, watermark: Math.floor(cut.span.last), newest: { ids, times } };
  const { state, files, bytes } = mergeStates(stateFolder, given);
  const size = `${(bytes / 2 ** 20).toFixed(1)} MB in ${files.toLocaleString("en")} files`;
  report.line(
    state === null
      ? `  ? the feature state, ${size}, is more than one server holds: servers begin with what they have`
      : `  feature state for servers: ${state.stats().keys.toLocaleString("en")} keys, ${size}`,
  );
  return state;
}

function tooFew({ learned, bounds }: Cut): SentinelError {
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  return new SentinelError(
    "lifecycle.not-enough-data",
    `the train slice ${day(bounds.train.from)} … ${day(bounds.train.to)} has ${learned.count} labelled transactions`,
    {
      hint: "give a longer period, or lower split.history, split.calibrate, split.evaluate or split.gap in the pipeline",
    },
  );
}
