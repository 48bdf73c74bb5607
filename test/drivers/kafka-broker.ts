// A real Apache Kafka broker for tests: KRaft in one Java process, its own folder, free ports, and an end. One per worker.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createTopic } from "../../src/drivers/stream/kafka/create.ts";
import { kafkajs } from "../../src/drivers/stream/kafka/library.ts";

/** From test/drivers/ as well as from dist/test/drivers/, where a bench has it. */
const ROOT = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "../.." : "../../..", import.meta.url));
const LIBS = path.join(ROOT, ".cache", "kafka", "libs");
const START_TRIES_MAX = 1200;
const START_PAUSE_MS = 100;

/** Whether the broker is in .cache; scripts/setup-kafka puts it there. */
export const kafkaInstalled = ((): boolean => {
  if (!existsSync(LIBS)) return false;
  try {
    execFileSync("java", ["-version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

export interface Broker {
  readonly address: { readonly brokers: readonly string[]; readonly tls: false; readonly sasl: null };
  create(topic: string, partitions: number, settings?: Readonly<Record<string, string>>): Promise<void>;
  /** As a machine does that loses power. */
  kill(): Promise<void>;
  /** It keeps its connections and answers nothing, until it is thawed. */
  freeze(): void;
  thaw(): void;
  /** Another process over the same folder and ports. */
  start(): Promise<void>;
  dispose(): Promise<void>;
}

export async function startKafka(): Promise<Broker> {
  const dir = await mkdtemp(path.join(tmpdir(), "sentinel-kafka-"));
  const [port, controller] = [await freePort(), await freePort()];
  const file = path.join(dir, "server.properties");
  writeFileSync(file, properties({ dir, port, controller }));
  writeFileSync(path.join(dir, "log4j2.properties"), "rootLogger.level = error\n");
  java(dir, ["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", file, "--ignore-formatted"]);
  let child = launch(dir, file);
  const ready = async (): Promise<void> => {
    for (let tries = 0; ; tries++) {
      if (await answers(port)) return;
      if (child.exitCode !== null || tries === START_TRIES_MAX) {
        throw new Error(`Kafka did not start: ${readFileSync(path.join(dir, "broker.log"), "utf8").slice(-2000)}`);
      }
      await sleep(START_PAUSE_MS);
    }
  };
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  };
  process.once("exit", () => child.kill("SIGKILL"));
  await ready();
  const brokers = [`127.0.0.1:${port}`];
  const client = new kafkajs.Kafka({
    clientId: "test",
    brokers,
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 20, maxRetryTime: 1000 },
  });
  return {
    address: { brokers, tls: false, sasl: null },
    async create(topic, partitions, settings = {}) {
      const admin = client.admin();
      await admin.connect();
      const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
      await admin.createTopics({
        topics: [{ topic, numPartitions: partitions, configEntries }],
        waitForLeaders: false,
      });
      await createTopic(admin, { topic, partitions });
      await admin.disconnect();
    },
    kill,
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    async start() {
      await kill();
      child = launch(dir, file);
      await ready();
    },
    async dispose() {
      await kill();
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function properties(at: { readonly dir: string; readonly port: number; readonly controller: number }): string {
  const { dir, port, controller } = at;
  return [
    "process.roles=broker,controller",
    "node.id=1",
    `controller.quorum.voters=1@127.0.0.1:${controller}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
    "controller.listener.names=CONTROLLER",
    "inter.broker.listener.name=PLAINTEXT",
    "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    `log.dirs=${path.join(dir, "data")}`,
    "offsets.topic.replication.factor=1",
    "offsets.topic.num.partitions=4",
    "transaction.state.log.replication.factor=1",
    "transaction.state.log.min.isr=1",
    "transaction.state.log.num.partitions=4",
    "share.coordinator.state.topic.replication.factor=1",
    "share.coordinator.state.topic.min.isr=1",
    "group.initial.rebalance.delay.ms=0",
    // So that a killed member is missed soon.
    "group.min.session.timeout.ms=500",
    "auto.create.topics.enable=false",
    // The payments of tests are years old by their own times: the broker, half a minute after it started, would delete them as expired.
    "log.retention.ms=-1",
    "",
  ].join("\n");
}

function javaArguments(dir: string): string[] {
  const log = `-Dlog4j2.configurationFile=file:${path.join(dir, "log4j2.properties")}`;
  return ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", log, "-cp", `${LIBS}/*`];
}

function java(dir: string, args: readonly string[]): void {
  execFileSync("java", [...javaArguments(dir), ...args], { stdio: "pipe" });
}

function launch(dir: string, file: string): ChildProcess {
  const log = openSync(path.join(dir, "broker.log"), "a");
  return spawn("java", [...javaArguments(dir), "kafka.Kafka", file], { stdio: ["ignore", log, log] });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { readonly port: number };
      server.close(() => resolve(port));
    });
  });
}
