// How long topics of Kafka keep a record after the record's own time, as their settings say.
import type { Admin, ConfigResourceTypes } from "kafkajs";

/** As kafkajs numbers kinds of resources; Node does not find its name among the exports. */
const TOPIC: ConfigResourceTypes.TOPIC = 2;
const SETTINGS = ["retention.ms", "message.timestamp.type", "cleanup.policy"];

/** Topics that delete by the record's own time, with how long they keep it. Where we may not ask, none. Errors: of the client. */
export async function keepsOf(
  admin: Pick<Admin, "describeConfigs">,
  names: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  if (names.length === 0) return new Map();
  const { resources } = await admin
    .describeConfigs({
      includeSynonyms: false,
      resources: names.map((name) => ({ type: TOPIC, name, configNames: SETTINGS })),
    })
    .catch((error: unknown) => {
      if (/AUTHORIZATION/.test(String((error as { readonly type?: unknown }).type))) return { resources: [] };
      throw error;
    });
  const keeps = new Map<string, number>();
  for (const { resourceName, configEntries } of resources) {
    const settings = new Map(configEntries.map(({ configName, configValue }) => [configName, configValue]));
    const keptMs = Number(settings.get("retention.ms") ?? -1);
    const isDeleted = (settings.get("cleanup.policy") ?? "delete").split(",").includes("delete");
    if (keptMs < 0 || !isDeleted || settings.get("message.timestamp.type") === "LogAppendTime") continue;
    keeps.set(resourceName, keptMs);
  }
  return keeps;
}
