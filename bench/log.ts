// The prediction log on SQLite and PostgreSQL: records per second on the disk, the cost of an append, the wait of an answer with `sync`.
import path from "node:path";
import { loadConfig } from "../src/config.ts";
import { openPostgresLog } from "../src/drivers/log/postgres/driver.ts";
import type { LogOptions, SqlLog } from "../src/drivers/log/sql/driver.ts";
import { createSqliteLog } from "../src/drivers/log/sqlite/driver.ts";
import { migratePostgres } from "../src/drivers/store/postgres/driver.ts";
import type { PredictionRecord } from "../src/ports/log.ts";
import { type Bench, type Figures, median, quantileOf } from "./bench.ts";
import { temporaryFolder } from "./workspace.ts";

const ROWS = 100_000;
/** Appended between two looks at how much waits: a server's answers come no faster. */
const BURST = 500;
const WAITING_MAX = 20_000;
const ANSWERS = 2000;
/** Connections that wait for their records at once. */
const TOGETHER = 16;
const FEATURES = 40;

type Open = (name: string, options: LogOptions) => Promise<SqlLog>;

export const bench: Bench = {
  async run({ rows = ROWS, repeats, print }): Promise<Figures> {
    const dir = temporaryFolder();
    const sqlite: Open = async (name, options) => createSqliteLog({ file: path.join(dir, `${name}.db`), options });
    const figures = { sqlite: await measured("sqlite", sqlite, { rows, repeats, print }) };
    const address = loadConfig({ workspace: dir }).database;
    if (address === null) {
      print("  PostgreSQL: not measured; SENTINEL_DATABASE_URL names none");
      return { ...figures, postgres: null };
    }
    await migratePostgres(address);
    const begun = Date.now();
    const postgres: Open = (name, options) => openPostgresLog({ address, name: `bench-${begun}-${name}`, options });
    return { ...figures, postgres: await measured("postgres", postgres, { rows, repeats, print }) };
  },
};

async function measured(
  vendor: string,
  open: Open,
  { rows, repeats, print }: { readonly rows: number; readonly repeats: number; readonly print: (line: string) => void },
): Promise<Figures> {
  const rates: number[] = [];
  const appends: number[] = [];
  for (let round = 0; round < repeats; round++) {
    const log = await open(`rate-${round}`, { bufferMax: 10 * WAITING_MAX });
    const { seconds, appendMicros } = await written(log, rows);
    rates.push(rows / seconds);
    appends.push(appendMicros);
    await log.forget(Number.MAX_SAFE_INTEGER);
    await log.close();
  }
  const log = await open("sync", { durability: "sync" });
  const waits = await waited(log);
  await log.forget(Number.MAX_SAFE_INTEGER);
  await log.close();
  const [recordsPerSecond, appendMicros] = [median(rates), median(appends)];
  const [syncMsP50, syncMsP99] = [quantileOf(waits, 0.5), quantileOf(waits, 0.99)];
  print(
    `  ${vendor}: ${Math.round(recordsPerSecond)} records per second, ${appendMicros.toFixed(1)} µs per append; sync, ${TOGETHER} at once: ${syncMsP50.toFixed(1)} ms, p99 ${syncMsP99.toFixed(1)} ms`,
  );
  return { recordsPerSecond, appendMicros, syncMsP50, syncMsP99 };
}

async function written(
  log: SqlLog,
  rows: number,
): Promise<{ readonly seconds: number; readonly appendMicros: number }> {
  await log.prepare();
  const begun = performance.now();
  let appending = 0;
  for (let from = 0; from < rows; from += BURST) {
    const since = performance.now();
    for (let i = from; i < Math.min(rows, from + BURST); i++) log.appendPrediction(recordOf(i));
    appending += performance.now() - since;
    while (log.health().unwritten > WAITING_MAX) await breathe();
    await breathe();
  }
  await log.flush();
  return { seconds: (performance.now() - begun) / 1000, appendMicros: (appending * 1000) / rows };
}

async function waited(log: SqlLog): Promise<Float64Array> {
  const waits = new Float64Array(ANSWERS);
  let next = 0;
  const answer = async (): Promise<void> => {
    while (next < ANSWERS) {
      const i = next++;
      const since = performance.now();
      log.appendPrediction(recordOf(i));
      await log.durable(`t${i}`);
      waits[i] = performance.now() - since;
    }
  };
  await log.prepare();
  await Promise.all(Array.from({ length: TOGETHER }, answer));
  return waits.sort();
}

const VECTOR = Float32Array.from({ length: FEATURES }, (_, i) => i / 7);
const BUNDLE = "b".repeat(64);

function recordOf(i: number): Omit<PredictionRecord, "sequence"> {
  return {
    transactionId: `t${i}`,
    time: 1_700_000_000_000 + i,
    receivedAt: 1_700_000_000_500 + i,
    fields: {
      amount: i / 100,
      customer_id: `c${i % 5000}`,
      terminal_id: `t${i % 900}`,
      channel: "web",
      is_fraud: null,
    },
    extra: {},
    vector: VECTOR,
    score: (i % 1000) / 1000,
    anomalyScore: 0.5,
    decision: "approve",
    version: "3",
    bundle: BUNDLE,
    latencyMs: 0.5,
    degraded: false,
  };
}

function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
