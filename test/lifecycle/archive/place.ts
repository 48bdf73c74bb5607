// A log and its archive in a folder for tests: a pipeline with all types of columns, traffic over several days, and readers of the result.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { loadConfig } from "../../../src/config.ts";
import { DAY_MS } from "../../../src/core/duration.ts";
import type { ArchiveInput } from "../../../src/lifecycle/archive/write.ts";
import { loadPipeline, type Pipeline } from "../../../src/pipeline/pipeline.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import { openPorts } from "../../../src/wiring.ts";
import { label, prediction } from "../../drivers/records.ts";

export const DAY = Date.UTC(2026, 2, 1);
export const NOW = DAY + 20 * DAY_MS;

export const SCHEMA = {
  type: "object",
  properties: {
    transaction_id: { type: ["string", "integer"] },
    time: { type: ["string", "integer"] },
    amount: { type: "number" },
    customer_id: { type: ["string", "integer", "null"] },
    account: { type: "string" },
    items: { type: ["integer", "null"] },
    rate: { type: "number" },
    online: { type: "boolean" },
    country: { enum: ["DE", "FR", null] },
  },
};

const textOf = (archive: string): string => `
name: card
model: card-fraud
source: data/history.parquet
features: card
schema: card.schema.json
suite: card.suite.json
columns: { id: transaction_id, time: time, amount: amount, card: customer_id, label: is_fraud }
aliases: { customer_id: [card_id] }
labels: { delay: 1d, maturity: 1d }
archive: { ${archive} }
`;

export interface ArchivePlace {
  readonly dir: string;
  readonly pipeline: Pipeline;
  readonly input: ArchiveInput;
  readonly root: string;
  /** Other ports of the same place, as another process has them. */
  open(environment?: Readonly<Record<string, string>>): { readonly ports: Ports; close(): Promise<void> };
  dispose(): void;
}

/** `archive` is the section's content; `to` is below the folder unless it names another place. */
export function archivePlace(archive = "to: data/archive, row_group: 2048"): ArchivePlace {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-archive-test-"));
  // Where commands and other processes look for them.
  mkdirSync(path.join(dir, "pipelines"));
  writeFileSync(path.join(dir, "pipelines", "card.yaml"), textOf(archive));
  writeFileSync(path.join(dir, "pipelines", "card.schema.json"), JSON.stringify(SCHEMA));
  const pipeline = loadPipeline(dir, "card");
  const clock = { now: () => NOW, elapsed: () => performance.now() };
  return {
    dir,
    pipeline,
    input: { pipeline, schema: SCHEMA },
    root: path.join(dir, "data", "archive", "card"),
    open: (environment = {}) =>
      openPorts(loadConfig({ workspace: dir, environment }), {
        report: { line: () => {}, progress: () => {} },
        pipeline: "card",
        settings: () => pipeline,
        clock,
      }),
    dispose: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** `count` predictions from number `from` on, spread over so many days out of order; each tenth gets a label, each hundredth two. */
export async function fillLog(
  ports: Ports,
  { from, count, days = 4 }: { readonly from: number; readonly count: number; readonly days?: number },
): Promise<void> {
  const log = await ports.log();
  for (let i = from; i < from + count; i++) {
    const time = DAY + (i % days) * DAY_MS + i * 1000;
    const fields = {
      amount: i / 8,
      customer_id: `c${i % 50}`,
      account: "9007199254740993",
      items: i,
      online: i % 2 === 0,
    };
    const extra = i % 3 === 0 ? { note: `n${i}`, list: [i] } : {};
    log.appendPrediction(prediction(`t${i}`, { time, receivedAt: DAY + i, fields, extra, score: i / 1e6 }));
    if (i % 10 === 0)
      log.appendLabel(label(`t${i}`, { fraud: i % 20 === 0, knownAt: time + DAY_MS, receivedAt: DAY + i }));
    if (i % 100 === 0)
      log.appendLabel(label(`t${i}`, { fraud: true, knownAt: time + 2 * DAY_MS, receivedAt: DAY + i }));
    if (i % 5000 === 4999) await log.flush();
  }
  await log.flush();
}

/** What any DuckDB answers. */
export async function ask(sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    await connection.run("SET TimeZone = 'UTC'");
    return (await connection.runAndReadAll(sql)).getRowsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** As somebody reads the archive who knows nothing of it but its folders. */
export const anyReader = (root: string): string =>
  `read_parquet('${root}/*/*.parquet', hive_partitioning=true, union_by_name=true)`;
