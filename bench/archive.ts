// The archive: bytes against NDJSON, rows written per second, and DuckDB's time for a few questions, of --rows decided transactions (a million unless told).
import { once } from "node:events";
import { createWriteStream, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { finished } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { loadConfig } from "../src/config.ts";
import { DAY_MS } from "../src/core/duration.ts";
import { Random } from "../src/core/random.ts";
import { compactArchive } from "../src/lifecycle/archive/maintain.ts";
import { verifyArchive } from "../src/lifecycle/archive/verify.ts";
import { archiveNow } from "../src/lifecycle/archive/write.ts";
import { loadPipeline } from "../src/pipeline/pipeline.ts";
import type { PredictionLog, PredictionRecord } from "../src/ports/log.ts";
import { openPorts } from "../src/wiring.ts";
import type { Bench, Figures } from "./bench.ts";
import { temporaryFolder } from "./workspace.ts";

const DAYS = 10;
const FEATURES = 20;
const ROWS = 1_000_000;
const CUSTOMERS = 50_000;
const BEGIN = Date.UTC(2026, 0, 1);
const FLUSH_ROWS = 20_000;
/** Questions that people ask of an archive, by what stands in FROM. */
const QUESTIONS: Readonly<Record<string, (from: string) => string>> = {
  byDecision: (from) => `SELECT decision, count(*), sum(amount), avg(score) FROM ${from} GROUP BY 1`,
  oneDay: (from) =>
    `SELECT count(*), sum(amount) FROM ${from} WHERE time >= '2026-01-03' AND time < '2026-01-04' AND decision = 'block'`,
  topCustomers: (from) => `SELECT customer_id, sum(amount) FROM ${from} GROUP BY 1 ORDER BY 2 DESC LIMIT 10`,
};

const PIPELINE = `
name: card
model: card-fraud
source: data/t.parquet
features: card
schema: card.schema.json
suite: card.suite.json
columns: { id: transaction_id, time: time, amount: amount, card: customer_id, label: is_fraud }
archive: { to: data/archive }
`;
const SCHEMA = {
  type: "object",
  properties: {
    transaction_id: { type: "string" },
    time: { type: "string" },
    amount: { type: "number" },
    customer_id: { type: "string" },
    terminal_id: { type: "integer" },
    country: { type: "string" },
    channel: { type: "string" },
    online: { type: "boolean" },
  },
};

export const bench: Bench = {
  async run(options): Promise<Figures> {
    const { rows = ROWS } = options;
    const dir = temporaryFolder();
    mkdirSync(path.join(dir, "pipelines"));
    mkdirSync(path.join(dir, "data"));
    writeFileSync(path.join(dir, "pipelines", "card.yaml"), PIPELINE);
    const pipeline = loadPipeline(dir, "card");
    const { ports, close } = openPorts(loadConfig({ workspace: dir, environment: {} }), {
      pipeline: "card",
      settings: () => pipeline,
      report: { line: () => {}, progress: () => {} },
    });
    const ndjson = path.join(dir, "data", "decided.ndjson");
    await fill(await ports.log(), { rows, seed: options.seed, ndjson });
    const bytes = { ndjson: statSync(ndjson).size, ndjsonGzip: statSync(`${ndjson}.gz`).size };
    options.print(
      `${rows.toLocaleString("en")} transactions of ${DAYS} days, ${FEATURES} features each: NDJSON ${mb(bytes.ndjson)}, by gzip ${mb(bytes.ndjsonGzip)}`,
    );
    const input = { pipeline, schema: SCHEMA };
    const write = await timed(() => archiveNow(ports, input));
    const root = path.join(dir, "data", "archive", "card");
    const written = sizeOf(root);
    options.print(
      `written: ${perSecond(rows, write)} rows per second, ${mb(written)}, ${(written / bytes.ndjson).toFixed(3)} of NDJSON`,
    );
    const compaction = await timed(() => compactArchive(ports, input));
    const compacted = sizeOf(root);
    options.print(
      `compacted to a file per day: ${perSecond(rows, compaction)} rows per second, ${mb(compacted)}, ${(compacted / bytes.ndjson).toFixed(3)} of NDJSON`,
    );
    const check = await timed(async () => {
      const { faults } = await verifyArchive(ports, input);
      if (faults > 0) throw new Error("the archive is not what was written");
    });
    options.print(`verified against the log: ${perSecond(rows, check)} rows per second`);
    await close();
    const archive = await ask(`read_parquet('${root}/*/*.parquet', hive_partitioning=true)`, options.repeats);
    const lines = await ask(`read_json('${ndjson}', format='newline_delimited')`, 1);
    for (const name of Object.keys(QUESTIONS))
      options.print(
        `${name}: ${archive[name].toFixed(3)} s in the archive, ${lines[name].toFixed(3)} s in NDJSON (DuckDB, 2 threads)`,
      );
    return {
      rows,
      bytesPerRow: { ndjson: bytes.ndjson / rows, ndjsonGzip: bytes.ndjsonGzip / rows, archive: compacted / rows },
      shareOfNdjson: {
        written: written / bytes.ndjson,
        compacted: compacted / bytes.ndjson,
        gzip: bytes.ndjsonGzip / bytes.ndjson,
      },
      rowsPerSecond: { write: rows / write, compact: rows / compaction, verify: rows / check },
      querySeconds: { archive, ndjson: lines },
    };
  },
};

/** The same records in the log and as lines of JSON: what a consumer would write who keeps every answer. */
async function fill(
  log: PredictionLog,
  of: { readonly rows: number; readonly seed: number; readonly ndjson: string },
): Promise<void> {
  const random = new Random(of.seed);
  const plain = createWriteStream(of.ndjson);
  const gzip = createGzip({ level: 6 });
  const packed = gzip.pipe(createWriteStream(`${of.ndjson}.gz`));
  for (let at = 0; at < of.rows; ) {
    let text = "";
    for (const end = Math.min(of.rows, at + FLUSH_ROWS); at < end; at++) {
      const record = recordOf(at, random, of.rows);
      log.appendPrediction(record);
      text += `${JSON.stringify(lineOf(record))}\n`;
    }
    await log.flush();
    if (!plain.write(text)) await once(plain, "drain");
    if (!gzip.write(text)) await once(gzip, "drain");
  }
  plain.end();
  gzip.end();
  await Promise.all([finished(plain), finished(packed)]);
}

function recordOf(at: number, random: Random, rows: number): Omit<PredictionRecord, "sequence"> {
  const time = BEGIN + Math.floor((at * DAYS * DAY_MS) / rows) + random.integer(1000);
  const amount = Math.round(random.uniform(1, 500) * 100) / 100;
  const score = random.uniform(0, 1) ** 6;
  const vector = Float32Array.from({ length: FEATURES }, (_, i) =>
    i % 3 === 0 ? random.integer(20) : random.uniform(0, 300),
  );
  vector[0] = amount;
  const decision = score > 0.95 ? "block" : score > 0.8 ? "review" : "approve";
  const rule = decision === "block" && at % 2 === 0 ? "velocity" : null;
  return {
    transactionId: `tx-${String(at).padStart(9, "0")}`,
    time,
    receivedAt: time + 40,
    fields: {
      amount,
      customer_id: `c-${random.integer(CUSTOMERS)}`,
      terminal_id: random.integer(10_000),
      country: ["DE", "FR", "ES", "NL"][random.integer(4)],
      channel: ["pos", "web", "app"][random.integer(3)],
      online: random.integer(2) === 1,
    },
    extra: {},
    vector,
    score,
    anomalyScore: random.uniform(0.3, 0.7),
    decision,
    version: "3",
    bundle: "b".repeat(64),
    latencyMs: random.uniform(0.05, 0.4),
    degraded: false,
    rules: {
      set: "5".repeat(64),
      by: rule === null ? "model" : "rule",
      rule,
      fired: rule === null ? [] : [rule],
      without: decision,
      shadow: [],
      unready: 0,
    },
  };
}

/** All of the record, under the archive's names. */
function lineOf({
  transactionId,
  time,
  receivedAt,
  fields,
  rules,
  vector,
  ...record
}: Omit<PredictionRecord, "sequence">): object {
  return {
    transaction_id: transactionId,
    time: new Date(time).toISOString(),
    ...fields,
    received_at: new Date(receivedAt).toISOString(),
    score: record.score,
    anomaly_score: record.anomalyScore,
    decision: record.decision,
    version: record.version,
    bundle: record.bundle,
    latency_ms: record.latencyMs,
    degraded: record.degraded,
    rules,
    vector: [...vector],
  };
}

async function ask(from: string, repeats: number): Promise<Record<string, number>> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "2" });
  const connection = await instance.connect();
  const seconds: Record<string, number> = {};
  for (const [name, question] of Object.entries(QUESTIONS)) {
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < repeats; round++)
      least = Math.min(least, await timed(async () => void (await connection.runAndReadAll(question(from)))));
    seconds[name] = least;
  }
  connection.closeSync();
  instance.closeSync();
  return seconds;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}

/** Bytes of all files of rows. */
function sizeOf(root: string): number {
  const names = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".parquet"));
  return names.reduce((sum, name) => sum + statSync(path.join(root, name)).size, 0);
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function perSecond(rows: number, seconds: number): string {
  return Math.round(rows / seconds).toLocaleString("en");
}
