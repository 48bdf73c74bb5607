// A stream in a process of its own, for the tests that kill it: node --import jiti/register stream-child.ts DIR BROKER TOPIC STEP COUNT [REDIS-PORT].
import { createRedisState } from "../../src/drivers/state/redis/driver.ts";
import { createKafkaStreams } from "../../src/drivers/stream/kafka/driver.ts";
import type { Ports } from "../../src/ports/ports.ts";
import type { Streams, Transaction } from "../../src/ports/stream.ts";
import { startStreaming } from "../../src/stream/stream.ts";
import { makeWorld, SCHEMA, silent } from "../server/world.ts";
import { streamSection } from "./world.ts";

const [dir, broker, topic, step, count, redis] = process.argv.slice(2);
const world = makeWorld({ dir, pipeline: streamSection(topic, redis === undefined ? "one" : "several") });
const address = { host: "127.0.0.1", port: Number(redis), database: 0, tls: false };
const { ports, close } = world.open(
  redis === undefined ? undefined : () => createRedisState({ address, name: "card" }),
);
let left = Number(count);

/** The process ends as by kill -9, at the step that was asked for, the time it was asked for. */
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
  options: { logger: silent, create: true, untilEnd: step === "end" },
  at: null,
});
process.once("SIGTERM", () => void running.stop().then(() => process.exit(0)));
process.send?.("up");
await running.done.finally(() => running.stop());
process.disconnect?.();
