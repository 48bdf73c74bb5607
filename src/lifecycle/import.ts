// Import: a model that another library trained becomes a candidate, by the same gates and with the same bundle as ours.

import { compileSpec } from "../features/plan.ts";
import type { Imported } from "../online/bundle.ts";
import type { ModelParameters } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { loadSpec } from "./data/spec-file.ts";
import { type ColumnChoice, mapColumns } from "./import/columns.ts";
import type { CategoryMeaning } from "./import/encoders.ts";
import { engineOf } from "./import/engine.ts";
import { fitImported } from "./import/fit.ts";
import type { ForeignFormat } from "./import/format.ts";
import { readForeign } from "./import/read.ts";
import { makeCandidate, type TrainInput, type TrainResult } from "./train.ts";

export { CATEGORY_MEANINGS } from "./import/encoders.ts";
export { FOREIGN_FORMATS } from "./import/format.ts";

export interface ImportInput extends Omit<TrainInput, "verb" | "imported" | "threads" | "tune"> {
  /** The model's file. */
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
 * data is read. Errors: `ml.model-invalid`, `ml.model-unsupported`, `ml.runtime-missing`, `lifecycle.columns-unknown`, and those
 * of training.
 */
export async function importModel(ports: Ports, input: ImportInput): Promise<ImportResult> {
  const { file, format, rounds, columns: choice, calibration, output, isMargin = false, missing, ...rest } = input;
  const { fraudClass, categories, ...task } = rest;
  const foreign = readForeign(file, { format, rounds, output, isMargin, fraudClass });
  const plan = compileSpec(await loadSpec(input.pipeline));
  const columns = mapColumns(foreign.model, { features: plan.names, choice });
  const engine = engineOf(foreign.model, {
    names: plan.names,
    columns,
    isMargin,
    missing: missing ?? null,
    features: plan.spec.features,
    categories: categories ?? null,
    fraudClass,
  });
  const imported: Imported = {
    format: foreign.format,
    file: foreign.file,
    sha256: foreign.sha256,
    title: foreign.model.title,
    columns: columns.map((at, i) => ({ name: foreign.model.names?.[i] ?? String(i), feature: plan.names[at] })),
    notes: [
      ...foreign.model.notes,
      ...engine.notes,
      ...(missing === undefined ? [] : [`A missing value counts as the value ${missing}.`]),
    ],
  };
  const what = engine.model.kind === "trees" ? `${engine.model.trees.roots.length} trees` : "a graph for ONNX Runtime";
  ports.report.line(`  ${imported.title}: ${what} over ${columns.length} columns`);
  // Said before the data is read: whoever is refused afterwards has seen what was understood.
  const say = (note: string): void => ports.report.line(`  note: ${note}`);
  imported.notes.forEach(say);
  const { modelParameters } = input.pipeline;
  const pipeline =
    calibration === undefined
      ? input.pipeline
      : { ...input.pipeline, modelParameters: { ...modelParameters, calibration } };
  const seen: string[] = [];
  const result = await makeCandidate(
    ports,
    { ...task, pipeline, verb: "import", imported },
    {
      plan,
      fit: async (x, labels, given) => {
        const fitted = await fitImported(engine, { x, labels, isAsked: fraudClass !== undefined, ...given });
        fitted.notes.forEach(say);
        seen.push(...fitted.notes);
        return fitted;
      },
    },
  );
  return { ...result, imported: { ...imported, notes: [...imported.notes, ...seen] } };
}
