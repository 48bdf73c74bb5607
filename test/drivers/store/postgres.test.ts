// The store on a real PostgreSQL: the contract, and what only a server can do to us.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_TENANT, type Tenant } from "../../../src/core/tenant.ts";
import { migratePostgres, openPostgresStore, postgresSchema } from "../../../src/drivers/store/postgres/driver.ts";
import type { PostgresAddress } from "../../../src/drivers/store/postgres/pool.ts";
import type { Store } from "../../../src/ports/store.ts";
import { casesContract } from "../../contracts/cases.ts";
import { BY, FREE, fields, newAlert, rulesChange, storeContract } from "../../contracts/store.ts";
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
  // As in production: the role owns its tables, and is no superuser, for whom row security does not count.
  const APP = "app_of_store_test";
  const roles = await server.query(`select 1 from pg_roles where rolname = '${APP}'`);
  if (roles.length === 0) {
    await server.query(`create role ${APP} login nosuperuser nobypassrls; grant create on database postgres to ${APP}`);
  }
  const anAddress = (): PostgresAddress => ({ ...server.address(), user: APP });
  const aSchema = async (): Promise<PostgresAddress> => {
    const address = anAddress();
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
      const address = anAddress();
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
      const address = anAddress();
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

    describe("row security, without any condition of ours", () => {
      const NORTH = "north" as Tenant;
      let address: PostgresAddress;
      let client: pg.Client;

      beforeAll(async () => {
        address = await aSchema();
        const stores = await openPostgresStore({ address, clock });
        await stores.tenants.create({ name: NORTH, title: "North", quotas: FREE }, BY);
        for (const tenant of [DEFAULT_TENANT, NORTH]) await fill(stores.of(tenant));
        await stores.close();
        client = new pg.Client({ ...address, options: `-c search_path=${address.schema}` });
        await client.connect();
      });
      afterAll(async () => {
        await client.end();
      });

      /** In a transaction for one tenant, undone afterwards; undefined: nobody said for whom. */
      const as = async <T>(tenant: string | undefined, ask: () => Promise<T>): Promise<T> => {
        await client.query("begin");
        try {
          if (tenant !== undefined) await client.query("select set_config('sentinel.tenant', $1, true)", [tenant]);
          return await ask();
        } finally {
          await client.query("rollback");
        }
      };
      const tenantsIn = async (table: string): Promise<readonly string[]> =>
        (await client.query(`select distinct tenant from ${table} order by tenant`)).rows.map((row) => row.tenant);
      const walled = async (): Promise<readonly string[]> =>
        (
          await server.query(`select table_name as name from information_schema.columns
            where table_schema = '${address.schema}' and column_name = 'tenant' order by 1`)
        ).map(({ name }) => String(name));

      test("every table with a tenant has it, for its owner too, and a role for which it does not count is known", async () => {
        expect((await postgresSchema(address)).rowSecurity).toBe("on");
        const superuser = { ...address, user: "sentinel" };
        expect((await postgresSchema(superuser)).rowSecurity).toBe("bypassed");
        const tables = await server.query(`select relname as name from pg_class
          where relnamespace = '${address.schema}'::regnamespace and relrowsecurity and relforcerowsecurity order by 1`);
        expect(tables.map(({ name }) => name)).toEqual(await walled());
        expect(tables.length).toBeGreaterThan(20);
        const policies = await server.query(`select distinct policyname as name, qual = with_check as same
          from pg_policies where schemaname = '${address.schema}' order by 1`);
        expect(policies).toEqual([
          { name: "of_all_tenants", same: true },
          { name: "of_its_tenant", same: true },
        ]);
      });

      test("who names no tenant, or another one, sees and changes no row of any table", async () => {
        const tables = await walled();
        const filled: string[] = [];
        for (const table of tables) {
          const there = await server.query(`select distinct tenant from ${address.schema}.${table}`);
          if (there.length === 2) filled.push(table);
          for (const tenant of [undefined, "", "south", "'", "%"]) {
            expect([table, await as(tenant, () => tenantsIn(table))]).toEqual([table, []]);
          }
          const own = await as("north", () => tenantsIn(table));
          expect([table, own]).toEqual([table, there.some((row) => row.tenant === "north") ? ["north"] : []]);
        }
        expect(filled).toEqual(
          expect.arrayContaining(["alerts", "audit", "counters", "ledger", "pipelines", "rule_journal", "rule_sets"]),
        );
        for (const table of ["alerts", "pipelines", "counters", "ledger"]) {
          const all = Number((await server.query(`select count(*) as n from ${address.schema}.${table}`))[0].n);
          const changed = async (tenant: string | undefined, statement: string) =>
            as(tenant, async () => (await client.query(statement)).rowCount);
          for (const tenant of [undefined, "south"]) {
            expect(await changed(tenant, `delete from ${table}`)).toBe(0);
            expect(await changed(tenant, `update ${table} set tenant = tenant`)).toBe(0);
          }
          expect(await changed("north", `delete from ${table}`)).toBe(all / 2);
          expect(await changed("north", `delete from ${table} where tenant = 'default'`)).toBe(0);
        }
      });

      test("nothing is written for another tenant, and nothing is given to one", async () => {
        const insert = "insert into counters (tenant, name, value) values ('default', 'more', 1)";
        for (const tenant of [undefined, "", "north"]) {
          await expect(as(tenant, () => client.query(insert))).rejects.toThrow(/row-level security/);
        }
        const give = "update counters set tenant = 'default', name = name || '-north'";
        await expect(as("north", () => client.query(give))).rejects.toThrow(/row-level security/);
        expect((await as("default", () => client.query(insert))).rowCount).toBe(1);
      });

      test("the setting ends with its transaction, whether it went well or not", async () => {
        const stores = await openPostgresStore({ address, clock });
        await stores.of(NORTH).alerts.counts();
        await expect(stores.of(NORTH).alerts.append([newAlert(99, "x")])).rejects.toMatchObject({
          code: "store.unknown",
        });
        // Connections that nobody has now say for whom they are.
        const left = await Promise.all(Array.from({ length: 4 }, () => stores.of(DEFAULT_TENANT).alerts.counts()));
        expect(left.every(([{ count }]) => count === 1)).toBe(true);
        expect(await as("north", () => tenantsIn("alerts"))).toEqual(["north"]);
        expect(await tenantsIn("alerts")).toEqual([]);
        await stores.close();
      });

      test("whoever saves the database asks for all by name, and has all", async () => {
        expect(await as("*", () => tenantsIn("alerts"))).toEqual(["default", "north"]);
        const dump = (options: readonly string[], environment: Readonly<Record<string, string>>) =>
          spawnSync(
            path.join(postgresPrograms!, "pg_dump"),
            [
              "-h",
              address.host,
              "-p",
              `${address.port}`,
              "-U",
              APP,
              `--schema=${address.schema}`,
              ...options,
              "postgres",
            ],
            { encoding: "utf8", env: { ...process.env, ...environment } },
          );
        const whole = dump(["--enable-row-security"], { PGOPTIONS: "-c sentinel.tenant=*" });
        expect(whole.stderr).toBe("");
        for (const tenant of ["default", "north"])
          expect(whole.stdout).toMatch(new RegExp(`^alerts\t1\t${tenant}$`, "m"));
        // Rather none than one that lacks rows.
        expect(dump([], {})).toMatchObject({ status: 1, stderr: expect.stringContaining("row-level security") });
      });
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

/** A row in each of those tables that most is written to. */
async function fill(store: Store): Promise<void> {
  const { id } = await store.pipelines.create(fields("card"), BY);
  await store.alerts.append([newAlert(id, "t1")]);
  await store.rules("card").commit(rulesChange(0, ["one"]));
  const answer = { transaction: '{"amount": 1}', answer: '{"decision":"approve"}', by: "policy" as const, brain: null };
  await store.ledger.append([{ id: "g1", ...answer, receivedAt: 1, answeredAt: 2 }]);
}
