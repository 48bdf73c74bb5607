// Import: a model that another library trained becomes a candidate, by the same gates and with the same bundle as ours.
import { compileSpec } from "../features/plan.ts";
import { flattenForeign } from "../ml/foreign/flatten.ts";
import type { Ports } from "../ports.ts";
import type { Imported } from "./bundle.ts";
import { type ColumnChoice, mapColumns } from "./import/columns.ts";
import { fitImported } from "./import/fit.ts";
import { type ForeignFormat, readForeign } from "./import/read.ts";
import type { ModelParameters } from "./pipeline.ts";
import { loadSpec } from "./spec-file.ts";
import type { TrainInput, TrainResult } from "./train/task.ts";
import { makeCandidate } from "./train.ts";

export { FOREIGN_FORMATS } from "./import/read.ts";

export interface ImportInput extends Omit<TrainInput, "verb" | "imported" | "threads" | "tune"> {
  /** The model's file. */
  readonly file: string;
  /** Told from the file where absent. */
  readonly format?: ForeignFormat;
  /** Only the first so many rounds of boosting. */
  readonly rounds?: number;
  readonly columns: ColumnChoice;
  /** Overrides the pipeline's; "none" keeps the model's own probability. */
  readonly calibration?: ModelParameters["calibration"];
}

export interface ImportResult extends TrainResult {
  readonly imported: Imported;
}

/**
 * Registers one candidate, or nothing where a gate says no. What is wrong with the file or its columns is found before any
 * data is read. Errors: `ml.model-invalid`, `ml.model-unsupported`, `lifecycle.columns-unknown`, and those of training.
 */
export async function importModel(ports: Ports, input: ImportInput): Promise<ImportResult> {
  const { file, format, rounds, columns: choice, calibration, ...task } = input;
  const foreign = readForeign(file, { format, rounds });
  const plan = compileSpec(await loadSpec(input.pipeline));
  const columns = mapColumns(foreign.model, { features: plan.names, choice });
  const trees = flattenForeign(foreign.model, { names: plan.names, columns });
  const imported: Imported = {
    format: foreign.format,
    file: foreign.file,
    sha256: foreign.sha256,
    title: foreign.model.title,
    columns: columns.map((at, i) => ({ name: foreign.model.names?.[i] ?? String(i), feature: plan.names[at] })),
    notes: foreign.model.notes,
  };
  ports.report.line(`  ${imported.title}: ${trees.roots.length} trees over ${columns.length} columns`);
  const { modelParameters } = input.pipeline;
  const pipeline =
    calibration === undefined
      ? input.pipeline
      : { ...input.pipeline, modelParameters: { ...modelParameters, calibration } };
  const result = await makeCandidate(
    ports,
    { ...task, pipeline, verb: "import", imported },
    { plan, fit: (x, labels, given) => fitImported(trees, { x, labels, ...given }) },
  );
  return { ...result, imported };
}
