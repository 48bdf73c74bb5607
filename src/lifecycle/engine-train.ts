// Training by an engine: features, splits and trees where the data lies; calibration, thresholds, gates and the bundle here, by the road of imports.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import path from "node:path";
import { isYes, type Verdict } from "../core/verdict.ts";
import { compileSpec, type FeaturePlan } from "../features/plan.ts";
import type { ColumnKind } from "../ml/gbdt/train/kinds.ts";
import type { Boosted } from "../ports/engine.ts";
import type { Ports } from "../ports/ports.ts";
import { boostOn } from "./engine-train/boost.ts";
import { bytesInMemory, MEMORY_SHARE, type OneMachine, oneMachine } from "./engine-train/one-machine.ts";
import { type Slices, takeSlices, vectorsLike } from "./engine-train/slices.ts";
import { type FeatureTable, openFeatureTable } from "./engine-train/table.ts";
import { xgboostParameters } from "./engine-train/xgboost.ts";
import type { EngineChoice } from "./featurise.ts";
import { importBoosted } from "./import.ts";
import { featurisePartitioned } from "./partitioned.ts";
import {
  columnKinds,
  learnedSpec,
  makeCandidate,
  type OpenedRows,
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

/** What holds for the whole training. */
interface Training {
  readonly input: EngineTrainInput;
  readonly plan: FeaturePlan;
  readonly kinds: readonly ColumnKind[];
  readonly seed: number;
  readonly data: Verdict;
  readonly dataHash: string;
}

/**
 * Trains one candidate by an engine. Errors: those of featurise and of imports, pipeline.invalid for parameters that XGBoost has not, engine.*,
 * dataset.too-large, state.corrupt.
 */
export async function trainByEngine(ports: Ports, input: EngineTrainInput): Promise<EngineTrainResult> {
  const { by, table: kept, workspace, memoryBytes, ...task } = input;
  const { pipeline } = input;
  const plan = compileSpec(await learnedSpec(ports, pipeline, input.path));
  const seed = input.seed ?? pipeline.modelParameters.seed;
  const kinds = columnKinds(plan.spec, pipeline);
  const askedFor = (learned: { readonly count: number; readonly frauds: number }) =>
    xgboostParameters(pipeline, { kinds, seed, learned });
  // What the pipeline wants and XGBoost cannot is found before hours of work.
  askedFor({ count: 2, frauds: 1 });
  const seconds: Record<string, number> = {};
  const lap = stopwatch(ports, seconds);
  const { gate, hash: dataHash } = await gateOfTable(ports, { pipeline, path: input.path });
  lap("validate");
  const training: Training = { input, plan, kinds, seed, data: gate.verdict, dataHash };
  if (!isYes(gate.verdict) && input.forced === null) return stopped(ports, training, seconds);
  const tables = tablesOf(ports, training);
  try {
    const { table, reused, stateFolder } = await tables.features();
    lap("features");
    const slices = await takeSlices(ports, table, { pipeline, plan, path: input.path, dataHash, seed, stateFolder });
    lap("read");
    const asked = askedFor(slices.cut.learned);
    const { boosted, model } = await boostOn(ports, by.engine, { table, slices, pipeline, asked });
    lap("boost");
    const rows = async (): Promise<OpenedRows> => openedRows(ports, { training, slices, tables });
    const { differenceMax, ...result } = await importBoosted(ports, { ...task, model, rows });
    const { engine, library, workers, rows: learnedRows, frauds } = boosted;
    const alone = await aloneOf(ports, { training, slices, trees: boosted.curve.train.length });
    const did = { engine, library, workers, rows: learnedRows, frauds, table: kept, reused };
    const run: EngineRun = { ...did, oneMachine: alone, differenceMax };
    return { ...result, seconds: { ...seconds, ...result.seconds }, run, model: boosted.model };
  } finally {
    tables.close();
  }
}

/** The data gate's no, on the way of every training that one ends. */
async function stopped(
  ports: Ports,
  { input, plan, data }: Training,
  seconds: Readonly<Record<string, number>>,
): Promise<EngineTrainResult> {
  const { by: _1, table: _2, workspace: _3, memoryBytes: _4, ...task } = input;
  const rows = async (): Promise<OpenedRows> => ({ data, take: nobody });
  const result = await makeCandidate(ports, { ...task, verb: "train" }, { plan, fit: nobody, rows });
  return { ...result, seconds, run: null, model: null };
}

async function nobody(): Promise<never> {
  throw new Error("a gate said no, and nobody fits or takes rows after that");
}

function stopwatch({ clock }: Pick<Ports, "clock">, seconds: Record<string, number>): (name: string) => void {
  let last = clock.elapsed();
  return (name) => {
    const now = clock.elapsed();
    seconds[name] = Math.round(now - last) / 1000;
    last = now;
  };
}

/** The feature tables of a training, by the pipeline's features and by a champion's. */
interface Tables {
  features(): Promise<{ readonly table: FeatureTable; readonly reused: boolean; readonly stateFolder: string }>;
  champion(plan: FeaturePlan): Promise<FeatureTable>;
  /** Removes what nobody asked to keep. */
  close(): void;
}

function tablesOf(ports: Ports, { input, plan, dataHash }: Training): Tables {
  const { pipeline, by, packageVersion, table: kept, workspace } = input;
  const scratch = kept === null ? scratchIn(workspace) : null;
  const folder = kept ?? path.join(scratch!, "features");
  const championFolder = `${folder}.champion`;
  const make = (own: FeaturePlan, out: string, stateFolder?: string) =>
    featurisePartitioned(ports, {
      ...by,
      plan: own,
      pipeline,
      path: input.path,
      out,
      packageVersion,
      dataHash,
      stateFolder,
    });
  const open = async (own: FeaturePlan, place: string): Promise<FeatureTable> =>
    openFeatureTable(await ports.dataset(), place, { plan: own, pipeline, dataHash });
  return {
    async features() {
      const stateFolder = `${folder}.state`;
      const reused = existsSync(folder);
      // One without its table is what a killed run left.
      if (!reused) rmSync(stateFolder, { recursive: true, force: true });
      if (!reused) await make(plan, folder, stateFolder);
      return { table: await open(plan, folder), reused, stateFolder };
    },
    async champion(own) {
      rmSync(championFolder, { recursive: true, force: true });
      await make(own, championFolder);
      return open(own, championFolder);
    },
    close() {
      rmSync(championFolder, { recursive: true, force: true });
      if (scratch !== null) rmSync(scratch, { recursive: true, force: true });
    },
  };
}

/** A folder of this run's own in the workspace, which the machines of the cluster must share. */
function scratchIn(workspace: string): string {
  const data = path.join(workspace, "data");
  mkdirSync(data, { recursive: true });
  return mkdtempSync(path.join(data, "engine-"));
}

function openedRows(
  ports: Ports,
  of: { readonly training: Training; readonly slices: Slices; readonly tables: Tables },
): OpenedRows {
  const { training, slices, tables } = of;
  const { plan, data, input } = training;
  const { source, split, times, x, learned, forest, state } = slices;
  return {
    data,
    take: async () => ({
      source,
      split,
      x,
      state,
      forest,
      unseen: () => unseenCheck(source.table, { plan, times, learned, evaluate: split.evaluate.rows }),
      vectorsBy: async (scorer) => vectorsLike(ports, await tables.champion(scorer.plan), input.pipeline),
    }),
  };
}

/** Null where the table is too large for this machine. */
async function aloneOf(
  ports: Ports,
  of: { readonly training: Training; readonly slices: Slices; readonly trees: number },
): Promise<OneMachine | null> {
  const { training, slices, trees } = of;
  const { input, plan, kinds } = training;
  const { cut, source, split, x, labels } = slices;
  if (bytesInMemory(cut.rows, plan.width) > MEMORY_SHARE * input.memoryBytes) return null;
  return oneMachine(ports, {
    table: source.table,
    x,
    labels,
    sample: split.calibrate.rows,
    plan,
    pipeline: input.pipeline,
    kinds,
    head: cut.kept.head,
    rows: cut.rows,
    learned: cut.learned.count,
    trees,
    threads: input.threads ?? 1,
  });
}
