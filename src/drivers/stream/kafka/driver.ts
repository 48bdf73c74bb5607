// Streams in Apache Kafka, by kafkajs: topics, members of a group, transactional writers.
import { type Admin, type KafkaConfig as ClientConfig, Kafka, logLevel, type SASLOptions } from "kafkajs";
import { SentinelError } from "../../../core/errors.ts";
import type { Streams } from "../../../ports/stream.ts";
import { kafkaError } from "./errors.ts";
import { openSource } from "./source.ts";
import { KafkaWriter } from "./writer.ts";

/** A cluster, and who we are to it. */
export interface KafkaAddress {
  /** host:port of some of its brokers. */
  readonly brokers: readonly string[];
  readonly tls: boolean;
  readonly sasl: {
    readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
    readonly username: string;
    readonly password: string;
  } | null;
}

export interface KafkaOptions {
  /** How long a partition may lie behind without a record before its consumer counts as stuck. */
  readonly stuckMs?: number;
  /** What the client says of its troubles. */
  readonly onLine?: (text: string) => void;
}

const STUCK_MS = 120_000;
const REQUEST_MS_MAX = 30_000;
const CONNECT_MS_MAX = 10_000;
/** Within one call; whoever calls tries again, with a back-off of its own. */
const RETRIES = 4;
const RETRY_FIRST_MS = 100;
const RETRY_LONGEST_MS = 2_000;

/** Nothing is sent before the first call. Throws `stream.unreachable`, `config.invalid`. */
export function createKafkaStreams(address: KafkaAddress, options: KafkaOptions = {}): Streams {
  const { stuckMs = STUCK_MS, onLine = () => {} } = options;
  const where = `Kafka at ${address.brokers.join(", ")}`;
  const kafka = new Kafka(clientConfig(address, onLine));
  let admin: Promise<Admin> | null = null;
  const closing: (() => Promise<void>)[] = [];
  const asAdmin = async <T>(what: string, ask: (admin: Admin) => Promise<T>): Promise<T> => {
    try {
      admin ??= connected(kafka);
      return await ask(await admin);
    } catch (error) {
      const before = admin;
      admin = null;
      void before?.then((one) => one.disconnect()).catch(() => {});
      throw kafkaError(error, `${what} ${where}`);
    }
  };
  const partitionsOf = (names: readonly string[]): Promise<ReadonlyMap<string, number>> =>
    asAdmin("look at the topics of", async (one) => {
      const there = new Set(await one.listTopics());
      const wanted = names.filter((name) => there.has(name));
      // Without names it would describe all of them.
      if (wanted.length === 0) return new Map();
      const { topics } = await one.fetchTopicMetadata({ topics: wanted });
      return new Map(topics.map(({ name, partitions }) => [name, partitions.length]));
    });
  return {
    where,
    replayable: true,
    makesTopics: false,
    topics: partitionsOf,
    create: (topic, partitions) =>
      asAdmin(`create topic ${topic} of`, async (one) => {
        await one.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true });
      }),
    async subscribe(given) {
      const source = await openSource({ kafka, where, asAdmin, stuckMs, ...given });
      closing.push(() => source.close());
      return source;
    },
    async writer({ id, group, topic }) {
      const writer = new KafkaWriter({ kafka, where, id, group, topic, partitionsOf: (names) => partitionsOf(names) });
      closing.push(() => writer.close());
      return writer;
    },
    async close() {
      for (const close of closing.splice(0).reverse()) await close().catch(() => {});
      const one = admin;
      admin = null;
      await one?.then((open) => open.disconnect()).catch(() => {});
    },
  };
}

async function connected(kafka: Kafka): Promise<Admin> {
  const admin = kafka.admin();
  await admin.connect();
  return admin;
}

function clientConfig({ brokers, tls, sasl }: KafkaAddress, onLine: (text: string) => void): ClientConfig {
  if (brokers.length === 0) {
    throw new SentinelError("config.invalid", "no Kafka broker is named", {
      hint: "SENTINEL_KAFKA_BROKERS=host:9092,other:9092",
    });
  }
  return {
    clientId: "sentinel",
    brokers: [...brokers],
    ...(tls ? { ssl: true } : {}),
    ...(sasl === null ? {} : { sasl: sasl as SASLOptions }),
    connectionTimeout: CONNECT_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    retry: { retries: RETRIES, initialRetryTime: RETRY_FIRST_MS, maxRetryTime: RETRY_LONGEST_MS },
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ log: { message, error } }) =>
        onLine(typeof error === "string" ? `${message}: ${error}` : message),
  };
}
