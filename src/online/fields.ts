// Fields: what the features read and what the request's schema names are the same columns, or the model would score blind.
import { SentinelError } from "../core/errors.ts";
import { featuresReading, inputsOf } from "../features/inputs.ts";
import type { FeaturePlan } from "../features/plan.ts";
import { nameFolder } from "../pipeline/names.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";

/** Parts of a schema within parts that are looked at. */
const DEPTH_MAX = 20;
const PARTS = ["allOf", "anyOf", "oneOf"] as const;

/** The fields that a JSON Schema names for the document itself, with what it says of each; parts by `allOf`, `anyOf`, `oneOf`, `$ref` too. */
export function schemaFields(schema: object): ReadonlyMap<string, unknown> {
  const fields = new Map<string, unknown>();
  const look = (part: unknown, depth: number): void => {
    if (part === null || typeof part !== "object" || depth > DEPTH_MAX) return;
    const node = part as Readonly<Record<string, unknown>>;
    if (node.properties !== null && typeof node.properties === "object") {
      for (const [name, field] of Object.entries(node.properties)) if (!fields.has(name)) fields.set(name, field);
    }
    for (const key of PARTS) if (Array.isArray(node[key])) for (const one of node[key]) look(one, depth + 1);
    for (const key of ["then", "else"]) look(node[key], depth + 1);
    if (typeof node.$ref === "string") look(target(schema, node.$ref), depth + 1);
  };
  look(schema, 0);
  return fields;
}

/**
 * Throws `pipeline.invalid` when a column that the plan reads can never arrive in a request: the schema does not name it, names it by an
 * alias, gives it another type, or it is the pipeline's id, time or label, which are no fields.
 */
export function checkFields(plan: FeaturePlan, on: { readonly pipeline: Pipeline; readonly schema: object }): void {
  const fault = fieldFault(plan, on);
  if (fault !== null) throw new SentinelError("pipeline.invalid", fault.message, { hint: fault.hint });
}

/** What {@link checkFields} throws, in words; null when nothing is wrong. */
export function fieldFault(
  plan: FeaturePlan,
  { pipeline, schema }: { readonly pipeline: Pipeline; readonly schema: object },
): { readonly message: string; readonly hint: string } | null {
  const fields = schemaFields(schema);
  const { columns, schemaFile } = pipeline;
  const { all, numbers } = inputsOf(plan);
  const nameOf = nameFolder(pipeline.canonical);
  const faults: string[] = [];
  const add: string[] = [];
  for (const column of all) {
    const readers = featuresReading(plan, column);
    const reads = `${readers.length > 0 ? `feature ${readers.slice(0, 3).join(", ")}` : plan.spec.name} reads ${column}`;
    const role = (["id", "time", "label"] as const).find((one) => columns[one] === column);
    if (role !== undefined) {
      faults.push(`${reads}, which is the ${role} and no field of a request`);
      add.push(role === "time" ? "read a part of the time with kind time" : `let no feature read ${column}`);
      continue;
    }
    const field = fields.get(column);
    if (field === undefined) {
      const alias = [...fields.keys()].find((name) => nameOf(name) === column);
      faults.push(
        `${reads}, which ${schemaFile} does not name${alias === undefined ? "" : ` (it names the alias ${alias})`}`,
      );
      const type = numbers.includes(column) ? '["number", "null"]' : '["string", "integer", "null"]';
      add.push(
        alias === undefined
          ? `add "${column}": { "type": ${type} } to its properties`
          : `rename ${alias} there to ${column}`,
      );
    } else if (numbers.includes(column) && !mayBeNumber(field)) {
      faults.push(`${reads} as a number, which ${schemaFile} does not allow`);
      add.push(`give ${column} "type": ["number", "null"] there`);
    }
  }
  if (faults.length === 0) return null;
  const hint = `requests would be scored without these values: ${add.join("; ")}; or drop the features`;
  return { message: faults.join("; "), hint };
}

function mayBeNumber(field: unknown): boolean {
  if (field === false) return false;
  const type = field !== null && typeof field === "object" ? (field as { readonly type?: unknown }).type : undefined;
  if (type === undefined) return true;
  return [type].flat().some((one) => one === "number" || one === "integer" || one === "boolean");
}

/** What a local reference such as #/$defs/payment means; undefined for any other. */
function target(schema: object, reference: string): unknown {
  if (reference === "#") return undefined;
  if (!reference.startsWith("#/")) return undefined;
  let part: unknown = schema;
  for (const step of reference.slice(2).split("/")) {
    const name = step.replaceAll("~1", "/").replaceAll("~0", "~");
    if (part === null || typeof part !== "object" || !Object.hasOwn(part, name)) return undefined;
    part = (part as Readonly<Record<string, unknown>>)[name];
  }
  return part;
}
