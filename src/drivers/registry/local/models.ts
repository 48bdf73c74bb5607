// Logged models of the embedded registry: pending while their files are stored, ready with their version, failed when nobody finished.
import type { BundleFiles } from "../../../core/bundle.ts";
import { SentinelError } from "../../../core/errors.ts";
import { fateOf, type Owner, parseOwner } from "../../files/owner.ts";
import { locationOf } from "./artifacts.ts";
import { activeRun, resultsOf } from "./runs.ts";
import type { Row, Sql } from "./sql.ts";

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

/** Ready, with what the run found out; a registration that was given up meanwhile must not come back. */
export function finishModel(sql: Sql, input: Registration & PendingModel & { readonly newId: () => string }): void {
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
  sql.run(
    `INSERT INTO inputs(input_uuid, source_type, source_id, destination_type, destination_id)
     VALUES (?, 'RUN_OUTPUT', ?, 'MODEL_OUTPUT', ?)`,
    input.newId(),
    runId,
    modelId,
  );
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

export function insertModelTag(sql: Sql, tag: PendingModel & { readonly key: string; readonly value: string }): void {
  sql.run(
    "INSERT INTO logged_model_tags(model_id, experiment_id, tag_key, tag_value) VALUES (?, ?, ?, ?)",
    tag.modelId,
    tag.experiment,
    tag.key,
    tag.value,
  );
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

function isAbandoned(owner: Owner | null, now: number): boolean {
  if (owner === null) return true;
  const fate = fateOf(owner);
  return fate === "dead" || (fate === "unknown" && now - owner.since > PENDING_MS_MAX);
}
