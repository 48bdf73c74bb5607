// What tensors a pipeline's transactions are made of, as its schema says.
import { typesOf } from "../column-types.ts";
import type { Engine } from "../engine.ts";

/** One tensor a column of the schema, but for the label. Numbers are FP64, whole ones INT64, what may be a text is BYTES. */
export function inputsOf(parts: Pick<Engine, "schema" | "pipeline">) {
  const { properties = {}, required = [] } = parts.schema as {
    readonly properties?: Readonly<Record<string, unknown>>;
    readonly required?: readonly string[];
  };
  return Object.keys(properties)
    .filter((name) => name !== parts.pipeline.columns.label)
    .map((name) => ({
      name,
      datatype: datatypeOf(typesOf(parts.schema, name)),
      shape: [-1],
      optional: !required.includes(name),
    }));
}

function datatypeOf(types: readonly string[]): "BYTES" | "FP64" | "INT64" | "BOOL" {
  if (types.length === 0 || types.includes("string")) return "BYTES";
  if (types.includes("number")) return "FP64";
  return types.includes("integer") ? "INT64" : "BOOL";
}
