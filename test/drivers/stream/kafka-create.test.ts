// Creating a topic: a broker that does not know yet what it has just created is asked again.
import type { Admin } from "kafkajs";
import { expect, test } from "vitest";
import { createTopic } from "../../../src/drivers/stream/kafka/create.ts";

type Told = Awaited<ReturnType<Admin["fetchTopicMetadata"]>>;

const partition = (partitionId: number, leader: number): Told["topics"][number]["partitions"][number] => ({
  partitionErrorCode: 0,
  partitionId,
  leader,
  replicas: [1],
  isr: [1],
});

/** A cluster that tells these one after the other. */
function cluster(...answers: readonly (Told | Error)[]) {
  const asked = { created: 0, told: 0 };
  const admin: Pick<Admin, "createTopics" | "fetchTopicMetadata"> = {
    async createTopics() {
      asked.created++;
      return true;
    },
    async fetchTopicMetadata() {
      const answer = answers[asked.told++];
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  return { admin, asked };
}
const fault = (type: string): Error => Object.assign(new Error(type), { type });
const told = (...leaders: readonly number[]): Told => ({
  topics: [{ name: "t", partitions: leaders.map((leader, at) => partition(at, leader)) }],
});

test("the cluster is asked until it knows the topic and all of its leaders", async () => {
  const { admin, asked } = cluster(
    fault("UNKNOWN_TOPIC_OR_PARTITION"),
    fault("LEADER_NOT_AVAILABLE"),
    told(1, -1),
    told(1, 1),
  );
  await createTopic(admin, { topic: "t", partitions: 2, pauseMs: 0 });
  expect(asked).toEqual({ created: 1, told: 4 });
});

test("any other fault is said at once", async () => {
  const { admin, asked } = cluster(fault("TOPIC_AUTHORIZATION_FAILED"));
  await expect(createTopic(admin, { topic: "t", partitions: 2, pauseMs: 0 })).rejects.toThrow(
    "TOPIC_AUTHORIZATION_FAILED",
  );
  expect(asked.told).toBe(1);
});

test("a topic that gets no leaders is not waited for without end", async () => {
  const { admin } = cluster(...Array.from({ length: 200 }, () => told(-1)));
  await expect(createTopic(admin, { topic: "t", partitions: 1, pauseMs: 0 })).rejects.toMatchObject({
    code: "stream.unreachable",
  });
});
