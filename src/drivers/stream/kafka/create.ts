// Creating a topic in Kafka: it is there once every partition has a leader that the cluster tells of.
import { setTimeout as sleep } from "node:timers/promises";
import type { Admin } from "kafkajs";
import { SentinelError } from "../../../core/errors.ts";

const TRIES_MAX = 150;
const PAUSE_MS = 100;

/**
 * A topic that was there before stays as it is. A broker answers before it knows of the topic itself, and kafkajs's own wait takes that for a
 * topic that does not exist; so the cluster is asked until it tells of all partitions. Errors: of the client; stream.unreachable.
 */
export async function createTopic(
  admin: Pick<Admin, "createTopics" | "fetchTopicMetadata">,
  { topic, partitions, pauseMs = PAUSE_MS }: { topic: string; partitions: number; pauseMs?: number },
): Promise<void> {
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: false });
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    if (await hasLeaders(admin, topic)) return;
    await sleep(pauseMs);
  }
  throw new SentinelError("stream.unreachable", `topic ${topic} was created and has no leaders yet`, {
    hint: "are all brokers of the cluster up? It is tried again",
  });
}

async function hasLeaders(admin: Pick<Admin, "fetchTopicMetadata">, topic: string): Promise<boolean> {
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const partitions = topics.find(({ name }) => name === topic)?.partitions ?? [];
    return partitions.length > 0 && partitions.every(({ leader }) => leader >= 0);
  } catch (error) {
    if (/^(UNKNOWN_TOPIC_OR_PARTITION|LEADER_NOT_AVAILABLE)$/.test(String((error as { type?: unknown }).type)))
      return false;
    throw error;
  }
}
