// A world of streams for tests: payments as records, a process that judges them, and what it wrote, by id.
import { setTimeout as sleep } from "node:timers/promises";
import type { Notices } from "../../src/lifecycle/desk.ts";
import type { PipelineSource } from "../../src/online/pipelines.ts";
import type { Ports } from "../../src/ports/ports.ts";
import type { SharedStore } from "../../src/ports/shared-store.ts";
import type { OutRecord, Streams } from "../../src/ports/stream.ts";
import { type StreamInput, type StreamProcess, startStreaming } from "../../src/stream/stream.ts";
import {
  bodyOf,
  HISTORY,
  makeBundle,
  type Payment,
  payments,
  SCHEMA,
  SPEC_A,
  silent,
  type World,
} from "../server/world.ts";

/** The section of the world's pipeline: small batches, so that a short stream has many transactions. */
export const streamSection = (topic: string, consumers: "one" | "several" = "one"): string => `
stream:
  topic: ${topic}
  consumers: ${consumers}
  group: judges-${topic}
  batch: { records: 40, every: 20ms }
  session: 1s
  snapshot: 1s
`;
export const STREAM_SECTION = streamSection("payments");

/** A model, and what training left. */
export async function prepare(world: World): Promise<void> {
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
}

/** Payments after the history. */
export function stream(count: number, prefix = "s"): Payment[] {
  return payments(count, { seed: 11, from: HISTORY.at(-1)!.time + 60_000, prefix });
}

/** As a producer writes it: keyed by the card, at its event time. */
export function recordOf(payment: Payment): OutRecord {
  return { key: payment.customer_id, value: JSON.stringify(bodyOf(payment)), timestamp: payment.time };
}

export interface Judging extends StreamProcess {
  readonly ports: Ports;
  /** Stops and closes what it opened. */
  end(): Promise<void>;
}

type Options = Partial<StreamInput["options"]> & {
  /** Who hears of dead letters, by the world's store. */
  readonly notices?: Notices;
  readonly probes?: boolean;
  readonly schema?: object;
  /** Where several processes keep their state. */
  readonly shared?: () => SharedStore;
};

/** A process that judges the world's pipeline. */
export async function judging(world: World, streams: () => Streams, options: Options = {}): Promise<Judging> {
  const { probes = false, schema = SCHEMA, shared, notices, ...rest } = options;
  const { ports, close } = world.open(shared);
  const source: PipelineSource = {
    name: "card",
    from: "file",
    open: async () => ({ ports, pipeline: world.pipeline, schema, close }),
  };
  const process = await startStreaming({
    sources: [source],
    streamsOf: async () => streams(),
    clock: ports.clock,
    notices: notices === undefined ? null : { ...notices, store: ports.store! },
    options: { logger: silent, ...rest },
    at: probes ? { host: "127.0.0.1", port: 0 } : null,
  });
  return { ...process, ports, end: () => process.stop() };
}

/** Judges to the end of the input. */
export async function judgeAll(world: World, streams: () => Streams, options: Options = {}): Promise<Judging> {
  const running = await judging(world, streams, { untilEnd: true, ...options });
  try {
    await running.done;
  } finally {
    await running.end();
  }
  return running;
}

/** Waits until a condition holds; the test's own time limit ends it otherwise, or a process that gives up meanwhile. */
export async function until(condition: () => boolean | Promise<boolean>, by?: StreamProcess): Promise<void> {
  let fault: unknown = null;
  by?.done.catch((error: unknown) => {
    fault = error;
  });
  while (!(await condition())) {
    if (fault !== null) throw fault;
    await sleep(20);
  }
}

/** Decisions by transaction; throws where one came twice. */
export function byId(lines: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of lines) {
    const { transaction_id: id } = JSON.parse(line) as { readonly transaction_id: string };
    if (found.has(id)) throw new Error(`${id} was decided twice`);
    found.set(id, line);
  }
  return found;
}
