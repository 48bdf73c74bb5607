// The JSON types that a pipeline's schema allows for a column.

/** Empty where the schema says none, or says it in another way than by `type`. */
export function typesOf(schema: object, column: string): readonly string[] {
  const { properties = {} } = schema as { readonly properties?: Readonly<Record<string, unknown>> };
  if (!Object.hasOwn(properties, column)) return [];
  const { type } = (properties[column] ?? {}) as { readonly type?: unknown };
  const all = Array.isArray(type) ? type : [type];
  return all.filter((one): one is string => typeof one === "string" && one !== "null");
}
