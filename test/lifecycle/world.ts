// A workspace's ports inside the test: real drivers in a folder, a clock that stands, small simulated payments.
import path from "node:path";
import { loadConfig } from "../../src/config.ts";
import type { Table } from "../../src/core/table.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import type { SimulateOptions } from "../../src/lifecycle/simulate/options.ts";
import type { TrainResult } from "../../src/lifecycle/train/task.ts";
import { train } from "../../src/lifecycle/train.ts";
import { loadPipeline, type Pipeline, parsePipeline } from "../../src/pipeline/pipeline.ts";
import type { Clock, Ports } from "../../src/ports/ports.ts";
import { openPorts } from "../../src/wiring.ts";
import { makeWorkspace, removeWorkspace } from "../cli/sentinel.ts";

export const START = Date.UTC(2026, 0, 1);
const quiet = { line: () => {}, progress: () => {} };

export interface Place {
  readonly dir: string;
  readonly pipeline: Pipeline;
  readonly ports: Ports;
  readonly clock: Clock & { time: number };
  train(seed: number): Promise<TrainResult>;
  write(name: string, days: Iterable<Table>): Promise<string>;
  close(): Promise<void>;
  /** Closes the ports and leaves the folder to somebody else. */
  release(): Promise<void>;
}

/** A workspace with data of `world`. */
export async function makePlace(world: SimulateOptions): Promise<Place> {
  const place = await emptyPlace();
  await place.write("transactions.parquet", simulateDays(world));
  return place;
}

/** A workspace without data. */
export async function emptyPlace(): Promise<Place> {
  const dir = makeWorkspace();
  const pipeline = loadPipeline(dir, "card");
  const clock = { time: START, now: () => clock.time, elapsed: () => performance.now() };
  const { ports, close } = openPorts(loadConfig({ workspace: dir, environment: {} }), {
    report: quiet,
    pipeline: "card",
    clock,
  });
  const write = async (name: string, days: Iterable<Table>): Promise<string> => {
    const file = path.join(dir, "data", name);
    await (await ports.dataset()).write(file, days);
    return file;
  };
  return {
    dir,
    pipeline,
    ports,
    clock,
    write,
    train: (seed) =>
      train(ports, {
        pipeline,
        path: pipeline.source,
        actor: "tester",
        packageVersion: "0",
        seed,
        forced: "a test needs a model",
        verb: "train",
      }),
    close: async () => {
      await close();
      removeWorkspace(dir);
    },
    release: close,
  };
}

/** A pipeline of the fewest keys, with more YAML below; `time` is what stands for columns.time. */
export function pipelineOf(more = "", workspace = "/w", time = "time"): Pipeline {
  return parsePipeline(`${FEWEST.replace("time: time", `time: ${time}`)}${more}`, {
    file: `${workspace}/pipelines/card.yaml`,
    workspace,
  });
}

const FEWEST = `name: card
model: card-fraud
source: data/t.parquet
features: card
schema: card.schema.json
suite: card.suite.json
columns: { id: transaction_id, time: time, amount: amount, card: customer_id, label: is_fraud }
`;
