// Features in Redis: how long reading and applying one transaction takes, against a redis-server on this machine, started for it.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { assert } from "../src/core/errors.ts";
import type { Transaction } from "../src/core/transaction.ts";
import { createRedisState } from "../src/drivers/state/redis/driver.ts";
import { Excerpt, keysOfState } from "../src/features/excerpt.ts";
import type { FeaturePlan } from "../src/features/plan.ts";
import type { FeatureState } from "../src/features/state.ts";
import { takeTransaction } from "../src/online/states/shared/apply.ts";
import type { SharedStore } from "../src/ports/shared-store.ts";

const HOST = "127.0.0.1";
const START_TRIES_MAX = 200;
const MARKER = "bench";
/** Not counted: the machine code is still being made. */
const WARM_UP_SHARE = 0.2;
/** What a server keeps of an answer until its log has it is about as long. */
const RECORD = new Uint8Array(1000);
const FILL_KEYS = 500;

/**
 * Milliseconds of reading the vector of a transaction and applying it, one at a time, on what `state` holds; ascending. Null when there is no
 * redis-server.
 */
export async function redisMillis(
  plan: FeaturePlan,
  state: FeatureState,
  transactions: Iterable<Transaction>,
): Promise<Float64Array | null> {
  const server = await startServer();
  if (server === null) return null;
  const address = { host: HOST, port: server.port, database: 0, tls: false };
  const store = createRedisState({ address, name: "bench" });
  try {
    const id = await fill(store, state, plan);
    return await measure(store, { id, plan, state, transactions });
  } finally {
    await store.close();
    await server.stop();
  }
}

async function fill(store: SharedStore, state: FeatureState, plan: FeaturePlan): Promise<string> {
  await store.begin({ replaces: null, marker: MARKER, generation: 1, sequence: 0 });
  const id = await store.prepare();
  let chunk: { series: number; text: string; bytes: Uint8Array }[] = [];
  for (const { series, text, blob } of keysOfState(state)) {
    chunk.push({ series, text, bytes: blob });
    if (chunk.length < FILL_KEYS) continue;
    await store.fill(id, chunk);
    chunk = [];
  }
  await store.fill(id, chunk);
  const { generation, current, previous } = state.ids.dump();
  const ids = { generation, lists: [current, previous] };
  const layout = { id, hash: plan.layoutHash, about: "" };
  assert(
    await store.add(layout, { marker: MARKER, sequence: 0, watermark: state.watermark, ids }),
    "the layout is added",
  );
  return id;
}

async function measure(
  store: SharedStore,
  on: {
    readonly id: string;
    readonly plan: FeaturePlan;
    readonly state: FeatureState;
    readonly transactions: Iterable<Transaction>;
  },
): Promise<Float64Array> {
  const { id, plan } = on;
  const excerpt = new Excerpt(on.state.layout);
  const belief = () => ({ marker: MARKER, version: 1, sequenceKnown: 0, parts: [{ id, excerpt }] });
  const vector = new Float32Array(plan.width);
  const millis: number[] = [];
  let settled: string[] = [];
  for (const transaction of on.transactions) {
    const record = (): Uint8Array => {
      excerpt.state.read(plan, transaction, vector);
      return RECORD;
    };
    const begun = performance.now();
    const taken = await takeTransaction(store, belief, { transaction, record, again: true });
    millis.push(performance.now() - begun);
    assert(taken.outcome === "applied", "one caller meets no conflict");
    settled.push(`t ${transaction.id}`);
    if (settled.length < FILL_KEYS) continue;
    await store.settle(settled);
    settled = [];
  }
  return Float64Array.from(millis.slice(Math.floor(millis.length * WARM_UP_SHARE))).sort();
}

async function startServer(): Promise<{ readonly port: number; stop(): Promise<void> } | null> {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-bench-redis-"));
  const port = await freePort();
  const args = ["--port", String(port), "--bind", HOST, "--dir", dir, "--save", "", "--appendonly", "no"];
  const child = spawn("redis-server", args, { stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    rmSync(dir, { recursive: true, force: true });
  };
  let said = "";
  let missing = false;
  child.stdout.on("data", (text: Buffer) => {
    said += text;
  });
  void ended.then(() => {
    missing = true;
  });
  for (let tries = 0; tries < START_TRIES_MAX && !missing; tries++) {
    if (said.includes("Ready to accept connections")) return { port, stop };
    await sleep(25);
  }
  await stop();
  return null;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, HOST, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
