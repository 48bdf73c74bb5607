// Runs of the embedded registry, in MLflow's tables: parameters, metrics, tags and datasets.
import { SentinelError } from "../../../core/errors.ts";
import type { Registry, RunDataset, RunHistory, RunMetric, RunSummary } from "../../../ports/registry.ts";
import { experimentOf } from "./experiments.ts";
import type { Row, Sql } from "./sql.ts";

type RunInput = Parameters<Registry["startRun"]>[0];
type RunLog = Parameters<Registry["logRun"]>[1];

/** The newest runs of an experiment that are listed. */
const RUNS_MAX = 10_000;

export function insertRun(sql: Sql, input: RunInput & { readonly runId: string }): void {
  const { runId, name, startedAt, user } = input;
  const experiment = experimentOf(sql, input);
  const tags: Record<string, string> = {
    "mlflow.source.name": "sentinel",
    "mlflow.source.type": "LOCAL",
    ...input.tags,
    "mlflow.runName": name,
    "mlflow.user": user,
  };
  sql.run(
    `INSERT INTO runs(run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, source_version,
       lifecycle_stage, artifact_uri, experiment_id)
     VALUES (?, ?, 'LOCAL', ?, '', ?, 'RUNNING', ?, ?, 'active', ?, ?)`,
    runId,
    name,
    tags["mlflow.source.name"].slice(0, 500),
    user,
    startedAt,
    (tags["mlflow.source.git.commit"] ?? "").slice(0, 50),
    `./artifacts/${experiment}/${runId}/artifacts`,
    experiment,
  );
  setTags(sql, runId, tags);
}

export function logRun(sql: Sql, runId: string, what: RunLog & { readonly newId: () => string }): void {
  const experiment = activeRun(sql, runId).experiment_id as number;
  for (const [key, value] of Object.entries(what.params ?? {})) setParam(sql, runId, { key, value });
  for (const metric of what.metrics ?? []) addMetric(sql, runId, { at: what.at, ...metric });
  setTags(sql, runId, what.tags ?? {});
  for (const dataset of what.datasets ?? []) addDataset(sql, runId, { ...dataset, experiment, newId: what.newId });
}

export function finishRun(sql: Sql, runId: string, end: { readonly status: string; readonly endedAt: number }): void {
  activeRun(sql, runId);
  sql.run("UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ?", end.status, end.endedAt, runId);
}

/** The run's row. Throws registry.missing when there is none or it was deleted. */
export function activeRun(sql: Sql, runId: string): Row {
  const [run] = sql.all(
    "SELECT experiment_id, user_id FROM runs WHERE run_uuid = ? AND lifecycle_stage = 'active'",
    runId,
  );
  if (run !== undefined) return run;
  throw new SentinelError("registry.missing", `the registry has no run ${runId.slice(0, 64)}`, {
    hint: "start the run first; `mlflow runs list` shows the runs there are",
  });
}

/** Oldest first. */
export function listRuns(sql: Sql, experiment: string): RunSummary[] {
  const chosen = `SELECT r.run_uuid FROM runs r JOIN experiments ON experiments.experiment_id = r.experiment_id
    WHERE experiments.name = ? AND ${sql.scope("experiments")} AND r.lifecycle_stage = 'active'
    ORDER BY r.start_time DESC, r.rowid DESC LIMIT ${RUNS_MAX}`;
  const params = grouped(
    sql.all(`SELECT run_uuid, "key", value FROM params WHERE run_uuid IN (${chosen})`, experiment),
  );
  const tags = grouped(sql.all(`SELECT run_uuid, "key", value FROM tags WHERE run_uuid IN (${chosen})`, experiment));
  const metrics = grouped(
    sql.all(`SELECT run_uuid, "key", value, is_nan FROM latest_metrics WHERE run_uuid IN (${chosen})`, experiment),
  );
  const runs = sql.all(
    `SELECT run_uuid, name, status, start_time, end_time FROM runs WHERE run_uuid IN (${chosen}) ORDER BY start_time, rowid`,
    experiment,
  );
  return runs.map((run) => {
    const id = String(run.run_uuid);
    return {
      runId: id,
      name: String(run.name ?? ""),
      status: statusOf(run.status),
      startedAt: Number(run.start_time),
      endedAt: run.end_time === null ? null : Number(run.end_time),
      params: recordOf(params.get(id), (row) => String(row.value)),
      metrics: recordOf(metrics.get(id), metricOf),
      tags: recordOf(tags.get(id), (row) => String(row.value ?? "")),
    };
  });
}

/** Metrics in the order of time and step; datasets in the order of logging. */
export function readHistory(sql: Sql, runId: string): RunHistory {
  const { user_id: user } = activeRun(sql, runId);
  const metrics = sql.all(
    `SELECT "key", value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY timestamp, step, "key"`,
    runId,
  );
  const datasets = sql.all(
    `SELECT d.name, d.digest, d.dataset_source_type, d.dataset_source, t.value AS context FROM inputs i
       JOIN datasets d ON d.dataset_uuid = i.source_id
       LEFT JOIN input_tags t ON t.input_uuid = i.input_uuid AND t.name = 'mlflow.data.context'
     WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' AND i.destination_id = ? ORDER BY i.rowid`,
    runId,
  );
  return {
    user: String(user ?? ""),
    metrics: metrics.map((row) => {
      return { key: String(row.key), value: metricOf(row), step: Number(row.step), at: Number(row.timestamp) };
    }),
    datasets: datasets.map((row) => ({
      name: String(row.name),
      digest: String(row.digest),
      sourceType: String(row.dataset_source_type),
      source: String(row.dataset_source),
      context: String(row.context ?? "training"),
    })),
  };
}

/** The run's newest metrics and its parameters, for the logged model that came of it. */
export function resultsOf(sql: Sql, runId: string): { readonly params: Row[]; readonly metrics: Row[] } {
  return {
    params: sql.all(`SELECT "key", value FROM params WHERE run_uuid = ?`, runId),
    metrics: sql.all(`SELECT "key", value, timestamp, step, is_nan FROM latest_metrics WHERE run_uuid = ?`, runId),
  };
}

function setTags(sql: Sql, runId: string, tags: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(tags)) {
    const changed = sql.run(`UPDATE tags SET value = ? WHERE "key" = ? AND run_uuid = ?`, value, key, runId);
    if (changed === 0) sql.run(`INSERT INTO tags("key", value, run_uuid) VALUES (?, ?, ?)`, key, value, runId);
  }
}

/** A parameter never changes: that is what makes it one. */
function setParam(sql: Sql, runId: string, { key, value }: { readonly key: string; readonly value: string }): void {
  const [old] = sql.all(`SELECT value FROM params WHERE "key" = ? AND run_uuid = ?`, key, runId);
  if (old?.value === value) return;
  if (old !== undefined) {
    throw new SentinelError(
      "registry.conflict",
      `parameter ${key} of run ${runId} is already ${old.value}, not ${value}`,
      {
        hint: "a run's parameters do not change; start another run",
      },
    );
  }
  sql.run(`INSERT INTO params("key", value, run_uuid) VALUES (?, ?, ?)`, key, value, runId);
}

function addMetric(sql: Sql, runId: string, metric: RunMetric & { readonly at: number }): void {
  const { key, at, step = 0 } = metric;
  const { value, nan } = storedValue(metric.value);
  sql.run(
    `INSERT INTO metrics("key", value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    key,
    value,
    at,
    runId,
    step,
    nan,
  );
  const [latest] = sql.all(
    `SELECT step, timestamp, value FROM latest_metrics WHERE "key" = ? AND run_uuid = ?`,
    key,
    runId,
  );
  if (latest === undefined) {
    sql.run(
      `INSERT INTO latest_metrics("key", value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, ?, ?)`,
      key,
      value,
      at,
      step,
      nan,
      runId,
    );
    return;
  }
  // MLflow's order: step, then time, then value.
  const order = step - Number(latest.step) || at - Number(latest.timestamp) || value - Number(latest.value);
  if (order <= 0) return;
  sql.run(
    `UPDATE latest_metrics SET value = ?, timestamp = ?, step = ?, is_nan = ? WHERE "key" = ? AND run_uuid = ?`,
    value,
    at,
    step,
    nan,
    key,
    runId,
  );
}

/** MLflow's spelling: NaN is a flagged 0, the infinities are the largest doubles. */
function storedValue(value: number): { readonly value: number; readonly nan: 0 | 1 } {
  if (Number.isNaN(value)) return { value: 0, nan: 1 };
  return { value: Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, value)), nan: 0 };
}

function metricOf(row: Row): number {
  if (row.is_nan === 1) return Number.NaN;
  const value = Number(row.value);
  return Math.abs(value) >= Number.MAX_VALUE ? Math.sign(value) * Number.POSITIVE_INFINITY : value;
}

function addDataset(
  sql: Sql,
  runId: string,
  dataset: RunDataset & { readonly experiment: number; readonly newId: () => string },
): void {
  const { experiment, name, digest, newId } = dataset;
  const find = "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?";
  if (sql.all(find, experiment, name, digest).length === 0) {
    sql.run(
      `INSERT INTO datasets(dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source)
       VALUES (?, ?, ?, ?, ?, ?)`,
      newId(),
      experiment,
      name,
      digest,
      dataset.sourceType,
      dataset.source,
    );
  }
  const id = String(sql.all(find, experiment, name, digest)[0].dataset_uuid);
  const input = newId();
  const added = sql.run(
    `INSERT INTO inputs(input_uuid, source_type, source_id, destination_type, destination_id)
     VALUES (?, 'DATASET', ?, 'RUN', ?) ON CONFLICT DO NOTHING`,
    input,
    id,
    runId,
  );
  if (added === 0) return;
  sql.run(
    "INSERT INTO input_tags(input_uuid, name, value) VALUES (?, 'mlflow.data.context', ?)",
    input,
    dataset.context,
  );
}

function statusOf(status: unknown): RunSummary["status"] {
  return status === "FINISHED" || status === "FAILED" || status === "KILLED" ? status : "RUNNING";
}

function grouped(rows: readonly Row[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(String(row.run_uuid));
    if (group === undefined) groups.set(String(row.run_uuid), [row]);
    else group.push(row);
  }
  return groups;
}

/** Without a prototype's members: a key may be called __proto__. */
function recordOf<T>(rows: readonly Row[] | undefined, value: (row: Row) => T): Record<string, T> {
  return Object.fromEntries((rows ?? []).map((row) => [String(row.key), value(row)]));
}
