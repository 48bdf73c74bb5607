// Import: a model that another library trained becomes a candidate, by the same gates and with the same bundle as ours.

import { SentinelError } from "../core/errors.ts";
import { compileSpec, type FeaturePlan } from "../features/plan.ts";
import { sigmoid } from "../ml/gbdt/score.ts";
import { copyRow, type Matrix } from "../ml/matrix.ts";
import type { Imported } from "../online/bundle.ts";
import type { ModelParameters } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { loadOpenSpec } from "./data/spec-file.ts";
import { type ColumnChoice, mapColumns } from "./import/columns.ts";
import type { CategoryMeaning } from "./import/encoders.ts";
import { type Engine, engineOf } from "./import/engine.ts";
import { fitImported } from "./import/fit.ts";
import type { ForeignFormat } from "./import/format.ts";
import { checkLearned } from "./import/learned.ts";
import { FILE_BYTES_MAX, type ForeignFile, readForeign, readForeignBytes } from "./import/read.ts";
import { isModelUri, readStored, type StoredFile } from "./import/stored.ts";
import { type Fitted, learnedSpec, makeCandidate, type RowsOf, type TrainInput, type TrainResult } from "./train.ts";

export { CATEGORY_MEANINGS } from "./import/encoders.ts";
export { FOREIGN_FORMATS } from "./import/format.ts";

export interface ImportInput extends Omit<TrainInput, "verb" | "imported" | "adopted" | "threads" | "tune"> {
  /** The model's file, or its URI in the registry: models:/NAME@ALIAS, models:/NAME/VERSION, models:/NAME/latest, models:/m-ID, runs:/RUN/PATH. */
  readonly file: string;
  /** Told from the file where absent. */
  readonly format?: ForeignFormat;
  /** Only the first so many rounds of boosting, or all of them where the file names a best one. */
  readonly rounds?: number | "all";
  readonly columns: ColumnChoice;
  /** Of an ONNX graph: the output that tells of fraud, where it has several. */
  readonly output?: string;
  /** Of an ONNX graph: that output is log-odds, not a probability. */
  readonly isMargin?: boolean;
  /** The number that stood, as a value like any other, for a missing one in the model's training table; absent: none did. */
  readonly missing?: number;
  /** The label of fraud, 0 or 1 where the file has no labels; absent: told by the labels, else class 1. */
  readonly fraudClass?: string;
  /** What numbers in the file's own lists of categories are, where both would do. */
  readonly categories?: CategoryMeaning;
  /** Overrides the pipeline's; "none" keeps the model's own probability. */
  readonly calibration?: ModelParameters["calibration"];
}

export interface ImportResult extends TrainResult {
  readonly imported: Imported;
}

/**
 * Registers one candidate, or nothing where a gate says no. What is wrong with the file or its columns is found before any
 * data is read, unless the spec leaves something to the data. Errors: `ml.model-invalid`, `ml.model-unsupported`, `ml.runtime-missing`, `lifecycle.columns-unknown`, and those
 * of training.
 */
export async function importModel(ports: Ports, input: ImportInput): Promise<ImportResult> {
  const { file, format, rounds, columns: choice, calibration, output, isMargin = false, missing, ...rest } = input;
  const { fraudClass, categories, ...task } = rest;
  const reading = { format, rounds, output, isMargin, fraudClass };
  const stored = isModelUri(file) ? await readStored(await ports.registry(), file, { bytesMax: FILE_BYTES_MAX }) : null;
  const foreign = stored === null ? readForeign(file, reading) : readForeignBytes(stored.bytes, stored.name, reading);
  const open = await loadOpenSpec(input.pipeline);
  const plan = compileSpec(await learnedSpec(ports, input.pipeline, input.path));
  const { width, names = stored?.columns ?? null } = { ...foreign.model, names: foreign.model.names ?? undefined };
  const named = { width, names: names !== null && width !== null && names.length !== width ? null : names };
  const columns = mapColumns(named, { features: plan.names, choice });
  const read = columns.map((at) => plan.names[at]);
  checkLearned(foreign.model, { spec: open, features: read, meaning: categories ?? null });
  const engine = engineOf(foreign.model, {
    names: plan.names,
    columns,
    isMargin,
    missing: missing ?? null,
    features: plan.spec.features,
    categories: categories ?? null,
    fraudClass,
  });
  const { modelParameters } = input.pipeline;
  const pipeline =
    calibration === undefined
      ? input.pipeline
      : { ...input.pipeline, modelParameters: { ...modelParameters, calibration } };
  return adopt(
    ports,
    { ...task, pipeline, verb: "import", adopted: adoptedOf(stored, pipeline.model) },
    {
      foreign,
      engine,
      plan,
      columns: columns.map((at, i) => ({ name: named.names?.[i] ?? String(i), feature: plan.names[at] })),
      notes: [
        ...(stored === null ? [] : [originNote(file, stored, input.pipeline.model)]),
        ...foreign.model.notes,
        ...engine.notes,
        ...(missing === undefined ? [] : [`A missing value counts as the value ${missing}.`]),
      ],
      isAsked: fraudClass !== undefined,
    },
  );
}

/** A model that an engine boosted for this pipeline, on rows that were handed to it. */
export interface BoostedModel {
  /** XGBoost's JSON, whose columns are the plan's features in their order. */
  readonly bytes: Uint8Array;
  readonly plan: FeaturePlan;
  /** Vectors, and the probabilities that XGBoost itself gives them. */
  readonly probe: { readonly x: Matrix; readonly scores: readonly number[] };
  readonly curve: Fitted["curve"];
  readonly learned: NonNullable<Imported["learned"]>;
  /** For the card. */
  readonly notes: readonly string[];
}

/** Largest difference from XGBoost's own probabilities: it adds up leaves as 32-bit floats. */
const DIFFERENCE_MAX = 1e-6;

/**
 * Registers a boosted model as a candidate. Errors: as {@link importModel}; ml.model-invalid where its trees here answer otherwise than XGBoost.
 */
export async function importBoosted(
  ports: Ports,
  input: Omit<TrainInput, "verb" | "imported" | "adopted"> & { readonly model: BoostedModel; readonly rows: RowsOf },
): Promise<ImportResult & { readonly differenceMax: number }> {
  const { model, rows, ...task } = input;
  const { plan, probe, curve, learned } = model;
  const foreign = readForeignBytes(model.bytes, "xgboost.json", { format: "xgboost" });
  const columns = plan.names.map((_, at) => at);
  const features = plan.spec.features;
  const engine = engineOf(foreign.model, {
    names: plan.names,
    columns,
    isMargin: false,
    missing: null,
    features,
    categories: "codes",
  });
  const differenceMax = largestDifference(engine, probe);
  const equal = `Its trees answer ${probe.x.rows} vectors of the judged days as XGBoost does, within ${differenceMax.toPrecision(2)}.`;
  const notes = [...model.notes, ...foreign.model.notes, ...engine.notes, equal];
  const made = { foreign, engine, plan, notes, isAsked: true, rows, curve, learned };
  const named = plan.names.map((name) => ({ name, feature: name }));
  return { ...(await adopt(ports, { ...task, verb: "train" }, { ...made, columns: named })), differenceMax };
}

function largestDifference(engine: Engine, { x, scores }: BoostedModel["probe"]): number {
  const vector = new Float32Array(x.names.length);
  let most = 0;
  for (let row = 0; row < x.rows; row++) {
    copyRow(x, row, vector);
    const difference = Math.abs(sigmoid(engine.margin(vector)) - scores[row]);
    if (difference <= DIFFERENCE_MAX) most = Math.max(most, difference);
    else throw otherwise(row, sigmoid(engine.margin(vector)), scores[row]);
  }
  return most;
}

function otherwise(row: number, ours: number, theirs: number): SentinelError {
  return new SentinelError(
    "ml.model-invalid",
    `XGBoost gives vector ${row} of the judged days ${theirs}, and its trees, read here, ${ours}: at most ${DIFFERENCE_MAX} may lie between`,
    { hint: "this version of XGBoost writes a model that is not understood: install the one that docs/spark.md names" },
  );
}

/** The candidate of a model that is there, with all else learned from the pipeline's data. */
async function adopt(
  ports: Ports,
  task: Omit<TrainInput, "imported">,
  made: {
    readonly foreign: ForeignFile;
    readonly engine: Engine;
    readonly plan: FeaturePlan;
    readonly columns: Imported["columns"];
    readonly notes: readonly string[];
    readonly isAsked: boolean;
    readonly rows?: RowsOf;
    readonly curve?: Fitted["curve"];
    readonly learned?: Imported["learned"];
  },
): Promise<ImportResult> {
  const { foreign, engine, plan, columns, notes, isAsked, rows, curve, learned } = made;
  const { format, file, sha256, model } = foreign;
  const { title } = model;
  const imported: Imported = {
    format,
    file,
    sha256,
    title,
    columns,
    notes,
    ...(learned === undefined ? {} : { learned }),
  };
  const what = engine.model.kind === "trees" ? `${engine.model.trees.roots.length} trees` : "a graph for ONNX Runtime";
  ports.report.line(`  ${title}: ${what} over ${columns.length} columns`);
  // Said before the data is read: whoever is refused afterwards has seen what was understood.
  const say = (note: string): void => ports.report.line(`  note: ${note}`);
  imported.notes.forEach(say);
  const seen: string[] = [];
  const result = await makeCandidate(
    ports,
    { ...task, imported },
    {
      plan,
      rows,
      fit: async (x, labels, given) => {
        const fitted = await fitImported(engine, { x, labels, isAsked, ...given });
        fitted.notes.forEach(say);
        seen.push(...fitted.notes);
        return curve === undefined ? fitted : { ...fitted, curve };
      },
    },
  );
  return { ...result, imported: { ...imported, notes: [...imported.notes, ...seen] } };
}

/** A version of the pipeline's own model gets its bundle beside it; any other model becomes a new version, of the run that logged it. */
function adoptedOf(stored: StoredFile | null, model: string): TrainInput["adopted"] {
  if (stored === null) return undefined;
  const own = stored.version?.model === model ? stored.version.version : null;
  return { version: own, runId: stored.runId };
}

function originNote(uri: string, stored: StoredFile, model: string): string {
  const where = stored.runId === "" ? "no run" : `run ${stored.runId}`;
  if (stored.version?.model === model) {
    return `${uri} is version ${stored.version.version} of ${model}, logged by ${where}: that version becomes servable.`;
  }
  return `${uri} was logged by ${where}: it becomes a new version of ${model}, the model that the pipeline serves.`;
}
