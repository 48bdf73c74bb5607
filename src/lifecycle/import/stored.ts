// A model that somebody logged with MLflow, by its URI: which file of it is the model, and which version or run it is.
import { parse } from "yaml";
import { messageOf, SentinelError } from "../../core/errors.ts";
import type { ModelReference, Registry } from "../../ports/registry.ts";

/** The file of the model, and what keeps it what it is in the registry. */
export interface StoredFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The registered model and its version; null of a model below a run. */
  readonly version: { readonly model: string; readonly version: string } | null;
  /** The run that logged it. */
  readonly runId: string;
  /** Columns of its signature, null where it has none or they have no names. */
  readonly columns: readonly string[] | null;
}

const MLMODEL_BYTES_MAX = 2 ** 20;
/** Python's YAML writes what stands in two places once, and an alias for the other; more than a few are a bomb. */
const MLMODEL_ALIASES_MAX = 20;
/** Flavors whose file a reader may take, by preference: the library's own before ONNX. */
const FLAVORS = ["xgboost", "lightgbm", "catboost", "onnx"] as const;

/** Whether this names a model of a registry rather than a file. */
export function isModelUri(text: string): boolean {
  return /^(?:models|runs):\//.test(text);
}

/** Errors: `cli.usage`, `registry.missing`, `registry.version-unknown`, `ml.model-unsupported` for a flavor that no reader takes. */
export async function readStored(
  registry: Registry,
  uri: string,
  options: { readonly bytesMax: number },
): Promise<StoredFile> {
  const reference = await referenceOf(registry, uri);
  if (reference.kind === "version") {
    const { bundle, model, version } = await registry.version(reference.model, reference.version);
    if (bundle !== "") {
      throw new SentinelError("registry.conflict", `${model} version ${version} has its bundle already`, {
        hint: `\`sentinel registry show ${version}\` tells what it is; \`sentinel serve\` shadows it where an alias names it`,
      });
    }
  }
  const stored = await registry.stored(reference);
  const described = await stored.read("MLmodel", MLMODEL_BYTES_MAX);
  if (described === null) {
    throw new SentinelError("registry.missing", `${uri} has no file MLmodel, so it is no model that MLflow logged`, {
      hint: "name a model that log_model or register_model stored; `mlflow artifacts list` shows the files of a run",
    });
  }
  const { name, columns } = describe(new TextDecoder().decode(described), uri);
  const bytes = await stored.read(name, options.bytesMax);
  if (bytes === null) {
    throw new SentinelError("registry.missing", `${uri}: its MLmodel names the file ${name}, which is not there`, {
      hint: "log the model again",
    });
  }
  const version = reference.kind === "version" ? { model: reference.model, version: reference.version } : null;
  return { name, bytes, version, runId: stored.runId, columns };
}

async function referenceOf(registry: Registry, uri: string): Promise<ModelReference> {
  const run = /^runs:\/+([A-Za-z0-9][\w-]{0,255})\/(.+?)\/*$/.exec(uri);
  if (run !== null && !run[2].split("/").some((part) => part === ".." || part === "")) {
    return { kind: "run", runId: run[1], path: run[2] };
  }
  const byAlias = /^models:\/+([^/@]+)@([\w-]+)$/.exec(uri);
  if (byAlias !== null) {
    const [, model, alias] = byAlias;
    const aliases = await registry.aliases(model);
    if (Object.hasOwn(aliases, alias)) return { kind: "version", model, version: aliases[alias] };
    const known = Object.keys(aliases).join(", ");
    throw new SentinelError("registry.missing", `the registry has no alias ${alias} of a model ${model}`, {
      hint: `set it (MlflowClient().set_registered_model_alias), or name a version: models:/${model}/1${known === "" ? "" : `; there are: ${known}`}`,
    });
  }
  const byId = /^models:\/+(m-[A-Za-z0-9]{1,64})\/*$/.exec(uri);
  if (byId !== null) return { kind: "logged", modelId: byId[1] };
  const latest = /^models:\/+([^/@]+)\/latest$/.exec(uri);
  if (latest !== null) return { kind: "version", model: latest[1], version: await latestOf(registry, latest[1]) };
  const byNumber = /^models:\/+([^/@]+)\/([1-9]\d{0,8})$/.exec(uri);
  if (byNumber !== null) return { kind: "version", model: byNumber[1], version: byNumber[2] };
  throw new SentinelError("cli.usage", `${uri} names no model of the registry`, {
    hint: "write models:/NAME@ALIAS, models:/NAME/VERSION, models:/NAME/latest, models:/m-ID or runs:/RUN/PATH; MLflow no longer has stages",
  });
}

/** The highest number, which is what MLflow calls the latest. */
async function latestOf(registry: Registry, model: string): Promise<string> {
  const numbers = (await registry.versions(model)).map(({ version }) => Number(version));
  if (numbers.length > 0) return String(numbers.reduce((most, one) => Math.max(most, one)));
  throw new SentinelError("registry.missing", `the registry has no version of a model ${model}`, {
    hint: "`sentinel registry list` shows what there is; a model below a run is runs:/RUN/PATH",
  });
}

function describe(text: string, uri: string): { readonly name: string; readonly columns: readonly string[] | null } {
  let document: unknown;
  try {
    document = parse(text, { maxAliasCount: MLMODEL_ALIASES_MAX });
  } catch (cause) {
    throw new SentinelError("ml.model-invalid", `${uri}: its MLmodel is no YAML: ${messageOf(cause)}`, {
      hint: "log the model again",
      cause,
    });
  }
  const flavors = objectIn(objectIn(document).flavors);
  for (const flavor of FLAVORS) {
    const { data } = objectIn(flavors[flavor]);
    if (typeof data !== "string" || data === "" || data.split(/[\\/]/).some((part) => part === ".." || part === ""))
      continue;
    return { name: data, columns: columnsIn(objectIn(objectIn(document).signature).inputs) };
  }
  const known = Object.keys(flavors).filter((name) => name !== "python_function");
  throw new SentinelError(
    "ml.model-unsupported",
    `${uri} is of the flavor ${known.join(", ") || "python_function"}, which runs Python`,
    {
      hint: "log the booster itself with mlflow.xgboost or mlflow.lightgbm, or convert the model with skl2onnx and log it with mlflow.onnx",
    },
  );
}

/** Names of the signature's columns, which MLflow writes as a JSON text. */
function columnsIn(inputs: unknown): readonly string[] | null {
  try {
    const list: unknown = typeof inputs === "string" ? JSON.parse(inputs) : null;
    const names = Array.isArray(list) ? list.map((input) => objectIn(input).name) : [];
    const named = names.length > 1 && names.every((name): name is string => typeof name === "string");
    return named ? names : null;
  } catch {
    return null;
  }
}

function objectIn(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" ? (value as Readonly<Record<string, unknown>>) : {};
}
