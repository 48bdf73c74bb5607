// What the store keeps of a pipeline that comes from a file, and the settings that it keeps of any.
import type { MadeRoles } from "../pipeline/made.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { JsonObject, PipelineFields, SchemaField, SchemaType } from "../ports/store.ts";
import { schemaFields } from "./fields.ts";

/** What the store keeps of a pipeline beside its fields. */
export interface PipelineSettings {
  readonly columns: MadeRoles;
  readonly fourEyes: boolean;
  /** The section `cases` as a program wrote it; null: the defaults, or what the pipeline's own file says. */
  readonly cases: JsonObject | null;
}

export function settingsJson({ columns, fourEyes, cases }: PipelineSettings): JsonObject {
  return { columns: { ...columns }, four_eyes: fourEyes, ...(cases === null ? {} : { cases }) };
}

/** What the store keeps of a pipeline file, so that it has a number, a status and alerts like others. */
export function declared({
  pipeline,
  schema,
}: {
  readonly pipeline: Pipeline;
  readonly schema: object;
}): PipelineFields {
  const { name, columns, rules } = pipeline;
  return {
    slug: name,
    name,
    source: "file",
    kafkaTopic: null,
    schema: fieldsOf(schema, columns.time),
    settings: settingsJson({
      columns: { id: columns.id, time: columns.time, amount: columns.amount, key: columns.card },
      fourEyes: rules.fourEyes,
      cases: null,
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
