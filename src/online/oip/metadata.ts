// What tensors a pipeline's transactions are made of, as its schema says.
import { typesIn } from "../column-types.ts";
import type { Engine } from "../engine.ts";
import { schemaFields } from "../fields.ts";

/** One tensor a column of the schema, but for the label. Numbers are FP64, whole ones INT64, what may be a text is BYTES. */
export function inputsOf(parts: Pick<Engine, "schema" | "pipeline">) {
  const { required = [] } = parts.schema as { readonly required?: readonly string[] };
  const typesOf = typesIn(parts.schema);
  return [...schemaFields(parts.schema).keys()]
    .filter((name) => name !== parts.pipeline.columns.label)
    .map((name) => ({
      name,
      datatype: datatypeOf(typesOf(name)),
      shape: [-1],
      optional: !required.includes(name),
    }));
}

function datatypeOf(types: readonly string[]): "BYTES" | "FP64" | "INT64" | "BOOL" {
  if (types.length === 0 || types.includes("string")) return "BYTES";
  if (types.includes("number")) return "FP64";
  return types.includes("integer") ? "INT64" : "BOOL";
}
