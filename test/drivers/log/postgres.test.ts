// The prediction log on a real PostgreSQL: the contract, several servers on one log, a database that is away, and commits nobody heard of.
import { connect, createServer, type Socket } from "node:net";
import { afterAll, describe, expect, test } from "vitest";
import { openPostgresLog } from "../../../src/drivers/log/postgres/driver.ts";
import { postgresEnd } from "../../../src/drivers/log/postgres/end.ts";
import type { LogOptions } from "../../../src/drivers/log/sql/driver.ts";
import type { Batch } from "../../../src/drivers/log/sql/log-end.ts";
import { migratePostgres } from "../../../src/drivers/store/postgres/driver.ts";
import type { PostgresAddress } from "../../../src/drivers/store/postgres/pool.ts";
import { collect, predictionLogContract, until } from "../../contracts/prediction-log.ts";
import { borrowPostgres, type PostgresServer, postgresPrograms } from "../postgres-server.ts";
import { label, prediction, shadow } from "../records.ts";

/** A line to a server that can break between the server's commit and whoever waits to hear of it. */
async function startBreakingLine(target: number) {
  let armed = false;
  let broken = false;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, "127.0.0.1");
    let committing = false;
    near.on("data", (data) => {
      committing ||= armed && data.includes("COMMIT");
      far.write(data);
    });
    far.on("data", (data) => {
      if (!committing) {
        near.write(data);
        return;
      }
      armed = false;
      broken = true;
      near.destroy();
      far.destroy();
    });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(socket);
      socket.on("error", () => other.destroy()).on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    breakAtCommit() {
      armed = true;
    },
    get broken() {
      return broken;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

if (postgresPrograms === null) {
  console.warn("SKIPPED the prediction log on PostgreSQL: it is not here; scripts/setup-postgres installs it");
  test.runIf(process.env.CI === "true")("PostgreSQL is here", () => {
    expect.fail("CI must run scripts/setup-postgres first");
  });
} else {
  const server: PostgresServer = await borrowPostgres();
  const address = server.address();
  await migratePostgres(address);
  let logs = 0;
  const newName = (): string => `log-${logs++}`;
  const open = (name: string, options?: LogOptions, at: PostgresAddress = address) =>
    openPostgresLog({ address: at, name, options });

  let contractName = "";
  predictionLogContract("PostgreSQL", {
    fresh: async () => {
      contractName = newName();
    },
    open: (options) => open(contractName, options),
  });

  describe("several servers on one log", () => {
    test("write one order: whoever has read up to a number has missed nothing before it", async () => {
      const name = newName();
      const servers = await Promise.all([0, 1, 2].map(() => open(name, { batchRowsMax: 20, flushMs: 1 })));
      const reader = await open(name);
      const seen: string[] = [];
      let from = 1;
      const follow = async (): Promise<void> => {
        const { sequence } = await reader.last();
        const entries = await collect(reader.scan(from));
        // All up to the number that was named are there, although later ones may be too.
        expect(entries.filter(({ record }) => record.sequence <= sequence)).toHaveLength(sequence - from + 1);
        for (const { record } of entries) seen.push(record.transactionId);
        from += entries.length;
      };
      for (let i = 0; i < 400; i++) {
        for (const [at, one] of servers.entries()) one.appendPrediction(prediction(`s${at}-${i}`));
        // The same answer from two servers is one record.
        for (const one of servers.slice(1)) one.appendPrediction(prediction(`both-${i}`));
        if (i % 40 === 0) await follow();
      }
      await Promise.all(servers.map((one) => one.flush()));
      await follow();
      expect(new Set(seen).size).toBe(1600);
      expect(seen).toHaveLength(1600);
      expect(await reader.counts()).toMatchObject({ predictions: 1600 });
      expect(servers.reduce((sum, one) => sum + one.duplicates(), 0)).toBe(400);
      await Promise.all([...servers, reader].map((one) => one.close()));
    });

    test("logs of two names know nothing of each other", async () => {
      const [one, other] = [await open(newName()), await open(newName())];
      one.appendPrediction(prediction("t1"));
      one.appendLabel(label("t1"));
      one.appendShadow(shadow("t1"));
      one.addCoverage("4", 3, {});
      await one.flush();
      expect(await other.counts()).toEqual({ predictions: 0, labels: 0, shadows: 0 });
      expect(await other.find("t1")).toBeNull();
      expect(await other.coverage()).toEqual([]);
      expect(await collect(other.scan(0))).toEqual([]);
      other.appendPrediction(prediction("t1", { score: 0.5 }));
      expect(await other.forget(Number.MAX_SAFE_INTEGER)).toBe(1);
      expect(await one.counts()).toEqual({ predictions: 1, labels: 1, shadows: 1 });
      expect(await one.identity()).not.toBe(await other.identity());
      await Promise.all([one.close(), other.close()]);
    });
  });

  describe("PostgreSQL away", () => {
    test("interval: records wait within a limit, are refused beyond it, and are written once when it is back", async () => {
      let now = 0;
      const log = await open(newName(), { lagMsMax: 1000, flushMs: 1, elapsed: () => now });
      const told: string[] = [];
      log.watch({
        failed: (error) => told.push(`${error.code}: ${error.hint}`),
        recovered: () => told.push("recovered"),
      });
      log.appendPrediction(prediction("before"));
      await log.flush();
      await server.kill();
      for (let i = 0; i < 50; i++) {
        log.appendPrediction(prediction(`t${i}`));
        log.appendLabel(label(`t${i}`));
      }
      log.appendShadow(shadow("t1"));
      log.addCoverage("4", 3, { timeout: 1 });
      await expect(log.flush()).rejects.toMatchObject({ code: "log.unwritable" });
      expect(told).toEqual([expect.stringContaining("log.unwritable: is it running, and reachable from here?")]);
      expect(log.health()).toMatchObject({ fault: expect.stringContaining("cannot write") });
      expect(log.health().unwritten).toBeGreaterThanOrEqual(101);
      expect(log.refusal()).toBeNull();
      now = 1001;
      expect(log.refusal()).toMatchObject({ code: "log.unwritable" });
      // What this process answered it still knows; of others it cannot say anything.
      expect((await log.find("t1"))?.transactionId).toBe("t1");
      expect((await log.find("before"))?.transactionId).toBe("before");
      await expect(log.find("of-another")).rejects.toMatchObject({ code: "log.unreadable" });
      await server.restart();
      await until(() => log.health().unwritten === 0);
      expect(told.at(-1)).toBe("recovered");
      expect(log.refusal()).toBeNull();
      expect(await log.counts()).toEqual({ predictions: 51, labels: 50, shadows: 1 });
      expect((await log.coverage())[0]).toMatchObject({ version: "4", scored: 3, missed: { timeout: 1 } });
      await log.close();
    });

    test("sync: nobody waits for a record longer than it takes to fail", async () => {
      const log = await open(newName(), { durability: "sync" });
      log.appendPrediction(prediction("t0"));
      await log.durable("t0");
      expect(await log.counts()).toMatchObject({ predictions: 1 });
      await server.kill();
      log.appendPrediction(prediction("t1"));
      await expect(log.durable("t1")).rejects.toMatchObject({ code: "log.unwritable" });
      await server.restart();
      await until(() => log.health().unwritten === 0);
      expect(log.durable("t1")).toBeNull();
      expect(await log.find("t1")).toMatchObject({ sequence: 2 });
      await log.close();
    });

    test("a log that cannot be written closes all the same, and says that records are lost", async () => {
      const log = await open(newName());
      await server.kill();
      log.appendPrediction(prediction("t1"));
      await expect(log.close()).rejects.toMatchObject({ code: "log.unwritable" });
      await server.restart();
    });

    test("it is away, or not migrated, when the log is opened", async () => {
      const bare = server.address();
      await expect(open("x", {}, bare)).rejects.toMatchObject({
        code: "store.schema-old",
        hint: expect.stringContaining("sentinel db migrate"),
      });
      await server.kill();
      await expect(open("x", {}, { ...address, password: "s3cret" })).rejects.toMatchObject({
        code: "log.unreadable",
        message: expect.not.stringContaining("s3cret"),
      });
      await server.restart();
    });
  });

  describe("a commit nobody heard of", () => {
    const batchOf = (before: number, ids: readonly string[]): Batch => ({
      records: ids.map((id) => ({ kind: "label", record: label(id) })),
      coverage: [{ version: "4", outcome: "scored", count: 1 }],
      before,
      items: ids.length + 1,
    });

    test("its labels and counts are written once, whatever the next try looks like", async () => {
      const name = newName();
      const log = await open(name);
      const [{ id }] = await server.query(`select id from ${address.schema}.logs where name = '${name}'`);
      const end = postgresEnd({
        place: { vendor: "postgres", address, log: Number(id), writer: "w" },
        address,
        log: Number(id),
        writer: "w",
        sync: true,
        batchRowsMax: 10,
        rowsMax: 100,
        keptMsMax: Number.POSITIVE_INFINITY,
        archivedOnly: false,
      });
      const first = await end.open();
      expect(await first.write(batchOf(0, ["a", "b"]))).toMatchObject({ already: 0, duplicates: 0 });
      // The same again, and a larger one from the same place: both times three items are there.
      expect(await first.write(batchOf(0, ["a", "b"]))).toMatchObject({ already: 3 });
      expect(await first.write(batchOf(0, ["a", "b", "c", "d"]))).toMatchObject({ already: 3 });
      expect(await first.write(batchOf(3, ["c", "d"]))).toMatchObject({ already: 0 });
      expect(await log.counts()).toMatchObject({ labels: 4 });
      expect((await log.coverage())[0].scored).toBe(2);
      await first.close();
      await log.close();
    });

    test("a line that breaks when the server has committed: nothing is lost, and nothing is there twice", async () => {
      const line = await startBreakingLine(address.port);
      const log = await open(newName(), { flushMs: 1 }, { ...address, port: line.port });
      log.appendLabel(label("before"));
      await log.flush();
      line.breakAtCommit();
      log.appendLabel(label("a"));
      log.appendPrediction(prediction("a"));
      log.addCoverage("4", 5, {});
      await until(() => line.broken && log.health().unwritten === 0);
      expect(log.health().failures).toBe(1);
      log.appendLabel(label("b"));
      await log.flush();
      expect(await log.counts()).toEqual({ predictions: 1, labels: 3, shadows: 0 });
      expect((await log.coverage())[0].scored).toBe(5);
      expect((await collect(log.scan(0))).map(({ record }) => record.sequence)).toEqual([1, 2, 3, 4]);
      await log.close();
      await line.close();
    });
  });

  test("doubles come back bit for bit, whatever digits a role is set to", async () => {
    await server.query("create role terse login superuser; alter role terse set extra_float_digits = -15");
    const name = newName();
    const log = await open(name, {}, { ...address, user: "terse" });
    const score = 0.1234567890123456;
    log.appendPrediction(prediction("t1", { score, anomalyScore: -0, time: 1_700_000_000_000.5 }));
    await log.flush();
    const found = await log.find("t1");
    expect(found).toMatchObject({ score, time: 1_700_000_000_000.5 });
    expect(Object.is(found!.anomalyScore, -0)).toBe(true);
    await log.close();
    await server.query("drop role terse");
  });

  afterAll(() => server.dispose());
}
