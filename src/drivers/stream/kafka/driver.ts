// Streams in Apache Kafka, by kafkajs: topics, members of a group, transactional writers.
import type { Admin, KafkaConfig as ClientConfig, SASLOptions } from "kafkajs";
import { SentinelError } from "../../../core/errors.ts";
import type { Streams } from "../../../ports/stream.ts";
import { CALL_LIMITS, type CallLimits, KafkaClient } from "./client.ts";
import { createTopic } from "./create.ts";
import { kafkaError } from "./errors.ts";
import { keepsOf, keptOf } from "./keeps.ts";
import { kafkajs } from "./library.ts";
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
  /** How long calls may take; tests shorten them. */
  readonly limits?: Partial<CallLimits>;
  /** What the client says of its troubles. */
  readonly onLine?: (text: string) => void;
}

const STUCK_MS = 120_000;
const REQUEST_MS_MAX = 15_000;
const CONNECT_MS_MAX = 10_000;
/** Within one call; whoever calls tries again, with a back-off of its own. */
const RETRIES = 4;
const RETRY_FIRST_MS = 100;
const RETRY_LONGEST_MS = 2_000;

/** Nothing is sent before the first call. Throws `stream.unreachable`, `config.invalid`. */
export function createKafkaStreams(address: KafkaAddress, options: KafkaOptions = {}): Streams {
  const { stuckMs = STUCK_MS, onLine = () => {} } = options;
  const limits = { ...CALL_LIMITS, ...options.limits };
  const where = `Kafka at ${address.brokers.join(", ")}`;
  const config = clientConfig(address, onLine);
  // Each part has a client of its own, so that one that is stuck takes no other with it.
  const open = (): KafkaClient => new KafkaClient(config);
  let asking: Asking | null = null;
  const closing: (() => Promise<void>)[] = [];
  const asAdmin = async <T>(what: string, ask: (admin: Admin) => Promise<T>): Promise<T> => {
    asking ??= openAdmin(open(), limits);
    const own = asking;
    try {
      const admin = await own.admin;
      return await own.client.within(limits.askMs, `${what} ${where}`, () => ask(admin));
    } catch (error) {
      if (asking === own) asking = null;
      void own.end();
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
    binary: true,
    makesTopics: false,
    topics: partitionsOf,
    kept: async (names) => {
      const there = [...(await partitionsOf(names)).keys()];
      if (there.length === 0) return [];
      return asAdmin("ask for the settings of the topics of", (one) => keptOf(one, there));
    },
    create: (topic, partitions) =>
      asAdmin(`create topic ${topic} of`, (one) => createTopic(one, { topic, partitions })),
    keeps: (names) => asAdmin("ask how long topics are kept by", (one) => keepsOf(one, names)),
    async subscribe(given) {
      const source = await openSource({ open, limits, where, asAdmin, stuckMs, ...given });
      closing.push(() => source.close());
      return source;
    },
    async writer({ id, group, topic }) {
      const writer = new KafkaWriter({ open, limits, where, id, group, topic, partitionsOf });
      closing.push(() => writer.close());
      return writer;
    },
    async close() {
      for (const close of closing.splice(0).reverse()) await close().catch(() => {});
      const last = asking;
      asking = null;
      await last?.end();
    },
  };
}

/** A connection for questions. */
interface Asking {
  readonly client: KafkaClient;
  readonly admin: Promise<Admin>;
  end(): Promise<void>;
}

function openAdmin(client: KafkaClient, { askMs, leaveMs }: CallLimits): Asking {
  const admin = client.kafka.admin();
  const connected = client.within(askMs, "connect to Kafka", () => admin.connect()).then(() => admin);
  // Whoever asks hears of it.
  connected.catch(() => {});
  return { client, admin: connected, end: () => client.end(leaveMs, () => admin.disconnect()) };
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
    logLevel: kafkajs.logLevel.WARN,
    logCreator:
      () =>
      ({ log: { message, error } }) =>
        onLine(typeof error === "string" ? `${message}: ${error}` : message),
  };
}
