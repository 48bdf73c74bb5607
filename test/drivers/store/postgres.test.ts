// The store on a real PostgreSQL: the contract, and what only a server can do to us.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { migratePostgres, openPostgresStore, postgresSchema } from "../../../src/drivers/store/postgres/driver.ts";
import type { PostgresAddress } from "../../../src/drivers/store/postgres/pool.ts";
import { casesContract } from "../../contracts/cases.ts";
import { BY, fields, newAlert, rulesChange, storeContract } from "../../contracts/store.ts";
import { borrowPostgres, type PostgresServer, postgresPrograms } from "../postgres-server.ts";
import { killAndLook } from "./killed.ts";
import { migrationContract } from "./migrations.ts";
import { ofDefault } from "./of-default.ts";

const clock = { elapsed: () => performance.now() };

if (postgresPrograms === null) {
  console.warn("SKIPPED the store on PostgreSQL: it is not here; scripts/setup-postgres installs it");
  test.runIf(process.env.CI === "true")("PostgreSQL is here", () => {
    expect.fail("CI must run scripts/setup-postgres first");
  });
} else {
  const server: PostgresServer = await borrowPostgres();
  const aSchema = async (): Promise<PostgresAddress> => {
    const address = server.address();
    await migratePostgres(address);
    return address;
  };

  const place = async () => {
    const address = await aSchema();
    return { open: () => ofDefault(openPostgresStore({ address, clock })), dispose: async () => {} };
  };
  storeContract("PostgreSQL", place);
  casesContract("PostgreSQL", place);

  describe("PostgreSQL", () => {
    migrationContract(async () => {
      const address = server.address();
      return {
        migrate: async (to) => void (await migratePostgres(address, { to })),
        async write(statements) {
          for (const statement of statements) await server.query(statement.replaceAll(" @", ` ${address.schema}.`));
        },
        async open() {
          await migratePostgres(address);
          return ofDefault(openPostgresStore({ address, clock }));
        },
      };
    });

    test("tables are made by a migration only, by however many at once", async () => {
      const address = server.address();
      await expect(openPostgresStore({ address, clock })).rejects.toMatchObject({
        code: "store.schema-old",
        hint: expect.stringContaining("sentinel db migrate"),
      });
      expect(await postgresSchema(address)).toMatchObject({ version: 0 });
      const done = await Promise.all(Array.from({ length: 4 }, () => migratePostgres(address)));
      const { known, version } = await postgresSchema(address);
      expect(version).toBe(known);
      expect(done.flat().length).toBe(known);
      await server.query(`update ${address.schema}.store_version set version = 99`);
      await expect(openPostgresStore({ address, clock })).rejects.toMatchObject({ code: "store.schema-new" });
      await expect(migratePostgres(address)).rejects.toMatchObject({ code: "store.schema-new" });
    });

    test("what is kept as JSON can be asked by SQL", async () => {
      const address = await aSchema();
      const store = await ofDefault(openPostgresStore({ address, clock }));
      const { id } = await store.pipelines.create(fields("card"), BY);
      await store.alerts.append([newAlert(id, "t1")]);
      expect(
        await server.query(
          `select body->>'currency' as currency, rules->0->>'id' as rule from ${address.schema}.alerts`,
        ),
      ).toEqual([{ currency: "USD", rule: "large" }]);
      for (const table of ["audit", "rule_journal"]) {
        await expect(server.query(`delete from ${address.schema}.${table}`)).rejects.toThrow(/never changed/);
        await expect(server.query(`update ${address.schema}.${table} set body = ''`)).rejects.toThrow(/never changed/);
        await expect(server.query(`truncate ${address.schema}.${table}`)).rejects.toThrow(/never changed/);
      }
      await store.close();
    });

    test("who is not let in, or finds nobody, is told so, and never with a password", async () => {
      const address = { ...server.address(), password: "s3cret-of-ours" };
      const failed = async (changes: Partial<PostgresAddress>) =>
        openPostgresStore({ address: { ...address, ...changes }, clock }).then(
          () => "opened",
          (error) => error,
        );
      for (const changes of [
        { database: "nobody" },
        { user: "nobody" },
        { port: 1 },
        { host: "no.such.host.invalid" },
        { tls: "verified" as const },
      ]) {
        const error = await failed(changes);
        expect(error).toMatchObject({ code: "store.unreachable" });
        expect(JSON.stringify([error.message, error.hint])).not.toContain("s3cret");
      }
    });

    test("a process that is killed in the middle of changes leaves each of them whole or not there", async () => {
      const address = await aSchema();
      const workspace = mkdtempSync(path.join(tmpdir(), "sentinel-store-"));
      const environment = { SENTINEL_DATABASE_URL: server.url(address) };
      await killAndLook({ workspace, environment, open: () => ofDefault(openPostgresStore({ address, clock })) });
      rmSync(workspace, { recursive: true, force: true });
    });

    test("connections that the server ends, in a transaction or not, are errors of whoever used them and of nobody else", async () => {
      const address = await aSchema();
      const store = await ofDefault(openPostgresStore({ address, clock }));
      const record = await store.pipelines.create(fields("card"), BY);
      const batches = Array.from({ length: 40 }, (_, i) =>
        store.alerts.append(Array.from({ length: 20 }, (_, j) => newAlert(record.id, `t${i}-${j}`))),
      );
      const settled = Promise.allSettled(batches);
      const ends = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sentinel'";
      for (let turn = 0; turn < 5; turn++) await server.query(ends);
      const done = await settled;
      for (const one of done) if (one.status === "rejected") expect(one.reason.code).toBe("store.unreachable");
      // All of a batch, or nothing of it.
      const written = done.filter((one) => one.status === "fulfilled").length * 20;
      const [count] = await store.alerts.counts();
      expect(count?.count ?? 0).toBeGreaterThanOrEqual(written);
      expect((count?.count ?? 0) % 20).toBe(0);
      expect((await store.alerts.append([newAlert(record.id, "after")]))[0]).toBe((count?.count ?? 0) + 1);
      await store.close();
    });

    test("away in the middle, and back again: an error that says so, then everything that was committed", async () => {
      const address = await aSchema();
      const store = await ofDefault(openPostgresStore({ address, clock }));
      await store.rules("card").commit(rulesChange(0, ["one"]));
      await server.kill();
      await expect(store.rules("card").head()).rejects.toMatchObject({ code: "store.unreachable" });
      await expect(store.rules("card").commit(rulesChange(1, ["two"]))).rejects.toMatchObject({
        code: "store.unreachable",
      });
      await expect(store.ping()).rejects.toMatchObject({ code: "store.unreachable" });
      await server.restart();
      expect((await store.rules("card").head()).revision).toBe(1);
      expect((await store.rules("card").commit(rulesChange(1, ["two"]))).revision).toBe(2);
      await store.close();
    });
  });
}
