// Evolution: whether a topic's schema fits its pipeline, and whether the next one may follow it; asked before a deploy, never in the stream.
import { SentinelError } from "../core/errors.ts";
import { schemaFields } from "../online/fields.ts";
import { nameFolder } from "../pipeline/names.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { streamSettings } from "../pipeline/stream.ts";
import { type Schemas, subjectOf, type WrittenField } from "../ports/schemas.ts";

export interface EvolutionInput {
  readonly pipeline: Pipeline;
  /** The pipeline's JSON Schema, as it is served. */
  readonly schema: object;
  readonly schemas: Schemas | null;
  /** The schema that is to come: Avro where the stream is, else the pipeline's next JSON Schema. Absent: what is there is looked at. */
  readonly next?: object;
}

export interface Evolution {
  readonly compatible: boolean;
  readonly format: "json" | "avro";
  /** Where Avro schemas of the topic are; null for JSON. */
  readonly subject: string | null;
  /** Versions that the registry has. */
  readonly versions: number;
  /** What stands in the way. */
  readonly reasons: readonly string[];
  /** What works, and somebody may want to know. */
  readonly notes: readonly string[];
}

/** Errors: config.invalid (Avro without a registry), schemas.*. */
export async function checkEvolution(input: EvolutionInput): Promise<Evolution> {
  const { pipeline, schema, schemas, next } = input;
  const { format, topic } = streamSettings(pipeline);
  if (format === "json") {
    const reasons = next === undefined ? [] : jsonReasons(schema, next);
    return { compatible: reasons.length === 0, format, subject: null, versions: 0, reasons, notes: [] };
  }
  if (schemas === null) {
    throw new SentinelError(
      "config.invalid",
      `${pipeline.file}: stream.format is avro, and no schema registry is named`,
      {
        hint: "set SENTINEL_SCHEMA_REGISTRY_URL, such as http://host:8081",
      },
    );
  }
  const subject = subjectOf(topic);
  const versions = await schemas.versions(subject);
  const notes: string[] = [];
  const reasons: string[] = [];
  const newest = versions.at(-1);
  if (newest === undefined) notes.push(`${schemas.where} has no ${subject} yet`);
  if (next === undefined && newest !== undefined) {
    judge(`version ${newest.version}`, schemas.fields(newest.schema));
  }
  if (next !== undefined) {
    reasons.push(...(await schemas.check(subject, next)).reasons);
    judge("the new schema", schemas.fields(next));
  }
  return { compatible: reasons.length === 0, format, subject, versions: versions.length, reasons, notes };

  function judge(what: string, written: readonly WrittenField[]): void {
    const found = fitOf(pipeline, schema, written);
    reasons.push(...found.reasons.map((reason) => `${what}: ${reason}`));
    notes.push(...found.notes.map((note) => `${what}: ${note}`));
  }
}

/** Whether records of such fields can be judged by the pipeline's schema. */
function fitOf(
  pipeline: Pipeline,
  schema: object,
  written: readonly WrittenField[],
): { readonly reasons: readonly string[]; readonly notes: readonly string[] } {
  const known = schemaFields(schema);
  const needed = requiredOf(schema);
  const nameOf = nameFolder(pipeline.canonical, known.keys());
  const by = new Map(written.map((field) => [nameOf(field.name), field]));
  const reasons: string[] = [];
  const notes: string[] = [];
  for (const name of needed) {
    if (!by.has(name)) reasons.push(`it has no field ${name}, which the pipeline needs`);
  }
  for (const [name, { types }] of by) {
    const wanted = typesOf(known.get(name));
    if (!known.has(name)) notes.push(`field ${name} is new to the pipeline: it is kept in the log and read by nothing`);
    if (wanted.length === 0) continue;
    const unfit = types.filter((type) => type !== "null" && !allows(wanted, type));
    if (unfit.length > 0)
      reasons.push(`field ${name} is ${unfit.join(" or ")}, and the pipeline wants ${wanted.join(" or ")}`);
    else if (types.includes("null") && !wanted.includes("null")) {
      notes.push(`field ${name} may be null: such records go to the dead letters`);
    }
  }
  return { reasons, notes };
}

/** Why records that were right under a JSON Schema may be wrong under the next one. */
function jsonReasons(schema: object, next: object): readonly string[] {
  const [before, after] = [schemaFields(schema), schemaFields(next)];
  const [needed, neededThen] = [requiredOf(schema), requiredOf(next)];
  const reasons: string[] = [];
  for (const [name, field] of before) {
    if (!after.has(name)) {
      reasons.push(`field ${name} is gone: features and rules may read it`);
      continue;
    }
    const [had, has] = [typesOf(field), typesOf(after.get(name))];
    const lost = has.length === 0 ? [] : had.filter((type) => !allows(has, type));
    if (lost.length > 0 || (had.length === 0 && has.length > 0)) {
      reasons.push(`field ${name} was ${had.join(" or ") || "anything"} and is ${has.join(" or ")} now`);
    }
  }
  for (const name of neededThen) {
    if (!needed.includes(name))
      reasons.push(`field ${name} is required now: producers that do not send it yet would fail`);
  }
  return reasons;
}

function requiredOf(schema: object): readonly string[] {
  const { required } = schema as { readonly required?: unknown };
  return Array.isArray(required) ? required.filter((name): name is string => typeof name === "string") : [];
}

function typesOf(field: unknown): readonly string[] {
  const type = field !== null && typeof field === "object" ? (field as { readonly type?: unknown }).type : undefined;
  return [type].flat().filter((one): one is string => typeof one === "string");
}

function allows(wanted: readonly string[], type: string): boolean {
  return wanted.includes(type) || (type === "integer" && wanted.includes("number"));
}
