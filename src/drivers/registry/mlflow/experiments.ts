// Experiments on an MLflow server: found by name, made once whoever asks first, never brought back when somebody deleted them.
import { SentinelError } from "../../../core/errors.ts";
import type { MlflowClient } from "./client.ts";
import { isRefusal } from "./errors.ts";
import { type Experiment, type Pair, pairsOf, recordOf } from "./schema.ts";

/** The experiment of this name, deleted ones too. */
export async function findExperiment(client: MlflowClient, name: string): Promise<Experiment | null> {
  try {
    const answer = await client.get("/experiments/get-by-name", { experiment_name: name });
    return (answer as { readonly experiment: Experiment }).experiment;
  } catch (error) {
    if (isRefusal(error, "RESOURCE_DOES_NOT_EXIST")) return null;
    throw error;
  }
}

/** Makes the experiment unless it is there: its name is unique on the server, so that of two makers one gets an error. */
export async function makeExperiment(
  client: MlflowClient,
  name: string,
  tags: readonly Pair[] = [],
): Promise<Experiment> {
  const found = await findExperiment(client, name);
  if (found !== null) return active(found, name);
  try {
    await client.send("POST", "/experiments/create", { name, tags });
  } catch (error) {
    if (!isRefusal(error, "RESOURCE_ALREADY_EXISTS")) throw error;
  }
  const made = await findExperiment(client, name);
  if (made === null) throw deleted(name);
  return active(made, name);
}

/** Tags that are there stay: a user of the server set them. */
export async function tagExperiment(
  client: MlflowClient,
  name: string,
  tags: Readonly<Record<string, string>>,
): Promise<void> {
  const experiment = await makeExperiment(client, name);
  const there = recordOf(experiment.tags);
  for (const tag of pairsOf(tags)) {
    if (Object.hasOwn(there, tag.key)) continue;
    await client.send("POST", "/experiments/set-experiment-tag", { experiment_id: experiment.experiment_id, ...tag });
  }
}

export async function experimentOf(client: MlflowClient, name: string): Promise<string> {
  return (await makeExperiment(client, name)).experiment_id;
}

function active(experiment: Experiment, name: string): Experiment {
  if (experiment.lifecycle_stage === "deleted") throw deleted(name, experiment.experiment_id);
  return experiment;
}

function deleted(name: string, id = "<id>"): SentinelError {
  return new SentinelError("registry.conflict", `the experiment ${name} was deleted in MLflow`, {
    hint: `\`mlflow experiments restore -x ${id}\` brings it back; or give the experiment another name`,
  });
}
