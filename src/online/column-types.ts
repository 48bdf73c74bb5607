// The JSON types that a pipeline's schema allows for a column.
import { fieldLookup, partOf } from "./fields.ts";

/** Parts of one field's own schema that are looked at: references and choices within each other. */
const DEPTH_MAX = 20;

/** The types of a column, however the schema names it; empty where it says none. `null` is none of them. */
export type TypesOf = (column: string) => readonly string[];

/** Looks types up as requests are judged: in parts of the schema, by patterns, behind references. */
export function typesIn(schema: object): TypesOf {
  const fieldIn = fieldLookup(schema);
  return (column) => [...typesOf(fieldIn(column), schema, 0)].filter((type) => type !== "null");
}

function typesOf(field: unknown, schema: object, depth: number): ReadonlySet<string> {
  if (field === null || typeof field !== "object" || depth > DEPTH_MAX) return new Set();
  const { type, $ref, anyOf, oneOf, allOf } = field as Readonly<Record<string, unknown>>;
  const own = [type].flat().filter((one): one is string => typeof one === "string");
  if (own.length > 0) return new Set(own);
  const parts = [typeof $ref === "string" ? partOf(schema, $ref) : undefined, ...[anyOf, oneOf, allOf].flat()];
  return new Set(parts.flatMap((part) => [...typesOf(part, schema, depth + 1)]));
}
