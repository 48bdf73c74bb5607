// The scope of a pipeline's rules: columns with the types that the request's schema gives them, and the model's features.
import type { Area } from "../../core/place.ts";
import type { ExpressionType } from "../../expression/check.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import { nameFolder } from "../../pipeline/names.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { RuleScope } from "../../rules/scope.ts";
import { schemaFields } from "../fields.ts";

/** `plan`: the model's; null where there is none. */
export function ruleScope(of: {
  readonly pipeline: Pick<Pipeline, "canonical" | "columns" | "log">;
  readonly schema: object;
  readonly plan: FeaturePlan | null;
  readonly areas: Readonly<Record<string, Area>>;
  readonly lists: ReadonlySet<string> | null;
}): RuleScope {
  const { pipeline, schema, plan, areas, lists } = of;
  const { id, time, label } = pipeline.columns;
  const fields = schemaFields(schema);
  const nameOf = nameFolder(pipeline.canonical, fields.keys());
  const columns = new Map<string, ExpressionType>();
  for (const [name, field] of fields) {
    const column = nameOf(name);
    // The label is not known when a rule is asked, and an id is no property of a transaction.
    if (column === label || column === id) continue;
    columns.set(column, column === time ? "time" : typeOf(field));
  }
  columns.set(time, "time");
  const redacted = new Set(pipeline.log.redact.fields);
  return { columns, redacted, nameOf, time, features: plan?.names ?? [], hasModel: plan !== null, areas, lists };
}

/** Several types in one field are texts: a key may come as digits or as a word, and is compared as it is written. */
function typeOf(field: unknown): ExpressionType {
  const { type, enum: words } = (field ?? {}) as { readonly type?: unknown; readonly enum?: unknown };
  const types = new Set([type].flat().filter((one) => one !== "null" && one !== undefined));
  if (types.size === 0)
    return Array.isArray(words) && words.every((one) => typeof one === "number") ? "number" : "text";
  if ([...types].every((one) => one === "boolean")) return "boolean";
  return [...types].every((one) => one === "number" || one === "integer") ? "number" : "text";
}
