// The spec of a pipeline for one table: where the feature file says "all numeric columns", those that this table has.

import { inputsOf } from "../../features/inputs.ts";
import { nameColumns, type OpenSpec, type TableColumn, unlearned } from "../../features/open.ts";
import { compileSpec, type FeaturePlan } from "../../features/plan.ts";
import { checkFields } from "../../online/fields.ts";
import { nameFolder } from "../../pipeline/names.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import { schemaIfThere } from "./schema-file.ts";
import { fileNames } from "./source.ts";
import { loadOpenSpec } from "./spec-file.ts";
import { LABEL_KNOWN_AT } from "./vectors.ts";

/** Columns that a line names; the rest are counted. */
const NAMES_SHOWN = 8;

/**
 * The spec with the table's columns named; the values of its learned categories are still open. Errors: those of {@link loadOpenSpec} and of
 * reading the table's description; pipeline.invalid where requests cannot carry one of the columns.
 */
export async function tableSpec(ports: Ports, pipeline: Pipeline, path: string): Promise<OpenSpec> {
  const spec = await loadOpenSpec(pipeline);
  if (!spec.features.some(({ kind }) => kind === "columns")) return spec;
  const columns = await columnsOf(ports, { pipeline, path, spec });
  const { id, time, card, label } = pipeline.columns;
  const parts = pipeline.written.timeParts ?? [];
  const roles = [id, time, ...parts, label, LABEL_KNOWN_AT, ...(card === null ? [] : [card])];
  const named = nameColumns(spec, { columns, roles });
  const schema = schemaIfThere(pipeline);
  if (schema !== null) checkFields(compileSpec(unlearned(named)), { pipeline, schema });
  const made = named.features.length - spec.features.length + 1;
  const texts = columns.filter(({ name, numeric }) => !numeric && !roles.includes(name)).map(({ name }) => name);
  const others = texts.length === 0 ? "" : `; not numeric: ${listed(texts)}`;
  ports.report.line(`  ${made} numeric columns of ${path} are features${others}`);
  return named;
}

/** A plan that reads from this table what the spec reads, for looking at the table: learned categories have no values yet. */
export async function readingPlan(ports: Ports, pipeline: Pipeline, path: string): Promise<FeaturePlan> {
  return compileSpec(unlearned(await tableSpec(ports, pipeline, path)));
}

async function columnsOf(
  ports: Ports,
  { pipeline, path, spec }: { readonly pipeline: Pipeline; readonly path: string; readonly spec: OpenSpec },
): Promise<readonly TableColumn[]> {
  const description = await (await ports.dataset()).describe(path);
  const features = spec.features.filter(({ kind }) => kind !== "columns");
  const read = features.length === 0 ? [] : inputsOf(compileSpec(unlearned({ ...spec, features }))).all;
  const names = fileNames(description, nameFolder(pipeline.canonical, [...read, LABEL_KNOWN_AT]));
  const types = new Map(description.columns.map(({ name, type }) => [name, type]));
  // The amount is read as a number, however the file writes it.
  const isNumeric = (name: string, own: string): boolean =>
    types.get(own) === "number" || name === pipeline.columns.amount;
  return [...names].map(([name, own]) => ({ name, numeric: isNumeric(name, own) }));
}

function listed(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN;
  return names.slice(0, NAMES_SHOWN).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
