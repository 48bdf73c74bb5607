// Pipelines that a program made, as this machine serves them: the store's record becomes files, which every command reads like others.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { PRIVATE_FOLDER_MODE } from "../../core/private.ts";
import { schemaFields } from "../../online/fields.ts";
import type { Slot } from "../../online/pipelines.ts";
import { type MadePipeline, type MadeRoles, madeSchema, madeText } from "../../pipeline/made.ts";
import { MADE_FOLDER, type Pipeline } from "../../pipeline/pipeline.ts";
import type { JsonObject, PipelineFields, PipelineRecord, SchemaField, SchemaType } from "../../ports/store.ts";

/** What the store keeps of a pipeline beside its fields. */
export interface MadeSettings {
  readonly columns: MadeRoles;
  readonly fourEyes: boolean;
}

export function settingsJson({ columns, fourEyes }: MadeSettings): JsonObject {
  return { columns: { ...columns }, four_eyes: fourEyes };
}

/** A setting that is not there has its default: an older version did not know it. */
export function settingsOf({ settings }: Pick<PipelineRecord, "settings">): MadeSettings {
  const columns = (settings.columns ?? {}) as Partial<MadeRoles>;
  const { id = null, time = null, amount = null, key = null } = columns;
  return { columns: { id, time, amount, key }, fourEyes: settings.four_eyes === true };
}

export function madeOf(record: Pick<PipelineRecord, "slug" | "schema" | "settings">): MadePipeline {
  const { columns, fourEyes } = settingsOf(record);
  return { slug: record.slug, fields: record.schema, roles: columns, fourEyes };
}

/** Writes the pipeline file and its schema, where they differ from what is there. Errors: workspace.unwritable. */
export function writeMade(workspace: string, record: Pick<PipelineRecord, "slug" | "schema" | "settings">): void {
  const folder = path.join(workspace, MADE_FOLDER);
  const made = madeOf(record);
  try {
    mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
    writeWhole(path.join(folder, `${made.slug}.schema.json`), `${JSON.stringify(madeSchema(made), null, 2)}\n`);
    writeWhole(path.join(folder, `${made.slug}.yaml`), madeText(made));
  } catch (error) {
    throw new SentinelError(
      "workspace.unwritable",
      `cannot write pipeline ${made.slug} to ${folder}: ${messageOf(error)}`,
      {
        hint: "check that models/state may be written to and has space left",
        cause: error,
      },
    );
  }
}

function writeWhole(file: string, text: string): void {
  if (textOf(file) === text) return;
  const partial = `${file}.${process.pid}.tmp`;
  writeFileSync(partial, text);
  renameSync(partial, file);
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

/** What the store keeps of a pipeline file, so that it has a number, a status and alerts like others. */
export function declared({
  name,
  engine,
}: Slot<{ readonly pipeline: Pipeline; readonly schema: object }>): PipelineFields {
  const { columns } = engine!.pipeline;
  return {
    slug: name,
    name,
    source: "file",
    kafkaTopic: null,
    schema: fieldsOf(engine!.schema, columns.time),
    settings: settingsJson({
      columns: { id: columns.id, time: columns.time, amount: columns.amount, key: columns.card },
      fourEyes: engine!.pipeline.rules.fourEyes,
    }),
  };
}

/** Fields of a JSON Schema in the words of the API. */
function fieldsOf(schema: object, time: string): readonly SchemaField[] {
  const { required } = schema as { readonly required?: unknown };
  const needed = new Set(Array.isArray(required) ? required : []);
  return [...schemaFields(schema)].map(([name, field]) => {
    const { type } = (field ?? {}) as { readonly type?: unknown };
    const types = [type].flat();
    const nullable = !needed.has(name) || types.includes("null");
    return { name, type: name === time ? "timestamp" : typeOf(types), nullable };
  });
}

function typeOf(types: readonly unknown[]): SchemaType {
  const known = types.filter((type) => type !== "null");
  if (known.length === 1 && known[0] === "integer") return "integer";
  if (known.length === 1 && known[0] === "boolean") return "boolean";
  return known.length > 0 && known.every((type) => type === "number" || type === "integer") ? "float" : "string";
}
