// Fields: what the features read and what the request's schema names are the same columns, or the model would score blind.
import { SentinelError } from "../core/errors.ts";
import { type Pattern, schemaPattern } from "../expression/pattern.ts";
import { featuresReading, inputsOf } from "../features/inputs.ts";
import type { FeaturePlan } from "../features/plan.ts";
import { nameFolder } from "../pipeline/names.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";

/** Parts of a schema within parts that are looked at. */
const DEPTH_MAX = 20;
/** Faults that one message tells. */
const FAULTS_SHOWN = 5;
const NAMES_KEPT_MAX = 10_000;
const PARTS = ["allOf", "anyOf", "oneOf"] as const;

/** The fields that a JSON Schema names for the document itself, with what it says of each; parts by `allOf`, `anyOf`, `oneOf`, `$ref` too. */
export function schemaFields(schema: object): ReadonlyMap<string, unknown> {
  const fields = new Map<string, unknown>();
  eachPart(schema, ({ properties }) => {
    if (properties === null || typeof properties !== "object") return;
    for (const [name, field] of Object.entries(properties)) if (!fields.has(name)) fields.set(name, field);
  });
  return fields;
}

type SchemaPart = Readonly<Record<string, unknown>>;

/** The schema itself, then its parts. */
function eachPart(schema: object, visit: (part: SchemaPart) => void): void {
  const look = (part: unknown, depth: number): void => {
    if (part === null || typeof part !== "object" || depth > DEPTH_MAX) return;
    const node = part as SchemaPart;
    visit(node);
    for (const key of PARTS) if (Array.isArray(node[key])) for (const one of node[key]) look(one, depth + 1);
    for (const key of ["then", "else"]) look(node[key], depth + 1);
    if (typeof node.$ref === "string") look(partOf(schema, node.$ref), depth + 1);
  };
  look(schema, 0);
}

/** What a schema says of a field, by its name or by a pattern (`patternProperties`) that its name matches; undefined for a field it does not know. */
export type FieldOf = (name: string) => unknown;

/** Looks up fields of a schema; answers to names that only patterns may know are kept, {@link NAMES_KEPT_MAX} of them. */
export function fieldLookup(schema: object): FieldOf {
  const named = schemaFields(schema);
  const patterns = patternFields(schema);
  if (patterns.length === 0) return (name) => named.get(name);
  const kept = new Map<string, unknown>();
  return (name) => {
    if (named.has(name)) return named.get(name);
    if (kept.has(name)) return kept.get(name);
    const field = patterns.find(({ pattern }) => pattern.test(name))?.field;
    if (kept.size < NAMES_KEPT_MAX) kept.set(name, field);
    return field;
  };
}

/** The first part that knows a pattern counts. A pattern that no schema may have is not met here: the parser refuses it. */
function patternFields(schema: object): readonly { readonly pattern: Pattern; readonly field: unknown }[] {
  const found: { readonly pattern: Pattern; readonly field: unknown }[] = [];
  eachPart(schema, ({ patternProperties }) => {
    if (patternProperties === null || typeof patternProperties !== "object") return;
    for (const [source, field] of Object.entries(patternProperties)) {
      const pattern = schemaPattern(source);
      if (pattern !== null) found.push({ pattern, field });
    }
  });
  return found;
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
  const fieldOf = fieldLookup(schema);
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
    const field = fieldOf(column);
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
  const many = faults.length > FAULTS_SHOWN ? "; a patternProperties may name many columns at once" : "";
  const hint = `requests would be scored without these values: ${shown(add)}${many}; or drop the features`;
  return { message: shown(faults), hint };
}

function shown(faults: readonly string[]): string {
  const more = faults.length - FAULTS_SHOWN;
  return faults.slice(0, FAULTS_SHOWN).join("; ") + (more > 0 ? `; and ${more} more` : "");
}

function mayBeNumber(field: unknown): boolean {
  if (field === false) return false;
  const type = field !== null && typeof field === "object" ? (field as { readonly type?: unknown }).type : undefined;
  if (type === undefined) return true;
  return [type].flat().some((one) => one === "number" || one === "integer" || one === "boolean");
}

/** What a local reference such as #/$defs/payment means; undefined for any other. */
export function partOf(schema: object, reference: string): unknown {
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
