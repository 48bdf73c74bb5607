// A pipeline's suite in its file: JSON as Great Expectations writes it, or the same as YAML.
import { existsSync, readFileSync, statSync } from "node:fs";
import { parseDocument } from "yaml";
import { SentinelError } from "../../core/errors.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { parseSuite, type Suite, suiteOf } from "../../quality/suite.ts";

/** YAML that is longer takes too long to read; a suite of that size comes from a program, which can write JSON. */
const YAML_BYTES_MAX = 1_000_000;
const ALIASES_MAX = 100;

/** Errors: quality.suite-invalid. */
export function readSuite({ file, suiteFile }: Pick<Pipeline, "file" | "suiteFile">): Suite {
  if (!existsSync(suiteFile)) {
    throw new SentinelError("quality.suite-invalid", `${file} names a suite that is not there: ${suiteFile}`, {
      hint: "write a Great Expectations suite there (`sentinel validate --profile` proposes one), or correct `suite:`",
    });
  }
  const isYaml = /\.ya?ml$/i.test(suiteFile);
  if (!isYaml) return parseSuite(readFileSync(suiteFile, "utf8"), { where: suiteFile });
  if (statSync(suiteFile).size > YAML_BYTES_MAX) {
    throw new SentinelError("quality.suite-invalid", `${suiteFile} has more than ${YAML_BYTES_MAX} bytes`, {
      hint: "write a suite of that size as JSON",
    });
  }
  const document = parseDocument(readFileSync(suiteFile, "utf8"));
  const [fault] = document.errors;
  if (fault !== undefined) {
    throw new SentinelError("quality.suite-invalid", `${suiteFile} is not YAML: ${fault.message.split("\n")[0]}`, {
      hint: "correct the line, or write the suite as JSON",
    });
  }
  return suiteOf(plain(document, suiteFile), { where: suiteFile });
}

function plain(document: ReturnType<typeof parseDocument>, suiteFile: string): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (cause) {
    throw new SentinelError("quality.suite-invalid", `${suiteFile} refers to itself too often`, {
      hint: "write the values out instead of with anchors and aliases",
      cause,
    });
  }
}
