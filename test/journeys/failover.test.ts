// Redis fails over while connections stay open: scoring is back by itself, nothing answered is lost, and a replay finds the same bits.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createRedisState } from "../../src/drivers/state/redis/driver.ts";
import { replay } from "../../src/lifecycle/replay.ts";
import type { SharedStore } from "../../src/ports/shared-store.ts";
import { type Forwarder, startForwarder } from "../drivers/forwarder.ts";
import { type RedisProcess, redisInstalled, startRedis } from "../drivers/redis-server.ts";
import {
  bodyOf,
  HISTORY,
  historyTable,
  makeBundle,
  makeWorld,
  payments,
  post,
  type Reply,
  reply,
  SPEC_A,
  serve,
  until,
  type World,
} from "../server/world.ts";

if (!redisInstalled) {
  console.warn("SKIPPED the journey of a failover: no redis-server on the path; scripts/setup-redis installs it");
  test.runIf(process.env.CI === "true")("redis-server is installed", () => {
    expect(redisInstalled, "CI must run scripts/setup-redis first").toBe(true);
  });
}

describe.runIf(redisInstalled)("a primary and its replica", () => {
  let primary: RedisProcess;
  let replica: RedisProcess;
  let name: Forwarder;
  let world: World;
  let running: Awaited<ReturnType<typeof serve>>[];
  const TRAFFIC = payments(600, { seed: 51, from: HISTORY.at(-1)!.time, prefix: "f" });
  let at = 0;

  beforeEach(async () => {
    [primary, replica] = await Promise.all([startRedis({ append: true }), startRedis({ append: true })]);
    name = await startForwarder(primary.address.port);
    world = makeWorld();
    await world.saveState(SPEC_A);
    await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
    running = [];
    at = 0;
  });
  afterEach(async () => {
    for (const { stop } of running) await stop();
    await name.close();
    await Promise.all([primary.dispose(), replica.dispose()]);
    await world.remove();
  });

  const store = (): SharedStore => createRedisState({ address: { ...primary.address, port: name.port }, name: "card" });
  const start = async () => {
    const one = await serve(world, {}, store);
    running.push(one);
    return one;
  };
  const pay = (server: Awaited<ReturnType<typeof start>>): Promise<Reply & { readonly degraded?: true }> =>
    reply(post(server.server, "/predict", bodyOf(TRAFFIC[at++])));
  async function follow(of: RedisProcess, primaryOf: RedisProcess): Promise<void> {
    await of.command("REPLICAOF", "127.0.0.1", String(primaryOf.address.port));
    await until(async () => String(await of.command("INFO", "replication")).includes("master_link_status:up"));
  }
  /** The old primary's last changes are with its replica. */
  const caughtUp = (): Promise<void> =>
    until(async () => {
      const offset = /master_repl_offset:(\d+)/;
      const [a, b] = await Promise.all([primary, replica].map((one) => one.command("INFO", "replication")));
      return offset.exec(String(a))?.[1] === offset.exec(String(b))?.[1];
    });
  /** Pays until an answer is a score again; how many were the policy's. */
  async function payUntilScored(servers: readonly Awaited<ReturnType<typeof start>>[]): Promise<number> {
    let degraded = 0;
    for (const server of servers) {
      for (let answer = await pay(server); answer.degraded === true; answer = await pay(server)) {
        expect(answer.status).toBeUndefined();
        degraded++;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    return degraded;
  }
  async function clean(): Promise<void> {
    const { ports } = running[0];
    const log = await ports.log();
    await log.flush();
    await until(async () => {
      await log.flush();
      return (await log.counts()).predictions === at;
    });
    const report = await replay(ports, { pipeline: world.pipeline, history: async () => historyTable() });
    expect(report).toMatchObject({ verdict: "pass", mismatchCount: 0, missing: 0, predictions: at });
  }

  test("the replica takes over, the connections stay with the old primary: READONLY makes the servers look again", async () => {
    await follow(replica, primary);
    const servers = [await start(), await start()];
    for (let i = 0; i < 40; i++) expect((await pay(servers[i % 2])).degraded).toBeUndefined();
    await caughtUp();
    await replica.command("REPLICAOF", "NO", "ONE");
    const before = name.made;
    name.to(replica.address.port);
    await follow(primary, replica);
    // A look at the state's health may have found it before a payment does: then none is the policy's.
    await payUntilScored(servers);
    expect(name.made).toBeGreaterThan(before);
    for (let i = 0; i < 40; i++) expect((await pay(servers[i % 2])).degraded).toBeUndefined();
    await clean();
  });

  test("the old primary is cut off from its replicas and refuses to write: NOREPLICAS makes the server look again", async () => {
    await follow(replica, primary);
    await primary.command("CONFIG", "SET", "min-replicas-to-write", "1");
    const server = await start();
    for (let i = 0; i < 20; i++) expect((await pay(server)).degraded).toBeUndefined();
    await caughtUp();
    await replica.command("REPLICAOF", "NO", "ONE");
    const before = name.made;
    name.to(replica.address.port);
    await payUntilScored([server]);
    expect(name.made).toBeGreaterThan(before);
    for (let i = 0; i < 20; i++) expect((await pay(server)).degraded).toBeUndefined();
    await clean();
  });

  test("a replica that lacks the last changes takes over: the state is filled again from the log", async () => {
    await follow(replica, primary);
    const server = await start();
    for (let i = 0; i < 20; i++) expect((await pay(server)).degraded).toBeUndefined();
    await replica.command("REPLICAOF", "NO", "ONE");
    for (let i = 0; i < 10; i++) expect((await pay(server)).degraded).toBeUndefined();
    name.to(replica.address.port);
    await follow(primary, replica);
    await payUntilScored([server]);
    for (let i = 0; i < 20; i++) expect((await pay(server)).degraded).toBeUndefined();
    await clean();
  });

  test("the primary's machine is gone without a word: after a few commands without an answer the servers connect again", async () => {
    const server = await start();
    for (let i = 0; i < 10; i++) expect((await pay(server)).degraded).toBeUndefined();
    const before = name.made;
    name.silence();
    expect(await payUntilScored([server])).toBeGreaterThan(0);
    expect(name.made).toBeGreaterThan(before);
    await clean();
  });
});
