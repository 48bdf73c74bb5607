// Four servers over one feature state in Redis, one of them killed in the middle: nothing lost, nothing counted twice, no mismatch.
import path from "node:path";
import Database from "libsql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createSqliteLog } from "../../src/drivers/log/sqlite/driver.ts";
import { makeWorkspace, removeWorkspace, type Served, sentinelJson, serve } from "../cli/sentinel.ts";
import { type RedisProcess, redisInstalled, startRedis } from "../drivers/redis-server.ts";
import { type LivePayment, livePayments, postJson, SMALL_WORLD as WORLD, writeHistory } from "./traffic.ts";

if (!redisInstalled) {
  console.warn("SKIPPED the journey of four servers: no redis-server on the path; scripts/setup-redis installs it");
  test.runIf(process.env.CI === "true")("redis-server is installed", () => {
    expect(redisInstalled, "CI must run scripts/setup-redis first").toBe(true);
  });
}

/** SENTINEL_JOURNEY_PREDICTIONS=100000 makes the long journey of it. */
const PREDICTIONS = Number(process.env.SENTINEL_JOURNEY_PREDICTIONS ?? 2000);
const SERVERS = 4;
const CLIENTS = 8;
const TRIES_MAX = 200;

interface Body {
  readonly transaction_id: string;
  readonly score: number | null;
  readonly decision: string;
  readonly degraded?: true;
}

describe.runIf(redisInstalled)("four servers", () => {
  let dir: string;
  let redis: RedisProcess;
  const servers: Served[] = [];
  const live = livePayments(Math.ceil(PREDICTIONS / (1.5 * WORLD.customers!)) + 4, WORLD);
  const answers = new Map<string, Body>();
  const env = (): Record<string, string> => ({ SENTINEL_REDIS_URL: redis.url });
  const run = (...args: string[]) => sentinelJson(args, { cwd: dir, env: env() });
  const logFile = (): string => path.join(dir, "models", "state", "card-log.db");

  beforeAll(async () => {
    dir = makeWorkspace();
    redis = await startRedis();
    await writeHistory(dir, WORLD);
    expect(await run("train")).toMatchObject({ code: 0 });
    expect(await run("promote")).toMatchObject({ code: 0 });
  });
  afterAll(async () => {
    for (const server of servers) await server.stop("SIGKILL");
    await redis?.dispose();
    removeWorkspace(dir);
  });

  const start = async (): Promise<Served> => {
    const server = await serve(dir, { env: env() });
    servers.push(server);
    return server;
  };

  /** Sends until somebody answers, to one server after the other: what a client does whose server died. */
  async function send(payment: LivePayment, first: number): Promise<Body> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const { url } = servers[(first + tries) % servers.length];
      const answered = await postJson(`${url}/predict`, payment).catch(() => null);
      if (answered?.status === 200) return answered.body as Body;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`nobody answers ${payment.transaction_id}`);
  }

  /** Several clients take payments from one list; now and then one asks again elsewhere, or sends a label. */
  async function load(payments: readonly LivePayment[], onAnswer: (count: number) => void = () => {}): Promise<void> {
    let next = 0;
    const client = async (): Promise<void> => {
      while (next < payments.length) {
        const at = next++;
        const payment = payments[at];
        const [body, twin] = await Promise.all([
          send(payment, at),
          at % 10 === 0 ? send(payment, at + 1) : Promise.resolve(null),
        ]);
        if (twin !== null && !twin.degraded && !body.degraded) expect(twin).toEqual(body);
        answers.set(body.transaction_id, body);
        onAnswer(answers.size);
        if (at % 3 !== 0 || at < 200) continue;
        const about = payments[at - 200].transaction_id;
        const label = {
          transaction_id: String(about),
          fraud: live.frauds.get(String(about)),
          time: payment.tx_datetime,
        };
        // The server that is asked may have been killed.
        await postJson(`${servers[at % servers.length].url}/feedback`, label).catch(() => null);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  }

  test("do not start on an address that is wrong (2) or where nobody answers (3), and no message has the password", async () => {
    const start = (url: string) => sentinelJson(["serve"], { cwd: dir, env: { SENTINEL_REDIS_URL: url } });
    const wrong = await start("http://:hunter22@localhost");
    expect(wrong).toMatchObject({ code: 2, json: { error: { code: "config.invalid" } } });
    const dead = await start("redis://:hunter22@127.0.0.1:1");
    expect(dead).toMatchObject({ code: 3, json: { error: { code: "state.unreachable", hint: expect.any(String) } } });
    expect(JSON.stringify([wrong, dead])).not.toContain("hunter22");
    const found = await run("doctor");
    expect(found.json.findings).toContainEqual(
      expect.objectContaining({ what: "shared feature state", state: "ok", found: expect.stringContaining("empty") }),
    );
  });

  test("answer one stream of payments, one of them killed and started again in the middle", async () => {
    await Promise.all(Array.from({ length: SERVERS }, start));
    const payments = live.requests.slice(0, PREDICTIONS);
    expect(payments).toHaveLength(PREDICTIONS);
    let killing: Promise<void> | null = null;
    const kill = async (): Promise<void> => {
      const [victim] = servers.splice(0, 1);
      expect(await victim.stop("SIGKILL")).toMatchObject({ signal: "SIGKILL" });
      const begun = performance.now();
      await start();
      console.info(`a server was killed and is back after ${Math.round(performance.now() - begun)} ms`);
    };
    const begun = performance.now();
    await load(payments, (count) => {
      if (count > PREDICTIONS / 2) killing ??= kill();
    });
    const seconds = (performance.now() - begun) / 1000;
    await killing;
    console.info(`${PREDICTIONS} predictions by ${SERVERS} servers: ${Math.round(PREDICTIONS / seconds)} a second`);
    expect(answers.size).toBe(PREDICTIONS);
    // On a machine so busy that Redis does not answer in time, the policy does.
    expect([...answers.values()].filter(({ degraded }) => degraded).length).toBeLessThan(PREDICTIONS / 50);
  });

  test("the replay finds every vector and score again while they serve", async () => {
    const begun = performance.now();
    const replayed = await run("replay");
    console.info(`replayed in ${Math.round(performance.now() - begun)} ms`);
    expect(replayed).toMatchObject({ code: 0, json: { verdict: "pass", mismatchCount: 0, missing: 0 } });
    expect(replayed.json.predictions).toBe(PREDICTIONS);
    expect(replayed.json.compared + replayed.json.skipped.degraded).toBe(PREDICTIONS);
    expect(replayed.json.skipped.degraded).toBeLessThan(PREDICTIONS / 50);
  });

  test("every answer that a client got is in the log, as it was given", async () => {
    const log = createSqliteLog({ file: logFile() });
    try {
      for (const body of answers.values()) {
        if (body.degraded) continue;
        expect(await log.find(body.transaction_id)).toMatchObject({ score: body.score, decision: body.decision });
      }
    } finally {
      await log.close();
    }
  });

  test("a bit of one logged vector that is wrong is found and named, with both values", async () => {
    const scored = [...answers.values()].filter(({ degraded }) => !degraded);
    const victim = scored[Math.floor(scored.length / 3)].transaction_id;
    const db = new Database(logFile());
    let before: number;
    try {
      db.exec("PRAGMA busy_timeout = 5000");
      const [row] = db.prepare("SELECT vector FROM predictions WHERE transaction_id = ?").all([victim]) as [
        { vector: ArrayBuffer },
      ];
      const vector = new Float32Array(row.vector.slice(0));
      before = vector[0];
      new Uint8Array(vector.buffer)[0] ^= 1;
      db.prepare("UPDATE predictions SET vector = ? WHERE transaction_id = ?").run([
        Buffer.from(vector.buffer),
        victim,
      ]);
    } finally {
      db.close();
    }
    const replayed = await run("replay");
    expect(replayed).toMatchObject({ code: 1, json: { verdict: "fail", mismatchCount: 1 } });
    const [mismatch] = replayed.json.mismatches;
    expect(mismatch).toMatchObject({ transactionId: victim, feature: "amount", replayed: before });
    expect(mismatch.logged).not.toBe(before);
  });
});
