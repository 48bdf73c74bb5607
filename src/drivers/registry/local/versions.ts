// Versions and aliases of the embedded registry, in MLflow's tables.
import { SentinelError } from "../../../core/errors.ts";
import type { ModelVersion } from "../../../ports/registry.ts";
import { BUNDLE_TAG, FOLDER_TAG } from "../limits.ts";
import type { Stored } from "./artifacts.ts";
import { finishModel, insertModelTag, type PendingModel, type Registration } from "./models.ts";
import { activeRun } from "./runs.ts";
import type { Sql } from "./sql.ts";

/** A version MLflow shows: a deleted one keeps its row and number under this stage. */
const VISIBLE = "v.status = 'READY' AND v.current_stage <> 'Deleted_Internal'";

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
  return { model, version: String(version), runId, createdAt: at, description, tags: { ...tags }, bundle };
}

export function listModels(sql: Sql): string[] {
  const rows = sql.all(`SELECT name FROM registered_models WHERE ${sql.scope("registered_models")} ORDER BY name`);
  return rows.map(({ name }) => String(name));
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
      location: others[FOLDER_TAG] ?? String(row.storage_location ?? row.source ?? ""),
    };
  });
}

/** Where a version's own files are, whoever registered it, and the run that logged them. Throws registry.version-unknown. */
export function filesOfVersion(sql: Sql, model: string, version: string): { location: string; runId: string } {
  oneVersion(sql, model, version);
  const [row] = sql.all(
    `SELECT v.storage_location, v.source, v.run_id FROM model_versions v WHERE v.name = ? AND v.version = ? AND ${scoped(sql)}`,
    model,
    Number(version),
  );
  return { location: String(row.storage_location ?? row.source ?? ""), runId: String(row.run_id ?? "") };
}

/** Where a run logged a model: a logged model of that name (MLflow 3), else below its own files. */
export function filesOfRun(sql: Sql, runId: string, path: string): { location: string; runId: string } {
  const { artifact_uri: own } = activeRun(sql, runId);
  const [logged] = sql.all(
    "SELECT artifact_location FROM logged_models WHERE source_run_id = ? AND name = ? ORDER BY creation_timestamp_ms DESC LIMIT 1",
    runId,
    path,
  );
  return { location: logged === undefined ? `${String(own)}/${path}` : String(logged.artifact_location), runId };
}

/** Where a logged model's files are; null where there is none of this id. */
export function filesOfLogged(sql: Sql, modelId: string): { location: string; runId: string } | null {
  const [logged] = sql.all(
    "SELECT artifact_location, source_run_id FROM logged_models WHERE model_id = ? AND lifecycle_stage = 'active'",
    modelId,
  );
  if (logged === undefined) return null;
  return { location: String(logged.artifact_location), runId: String(logged.source_run_id ?? "") };
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

export function unknownLogged(modelId: string): SentinelError {
  return new SentinelError("registry.missing", `the registry has no logged model ${modelId}`, {
    hint: "`mlflow.search_logged_models()` shows those there are; a registered one is models:/NAME/VERSION",
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
