// Several servers over one feature state in Redis: same answers, nothing lost or counted twice, and what happens when Redis is away.
import { rmSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createRedisState } from "../../src/drivers/state/redis/driver.ts";
import { compileSpec } from "../../src/features/plan.ts";
import { writeLabels } from "../../src/lifecycle/label.ts";
import { type ReplayReport, replay, vectorAt } from "../../src/lifecycle/replay.ts";
import { drainPending } from "../../src/online/states/shared/outbox.ts";
import type { PredictionLog } from "../../src/ports/log.ts";
import type { SharedStore } from "../../src/ports/shared-store.ts";
import { PATIENT_MS, type RedisProcess, redisInstalled, startRedis } from "../drivers/redis-server.ts";
import {
  bodyOf,
  HISTORY,
  historyTable,
  makeBundle,
  makeWorld,
  type Payment,
  payments,
  post,
  type Reply,
  reply,
  SPEC_A,
  SPEC_B,
  serve,
  until,
  type World,
} from "./world.ts";

type Running = Awaited<ReturnType<typeof serve>>;

describe.runIf(redisInstalled)("servers that share their feature state", () => {
  let redis: RedisProcess;
  let world: World;
  let running: Running[];
  beforeAll(async () => {
    redis = await startRedis({ append: true });
  });
  afterAll(() => redis?.dispose());
  beforeEach(async () => {
    await redis.flush();
    running = [];
    world = makeWorld();
    await world.saveState(SPEC_A);
    await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  });
  afterEach(async () => {
    for (const one of running) await one.stop();
    await world.remove();
  });

  const store = (): SharedStore => createRedisState({ address: redis.address, name: "card", commandMsMax: PATIENT_MS });
  async function start(how: { readonly alone?: boolean } = {}): Promise<Running> {
    const one = await serve(world, {}, how.alone === true ? undefined : store);
    running.push(one);
    return one;
  }
  async function stop(one: Running): Promise<void> {
    running.splice(running.indexOf(one), 1);
    await one.stop();
  }
  const stream = (count: number, prefix: string): Payment[] =>
    payments(count, { seed: 41, from: HISTORY[HISTORY.length - 1].time, prefix });
  const say = async (one: Running, payment: Payment): Promise<Reply> =>
    reply(post(one.server, "/predict", bodyOf(payment)));
  const get = (one: Running, route: string): Promise<Reply> =>
    reply(one.server.app.request(route) as Promise<Response>);

  /** Sends to the servers in turn, several at a time. */
  async function send(items: readonly Payment[], servers: readonly Running[], clients = 6): Promise<Reply[]> {
    const answers: Reply[] = [];
    let next = 0;
    const client = async (): Promise<void> => {
      while (next < items.length) {
        const at = next++;
        answers[at] = await say(servers[at % servers.length], items[at]);
      }
    };
    await Promise.all(Array.from({ length: clients }, client));
    return answers;
  }

  async function replayed(): Promise<ReplayReport> {
    const { ports, close } = world.open(store);
    try {
      return await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
    } finally {
      await close();
    }
  }

  test("an id goes to every server at once, and is answered alike and counted once", async () => {
    const servers = [await start(), await start(), await start()];
    const items = stream(60, "s");
    for (const item of items) {
      const answers = await Promise.all(servers.map((one) => say(one, item)));
      expect(answers[0].score).toEqual(expect.any(Number));
      expect(answers[1]).toEqual(answers[0]);
      expect(answers[2]).toEqual(answers[0]);
    }
    // Other content under a known id is refused, whoever is asked.
    expect(await say(servers[1], { ...items[0], amount: 1 })).toMatchObject({ status: 409, code: "request.duplicate" });
    expect(await replayed()).toMatchObject({ predictions: 60, compared: 60, mismatchCount: 0, verdict: "pass" });
  });

  test("labels are learned once and by all, through the servers or beside them", async () => {
    const servers = [await start(), await start()];
    const items = stream(300, "l");
    await send(items.slice(0, 100), servers);
    for (const [at, { transaction_id, is_fraud }] of items.slice(0, 50).entries()) {
      const body = { transaction_id, fraud: at % 3 === 0 || is_fraud };
      // Twice, to different servers; the first may not have written the transaction to the log yet.
      expect((await post(servers[at % 2].server, "/feedback", body)).status).toBe(200);
      expect((await post(servers[(at + 1) % 2].server, "/feedback", body)).status).toBe(200);
    }
    await send(items.slice(100, 200), servers);
    const { ports, close } = world.open(store);
    const labels = items.slice(60, 90).map(({ transaction_id: transactionId }) => {
      return { transactionId, fraud: true, knownAt: "after-delay", source: "file" } as const;
    });
    expect(await writeLabels(ports, world.pipeline, labels)).toMatchObject({ written: 30 });
    await close();
    await send(items.slice(200), servers);
    const report = await replayed();
    expect(report).toMatchObject({ compared: 300, mismatchCount: 0, missing: 0, verdict: "pass" });
    const vectors = (await (await servers[0].ports.log()).recent(100)).map(({ vector }) => vector[4]);
    expect(Math.max(...vectors)).toBeGreaterThan(0);
  });

  test("what would be judged is explained without being learned, and an answer from raw history", async () => {
    const servers = [await start(), await start()];
    const items = stream(40, "x");
    for (const item of items) {
      const explained = await reply(
        post(servers[0].server, "/explain", { ...bodyOf(item), transaction_id: `${item.transaction_id} ?` }),
      );
      expect((await say(servers[1], item)).score).toBe(explained.score);
    }
    const { ports, close } = world.open(store);
    const record = (await (await ports.log()).find("x30"))!;
    const given = { pipeline: world.pipeline, history: async () => historyTable(), transactionId: "x30" };
    expect(await vectorAt(ports, { ...given, plan: compileSpec(SPEC_A) })).toEqual(record.vector);
    await close();
  });

  test("a state that began empty is filled anew once training left one", async () => {
    rmSync(path.join(world.dir, "state", "snapshots"), { recursive: true });
    const cold = await start();
    const items = stream(90, "z");
    await send(items.slice(0, 40), [cold]);
    expect((await get(cold, "/model")).champion.state.warm).toBe(false);
    await world.saveState(SPEC_A);
    const warm = await start();
    expect((await get(warm, "/model")).champion.state.warm).toBe(true);
    // Both go on, on the new one.
    await send(items.slice(40), [cold, warm]);
    expect(await replayed()).toMatchObject({ compared: 90, mismatchCount: 0, missing: 0, verdict: "pass" });
  });

  test("a candidate with windows of its own is warmed in the midst of traffic, shadows, and is promoted", async () => {
    const servers = [await start(), await start()];
    const items = stream(1200, "c");
    await send(items.slice(0, 300), servers);
    await world.saveState(SPEC_B);
    const version = await world.register(makeBundle(SPEC_B, 2));
    await world.alias("candidate", version);
    let sent = 300;
    const shadowed = async (): Promise<boolean> => {
      await send(items.slice(sent, sent + 20), servers);
      sent += 20;
      const models = await Promise.all(servers.map((one) => get(one, "/model")));
      return models.every(({ shadows }) => shadows[0]?.state.warm === true);
    };
    await until(async () => sent >= 800 || (await shadowed()));
    expect(sent).toBeLessThan(800);
    await world.alias("champion", version);
    await until(async () => {
      const models = await Promise.all(servers.map((one) => get(one, "/model")));
      return models.every(({ champion }) => champion.version === version);
    });
    const answers = await send(items.slice(sent, sent + 200), servers);
    expect(new Set(answers.map(({ model }) => model.version))).toEqual(new Set([version]));
    expect(await replayed()).toMatchObject({ compared: sent + 200, mismatchCount: 0, missing: 0, verdict: "pass" });
    expect(await redis.command("HGET", "sentinel:{card}:head", "generation")).toBe("1");
  });

  test("while Redis is away the policy answers and says so; when it is back all goes on, exact", async () => {
    const servers = [await start(), await start()];
    const items = stream(1000, "r");
    await send(items.slice(0, 80), servers);
    await redis.kill();
    const away = await send(items.slice(80, 120), servers);
    expect(away.every((answer) => answer.score === null && answer.decision === "review")).toBe(true);
    expect(await get(servers[0], "/readyz")).toMatchObject({ status: "degraded", shared: { reachable: false } });
    expect((await servers[0].server.app.request("/readyz")).status).toBe(200);
    expect((await post(servers[0].server, "/feedback", { transaction_id: "r1", fraud: true })).status).toBe(503);
    await redis.restart();
    let sent = 120;
    for (const one of servers) await until(async () => (await say(one, items[sent++])).score !== null);
    const after = await send(items.slice(sent, sent + 80), servers);
    sent += 80;
    expect(after.filter(({ score }) => score === null)).toEqual([]);
    expect(await get(servers[0], "/readyz")).toMatchObject({ status: "ready", shared: { reachable: true } });
    // The same id gets the same answer as when Redis was away.
    expect(await say(servers[1], items[90])).toEqual(away[10]);
    const report = await replayed();
    expect(report).toMatchObject({ predictions: sent, mismatchCount: 0, missing: 0, verdict: "pass" });
    expect(report.skipped.degraded).toBeGreaterThanOrEqual(40);
    expect(report.compared + report.skipped.degraded).toBe(sent);
  });

  test("while Redis is slow answers come all the same, by the policy; when it is quick again all goes on, exact", async () => {
    const impatient = await serve(world, {}, () =>
      createRedisState({ address: redis.address, name: "card", commandMsMax: 200 }),
    );
    running.push(impatient);
    const items = stream(1000, "w");
    await send(items.slice(0, 40), [impatient]);
    // Every command waits; the connections stay.
    await redis.command("CLIENT", "PAUSE", "1500", "ALL");
    const slow = await send(items.slice(40, 60), [impatient]);
    expect(slow.filter(({ score, decision }) => score !== null || decision !== "review")).toEqual([]);
    let sent = 60;
    await until(async () => (await say(impatient, items[sent++])).score !== null);
    await send(items.slice(sent, sent + 40), [impatient]);
    sent += 40;
    expect(await say(impatient, items[45])).toEqual(slow[5]);
    // What had been on its way to Redis and was done after all is in the state, and in the replay.
    await impatient.server.stop();
    const report = await replayed();
    expect(report).toMatchObject({ predictions: sent, mismatchCount: 0, missing: 0, verdict: "pass" });
  });

  test("a Redis that was emptied is noticed and filled again, and a replay knows of both lives", async () => {
    const servers = [await start(), await start()];
    const items = stream(300, "e");
    await send(items.slice(0, 100), servers);
    // The log has all of it: what waits in Redis alone would be lost, as the documentation says.
    await until(async () => (await redis.command("HLEN", "sentinel:{card}:pending")) === 0);
    await redis.flush();
    let sent = 100;
    for (const one of servers) await until(async () => (await say(one, items[sent++])).score !== null);
    const after = await send(items.slice(sent), servers);
    expect(after.filter(({ score }) => score === null)).toEqual([]);
    const report = await replayed();
    expect(report).toMatchObject({ predictions: 300, mismatchCount: 0, missing: 0, verdict: "pass" });
    expect(report.compared + report.skipped.degraded).toBe(300);
    expect(await redis.command("HGET", "sentinel:{card}:head", "generation")).toBe("2");
  });

  test("a Redis that lost its last changes is noticed by what the log knows", async () => {
    const first = await start();
    const items = stream(200, "b");
    await send(items.slice(0, 50), [first]);
    const head = (await redis.command("HGETALL", "sentinel:{card}:head")) as string[];
    const sequence = Number(head[head.indexOf("sequence") + 1]);
    await send(items.slice(50, 100), [first]);
    await until(async () => (await redis.command("HLEN", "sentinel:{card}:pending")) === 0);
    await stop(first);
    await redis.command("HSET", "sentinel:{card}:head", "sequence", String(sequence));
    const second = await start();
    await send(items.slice(100), [second]);
    const after = (await redis.command("HGET", "sentinel:{card}:head", "generation")) as string;
    expect(Number(after)).toBe(2);
    expect(await replayed()).toMatchObject({ compared: 200, mismatchCount: 0, missing: 0, verdict: "pass" });
  });

  test("a server without Redis in between is noticed, and every stretch replays", async () => {
    const items = stream(400, "m");
    const before = await start({ alone: true });
    await send(items.slice(0, 100), [before]);
    await stop(before);
    const shared = await start();
    await send(items.slice(100, 200), [shared]);
    await stop(shared);
    const alone = await start({ alone: true });
    await send(items.slice(200, 300), [alone]);
    await stop(alone);
    const again = await start();
    await send(items.slice(300), [again]);
    expect(await replayed()).toMatchObject({ compared: 400, mismatchCount: 0, missing: 0, verdict: "pass" });
  });

  test("what a server applied and could not log is found in Redis, in its place; what is nowhere is told", async () => {
    const servers = [await start(), await start()];
    const log: PredictionLog = await servers[0].ports.log();
    const append = log.appendPrediction;
    const items = stream(120, "k");
    await send(items.slice(0, 40), servers);
    // As if killed between the two: applied, answered, and never logged.
    log.appendPrediction = () => false;
    const answers = await send(items.slice(40, 80), servers);
    // A log that takes nothing must not make Redis forget.
    const beside = store();
    expect(await drainPending(beside, log)).toBe(0);
    await beside.close();
    log.appendPrediction = append;
    expect(await send(items.slice(40, 80), [servers[1]])).toEqual(answers);
    await send(items.slice(80), servers);
    expect(await replayed()).toMatchObject({ compared: 120, mismatchCount: 0, missing: 0, verdict: "pass" });
    log.appendPrediction = () => false;
    await say(servers[0], stream(121, "k")[120]);
    await redis.command("DEL", "sentinel:{card}:pending");
    const report = await replayed();
    expect(report).toMatchObject({ missing: 1, verdict: "fail" });
    expect(report.reasons[0]).toMatch(/1 changes of the shared state are in no log/);
  });

  test("the state of another workspace is refused", async () => {
    await start();
    const other = makeWorld();
    try {
      await expect(serve(other, {}, store)).rejects.toMatchObject({ code: "state.foreign" });
    } finally {
      await other.remove();
    }
  });

  test("without Redis a server does not start, and the password is in no message", async () => {
    const address = { host: "127.0.0.1", port: 1, database: 0, tls: false, password: "hunter22" };
    const dead = (): SharedStore => createRedisState({ address, name: "card" });
    const failed = serve(world, {}, dead);
    await expect(failed).rejects.toMatchObject({ code: "state.unreachable" });
    await expect(failed).rejects.not.toThrow(/hunter22/);
  });
});
