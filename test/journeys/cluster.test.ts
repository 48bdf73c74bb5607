// A gateway before two servers over one state in Redis, the ledger in PostgreSQL; each of them fails in its way: no transaction is lost, and every one is answered.
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeWorkspace, removeWorkspace, type Served, sentinelJson, serve } from "../cli/sentinel.ts";
import { type Forwarder, startForwarder } from "../drivers/forwarder.ts";
import { borrowPostgres, type PostgresServer, postgresPrograms } from "../drivers/postgres-server.ts";
import { type RedisProcess, redisInstalled, startRedis } from "../drivers/redis-server.ts";
import { until } from "../server/world.ts";
import { livePayments, postJson, SMALL_WORLD, writeHistory } from "./traffic.ts";

const installed = redisInstalled && postgresPrograms !== null;
if (!installed) {
  console.warn(
    "SKIPPED the journey of a cluster: scripts/setup-redis and scripts/setup-postgres install what it needs",
  );
  test.runIf(process.env.CI === "true")("Redis and PostgreSQL are installed", () => expect(installed).toBe(true));
}

/** SENTINEL_CLUSTER_PAYMENTS=2000 makes every phase a long one. */
const PHASE = Number(process.env.SENTINEL_CLUSTER_PAYMENTS ?? 32);
const CLIENTS = 4;
const DEADLINE_MS = 1500;
/** An answer that hangs is one that takes as long as a slow server; a busy machine adds its own to the deadline. */
const HANGS_MS = 20_000;
const CHAOS_DELAY_MS = 2000;
const SLOWED = /sentinel_chaos_total\{.*fault="slow".*\} [1-9]/;

interface Answer {
  readonly transaction_id: string;
  readonly decision: string;
  readonly answered_by: "brain" | "policy";
  readonly brain?: string;
  readonly degraded?: true;
  readonly why?: string;
}

describe.runIf(installed)("a cluster", () => {
  let dir: string;
  let gatewayDir: string;
  let redis: RedisProcess;
  let postgres: PostgresServer;
  let database: string;
  let schema: string;
  let hole: Server;
  let way: Forwarder;
  let [first, second, gateway]: Served[] = [];
  const payments = livePayments(20).requests;
  const answers = new Map<string, { readonly answer: Answer; readonly ms: number }>();
  let next = 0;
  const env = (): Record<string, string> => ({ SENTINEL_REDIS_URL: redis.url, SENTINEL_GRPC_PORT: "0" });
  const at = (served: Served): string => `grpc://127.0.0.1:${served.grpcPort}`;

  beforeAll(async () => {
    [redis, postgres] = await Promise.all([startRedis({ append: true }), borrowPostgres()]);
    const address = postgres.address();
    ({ schema } = address);
    database = `${postgres.url(address)}`;
    dir = makeWorkspace();
    gatewayDir = makeWorkspace();
    await writeHistory(dir, SMALL_WORLD);
    const run = (...args: string[]) => sentinelJson(args, { cwd: dir });
    expect(await run("train")).toMatchObject({ code: 0 });
    expect(await run("promote")).toMatchObject({ code: 0 });
    expect(
      await sentinelJson(["db", "migrate"], { cwd: gatewayDir, env: { SENTINEL_DATABASE_URL: database } }),
    ).toMatchObject({ code: 0 });
    [first, second] = await Promise.all([
      serve(dir, { env: env() }),
      serve(dir, { env: env(), verb: ["serve", "--chaos-slow", "0.1", "--chaos-delay", `${CHAOS_DELAY_MS}ms`] }),
    ]);
    way = await startForwarder(second.grpcPort);
    hole = createServer(() => {});
    await new Promise<void>((resolve) => hole.listen(0, "127.0.0.1", resolve));
    const brains = ["--brain", at(first), `grpc://127.0.0.1:${way.port}`];
    const times = ["--deadline", `${DEADLINE_MS}ms`, "--hedge", "100ms", "--rest", "1s"];
    gateway = await serve(gatewayDir, {
      env: { LEDGER_DATABASE_URL: database },
      verb: ["gateway", ...brains, ...times, "--policy", "review"],
    });
  });
  afterAll(async () => {
    for (const one of [gateway, first, second]) await one?.stop("SIGKILL");
    await way?.close();
    hole?.close();
    await redis?.dispose();
    for (const one of [dir, gatewayDir]) if (one !== undefined) removeWorkspace(one);
  });

  /** Sends so many payments by several clients; each has an answer, whatever is broken. */
  async function pay(count: number): Promise<readonly Answer[]> {
    const end = next + count;
    const all: Answer[] = [];
    const client = async (): Promise<void> => {
      while (next < end) {
        const payment = payments[next++];
        const begun = performance.now();
        const { status, body } = await postJson(`${gateway.url}/transaction`, payment);
        expect([status, body]).toEqual([
          200,
          expect.objectContaining({ transaction_id: String(payment.transaction_id) }),
        ]);
        const answer = body as Answer;
        answers.set(answer.transaction_id, { answer, ms: performance.now() - begun });
        all.push(answer);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    return all;
  }
  const look = async (route: string): Promise<Record<string, never>> =>
    (await (await fetch(`${gateway.url}${route}`)).json()) as Record<string, never>;
  const breakers = async (): Promise<readonly string[]> =>
    ((await look("/circuit/status")).brains as readonly { readonly breaker: string }[]).map(({ breaker }) => breaker);
  const policies = (all: readonly Answer[]): readonly Answer[] => all.filter((one) => one.answered_by === "policy");

  test("one server slow by two seconds in one of ten calls: the other answers those", async () => {
    const health = (await (await fetch(`${second.url}/health`)).json()) as Record<string, unknown>;
    expect(health).toMatchObject({ status: "degraded", chaos: { slow: 0.1, delay_ms: CHAOS_DELAY_MS } });
    const all = [...(await pay(PHASE))];
    await until(async () => {
      all.push(...(await pay(CLIENTS)));
      return SLOWED.test(await (await fetch(`${second.url}/metrics`)).text());
    });
    expect(policies(all)).toEqual([]);
    expect(new Set(all.map(({ brain }) => brain)).size).toBe(2);
    expect(await (await fetch(`${gateway.url}/metrics`)).text()).toMatch(/sentinel_gateway_hedges_total [1-9]/);
  });

  test("one server cut off, its packets dropped: its breaker opens, the other answers; and closes when it is back", async () => {
    const { port } = hole.address() as { readonly port: number };
    way.to(port);
    way.silence();
    const all: Answer[] = [];
    await until(async () => {
      all.push(...(await pay(CLIENTS)));
      return (await breakers()).includes("open");
    });
    all.push(...(await pay(PHASE)));
    expect(policies(all)).toEqual([]);
    way.to(second.grpcPort);
    way.silence();
    await until(async () => {
      await pay(1);
      return (await breakers()).every((one) => one === "closed");
    });
  });

  test("the other one killed while this one is cut off: the policy answers, flagged; they are scored once a server is back", async () => {
    const { port } = hole.address() as { readonly port: number };
    way.to(port);
    way.silence();
    await first.stop("SIGKILL");
    const all = await pay(PHASE / 2);
    const flagged = policies(all);
    expect(flagged.length).toBeGreaterThan(0);
    for (const one of flagged)
      expect(one).toMatchObject({ decision: "review", degraded: true, why: expect.any(String) });
    await until(async () => (await breakers()).every((one) => one !== "closed"));
    expect(policies(await pay(4)).length).toBeGreaterThan(0);
    expect(await look("/circuit/status")).toMatchObject({ state: expect.stringMatching(/open/) });
    way.to(second.grpcPort);
    way.silence();
    await until(async () => (await pay(1)).every((one) => one.answered_by === "brain"));
    await until(async () => {
      const [{ count }] = await postgres.query(`select count(*) as count from ${schema}.ledger where pending = 1`);
      return Number(count) === 0;
    });
    const [{ settled }] = await postgres.query(
      `select count(*) as settled from ${schema}.ledger where "by" = 'policy' and later_answer is not null`,
    );
    expect(Number(settled)).toBe([...answers.values()].filter(({ answer }) => answer.answered_by === "policy").length);
  });

  test("Redis started again: the servers answer by their own policy meanwhile, and score again by themselves", async () => {
    await Promise.all([redis.restart(), pay(PHASE / 2)]);
    await until(async () => (await pay(1)).every((one) => one.answered_by === "brain" && one.degraded !== true));
  });

  test("PostgreSQL away: answers wait on the gateway's disk, and are in the ledger when it is back", async () => {
    await postgres.kill();
    const all = await pay(PHASE / 2);
    expect(all).toHaveLength(PHASE / 2);
    expect(await look("/health")).toMatchObject({ status: "degraded", ledger: { spooling: true } });
    await postgres.restart();
    await until(async () => {
      const { ledger } = (await look("/health")) as unknown as { readonly ledger: { readonly spooling: boolean } };
      return !ledger.spooling;
    });
    expect(await look("/health")).toMatchObject({ ledger: { spoolBytes: 0 } });
  });

  test("every transaction that was answered is in the ledger with that answer, none hung, and a replay finds the same bits", async () => {
    for (const { ms } of answers.values()) expect(ms).toBeLessThan(HANGS_MS);
    expect(await gateway.stop("SIGTERM")).toMatchObject({ code: 0 });
    expect(await second.stop("SIGTERM")).toMatchObject({ code: 0 });
    const rows = await postgres.query(`select id, answer from ${schema}.ledger`);
    expect(rows).toHaveLength(answers.size);
    for (const { id, answer } of rows) expect(JSON.parse(String(answer))).toEqual(answers.get(String(id))!.answer);
    expect(await sentinelJson(["replay"], { cwd: dir, env: { SENTINEL_REDIS_URL: redis.url } })).toMatchObject({
      code: 0,
      json: { verdict: "pass", mismatchCount: 0 },
    });
  });
});
