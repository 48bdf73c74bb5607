// A stream in a process of its own, for the tests that kill it; built into dist/, it loads everything and then waits for its task.
import { createRedisState } from "../../src/drivers/state/redis/driver.ts";
import { createKafkaStreams } from "../../src/drivers/stream/kafka/driver.ts";
import type { Ports } from "../../src/ports/ports.ts";
import type { Streams, Transaction } from "../../src/ports/stream.ts";
import { startStreaming } from "../../src/stream/stream.ts";
import { makeWorld, SCHEMA, silent } from "../server/world.ts";
import { streamSection } from "./world.ts";

/** What a child is asked for. */
export interface ChildTask {
  /** The folder of the world. */
  readonly dir: string;
  readonly broker: string;
  readonly topic: string;
  /** Where it ends as by kill -9, the time it is there. */
  readonly step: string;
  readonly time: number;
  /** The port of the Redis that keeps the state of several; null: its own state. */
  readonly redis: number | null;
}

const { dir, broker, topic, step, time, redis } = await new Promise<ChildTask>((resolve) =>
  process.once("message", (task) => resolve(task as ChildTask)),
);
const world = makeWorld({ dir, pipeline: streamSection(topic, redis === null ? "one" : "several") });
const { ports, close } = world.open(
  redis === null
    ? undefined
    : () => createRedisState({ address: { host: "127.0.0.1", port: redis, database: 0, tls: false }, name: "card" }),
);
let left = time;

function at(here: string): void {
  if (here === step && --left <= 0) process.kill(process.pid, "SIGKILL");
}

/** Positions that end the process where the writer reads them: between the records and the commit. */
class Deadly extends Map<number, number> {
  override [Symbol.iterator](): MapIterator<[number, number]> {
    at("in-transaction");
    return super[Symbol.iterator]();
  }
}

function deadly(streams: Streams): Streams {
  return {
    ...streams,
    async writer(options) {
      const writer = await streams.writer(options);
      return {
        takeOver: (outputs) => writer.takeOver(outputs),
        close: () => writer.close(),
        async commit({ outputs, positions }: Transaction) {
          at("before-produce");
          const committing = writer.commit({ outputs, positions: new Deadly(positions) });
          setImmediate(() => at("while-committing"));
          await committing;
          at("after-commit");
        },
      };
    },
  };
}

/** A snapshot store that is killed with half a file written. */
const deadlyPorts: Ports = {
  ...ports,
  async snapshots() {
    const store = await ports.snapshots();
    return {
      load: (name) => store.load(name),
      async save(name, bytes) {
        const saving = store.save(name, bytes);
        if (name.startsWith("state-serve")) setImmediate(() => at("in-snapshot"));
        await saving;
      },
    };
  },
};

const running = await startStreaming({
  sources: [
    {
      name: "card",
      from: "file",
      open: async () => ({ ports: deadlyPorts, pipeline: world.pipeline, schema: SCHEMA, close }),
    },
  ],
  streamsOf: async () => deadly(createKafkaStreams({ brokers: [broker], tls: false, sasl: null })),
  clock: ports.clock,
  options: { logger: silent, create: true },
  at: null,
});
process.once("SIGTERM", () => void running.stop().then(() => process.exit(0)));
process.send?.("up");
await running.done.finally(() => running.stop());
process.disconnect?.();
