// What killed registrations left on a server: their files are removed and their logged models deleted, once they are a day old.
import type { MlflowClient } from "./client.ts";
import { isRefusal } from "./errors.ts";

/** No registration takes so long: whoever began it is gone. */
const ABANDONED_MS = 86_400_000;
/** So many in one go; the next registration goes on. */
const SWEPT_MAX = 20;
const READY = "LOGGED_MODEL_READY";

interface Abandoned {
  readonly info: {
    readonly model_id: string;
    readonly artifact_uri: string;
    readonly status?: string;
    readonly creation_timestamp_ms?: number | string;
  };
}

/** Best effort: a registration does not fail because of what others left. Gives how many were swept. */
export async function sweepAbandoned(
  client: MlflowClient,
  { experiment, now }: { readonly experiment: string; readonly now: number },
): Promise<number> {
  const before = now - ABANDONED_MS;
  let swept = 0;
  try {
    const models = await search(client, { experiment, before });
    for (const { info } of models) {
      // Looked at again, should a server read the filter otherwise.
      if (info.status === READY || !(Number(info.creation_timestamp_ms) < before)) continue;
      await client.remove(info.artifact_uri);
      await client.send("DELETE", `/logged-models/${info.model_id}`, { model_id: info.model_id });
      swept++;
    }
  } catch {}
  return swept;
}

/** Servers that want the word. */
const wordy = new WeakSet<MlflowClient>();

async function search(
  client: MlflowClient,
  { experiment, before }: { readonly experiment: string; readonly before: number },
): Promise<readonly Abandoned[]> {
  const ask = async (ready: string): Promise<readonly Abandoned[]> => {
    const filter = `model_type = 'sentinel' AND status != '${ready}' AND creation_timestamp < ${before}`;
    const query = { experiment_ids: [experiment], filter, max_results: SWEPT_MAX };
    const answer = (await client.send("POST", "/logged-models/search", query)) as {
      readonly models?: readonly Abandoned[];
    };
    return answer.models ?? [];
  };
  // Until 3.17 MLflow compares the number behind the word, from 3.18 on the word; the word would say nothing to the older ones.
  if (wordy.has(client)) return ask("READY");
  return ask("2").catch((error: unknown) => {
    if (!isRefusal(error, "INVALID_PARAMETER_VALUE")) throw error;
    wordy.add(client);
    return ask("READY");
  });
}
