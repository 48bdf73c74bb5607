// Pipelines: one YAML file parsed at the door into one typed value with defaults filled in.
import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../core/errors.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import { isRemote } from "../core/remote.ts";
import type { TimeRule } from "../core/time.ts";
import { canonicalNames, type PipelineColumns, rolesOf, type Written } from "./columns.ts";
import { canonicalRedaction, type LogPolicy } from "./log.ts";
import { canonicalPrivacy } from "./privacy.ts";
import { PIPELINE, type PipelineKeys } from "./sections.ts";
import { invalid, readText, yamlReader } from "./yaml.ts";

export type { PipelineColumns, Written } from "./columns.ts";
export type { LogPolicy } from "./log.ts";
export type { ModelParameters } from "./model-parameters.ts";

/** A pipeline with durations as milliseconds and paths as absolute: its keys, and what follows from them. */
export interface Pipeline
  extends Omit<PipelineKeys, "features" | "schema" | "suite" | "aliases" | "columns" | "source"> {
  readonly file: string;
  /** Absolute; several files are separated by commas, as the dataset port reads them. */
  readonly source: string;
  /** SHA-256 of the parsed content. */
  readonly hash: string;
  readonly featuresFile: string;
  readonly featuresName: string;
  readonly schemaFile: string;
  readonly suiteFile: string;
  readonly columns: PipelineColumns;
  /** How times are written, in tables, labels and requests. */
  readonly times: TimeRule;
  readonly written: Written;
  /** Any accepted name → canonical name. */
  readonly canonical: ReadonlyMap<string, string>;
}

/** Where the files of pipelines lie that the API made, as the server wrote them from the store; below the workspace. */
export const MADE_FOLDER = path.join("models", "state", "pipelines");
/** Where the rules of a pipeline stand as code: pipelines/NAME.rules.yaml. */
export const RULES_SUFFIX = ".rules.yaml";
const NAME = /^[\w-]+$/;

/** The names of the workspace's pipelines; files with a dot in their name (`card.rules.yaml`) belong to one. */
export function pipelineNames(workspace: string): string[] {
  return namesIn(path.join(workspace, "pipelines"));
}

/** The names of the pipelines that a program made, as far as a server of this workspace had them. */
export function madeNames(workspace: string): string[] {
  return namesIn(path.join(workspace, MADE_FOLDER));
}

/** Those of files and those that a program made, each once. */
export function everyName(workspace: string): string[] {
  return [...new Set([...pipelineNames(workspace), ...madeNames(workspace)])];
}

function namesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .map((file) => file.slice(0, -".yaml".length))
    .filter((name) => NAME.test(name))
    .sort();
}

/**
 * Reads pipelines/NAME.yaml, or the file of a pipeline that the API made. The pipeline is called like its file, whatever `name` says, which may not be another file's. Errors:
 * pipeline.missing, and pipeline.invalid with the line.
 */
export function loadPipeline(workspace: string, name: string): Pipeline {
  const file = path.join(workspace, "pipelines", `${name}.yaml`);
  if (!NAME.test(name) || !existsSync(file)) {
    const made = path.join(workspace, MADE_FOLDER, `${name}.yaml`);
    if (NAME.test(name) && existsSync(made))
      return { ...parsePipeline(readText(made), { file: made, workspace }), name };
    const known = pipelineNames(workspace);
    throw new SentinelError("pipeline.missing", `there is no pipeline ${JSON.stringify(name)} in ${workspace}`, {
      hint:
        known.length > 0
          ? `this workspace has: ${known.join(", ")}; name one with --pipeline`
          : "this folder has no pipelines/; make a workspace with `sentinel init`, or name one with --workspace",
    });
  }
  const pipeline = parsePipeline(readText(file), { file, workspace });
  // Feature state, experiments and log are kept by one name.
  if (!pipelineNames(workspace).includes(pipeline.name) || pipeline.name === name) return { ...pipeline, name };
  // A copy that was not given a name of its own: whose is it?
  throw invalid(file, {
    what: `it says name: ${pipeline.name}, and a pipeline is called like its file`,
    hint: `write \`name: ${name}\`, or rename the file to ${pipeline.name}.yaml`,
  });
}

/** How long the log keeps predictions stands in two sections; the one about retention comes first. */
function keptDays(log: LogPolicy, days: number | undefined): LogPolicy {
  return days === undefined ? log : { ...log, retention: { ...log.retention, days } };
}

const readPipeline = yamlReader(PIPELINE);

/** Parses a pipeline's text; `file` is for messages and for what lies beside it. Errors: pipeline.invalid, with the line. */
export function parsePipeline(text: string, where: { readonly file: string; readonly workspace: string }): Pipeline {
  const { file, workspace } = where;
  const { raw, value, refuse } = readPipeline(text, file);
  const { features, schema, suite, aliases, columns, ...rest } = value;
  const roles = rolesOf(columns, refuse);
  const beside = (name: string): string => path.join(path.dirname(file), name);
  const [featuresFile, featuresName = features] = features.split("#");
  const canonical = canonicalNames(roles, aliases, refuse);
  if (rest.decisions.explore.bands.length > 0 && roles.columns.amount === null) {
    refuse(["decisions", "explore", "bands"], {
      what: "decisions.explore: the bands are by amount, and the pipeline has no amount",
      hint: "name the column under columns.amount, or leave the bands out",
    });
  }
  return {
    ...rest,
    ...roles,
    log: canonicalRedaction(keptDays(rest.log, rest.retention.log), { columns: roles.columns, canonical, refuse }),
    privacy: canonicalPrivacy(rest.privacy, { columns: roles.columns, canonical, refuse }),
    file,
    hash: sha256(canonicalJson(raw)),
    source: [rest.source]
      .flat()
      .map((place) => (isRemote(place) ? place : path.resolve(workspace, place)))
      .join(","),
    featuresFile: path.join(workspace, "features", `${featuresFile}.ts`),
    featuresName,
    schemaFile: beside(schema),
    suiteFile: beside(suite),
    canonical,
  };
}
