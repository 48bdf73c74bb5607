// The schema file of a pipeline: the JSON Schema of one transaction, as requests are checked by.
import { existsSync, readFileSync } from "node:fs";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { repeatedKey } from "../../core/json-keys.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";

/** Errors: pipeline.invalid. */
export function loadSchema(pipeline: Pipeline): object {
  const { schemaFile } = pipeline;
  if (!existsSync(schemaFile)) {
    throw new SentinelError("pipeline.invalid", `${pipeline.file} names a schema that is not there: ${schemaFile}`, {
      hint: "write the JSON Schema of a transaction there, or correct `schema:`",
    });
  }
  const text = readFileSync(schemaFile, "utf8");
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch (error) {
    throw new SentinelError("pipeline.invalid", `${schemaFile} is no JSON: ${messageOf(error)}`, {
      hint: "correct the JSON",
    });
  }
  const twice = repeatedKey(text);
  if (twice !== null) {
    throw new SentinelError(
      "pipeline.invalid",
      `${schemaFile} has the key ${JSON.stringify(twice)} twice in one object`,
      {
        hint: "only one of them would count: leave the other out",
      },
    );
  }
  if (schema !== null && typeof schema === "object" && !Array.isArray(schema)) return schema;
  throw new SentinelError("pipeline.invalid", `${schemaFile} is no JSON Schema of an object`, {
    hint: 'write {"type": "object", "properties": {…}}, as card.schema.json of a fresh `sentinel init` does',
  });
}

/**
 * The schema, or null where the file is not there: a workspace that only trains or makes feature tables takes no requests, so there is nothing
 * to hold the features against; a server refuses to start without it. Errors: pipeline.invalid for a file that is no schema.
 */
export function schemaIfThere(pipeline: Pipeline): object | null {
  return existsSync(pipeline.schemaFile) ? loadSchema(pipeline) : null;
}
