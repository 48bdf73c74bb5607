// Versions and aliases on an MLflow server: a version is made last, when all its files are stored.
import { SentinelError } from "../../../core/errors.ts";
import type { ModelReference, ModelVersion, Registry } from "../../../ports/registry.ts";
import { AT_TAG, BUNDLE_TAG, FOLDER_TAG } from "../limits.ts";
import { FILE_LIST, storeFiles } from "./artifacts.ts";
import type { MlflowClient } from "./client.ts";
import { isForbidden, isRefusal } from "./errors.ts";
import { activeRun } from "./runs.ts";
import { type LoggedModel, pairsOf, recordOf, type VersionAnswer } from "./schema.ts";
import { sweepAbandoned } from "./sweep.ts";

type Registration = Parameters<Registry["register"]>[0];
type Attachment = Parameters<Registry["attach"]>[0];

const PAGE = 1_000;
const VERSIONS_MAX = 100_000;
const REQUEST_TAG = "sentinel.request";
const LOGGED = "/logged-models";

/** Announce, store the files, publish. Whatever ends this before its last step leaves a pending or failed model, and no version. */
export async function register(client: MlflowClient, input: Registration, id: string): Promise<ModelVersion> {
  const { runId, files } = input;
  if (files.has(FILE_LIST)) {
    throw new SentinelError("registry.invalid", `the bundle has a file ${FILE_LIST}, which is the registry's own`, {
      hint: "give that file another name",
    });
  }
  const run = await activeRun(client, runId);
  const logged = await announce(client, { ...input, id, experiment: run.info.experiment_id });
  const { model_id: modelId, artifact_uri: location } = logged.info;
  let bundle: string;
  try {
    const outputs = { run_id: runId, models: [{ model_id: modelId, step: 0 }] };
    const linked = client.send("POST", "/runs/outputs", outputs);
    [bundle] = await allOf([storeFiles(client, location, files), linked]);
    await finalize(client, modelId, "LOGGED_MODEL_READY");
  } catch (error) {
    await finalize(client, modelId, "LOGGED_MODEL_UPLOAD_FAILED").catch(() => {});
    throw error;
  }
  const version = versionOf(await publishFirst(client, { ...input, bundle, modelId }));
  await sweepAbandoned(client, { experiment: run.info.experiment_id, now: input.at });
  return version;
}

/** A model's first version makes the model, too: there are fewer of these than of others. */
async function publishFirst(client: MlflowClient, publication: Publication): Promise<VersionAnswer> {
  try {
    return await publish(client, publication);
  } catch (error) {
    if (!isRefusal(error, "RESOURCE_DOES_NOT_EXIST") && !isForbidden(error)) throw error;
  }
  await makeModel(client, publication.model);
  return publish(client, publication);
}

/** The first fault, once all have ended: nothing is under way then that would write afterwards. */
async function allOf<A, B>(work: readonly [Promise<A>, Promise<B>]): Promise<[A, B]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

export async function listVersions(client: MlflowClient, model: string): Promise<ModelVersion[]> {
  return (await search(client, `name = ${quoted(model)}`)).filter(isVisible).map(versionOf);
}

/** Throws registry.version-unknown. */
export async function readVersion(client: MlflowClient, model: string, version: string): Promise<ModelVersion> {
  if (!/^[1-9]\d{0,8}$/.test(version)) throw unknownVersion(model, version);
  try {
    const answer = await client.get("/model-versions/get", { name: model, version });
    const { model_version: found } = answer as { readonly model_version: VersionAnswer };
    if (isVisible(found)) return versionOf(found);
  } catch (error) {
    if (!isRefusal(error, "RESOURCE_DOES_NOT_EXIST")) throw error;
  }
  throw unknownVersion(model, version);
}

/** Where the bundle of a version is. Throws registry.no-bundle for one that nothing says the contents of. */
export async function locate(client: MlflowClient, version: ModelVersion): Promise<string> {
  if (version.bundle === "") throw withoutBundle(version);
  const location = await locateFiles(client, version);
  const folder = version.tags[FOLDER_TAG];
  return folder === undefined ? location : `${location}/${folder}`;
}

/** Where the files that a version was registered with are, whoever did. */
export async function locateFiles(
  client: MlflowClient,
  version: { readonly model: string; readonly version: string },
): Promise<string> {
  const query = { name: version.model, version: version.version };
  const answer = await client.get("/model-versions/get-download-uri", query);
  const location = (answer as { readonly artifact_uri: string }).artifact_uri.replace(/\/+$/, "");
  // A version whose source is a run's path is answered as it was given (MLflow 3).
  const [, runId, path] = /^runs:\/+([^/]+)\/(.+)$/.exec(location) ?? [];
  return runId === undefined ? location : (await locateInRun(client, runId, path)).location;
}

/** Where the files of another's model are, and the run that logged them. */
export async function locateStored(
  client: MlflowClient,
  reference: ModelReference,
): Promise<{ readonly location: string; readonly runId: string }> {
  if (reference.kind === "run") return locateInRun(client, reference.runId, reference.path);
  if (reference.kind === "logged") return locateLogged(client, reference.modelId);
  const { runId } = await readVersion(client, reference.model, reference.version);
  return { runId, location: await locateFiles(client, reference) };
}

async function locateLogged(
  client: MlflowClient,
  modelId: string,
): Promise<{ readonly location: string; readonly runId: string }> {
  const answer = (await client.get(`${LOGGED}/${modelId}`, {})) as { readonly model: LoggedModel };
  const { artifact_uri: location, source_run_id: runId = "" } = answer.model.info;
  return { location: location.replace(/\/+$/, ""), runId };
}

/** Where a run logged a model: below its own files, or, as MLflow 3 does, as a logged model of that name. */
export async function locateInRun(
  client: MlflowClient,
  runId: string,
  path: string,
): Promise<{ readonly location: string; readonly runId: string }> {
  const run = await activeRun(client, runId);
  for (const { model_id: id } of run.outputs?.model_outputs ?? []) {
    const answer = (await client.get(`${LOGGED}/${id}`, {})) as { readonly model: LoggedModel };
    const { name, artifact_uri: location } = answer.model.info;
    if (name === path) return { location: location.replace(/\/+$/, ""), runId };
  }
  return { location: `${(run.info.artifact_uri ?? "").replace(/\/+$/, "")}/${path}`, runId };
}

/** A file of a model, or null where there is none. */
export async function readFile(
  client: MlflowClient,
  file: { readonly location: string; readonly name: string; readonly bytesMax: number },
): Promise<Uint8Array | null> {
  try {
    return (await client.download(`${file.location}/${file.name}`, { bytesMax: file.bytesMax })).bytes;
  } catch (error) {
    if (isRefusal(error, "RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")) return null;
    throw error;
  }
}

/** The bundle's files below the version's own, then the tags that make it one: whatever ends this before leaves the version as it was. */
export async function attach(client: MlflowClient, input: Attachment): Promise<ModelVersion> {
  const { model, version, files, tags } = input;
  const found = await readVersion(client, model, version);
  if (found.bundle !== "") throw alreadyOne(found);
  const bundle = await storeFiles(client, `${await locateFiles(client, found)}/${BUNDLE_FOLDER}`, files);
  await tagVersion(client, found, { ...tags, [FOLDER_TAG]: BUNDLE_FOLDER });
  await tagVersion(client, found, { [BUNDLE_TAG]: bundle });
  return readVersion(client, model, version);
}

const BUNDLE_FOLDER = "sentinel";

export async function tagVersion(
  client: MlflowClient,
  version: ModelVersion,
  tags: Readonly<Record<string, string>>,
): Promise<void> {
  for (const { key, value } of pairsOf(tags)) {
    const body = { name: version.model, version: version.version, key, value };
    await client.send("POST", "/model-versions/set-tag", body);
  }
}

/** Polled every second by servers: one request. */
export async function aliasesOf(client: MlflowClient, model: string): Promise<Record<string, string>> {
  try {
    const answer = await client.get("/registered-models/get", { name: model });
    const { registered_model: found } = answer as {
      readonly registered_model: { readonly aliases?: readonly { readonly alias: string; readonly version: string }[] };
    };
    return Object.fromEntries((found.aliases ?? []).map(({ alias, version }) => [alias, String(version)]));
  } catch (error) {
    if (isRefusal(error, "RESOURCE_DOES_NOT_EXIST")) return {};
    throw error;
  }
}

/** Puts the alias there, wherever it is. */
export async function writeAlias(
  client: MlflowClient,
  { model, alias, to }: { readonly model: string; readonly alias: string; readonly to: string | null },
): Promise<void> {
  const path = "/registered-models/alias";
  if (to === null) await client.send("DELETE", path, { name: model, alias });
  else await client.send("POST", path, { name: model, alias, version: to });
}

interface Announced extends Registration {
  readonly id: string;
  readonly experiment: string;
}

async function announce(client: MlflowClient, input: Announced): Promise<LoggedModel> {
  const { model, runId, id, experiment } = input;
  const body = {
    experiment_id: experiment,
    // What MLflow takes in a logged model's name is less than in a registered one's.
    name: model.replaceAll(/[.%"']/g, "-"),
    model_type: "sentinel",
    source_run_id: runId,
    tags: pairsOf({ [REQUEST_TAG]: id }),
  };
  return client.create(LOGGED, body, {
    read: (answer) => (answer as { readonly model: LoggedModel }).model,
    find: async () => {
      const query = { experiment_ids: [experiment], filter: `tags.\`${REQUEST_TAG}\` = '${id}'`, max_results: 1 };
      const answer = await client.send("POST", `${LOGGED}/search`, query);
      return (answer as { readonly models?: readonly LoggedModel[] }).models?.[0] ?? null;
    },
  });
}

async function finalize(client: MlflowClient, modelId: string, status: string): Promise<void> {
  await client.send("PATCH", `${LOGGED}/${modelId}`, { model_id: modelId, status });
}

async function makeModel(client: MlflowClient, name: string): Promise<void> {
  try {
    await client.send("POST", "/registered-models/create", { name });
  } catch (error) {
    if (!isRefusal(error, "RESOURCE_ALREADY_EXISTS")) throw error;
  }
}

interface Publication extends Registration {
  readonly bundle: string;
  readonly modelId: string;
}

async function publish(client: MlflowClient, input: Publication): Promise<VersionAnswer> {
  const { model, runId, modelId, description, bundle, at } = input;
  const source = `models:/${modelId}`;
  const tags = pairsOf({ ...input.tags, [BUNDLE_TAG]: bundle, [AT_TAG]: String(at) });
  const body = { name: model, source, run_id: runId, model_id: modelId, description, tags };
  return client.create("/model-versions/create", body, {
    read: (answer) => (answer as { readonly model_version: VersionAnswer }).model_version,
    find: async () => {
      const found = await search(client, `name = ${quoted(model)} AND source_path = '${source}'`);
      return found[0] ?? null;
    },
  });
}

async function search(client: MlflowClient, filter: string): Promise<VersionAnswer[]> {
  const found: VersionAnswer[] = [];
  let token: string | undefined;
  do {
    const query = { filter, max_results: PAGE, order_by: "version_number ASC", page_token: token };
    const answer = (await client.get("/model-versions/search", query)) as {
      readonly model_versions?: readonly VersionAnswer[];
      readonly next_page_token?: string;
    };
    found.push(...(answer.model_versions ?? []));
    token = answer.next_page_token;
  } while (token !== undefined && token !== "" && found.length < VERSIONS_MAX);
  return found;
}

/** MLflow's filters know no escapes. */
function quoted(text: string): string {
  if (!text.includes("'")) return `'${text}'`;
  if (!text.includes('"')) return `"${text}"`;
  throw new SentinelError("registry.invalid", `the model name ${text} has both kinds of quotes`, {
    hint: "MLflow cannot search for such a name: choose another",
  });
}

function isVisible({ status }: VersionAnswer): boolean {
  return status === undefined || status === "READY";
}

function versionOf(answer: VersionAnswer): ModelVersion {
  const { [BUNDLE_TAG]: bundle = "", [AT_TAG]: at = "", ...tags } = recordOf(answer.tags);
  return {
    model: answer.name,
    version: String(answer.version),
    runId: answer.run_id ?? "",
    createdAt: at === "" ? Number(answer.creation_timestamp ?? 0) : Number(at),
    description: answer.description ?? "",
    tags,
    bundle,
  };
}

/** Of another's version, to which `sentinel import` may give its bundle any moment. */
function withoutBundle({ model, version }: ModelVersion): SentinelError {
  return new SentinelError(
    "registry.no-bundle",
    `${model} version ${version} was not registered by Sentinel: nothing says what its files must be`,
    { hint: `make it servable: sentinel import models:/${model}/${version}` },
  );
}

function alreadyOne({ model, version }: ModelVersion): SentinelError {
  return new SentinelError("registry.conflict", `${model} version ${version} has its bundle already`, {
    hint: "`sentinel registry show` tells what it is; register the model again to import it anew",
  });
}

export function unknownVersion(model: string, version: string): SentinelError {
  return new SentinelError(
    "registry.version-unknown",
    `the registry has no version ${version.slice(0, 64)} of ${model}`,
    {
      hint: "`sentinel registry list` shows the versions there are",
    },
  );
}
