// Versions and aliases of the embedded registry, in MLflow's tables.
import type { BundleFiles } from "../core/bundle.ts";
import { SentinelError } from "../core/errors.ts";
import type { ModelVersion } from "../ports.ts";
import { fateOf, type Owner, parseOwner } from "./owner.ts";
import { locationOf, type Stored } from "./registry-local-artifacts.ts";
import { BUNDLE_TAG } from "./registry-local-limits.ts";
import { activeRun, resultsOf } from "./registry-local-runs.ts";
import type { Row, Sql } from "./registry-local-sql.ts";

export interface Registration {
  readonly model: string;
  readonly runId: string;
  readonly files: BundleFiles;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly at: number;
}

export interface PendingModel {
  readonly modelId: string;
  readonly experiment: number;
}

/** MLflow's numbers for the state of a logged model. */
const PENDING = 1;
const READY = 2;
const FAILED = 3;
/** Tag of a pending model: the process that is storing its files. */
const OWNER_TAG = "sentinel.owner";
/** A registration by another machine is given up after a day. */
const PENDING_MS_MAX = 86_400_000;
/** Dead registrations cleared in one go. */
const ABANDONED_MAX = 100;

/** A version MLflow shows: a deleted one keeps its row and number under this stage. */
const VISIBLE = "v.status = 'READY' AND v.current_stage <> 'Deleted_Internal'";

/** Announces a model whose files are about to be stored. */
export function insertPending(
  sql: Sql,
  input: Registration & { readonly modelId: string; readonly owner: Owner },
): PendingModel {
  const { modelId, runId, at, owner } = input;
  const experiment = Number(activeRun(sql, runId).experiment_id);
  sql.run(
    `INSERT INTO logged_models(model_id, experiment_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms,
       status, lifecycle_stage, model_type, source_run_id)
     VALUES (?, ?, ?, ?, ?, ?, ${PENDING}, 'active', 'sentinel', ?)`,
    modelId,
    experiment,
    input.model.replaceAll(/[.%"']/g, "-"),
    locationOf({ experiment, modelId }),
    at,
    at,
    runId,
  );
  insertModelTag(sql, { modelId, experiment, key: OWNER_TAG, value: JSON.stringify(owner) });
  return { modelId, experiment };
}

/** Makes the stored files the model's next version. */
export function insertVersion(
  sql: Sql,
  input: Registration & PendingModel & Stored & { readonly newId: () => string },
): ModelVersion {
  const { model, runId, modelId, at, tags, bundle, description } = input;
  const run = activeRun(sql, runId);
  finishModel(sql, input);
  if (!knows(sql, model)) {
    sql.run("INSERT INTO registered_models(name, creation_time, last_updated_time) VALUES (?, ?, ?)", model, at, at);
  }
  const [{ version }] = sql.all(
    `SELECT COALESCE(MAX(v.version), 0) + 1 AS version FROM model_versions v WHERE v.name = ? AND ${scoped(sql)}`,
    model,
  );
  sql.run(
    `INSERT INTO model_versions(name, version, creation_time, last_updated_time, description, user_id, current_stage, source, run_id,
       status, storage_location)
     VALUES (?, ?, ?, ?, ?, ?, 'None', ?, ?, 'READY', ?)`,
    model,
    version,
    at,
    at,
    description,
    run.user_id,
    `models:/${modelId}`,
    runId,
    input.location,
  );
  setVersionTags(sql, { model, version: Number(version), tags: { ...tags, [BUNDLE_TAG]: bundle } });
  touch(sql, model, at);
  const links = JSON.stringify([{ name: model, version: Number(version) }]);
  insertModelTag(sql, { ...input, key: "mlflow.modelVersions", value: links });
  insertModelTag(sql, { ...input, key: BUNDLE_TAG, value: bundle });
  sql.run(
    `INSERT INTO inputs(input_uuid, source_type, source_id, destination_type, destination_id)
     VALUES (?, 'RUN_OUTPUT', ?, 'MODEL_OUTPUT', ?)`,
    input.newId(),
    runId,
    modelId,
  );
  return { model, version: String(version), runId, createdAt: at, description, tags: { ...tags }, bundle };
}

export function failPending(sql: Sql, pending: PendingModel, why: string): void {
  sql.run(
    `UPDATE logged_models SET status = ${FAILED}, status_message = ? WHERE model_id = ? AND status = ${PENDING}`,
    why.slice(0, 1_000),
    pending.modelId,
  );
}

/** Gives up registrations whose process is gone. Their files are the caller's to discard. */
export function giveUpAbandoned(sql: Sql, now: number): PendingModel[] {
  const rows = sql.all(
    `SELECT m.model_id, m.experiment_id, t.tag_value FROM logged_models m JOIN logged_model_tags t ON t.model_id = m.model_id
     WHERE m.status = ${PENDING} AND t.tag_key = ? LIMIT ${ABANDONED_MAX}`,
    OWNER_TAG,
  );
  const abandoned = rows
    .filter((row) => isAbandoned(parseOwner(String(row.tag_value)), now))
    .map((row) => ({ modelId: String(row.model_id), experiment: Number(row.experiment_id) }));
  for (const model of abandoned) failPending(sql, model, "the process that registered it ended before it was done");
  return abandoned;
}

/** Oldest first; of one version when it is named. */
export function listVersions(sql: Sql, model: string, version?: number): (ModelVersion & Stored)[] {
  const one = version === undefined ? "?2 IS NULL" : "v.version = ?2";
  const rows = sql.all(
    `SELECT v.version, v.creation_time, v.description, v.run_id, v.storage_location, v.source FROM model_versions v
     WHERE v.name = ?1 AND ${one} AND ${VISIBLE} AND ${scoped(sql)} ORDER BY v.version`,
    model,
    version ?? null,
  );
  const tags = tagsOf(sql, model);
  return rows.map((row) => {
    const { [BUNDLE_TAG]: bundle = "", ...others } = tags.get(Number(row.version)) ?? {};
    return {
      model,
      version: String(row.version),
      runId: String(row.run_id ?? ""),
      createdAt: Number(row.creation_time),
      description: String(row.description ?? ""),
      tags: others,
      bundle,
      location: String(row.storage_location ?? row.source ?? ""),
    };
  });
}

/** Throws registry.version-unknown. */
export function oneVersion(sql: Sql, model: string, version: string): ModelVersion & Stored {
  const number = /^[1-9]\d{0,8}$/.test(version) ? Number(version) : 0;
  const [found] = listVersions(sql, model, number);
  if (found === undefined) throw unknownVersion(model, version);
  return found;
}

export function unknownVersion(model: string, version: string): SentinelError {
  const title = `${model.slice(0, 80)} version ${version.slice(0, 80)}`;
  return new SentinelError("registry.version-unknown", `the registry has no ${title}`, {
    hint: "`sentinel registry list` shows the versions there are",
  });
}

export function setVersionTags(
  sql: Sql,
  input: { readonly model: string; readonly version: number; readonly tags: Readonly<Record<string, string>> },
): void {
  const { model, version, tags } = input;
  for (const [key, value] of Object.entries(tags)) {
    const changed = sql.run(
      `UPDATE model_version_tags SET value = ? WHERE "key" = ? AND name = ? AND version = ? AND ${sql.scope("model_version_tags")}`,
      value,
      key,
      model,
      version,
    );
    if (changed > 0) continue;
    sql.run(
      `INSERT INTO model_version_tags("key", value, name, version) VALUES (?, ?, ?, ?)`,
      key,
      value,
      model,
      version,
    );
  }
}

/** Polled every second by servers: one look-up by primary key. */
export function aliasesOf(sql: Sql, model: string): Record<string, string> {
  const rows = sql.all(
    `SELECT alias, version FROM registered_model_aliases WHERE name = ? AND ${sql.scope("registered_model_aliases")} ORDER BY alias`,
    model,
  );
  return Object.fromEntries(rows.map(({ alias, version }) => [String(alias), String(version)]));
}

/** Moves the alias if it still is where the caller saw it. Throws registry.conflict when not. */
export function setAlias(
  sql: Sql,
  move: {
    readonly model: string;
    readonly alias: string;
    readonly from: string | null;
    readonly to: string | null;
    readonly at: number;
  },
): void {
  const { model, alias, from, to } = move;
  const aliases = aliasesOf(sql, model);
  const current = Object.hasOwn(aliases, alias) ? aliases[alias] : null;
  if (current !== from) {
    const where = (version: string | null) => (version === null ? "at no version" : `at version ${version}`);
    throw new SentinelError(
      "registry.conflict",
      `the alias ${alias} of ${model} is ${where(current)}, not ${where(from)}`,
      {
        hint: "somebody moved it meanwhile: look at `sentinel registry history`, then decide again",
      },
    );
  }
  if (to !== null) oneVersion(sql, model, to);
  sql.run(
    `DELETE FROM registered_model_aliases WHERE name = ? AND alias = ? AND ${sql.scope("registered_model_aliases")}`,
    model,
    alias,
  );
  if (to !== null) {
    sql.run("INSERT INTO registered_model_aliases(alias, version, name) VALUES (?, ?, ?)", alias, Number(to), model);
  }
  touch(sql, model, move.at);
}

/** Ready, with what the run found out; a registration that was given up meanwhile must not come back. */
function finishModel(sql: Sql, input: Registration & PendingModel): void {
  const { model, modelId, runId, experiment, at } = input;
  const changed = sql.run(
    `UPDATE logged_models SET status = ${READY}, last_updated_timestamp_ms = ? WHERE model_id = ? AND status = ${PENDING}`,
    at,
    modelId,
  );
  if (changed !== 1) {
    throw new SentinelError("registry.conflict", `the registration of ${model} took so long that it was given up`, {
      hint: "register the bundle again",
    });
  }
  sql.run("DELETE FROM logged_model_tags WHERE model_id = ? AND tag_key = ?", modelId, OWNER_TAG);
  const { params, metrics } = resultsOf(sql, runId);
  for (const { key, value } of params) {
    sql.run(
      "INSERT INTO logged_model_params(model_id, experiment_id, param_key, param_value) VALUES (?, ?, ?, ?)",
      modelId,
      experiment,
      key,
      value,
    );
  }
  for (const metric of metrics.filter(({ is_nan }) => is_nan === 0)) insertModelMetric(sql, { ...input, metric });
}

function insertModelMetric(sql: Sql, input: Registration & PendingModel & { readonly metric: Row }): void {
  const { metric, modelId, experiment, runId } = input;
  sql.run(
    `INSERT INTO logged_model_metrics(model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, experiment_id, run_id)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    modelId,
    metric.key,
    metric.timestamp,
    metric.step,
    metric.value,
    experiment,
    runId,
  );
}

function insertModelTag(sql: Sql, tag: PendingModel & { readonly key: string; readonly value: string }): void {
  sql.run(
    "INSERT INTO logged_model_tags(model_id, experiment_id, tag_key, tag_value) VALUES (?, ?, ?, ?)",
    tag.modelId,
    tag.experiment,
    tag.key,
    tag.value,
  );
}

function isAbandoned(owner: Owner | null, now: number): boolean {
  if (owner === null) return true;
  const fate = fateOf(owner);
  return fate === "dead" || (fate === "unknown" && now - owner.since > PENDING_MS_MAX);
}

function tagsOf(sql: Sql, model: string): Map<number, Record<string, string>> {
  const tags = new Map<number, Record<string, string>>();
  const rows = sql.all(
    `SELECT version, "key", value FROM model_version_tags WHERE name = ? AND ${sql.scope("model_version_tags")}`,
    model,
  );
  for (const { version, key, value } of rows) {
    const known = tags.get(Number(version)) ?? {};
    Object.defineProperty(known, String(key), { value: String(value ?? ""), enumerable: true, writable: true });
    tags.set(Number(version), known);
  }
  return tags;
}

function knows(sql: Sql, model: string): boolean {
  return (
    sql.all(`SELECT 1 FROM registered_models WHERE name = ? AND ${sql.scope("registered_models")}`, model).length > 0
  );
}

function touch(sql: Sql, model: string, at: number): void {
  sql.run(
    `UPDATE registered_models SET last_updated_time = ? WHERE name = ? AND ${sql.scope("registered_models")}`,
    at,
    model,
  );
}

function scoped(sql: Sql): string {
  return sql.scope("model_versions").replace("model_versions.", "v.");
}
