// The spec that a training compiles: what the feature file leaves open, learned from the training rows of its table.

import { SentinelError } from "../../core/errors.ts";
import { inputsOf } from "../../features/inputs.ts";
import { closeSpec, isOpen, learnedColumns, learnValues, type OpenSpec, unlearned } from "../../features/open.ts";
import { compileSpec } from "../../features/plan.ts";
import type { FeatureSpec } from "../../features/spec.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import { labelsOf, readSource, timesOf } from "../data/source.ts";
import { tableSpec } from "../data/spec-table.ts";
import { trainingRows } from "./split.ts";

/**
 * The pipeline's spec with nothing left open: columns from the table's schema, values from the rows of the training slice and no others, so that
 * neither calibration nor evaluation has a say. The same table gives the same spec. A spec that leaves nothing open reads no table. Errors:
 * those of the feature file and of reading the table; features.spec-invalid; lifecycle.not-enough-data.
 */
export async function learnedSpec(ports: Ports, pipeline: Pipeline, path: string): Promise<FeatureSpec> {
  const spec = await tableSpec(ports, pipeline, path);
  const columns = learnedColumns(spec);
  if (!isOpen(spec)) return unlearned(spec);
  const plan = compileSpec(learnedPart(spec, inputsOf(compileSpec(unlearned(spec))).numbers));
  const dataset = await ports.dataset();
  const { table } = await readSource(dataset, pipeline, { path, plans: [plan], required: [], labelled: true });
  const lacking = columns.find((name) => !table.columns.has(name));
  if (lacking !== undefined) {
    throw new SentinelError(
      "dataset.columns-missing",
      `${path} has no column ${lacking}, whose values a category learns`,
      {
        hint: `add the column, its name under aliases: in ${pipeline.file}, or drop the feature`,
      },
    );
  }
  const rows = trainingRows(timesOf(table, pipeline), labelsOf(table, pipeline), pipeline);
  return closeSpec(spec, (feature) => {
    const values = learnValues(feature, table.columns.get(feature.column)!, rows);
    ports.report.line(
      `  ${feature.name}: ${values.length} values of ${feature.column} learned from ${rows.length.toLocaleString("en")} training rows`,
    );
    return values;
  });
}

/** What reads the learned columns and no others, in the spelling in which the whole spec reads them: one that is a number too is spelled as such. */
function learnedPart(spec: OpenSpec, numbers: readonly string[]): FeatureSpec {
  const columns = learnedColumns(spec);
  const categories = columns.map(
    (column, i) => ({ kind: "category", name: `text.${i}`, column, values: "learned" }) as const,
  );
  const both = columns.filter((column) => numbers.includes(column));
  const figures = both.map((column, i) => ({ kind: "column", name: `number.${i}`, column }) as const);
  return unlearned({ ...spec, features: [...categories, ...figures] });
}
