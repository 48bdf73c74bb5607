// JSON Schemas of a suite: compiled once, by the version that the schema names.
import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { messageOf } from "../core/errors.ts";
import { compilePythonRegex } from "./regex.ts";

/** A test of parsed JSON; a text that says why the schema is none. */
export function jsonSchemaTest(schema: object): ((value: unknown) => boolean) | string {
  const version = "$schema" in schema ? String(schema.$schema) : "";
  // As jsonschema of Python: formats are notes, unknown keywords are let through, newest version where none is named.
  const options = { strict: false, validateFormats: false, logger: false, code: { regExp: boundedRegex } } as const;
  const ajv = /draft-0[67]/.test(version) ? new Ajv(options) : new Ajv2020(options);
  try {
    const { $schema: _, ...rest } = schema as Readonly<Record<string, unknown>>;
    const validate = ajv.compile(rest);
    return (value) => validate(value) === true;
  } catch (error) {
    return messageOf(error);
  }
}

/** Patterns of a schema take time in proportion to the text, as those of a suite. */
const boundedRegex = Object.assign(
  (source: string): RegExp => {
    const pattern = compilePythonRegex(source);
    if (pattern === null) throw new Error(`the pattern ${JSON.stringify(source)} is no regular expression`);
    // Ajv asks only for a test, and tells patterns apart by their texts.
    return { test: (text: string) => pattern.test(text), toString: () => source } as RegExp;
  },
  { code: "" },
);
