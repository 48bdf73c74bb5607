// The feature file of a pipeline: features/NAME.ts (or .json) loaded into one checked spec.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { asBuilt } from "../../core/built.ts";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { checkOpenSpec, isOpen, type OpenSpec, unlearned } from "../../features/open.ts";
import { compileSpec } from "../../features/plan.ts";
import type { FeatureSpec } from "../../features/spec.ts";
import { checkFields } from "../../online/fields.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { schemaIfThere } from "./schema-file.ts";

/** The name under which npm knows this package; package.json says the same. */
export const PACKAGE_NAME = "sentinel-fraud";
/** Feature files of workspaces made before the package had its name import from here; npm knows somebody else's package by it. */
const FORMER_NAME = "sentinel";
const RUNNING = "../../index.js";

/**
 * The spec a pipeline names. A .ts file exports it under the pipeline's name for it (`features: card` → `export const
 * card`) and may import from "sentinel-fraud". Every column that it reads is one that requests may carry. Errors: features.spec-missing,
 * features.spec-invalid; pipeline.invalid where the request's schema does not name a column that a feature reads.
 */
export async function loadOpenSpec(pipeline: Pipeline): Promise<OpenSpec> {
  const spec = await readSpec(pipeline);
  const features = spec.features.filter(({ kind }) => kind !== "columns");
  const schema = schemaIfThere(pipeline);
  if (features.length > 0 && schema !== null) {
    checkFields(compileSpec(unlearned({ ...spec, features })), { pipeline, schema });
  }
  return spec;
}

/** The same, of a spec that leaves nothing to a table. Errors: as {@link loadOpenSpec}, and features.spec-invalid where it does. */
export async function loadSpec(pipeline: Pipeline): Promise<FeatureSpec> {
  const spec = await loadOpenSpec(pipeline);
  if (!isOpen(spec)) return unlearned(spec);
  throw new SentinelError("features.spec-invalid", `spec ${spec.name} leaves values or columns to the training table`, {
    hint: "ask with a table, or take the spec of a bundle",
  });
}

async function readSpec(pipeline: Pipeline): Promise<OpenSpec> {
  const json = pipeline.featuresFile.replace(/\.ts$/, ".json");
  if (existsSync(pipeline.featuresFile)) return checkOpenSpec(await loadTypescript(pipeline));
  if (!existsSync(json)) {
    throw new SentinelError(
      "features.spec-missing",
      `${pipeline.file} names features that are not there: ${pipeline.featuresFile}`,
      {
        hint: "write the feature file (see features/card.ts of a fresh `sentinel init`), or correct `features:` in the pipeline",
      },
    );
  }
  try {
    return checkOpenSpec(JSON.parse(readFileSync(json, "utf8")));
  } catch (error) {
    if (error instanceof SentinelError) throw error;
    throw new SentinelError("features.spec-invalid", `${json} is no JSON: ${messageOf(error)}`, {
      hint: "fix the JSON",
    });
  }
}

async function loadTypescript(pipeline: Pipeline): Promise<unknown> {
  const { createJiti } = await import("jiti");
  // Always the running package, whatever the workspace has installed: the features and the command are one version.
  const running = fileURLToPath(asBuilt(new URL(RUNNING, import.meta.url)));
  const jiti = createJiti(import.meta.url, {
    alias: { [PACKAGE_NAME]: running, [FORMER_NAME]: running },
    fsCache: false,
    moduleCache: false,
  });
  let exported: Record<string, unknown>;
  try {
    exported = await jiti.import<Record<string, unknown>>(pipeline.featuresFile);
  } catch (error) {
    if (error instanceof SentinelError) throw error;
    throw new SentinelError("features.spec-invalid", `${placeOf(error, pipeline)} does not load: ${messageOf(error)}`, {
      hint: `correct the file at the place named; it may import from "${PACKAGE_NAME}" and from files beside it`,
      cause: error,
    });
  }
  const spec = exported[pipeline.featuresName];
  if (spec === undefined) {
    throw new SentinelError(
      "features.spec-invalid",
      `${pipeline.featuresFile} exports no ${pipeline.featuresName}; it exports ${Object.keys(exported).join(", ") || "nothing"}`,
      { hint: `write \`export const ${pipeline.featuresName} = …\`, or name another with \`features: file#name\`` },
    );
  }
  return spec;
}

/** The feature file, and the line of it that the error's stack names. */
function placeOf(error: unknown, { featuresFile }: Pipeline): string {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const after = stack.split(`${featuresFile}:`)[1];
  const line = /^\d+/.exec(after ?? "")?.[0];
  return line === undefined ? featuresFile : `${featuresFile}, line ${line},`;
}
