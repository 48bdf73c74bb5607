// A small world for tests of serving: synthetic payments, bundles made by the real trainers, real drivers in a folder.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pino } from "pino";
import type { BundleFiles } from "../../src/core/bundle.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import type { DecisionPolicy } from "../../src/core/policy.ts";
import { Random } from "../../src/core/random.ts";
import type { Column, Table } from "../../src/core/table.ts";
import { createFileLock } from "../../src/drivers/files/lock.ts";
import { createFileSnapshots } from "../../src/drivers/files/snapshots.ts";
import type { LogOptions, SqlLog } from "../../src/drivers/log/sql/driver.ts";
import { createSqliteLog, type SqliteLogOptions } from "../../src/drivers/log/sqlite/driver.ts";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import { openLibsqlStore } from "../../src/drivers/store/libsql/driver.ts";
import type { SqlStores } from "../../src/drivers/store/sql/driver.ts";
import { declareColumns } from "../../src/features/builder.ts";
import type { FeatureSpec } from "../../src/features/definition.ts";
import { compileSpec } from "../../src/features/plan.ts";
import { replay } from "../../src/features/replay.ts";
import { calibrate } from "../../src/ml/calibration/apply.ts";
import { encodeGbdt } from "../../src/ml/gbdt/model.ts";
import { scoreRow } from "../../src/ml/gbdt/score.ts";
import { defaultGbdtParams } from "../../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../../src/ml/gbdt/train/train.ts";
import { encodeForest } from "../../src/ml/iforest/model.ts";
import { scoreAnomaly } from "../../src/ml/iforest/score.ts";
import { trainIsolationForest } from "../../src/ml/iforest/train/train.ts";
import { BUNDLE_FORMAT, type BundleManifest, jsonFile, judgeOf } from "../../src/online/bundle.ts";
import { loadScorer, type Scorer } from "../../src/online/score.ts";
import { saveTrainingState } from "../../src/online/states.ts";
import { type Pipeline, parsePipeline } from "../../src/pipeline/pipeline.ts";
import type { Ports } from "../../src/ports/ports.ts";
import type { SharedStore } from "../../src/ports/shared-store.ts";
import { createServer, type SentinelServer, type ServerOptions } from "../../src/server/server.ts";
import { type OpenStore, ofDefault } from "../drivers/store/of-default.ts";

export const silent = pino({ level: "silent" });
/** Event time of the first payment of the history; the servers' clock stands sixty days later. */
export const BEGIN = Date.UTC(2026, 0, 1);
export const NOW = BEGIN + 60 * DAY_MS;
const HISTORY_ROWS = 1500;

/** A pipeline's file by its name. */
export const pipelineText = (name: string): string => `
name: ${name}
model: ${name}-fraud
source: data/history.parquet
features: card
schema: card.schema.json
suite: card.suite.json
columns: { id: transaction_id, time: time, amount: amount, card: customer_id, label: is_fraud }
aliases:
  transaction_id: [id, tx_id]
  time: [tx_datetime, timestamp]
  amount: [tx_amount]
  customer_id: [card_id]
  terminal_id: [merchant_id]
  is_fraud: [tx_fraud]
labels: { delay: 1d, maturity: 1d }
shadow: { sample: 1, timeout: 2s, queue_max: 10000 }
serve: { poll: 50ms, body_max_bytes: 65536, batch_max: 100 }
`;

export const SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  required: ["transaction_id", "amount", "customer_id", "terminal_id"],
  properties: {
    transaction_id: { type: ["string", "integer"] },
    time: { type: ["string", "integer"] },
    amount: { type: "number", minimum: 0, maximum: 1e9 },
    customer_id: { type: ["string", "integer"] },
    terminal_id: { type: ["string", "integer"] },
  },
};

const f = declareColumns({ amount: "number", customer_id: "key", terminal_id: "key" });
const basics = [
  f.column("amount"),
  f.time("night", "night"),
  f.window("customer_count_1d", { key: "customer_id", over: "transactions", window: "1d" }),
  f.window("customer_mean_7d", { key: "customer_id", over: "amount", aggregate: "mean", window: "7d" }),
  f.window("terminal_frauds_7d", { key: "terminal_id", over: "frauds", window: "7d" }),
];

/** The first spec, and one whose windows differ. */
export const SPEC_A: FeatureSpec = f.spec({ name: "a", version: 1, features: basics });
export const SPEC_B: FeatureSpec = f.spec({
  name: "b",
  version: 1,
  features: [
    ...basics,
    f.window("terminal_sum_3d", { key: "terminal_id", over: "amount", aggregate: "sum", window: "3d" }),
  ],
});

export interface Payment {
  readonly transaction_id: string;
  readonly time: number;
  readonly amount: number;
  readonly customer_id: string;
  readonly terminal_id: string;
  readonly is_fraud: boolean;
}

/** Payments in time order; high amounts at two terminals are mostly fraud. */
export function payments(
  count: number,
  options: { readonly seed: number; readonly from: number; readonly prefix: string },
): Payment[] {
  const random = new Random(options.seed);
  const all: Payment[] = [];
  let time = options.from;
  for (let i = 0; i < count; i++) {
    time += Math.floor(random.uniform(0, (2 * 20 * DAY_MS) / HISTORY_ROWS));
    const terminal = random.integer(12);
    const amount = Math.round(random.uniform(1, 300) * 100) / 100;
    const risky = terminal < 2 && amount > 120;
    all.push({
      transaction_id: `${options.prefix}${i}`,
      time,
      amount,
      customer_id: `c${random.integer(40)}`,
      terminal_id: `t${terminal}`,
      is_fraud: random.next() < (risky ? 0.9 : 0.01),
    });
  }
  return all;
}

export const HISTORY = payments(HISTORY_ROWS, { seed: 7, from: BEGIN, prefix: "h" });

/** The history as training reads it. */
export function historyTable(rows: readonly Payment[] = HISTORY): Table {
  const text = (values: readonly string[]): Column => {
    const dictionary = [...new Set(values)];
    const codes = new Map(dictionary.map((word, code) => [word, code]));
    return { kind: "text", codes: Int32Array.from(values, (value) => codes.get(value)!), dictionary };
  };
  return {
    rows: rows.length,
    columns: new Map<string, Column>([
      ["transaction_id", text(rows.map((row) => row.transaction_id))],
      ["time", { kind: "time", values: Float64Array.from(rows, (row) => row.time) }],
      ["amount", { kind: "number", values: Float64Array.from(rows, (row) => row.amount) }],
      ["customer_id", text(rows.map((row) => row.customer_id))],
      ["terminal_id", text(rows.map((row) => row.terminal_id))],
      ["is_fraud", { kind: "number", values: Float64Array.from(rows, (row) => Number(row.is_fraud)) }],
    ]),
  };
}

const COLUMNS = { id: "transaction_id", time: "time", label: "is_fraud" };
const TRAINED_UP_TO = HISTORY[HISTORY.length - 1].time;

/** What the files of one worker have made already: training it again for each test would take longer than the test. */
const made = new Map<string, BundleFiles>();

/** A bundle by the real trainers; another seed makes another model. Its bytes are the caller's own. */
export function makeBundle(spec: FeatureSpec, seed: number, policy?: DecisionPolicy): BundleFiles {
  const key = JSON.stringify([spec, seed, policy]);
  const files = made.get(key) ?? trainBundle(spec, seed, policy);
  made.set(key, files);
  return new Map([...files].map(([name, bytes]) => [name, bytes.slice()]));
}

function trainBundle(spec: FeatureSpec, seed: number, policy?: DecisionPolicy): BundleFiles {
  const plan = compileSpec(spec);
  const replayed = replay({ spec: plan, table: historyTable(), columns: COLUMNS, labelDelayMs: DAY_MS });
  const x = { rows: replayed.rows, names: replayed.names, values: replayed.values };
  const y = Uint8Array.from(HISTORY, (row) => Number(row.is_fraud));
  const params = { ...defaultGbdtParams, trees: 20 + seed, rowSample: 0.7, depthMax: 4, earlyStoppingRounds: 0 };
  const { model } = trainGbdt({ x, y, params, seed });
  const forest = trainIsolationForest({ x, trees: 20, seed });
  const calibration = { kind: "none" } as const;
  const thresholds = { review: Math.fround(0.3), block: Math.fround(0.7) };
  const own = policy === undefined ? {} : { policy };
  const judge = judgeOf({ thresholds, ...own }, x.names);
  const golden = [0, 1, 2].map((row) => {
    const vector = Float32Array.from(x.names, (_, c) => x.values[c * x.rows + row]);
    const score = Math.fround(calibrate(calibration, scoreRow(model, vector)));
    const anomalyScore = Math.fround(scoreAnomaly(forest, vector));
    const values = [...vector].map((value) => (Number.isNaN(value) ? null : value));
    return { vector: values, score, anomalyScore, decision: judge(score, vector).decision };
  });
  const manifest: BundleManifest = {
    format: BUNDLE_FORMAT,
    model: "card-fraud",
    pipeline: "card",
    features: spec,
    featureHash: plan.hash,
    anomalyAsFeature: false,
    calibration,
    thresholds,
    ...own,
    labelDelayMs: DAY_MS,
    learnedUpTo: TRAINED_UP_TO,
    trainedUpTo: TRAINED_UP_TO,
    provenance: {
      dataHash: "d".repeat(64),
      dataRows: x.rows,
      pipelineHash: "p".repeat(64),
      commit: "none",
      packageVersion: "0",
      seed,
      parameters: {},
    },
  };
  return new Map([
    ["bundle.json", jsonFile(manifest)],
    ["golden.json", jsonFile({ rows: golden })],
    ["trees.bin", encodeGbdt(model)],
    ["forest.bin", encodeForest(forest)],
  ]);
}

export interface World {
  readonly dir: string;
  readonly pipeline: Pipeline;
  /** Ports over the folder; new ones after a close, as a new process would open. `shared`: where several keep their state. */
  open(shared?: () => SharedStore): { readonly ports: Ports; close(): Promise<void> };
  register(files: BundleFiles): Promise<string>;
  alias(name: string, version: string | null): Promise<void>;
  /** What training leaves for the server. */
  saveState(spec: FeatureSpec): Promise<void>;
  /** A version's scorer, straight from the registry. */
  scorer(version: string): Promise<Scorer>;
  remove(): Promise<void>;
}

export function makeWorld(
  changes: {
    readonly pipeline?: string;
    readonly dir?: string;
    readonly log?: SqliteLogOptions;
    /** Instead of a file in the folder. */
    readonly openStore?: () => Promise<SqlStores>;
    readonly openLog?: (options: LogOptions) => Promise<SqlLog>;
  } = {},
): World {
  const dir = changes.dir ?? mkdtempSync(path.join(tmpdir(), "sentinel-server-"));
  const pipeline = parsePipeline(pipelineText("card") + (changes.pipeline ?? ""), {
    file: path.join(dir, "card.yaml"),
    workspace: dir,
  });
  const opened: (() => Promise<void>)[] = [];
  const open = (shared?: () => SharedStore): ReturnType<World["open"]> => {
    const registry = createLocalRegistry({ dir: path.join(dir, "models") });
    const { durability, flushMs, lagMsMax } = pipeline.log;
    const options = { durability, flushMs, lagMsMax, ...changes.log };
    const file = path.join(dir, "state", "log.db");
    const log =
      changes.openLog === undefined ? Promise.resolve(createSqliteLog({ file, options })) : changes.openLog(options);
    const clock = { now: () => NOW, elapsed: () => performance.now() };
    let sql: Promise<OpenStore> | undefined;
    const openStore = (): Promise<OpenStore> => {
      sql ??= ofDefault(changes.openStore?.() ?? openLibsqlStore({ file: path.join(dir, "state", "store.db"), clock }));
      return sql;
    };
    const ports: Ports = {
      clock,
      report: { line: () => {}, progress: () => {} },
      registry: async () => registry,
      log: () => log,
      snapshots: async () => createFileSnapshots({ dir: path.join(dir, "state", "snapshots") }),
      dataset: () => Promise.reject(new Error("the server never opens a dataset")),
      lock: async () => createFileLock({ dir: path.join(dir, "state", "locks") }),
      rules: async () => (await openStore()).rules("card"),
      store: () => openStore(),
      sourceControl: () => Promise.reject(new Error("not used here")),
    };
    const store = shared?.();
    if (store !== undefined) Object.assign(ports, { shared: async () => store });
    let closed = false;
    const close = async (): Promise<void> => {
      if (closed) return;
      closed = true;
      try {
        await (await log).close();
      } finally {
        await registry.close();
        await store?.close();
        await (await sql)?.close();
      }
    };
    opened.push(close);
    return { ports, close };
  };
  const own = open();
  return {
    dir,
    pipeline,
    open,
    async register(files) {
      const registry = await own.ports.registry();
      const runId = await registry.startRun({ experiment: "card", name: "r", startedAt: NOW, user: "test", tags: {} });
      const entry = { model: "card-fraud", runId, files, description: "", tags: {}, at: NOW };
      return (await registry.register(entry)).version;
    },
    async alias(name, version) {
      const registry = await own.ports.registry();
      const from = (await registry.aliases("card-fraud"))[name] ?? null;
      const entry = {
        at: NOW,
        actor: "test",
        verb: "promote",
        verdict: "PROMOTE",
        evidence: "",
        reason: "test",
      } as const;
      await registry.moveAlias({ model: "card-fraud", alias: name, from, to: version, entry });
    },
    async saveState(spec) {
      const plan = compileSpec(spec);
      const { state } = replay({ spec: plan, table: historyTable(), columns: COLUMNS, labelDelayMs: DAY_MS });
      const origin = { dataHash: "d".repeat(64), dataPath: pipeline.source, trainedUpTo: TRAINED_UP_TO };
      await saveTrainingState(own.ports, { pipeline: "card", layout: plan.layoutHash, state, ...origin });
    },
    async scorer(version) {
      return loadScorer(await (await own.ports.registry()).load("card-fraud", version), {
        model: "card-fraud",
        version,
      });
    },
    async remove() {
      for (const close of opened) await close().catch(() => {});
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A server over the world's folder. `stop` also closes its drivers. */
export async function serve(
  world: World,
  options: ServerOptions = {},
  shared?: () => SharedStore,
): Promise<{ readonly server: SentinelServer; readonly ports: Ports; stop(): Promise<void> }> {
  const { ports, close } = world.open(shared);
  const server = await createServer({
    ports,
    pipeline: world.pipeline,
    schema: SCHEMA,
    // Nobody routes requests to it who would have to hear of its end.
    options: { logger: silent, aheadMaxMs: DAY_MS, announceMs: 0, ...options },
  });
  return {
    server,
    ports,
    async stop() {
      await server.stop();
      await close();
    },
  };
}

/** A payment as a client sends it. */
export function bodyOf(payment: Payment): Record<string, unknown> {
  const { is_fraud: _, ...rest } = payment;
  return rest;
}

/** POSTs JSON to the app. */
export function post(
  server: SentinelServer,
  route: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return Promise.resolve(
    server.app.request(route, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    }),
  );
}

/** What the routes answer, as far as tests look at it. */
export interface Reply {
  readonly transaction_id: string;
  readonly score: number;
  readonly decision: string;
  readonly model: { readonly version: string };
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly hint: string;
  readonly errors: readonly { readonly field: string }[];
  readonly accepted: number;
  readonly log: { readonly predictions: number };
  readonly champion: { readonly version: string; readonly state: { readonly warm: boolean } };
  readonly shadows: readonly { readonly version: string; readonly state: { readonly warm: boolean } }[];
  readonly registry: { readonly reachable: boolean };
  readonly broken: readonly unknown[];
  readonly openapi: string;
  readonly paths: Readonly<Record<string, object>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>> & { readonly Transaction: { readonly required: string[] } };
  };
}

/** A response's JSON. */
export async function reply(response: Response | Promise<Response>): Promise<Reply> {
  return (await (await response).json()) as Reply;
}

/** Waits until a condition holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}
