// Training by an engine: features, splits and trees where the data lies; calibration, thresholds, gates and the bundle here, by the road of imports.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../core/errors.ts";
import { textAt } from "../core/table.ts";
import { isYes } from "../core/verdict.ts";
import { STATE_LIMITS } from "../features/limits.ts";
import { compileSpec, type FeaturePlan } from "../features/plan.ts";
import type { FeatureState } from "../features/state.ts";
import { drawnRows, trainIsolationForest } from "../ml/iforest/train/train.ts";
import { type Matrix, takeMatrixRows } from "../ml/matrix.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Boosted } from "../ports/engine.ts";
import type { Ports } from "../ports/ports.ts";
import { aheadText, lackingText, laterThan } from "./data/plausible.ts";
import { labelsOf, type Source, spanText, timesOf, unlabelledLine } from "./data/source.ts";
import { bytesInMemory, MEMORY_SHARE, type OneMachine, oneMachine } from "./engine-train/one-machine.ts";
import { readRows } from "./engine-train/rows.ts";
import { type Cut, cutTable, openFeatureTable, takeVectors } from "./engine-train/table.ts";
import { xgboostParameters } from "./engine-train/xgboost.ts";
import type { EngineChoice } from "./featurise.ts";
import { type BoostedModel, importBoosted } from "./import.ts";
import { featurisePartitioned, mergeStates } from "./partitioned.ts";
import {
  columnKinds,
  habitColumns,
  learnedSpec,
  makeCandidate,
  type OpenedRows,
  splitCounted,
  type TrainInput,
  type TrainResult,
  unseenCheck,
} from "./train.ts";
import { gateOfTable } from "./validate.ts";

export interface EngineTrainInput
  extends Omit<TrainInput, "verb" | "imported" | "adopted" | "tune" | "refit" | "recipe" | "newest" | "grownFrom"> {
  readonly by: EngineChoice;
  /** The folder of the feature table: used where it is there, made where it is not. Null: made in the workspace, and removed afterwards. */
  readonly table: string | null;
  readonly workspace: string;
  /** Of this machine. */
  readonly memoryBytes: number;
}

export interface EngineTrainResult extends TrainResult {
  /** What the engine did; null where a gate said no before. */
  readonly run: EngineRun | null;
  /** The model as XGBoost wrote it; null where a gate said no before. */
  readonly model: Uint8Array | null;
}

export interface EngineRun extends Pick<Boosted, "engine" | "library" | "workers" | "rows" | "frauds"> {
  /** Where the feature table stands, where it was kept. */
  readonly table: string | null;
  /** Whether it was there already. */
  readonly reused: boolean;
  /** What one machine would need instead; null where the table is too large for this one. */
  readonly oneMachine: OneMachine | null;
  /** Largest difference between what XGBoost and the bundle's trees answer to the same vectors. */
  readonly differenceMax: number;
}

/** Vectors of the judged days that XGBoost is asked about. */
const PROBE_ROWS = 1000;
/** Fewer rows than this per process cost more in exchange than they save. */
const WORKER_ROWS = 5000;

/**
 * Trains one candidate by an engine. Errors: those of featurise and of imports, pipeline.invalid for parameters that XGBoost has not, engine.*,
 * dataset.too-large.
 */
export async function trainByEngine(ports: Ports, input: EngineTrainInput): Promise<EngineTrainResult> {
  const { by, table: kept, workspace, memoryBytes, ...task } = input;
  const { pipeline } = input;
  const plan = compileSpec(await learnedSpec(ports, pipeline, input.path));
  // Asked first: what the pipeline wants and XGBoost cannot is found before hours of work.
  const seed = input.seed ?? pipeline.modelParameters.seed;
  const kinds = columnKinds(plan.spec, pipeline);
  const asked = (learned: Cut["learned"]) => xgboostParameters(pipeline, { kinds, seed, learned });
  asked({ count: 2, frauds: 1 });
  const lap = stopwatch(ports);
  const { gate, hash: dataHash } = await gateOfTable(ports, { pipeline, path: input.path });
  const data = gate.verdict;
  const before = { validate: lap() };
  if (!isYes(data) && input.forced === null) {
    const rows = async (): Promise<OpenedRows> => ({ data, take: nobody });
    const stopped = await makeCandidate(ports, { ...task, verb: "train" }, { plan, fit: nobody, rows });
    return { ...stopped, seconds: before, run: null, model: null };
  }
  const scratch = kept === null ? scratchIn(workspace) : null;
  const tableOf = (name: string): string => (scratch === null ? `${kept}.${name}` : path.join(scratch, name));
  const made: string[] = [];
  const makeTable = async (folder: string, by2: FeaturePlan, stateFolder?: string): Promise<void> => {
    await featurisePartitioned(ports, {
      ...by,
      plan: by2,
      pipeline,
      path: input.path,
      out: folder,
      packageVersion: input.packageVersion,
      dataHash,
      stateFolder,
    });
  };
  try {
    const folder = kept ?? tableOf("features");
    const stateFolder = `${folder}.state`;
    const reused = existsSync(folder);
    if (!reused) rmSync(stateFolder, { recursive: true, force: true });
    if (!reused) await makeTable(folder, plan, stateFolder);
    const features = lap();
    const dataset = await ports.dataset();
    const table = await openFeatureTable(dataset, folder, { plan, pipeline, dataHash });
    // Ids of two latenesses are what a state may remember.
    const tailMs = 2 * STATE_LIMITS.latenessMs;
    const now = laterThan(ports.clock.now());
    const cut = await cutTable(dataset, table, {
      pipeline,
      head: pipeline.gates.logic.parityRows,
      tailMs,
      laterThan: now,
    });
    const { anomalyTrees: trees, anomalySample: sample } = pipeline.modelParameters;
    if (cut.learned.count < 2) throw tooFew(cut);
    const draws = { rows: cut.learned.count, trees, sample, seed };
    const drawn = drawnRows(draws);
    const vectors = await takeVectors(dataset, table, { cut, pipeline, drawn });
    const raw = await readRows(
      dataset,
      { path: input.path, hash: dataHash, pipeline, plan },
      { cut, vectors, onProgress: (done, total) => ports.report.progress("rows that judge", done, total) },
    );
    const { source, learned } = raw;
    const times = timesOf(source.table, pipeline);
    const labels = labelsOf(source.table, pipeline);
    const split = splitCounted({ times, labels }, cut.bounds, cut.learned);
    ports.report.line(
      `  ${table.rows.toLocaleString("en")} transactions, ${spanText(Float64Array.of(cut.span.first, cut.span.last))}`,
    );
    if (pipeline.training.refit === true) ports.report.line("  not refitted: training.refit belongs to one machine");
    const unlabelled = unlabelledLine({ count: cut.unlabelled, of: table.rows }, pipeline);
    const ahead = aheadText(source, { pipeline, now: ports.clock.now(), count: cut.ahead });
    for (const text of [unlabelled, lackingText(source, plan), ahead]) if (text !== null) ports.report.line(text);
    const places = new Map(Array.from(drawn, (row, place) => [row, place]));
    const forest = trainIsolationForest({
      x: vectors.drawn,
      trees,
      sample,
      columns: habitColumns(plan.spec),
      seed,
      of: { rows: draws.rows, placeOf: (row) => places.get(row)! },
    });
    const state = stateOf(ports, stateFolder, { plan, cut, source, pipeline });
    const reading = lap();
    const probe = probeOf(vectors.x, split.evaluate.rows);
    const { parameters, notes } = asked(cut.learned);
    const boosted = await by.engine.boost(
      {
        files: table.files.map(({ place }) => path.resolve(place)),
        columns: { id: "transaction_id", time: "time", label: "label", features: plan.names },
        isGenuine: pipeline.labels.unreportedIsGenuine,
        train: wholeMs(cut.bounds.train),
        validation: wholeMs(cut.bounds.calibrate),
        parameters,
        workersMax: Math.max(1, Math.floor(cut.learned.count / WORKER_ROWS)),
        probe: { rows: probe.rows, columns: new Map(plan.names.map((name, c) => [name, columnOf(probe, c)])) },
      },
      ({ stage, done, total }) => ports.report.progress(stage, done, total),
    );
    checkLearned(boosted, cut);
    const boost = lap();
    const model: BoostedModel = {
      bytes: boosted.model,
      plan,
      probe: { x: probe, scores: boosted.scores },
      curve: boosted.curve,
      learned: { ...cut.bounds.train, rows: boosted.rows, frauds: boosted.frauds },
      notes: [
        `Trained by ${boosted.library} on ${boosted.engine} in ${boosted.workers} ${boosted.workers === 1 ? "process" : "processes"}, with ${JSON.stringify(parameters)}.`,
        ...notes,
      ],
    };
    const rows = async (): Promise<OpenedRows> => ({
      data,
      take: async () => ({
        source,
        split,
        x: vectors.x,
        state,
        forest,
        unseen: () => unseenCheck(source.table, { plan, times, learned, evaluate: split.evaluate.rows }),
        async vectorsBy(scorer) {
          const folder = tableOf("champion");
          made.push(folder);
          await makeTable(folder, scorer.plan);
          const other = await openFeatureTable(dataset, folder, { plan: scorer.plan, pipeline, dataHash });
          return (
            await takeVectors(dataset, other, {
              cut: await sameCut(dataset, other),
              pipeline,
              drawn: new Int32Array(0),
            })
          ).x;
        },
      }),
    });
    const sameCut = (from: typeof dataset, other: typeof table): Promise<Cut> =>
      cutTable(from, other, { pipeline, head: cut.kept.head, tailMs, laterThan: now });
    const result = await importBoosted(ports, { ...task, model, rows });
    const fits = bytesInMemory(table.rows, plan.width) <= MEMORY_SHARE * memoryBytes;
    const alone = {
      table: source.table,
      x: vectors.x,
      labels,
      sample: split.calibrate.rows,
      plan,
      pipeline,
      kinds,
      head: cut.kept.head,
      rows: table.rows,
      learned: cut.learned.count,
      trees: boosted.curve.train.length,
      threads: task.threads ?? 1,
    };
    const run: EngineRun = {
      oneMachine: fits ? await oneMachine(ports, alone) : null,
      engine: boosted.engine,
      library: boosted.library,
      workers: boosted.workers,
      rows: boosted.rows,
      frauds: boosted.frauds,
      table: kept,
      reused,
      differenceMax: result.differenceMax,
    };
    const { differenceMax: _, ...rest } = result;
    return {
      ...rest,
      seconds: { ...before, features, read: reading, boost, ...result.seconds },
      run,
      model: boosted.model,
    };
  } finally {
    if (scratch !== null) rmSync(scratch, { recursive: true, force: true });
    for (const folder of made) rmSync(folder, { recursive: true, force: true });
  }
}

async function nobody(): Promise<never> {
  throw new Error("a gate said no, and nobody fits or takes rows after that");
}

function stopwatch({ clock }: Pick<Ports, "clock">): () => number {
  let last = clock.elapsed();
  return () => {
    const now = clock.elapsed();
    const seconds = Math.round(now - last) / 1000;
    last = now;
    return seconds;
  };
}

/** The state that servers begin with, out of what the partitions left. */
function stateOf(
  ports: Pick<Ports, "report">,
  folder: string,
  of: { readonly plan: FeaturePlan; readonly cut: Cut; readonly source: Source; readonly pipeline: Pipeline },
): FeatureState | null {
  const { plan, cut, source, pipeline } = of;
  if (plan.series.length > 0 && !existsSync(folder)) {
    ports.report.line(`  ? there is no feature state in ${folder}: servers begin with what they have`);
    return null;
  }
  const times = timesOf(source.table, pipeline);
  const id = source.table.columns.get(pipeline.columns.id)!;
  const ids = Array.from(times, (_, row) => textAt(id, row) ?? "");
  const watermark = Math.floor(cut.span.last);
  const { state, files, bytes } = mergeStates(folder, { plan, rows: cut.rows, watermark, newest: { ids, times } });
  const size = `${(bytes / 2 ** 20).toFixed(1)} MB in ${files.toLocaleString("en")} files`;
  ports.report.line(
    state === null
      ? `  ? the feature state, ${size}, is more than one server holds: servers begin with what they have`
      : `  feature state for servers: ${state.stats().keys.toLocaleString("en")} keys, ${size}`,
  );
  return state;
}

/** A folder of this run's own in the workspace, which the machines of the cluster must share. */
function scratchIn(workspace: string): string {
  const data = path.join(workspace, "data");
  mkdirSync(data, { recursive: true });
  return mkdtempSync(path.join(data, "engine-"));
}

function wholeMs({ from, to }: { readonly from: number; readonly to: number }): {
  readonly from: number;
  readonly to: number;
} {
  return { from: Math.ceil(from), to: Math.ceil(to) };
}

/** Rows spread over the judged days. */
function probeOf(x: Matrix, rows: Int32Array): Matrix {
  const count = Math.min(PROBE_ROWS, rows.length);
  return takeMatrixRows(
    x,
    Int32Array.from({ length: count }, (_, i) => rows[Math.floor((i * rows.length) / count)]),
  );
}

function columnOf({ rows, values }: Matrix, c: number): { readonly kind: "number"; readonly values: Float64Array } {
  return { kind: "number", values: Float64Array.from(values.subarray(c * rows, (c + 1) * rows)) };
}

/** The engine must have learned from the very rows that were counted here. */
function checkLearned({ rows, frauds, engine }: Boosted, { learned }: Cut): void {
  if (rows === learned.count && frauds === learned.frauds) return;
  throw new SentinelError(
    "engine.failed",
    `${engine} learned from ${rows} transactions with ${frauds} frauds, and the feature table has ${learned.count} with ${learned.frauds} to learn from`,
    { hint: "do all machines see the same feature table? --table must be on a file system that they share" },
  );
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
