// Import: a model that another library trained becomes a candidate, by the same gates and with the same bundle as ours.

import { compileSpec } from "../features/plan.ts";
import type { Imported } from "../online/bundle.ts";
import type { ModelParameters } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { loadSpec } from "./data/spec-file.ts";
import { type ColumnChoice, mapColumns } from "./import/columns.ts";
import { engineOf } from "./import/engine.ts";
import { fitImported } from "./import/fit.ts";
import type { ForeignFormat } from "./import/format.ts";
import { readForeign } from "./import/read.ts";
import { makeCandidate, type TrainInput, type TrainResult } from "./train.ts";

export { FOREIGN_FORMATS } from "./import/format.ts";

export interface ImportInput extends Omit<TrainInput, "verb" | "imported" | "threads" | "tune"> {
  /** The model's file. */
  readonly file: string;
  /** Told from the file where absent. */
  readonly format?: ForeignFormat;
  /** Only the first so many rounds of boosting. */
  readonly rounds?: number;
  readonly columns: ColumnChoice;
  /** Of an ONNX graph: the output that tells of fraud, where it has several. */
  readonly output?: string;
  /** Of an ONNX graph: that output is log-odds, not a probability. */
  readonly isMargin?: boolean;
  /** What stood for a missing value in the model's training; absent: NaN. */
  readonly missing?: number;
  /** Overrides the pipeline's; "none" keeps the model's own probability. */
  readonly calibration?: ModelParameters["calibration"];
}

export interface ImportResult extends TrainResult {
  readonly imported: Imported;
}

/**
 * Registers one candidate, or nothing where a gate says no. What is wrong with the file or its columns is found before any
 * data is read. Errors: `ml.model-invalid`, `ml.model-unsupported`, `ml.runtime-missing`, `lifecycle.columns-unknown`, and those
 * of training.
 */
export async function importModel(ports: Ports, input: ImportInput): Promise<ImportResult> {
  const { file, format, rounds, columns: choice, calibration, output, isMargin = false, missing, ...task } = input;
  const foreign = readForeign(file, { format, rounds, output, isMargin });
  const plan = compileSpec(await loadSpec(input.pipeline));
  const columns = mapColumns(foreign.model, { features: plan.names, choice });
  const engine = engineOf(foreign.model, { names: plan.names, columns, isMargin, missing: missing ?? null });
  const imported: Imported = {
    format: foreign.format,
    file: foreign.file,
    sha256: foreign.sha256,
    title: foreign.model.title,
    columns: columns.map((at, i) => ({ name: foreign.model.names?.[i] ?? String(i), feature: plan.names[at] })),
    notes: [
      ...foreign.model.notes,
      ...engine.notes,
      ...(missing === undefined ? [] : [`A missing value counts as ${missing}.`]),
    ],
  };
  const what = engine.model.kind === "trees" ? `${engine.model.trees.roots.length} trees` : "a graph for ONNX Runtime";
  ports.report.line(`  ${imported.title}: ${what} over ${columns.length} columns`);
  const { modelParameters } = input.pipeline;
  const pipeline =
    calibration === undefined
      ? input.pipeline
      : { ...input.pipeline, modelParameters: { ...modelParameters, calibration } };
  const result = await makeCandidate(
    ports,
    { ...task, pipeline, verb: "import", imported },
    { plan, fit: (x, labels, given) => fitImported(engine.model, { x, labels, ...given }) },
  );
  return { ...result, imported };
}
