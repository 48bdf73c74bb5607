// How long topics of Kafka keep a record, as their settings say.
import type { Admin, ConfigResourceTypes } from "kafkajs";
import type { TopicKept } from "../../../ports/stream.ts";

/** As kafkajs numbers kinds of resources; Node does not find its name among the exports. */
const TOPIC: ConfigResourceTypes.TOPIC = 2;
const SETTINGS = ["retention.ms", "message.timestamp.type", "cleanup.policy"];

type Asked = Pick<Admin, "describeConfigs">;

interface TopicSettings extends TopicKept {
  /** Whether retention counts from when a record was written, and not from its own time. */
  readonly byWriting: boolean;
}

/** How long these topics keep their records; null: they delete none. Errors: of the client. */
export async function keptOf(admin: Asked, names: readonly string[]): Promise<readonly TopicKept[]> {
  const settings = await settingsOf(admin, names);
  return settings.map(({ topic, retentionMs, compacted }) => ({ topic, retentionMs, compacted }));
}

/** Topics that delete by the record's own time, with how long they keep it. Where we may not ask, none. Errors: of the client. */
export async function keepsOf(admin: Asked, names: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const settings = await settingsOf(admin, names).catch((error: unknown) => {
    if (/AUTHORIZATION/.test(String((error as { readonly type?: unknown }).type))) return [];
    throw error;
  });
  const keeps = new Map<string, number>();
  for (const { topic, retentionMs, byWriting } of settings) {
    if (retentionMs !== null && !byWriting) keeps.set(topic, retentionMs);
  }
  return keeps;
}

async function settingsOf(admin: Asked, names: readonly string[]): Promise<readonly TopicSettings[]> {
  if (names.length === 0) return [];
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: names.map((name) => ({ type: TOPIC, name, configNames: SETTINGS })),
  });
  return resources.map(({ resourceName, configEntries }) => {
    const settings = new Map(configEntries.map(({ configName, configValue }) => [configName, configValue]));
    const keptMs = Number(settings.get("retention.ms") ?? -1);
    const policy = (settings.get("cleanup.policy") ?? "delete").split(",");
    return {
      topic: resourceName,
      retentionMs: keptMs >= 0 && policy.includes("delete") ? keptMs : null,
      compacted: policy.includes("compact"),
      byWriting: settings.get("message.timestamp.type") === "LogAppendTime",
    };
  });
}
