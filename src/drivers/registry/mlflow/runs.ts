// Runs on an MLflow server.
import { SentinelError } from "../../../core/errors.ts";
import type { Registry, RunSummary } from "../../../ports/registry.ts";
import type { MlflowClient } from "./client.ts";
import { isRefusal } from "./errors.ts";
import { experimentOf, findExperiment } from "./experiments.ts";
import { type Pair, pairsOf, type RunAnswer, type RunsAnswer, recordOf } from "./schema.ts";

type RunInput = Parameters<Registry["startRun"]>[0];
type RunLog = Parameters<Registry["logRun"]>[1];

/** MLflow's limits for one batch (mlflow/utils/validation.py); 1,000 metrics of 250 letters stay under its million characters. */
const BATCH = { metrics: 1_000, params: 100, tags: 100 } as const;
/** Values may have 8,000 characters: so many of them stay under the million. */
const BATCH_TEXT_MAX = 400_000;
const RUNS_MAX = 10_000;
const PAGE = 1_000;
/** Tag that finds a run whose creation was not answered. */
const REQUEST_TAG = "sentinel.request";

export async function startRun(client: MlflowClient, input: RunInput, id: string): Promise<string> {
  const experiment = await experimentOf(client, input.experiment);
  const tags = {
    "mlflow.source.name": "sentinel",
    "mlflow.source.type": "LOCAL",
    ...input.tags,
    "mlflow.runName": input.name,
    "mlflow.user": input.user,
    [REQUEST_TAG]: id,
  };
  const body = {
    experiment_id: experiment,
    run_name: input.name,
    user_id: input.user,
    start_time: input.startedAt,
    tags: pairsOf(tags),
  };
  return client.create("/runs/create", body, {
    read: (answer) => (answer as { readonly run: RunAnswer }).run.info.run_id,
    find: async () => {
      const search = { experiment_ids: [experiment], filter: `tags.\`${REQUEST_TAG}\` = '${id}'`, max_results: 1 };
      const { runs = [] } = (await client.send("POST", "/runs/search", search)) as RunsAnswer;
      return runs[0]?.info.run_id ?? null;
    },
  });
}

/** The run. Throws registry.missing when there is none or it was deleted. */
export async function activeRun(client: MlflowClient, runId: string): Promise<RunAnswer> {
  const unknown = () =>
    new SentinelError("registry.missing", `the registry has no run ${runId.slice(0, 64)}`, {
      hint: "start the run first; `mlflow runs list` shows the runs there are",
    });
  try {
    const { run } = (await client.get("/runs/get", { run_id: runId })) as { readonly run: RunAnswer };
    if (run.info.lifecycle_stage === "deleted") throw unknown();
    return run;
  } catch (error) {
    throw isRefusal(error, "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE") ? unknown() : error;
  }
}

export async function logRun(client: MlflowClient, runId: string, what: RunLog): Promise<void> {
  const run = await activeRun(client, runId);
  refuseChanges(run, what.params ?? {});
  const metrics = (what.metrics ?? []).map(({ key, value, step = 0, at = what.at }) => {
    return { key, value: Number.isFinite(value) ? value : String(value), timestamp: at, step };
  });
  for (const batch of batches(pairsOf(what.params ?? {}), BATCH.params)) await log(client, { runId, params: batch });
  for (const batch of batches(metrics, BATCH.metrics)) await log(client, { runId, metrics: batch });
  for (const batch of batches(pairsOf(what.tags ?? {}), BATCH.tags)) await log(client, { runId, tags: batch });
  const datasets = (what.datasets ?? []).map(({ name, digest, sourceType, source, context }) => ({
    tags: [{ key: "mlflow.data.context", value: context }],
    dataset: { name, digest, source_type: sourceType, source },
  }));
  if (datasets.length > 0) await client.send("POST", "/runs/log-inputs", { run_id: runId, datasets });
}

export async function endRun(
  client: MlflowClient,
  runId: string,
  end: { readonly status: string; readonly endedAt: number },
): Promise<void> {
  await activeRun(client, runId);
  await client.send("POST", "/runs/update", { run_id: runId, status: end.status, end_time: end.endedAt });
}

/** Oldest first; the newest 10,000. */
export async function listRuns(client: MlflowClient, name: string): Promise<RunSummary[]> {
  const experiment = await findExperiment(client, name);
  if (experiment === null) return [];
  const found: RunAnswer[] = [];
  let token: string | undefined;
  do {
    const search = {
      experiment_ids: [experiment.experiment_id],
      run_view_type: "ACTIVE_ONLY",
      max_results: PAGE,
      order_by: ["attributes.start_time DESC"],
      page_token: token,
    };
    const answer = (await client.send("POST", "/runs/search", search)) as RunsAnswer;
    found.push(...(answer.runs ?? []));
    token = answer.next_page_token;
  } while (token !== undefined && token !== "" && found.length < RUNS_MAX);
  return found.slice(0, RUNS_MAX).reverse().map(summaryOf);
}

interface Batch {
  readonly runId: string;
  readonly params?: readonly Pair[];
  readonly metrics?: readonly object[];
  readonly tags?: readonly Pair[];
}

async function log(client: MlflowClient, { runId, ...batch }: Batch): Promise<void> {
  try {
    await client.send("POST", "/runs/log-batch", { run_id: runId, ...batch });
  } catch (error) {
    if (!isRefusal(error) || !/Changing param values/.test(error.message)) throw error;
    throw changed(runId, error.message);
  }
}

/** The server refuses a batch as a whole; with several batches the first would already be written. */
function refuseChanges(run: RunAnswer, params: Readonly<Record<string, string>>): void {
  for (const { key, value } of run.data?.params ?? []) {
    if (Object.hasOwn(params, key) && params[key] !== value)
      throw changed(run.info.run_id, `parameter ${key} is already ${value}, not ${params[key]}`);
  }
}

function changed(runId: string, why: string): SentinelError {
  return new SentinelError("registry.conflict", `run ${runId}: ${why}`, {
    hint: "a run's parameters do not change; start another run",
  });
}

function batches<T extends object>(items: readonly T[], max: number): T[][] {
  const lists: T[][] = [];
  let length = 0;
  for (const item of items) {
    const size = JSON.stringify(item).length;
    const last = lists.at(-1);
    if (last === undefined || last.length === max || length + size > BATCH_TEXT_MAX) {
      lists.push([item]);
      length = size;
    } else {
      last.push(item);
      length += size;
    }
  }
  return lists;
}

function summaryOf({ info, data }: RunAnswer): RunSummary {
  const { status, start_time: startedAt, end_time: endedAt } = info;
  return {
    runId: info.run_id,
    name: info.run_name ?? "",
    status: status === "FINISHED" || status === "FAILED" || status === "KILLED" ? status : "RUNNING",
    startedAt: Number(startedAt ?? 0),
    endedAt: endedAt === undefined || endedAt === null ? null : Number(endedAt),
    params: recordOf(data?.params),
    metrics: Object.fromEntries((data?.metrics ?? []).map(({ key, value }) => [key, metricOf(value)])),
    tags: recordOf(data?.tags),
  };
}

/** The server stores infinities as the largest doubles. */
function metricOf(stored: number | string): number {
  const value = Number(stored);
  return Math.abs(value) >= Number.MAX_VALUE ? Math.sign(value) * Number.POSITIVE_INFINITY : value;
}
