// The store on a real PostgreSQL: the contract, and what only a server can do to us.
import { afterAll, describe, expect, test } from "vitest";
import {
  migratePostgres,
  openPostgresStore,
  type PostgresAddress,
  postgresSchema,
} from "../../../src/drivers/store/postgres/driver.ts";
import { BY, fields, newAlert, rulesChange, storeContract } from "../../contracts/store.ts";
import { type PostgresServer, postgresPrograms, startPostgres } from "../postgres-server.ts";

const clock = { elapsed: () => performance.now() };

if (postgresPrograms === null) {
  console.warn("\n!! there is no PostgreSQL here (scripts/setup-postgres): the store on PostgreSQL IS NOT TESTED\n");
  test.skip("the store on PostgreSQL", () => {});
} else {
  const server: PostgresServer = await startPostgres();
  afterAll(() => server.dispose());
  const aSchema = async (): Promise<PostgresAddress> => {
    const address = server.address();
    await migratePostgres(address);
    return address;
  };

  storeContract("PostgreSQL", async () => {
    const address = await aSchema();
    return { open: () => openPostgresStore({ address, clock }), dispose: async () => {} };
  });

  describe("PostgreSQL", () => {
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
      const store = await openPostgresStore({ address, clock });
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

    test("away in the middle, and back again: an error that says so, then everything that was committed", async () => {
      const address = await aSchema();
      const store = await openPostgresStore({ address, clock });
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
