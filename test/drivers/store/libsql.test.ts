// The embedded store: the contract on a file, and what only a file can do.
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import Database from "libsql";
import { afterEach, expect, test, vi } from "vitest";
import { parseTenant } from "../../../src/core/tenant.ts";
import { openLibsqlStore } from "../../../src/drivers/store/libsql/driver.ts";
import { ERASED_TABLES, UNTOUCHED_TABLES } from "../../../src/drivers/store/sql/erase.ts";
import { casesContract } from "../../contracts/cases.ts";
import { BY, FREE, fields, NOW, newAlert, rulesChange, storeContract } from "../../contracts/store.ts";
import { killAndLook } from "./killed.ts";
import { migrationContract } from "./migrations.ts";
import { ofDefault } from "./of-default.ts";

const clock = { elapsed: () => performance.now() };
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function aFile(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "sentinel-store-"));
  folders.push(folder);
  return path.join(folder, "state", "store.db");
}

const place = async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-store-"));
  const file = path.join(dir, "state", "store.db");
  return {
    open: () => ofDefault(openLibsqlStore({ file, clock })),
    dispose: async () => rmSync(dir, { recursive: true, force: true }),
  };
};
storeContract("libsql", place);
casesContract("libsql", place);

migrationContract(async () => {
  const file = aFile();
  return {
    migrate: async (to) => (await openLibsqlStore({ file, clock, to })).close(),
    async write(statements) {
      const db = new Database(file);
      for (const statement of statements) db.exec(statement.replaceAll(" @", " "));
      db.close();
    },
    open: () => ofDefault(openLibsqlStore({ file, clock })),
  };
});

test("many open a file that is not there yet, and it is its owner's alone", async () => {
  const file = aFile();
  const stores = await Promise.all(Array.from({ length: 5 }, () => openLibsqlStore({ file, clock })));
  for (const store of stores) await store.ping();
  for (const store of stores) await store.close();
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("what is no store is refused and left as it is", async () => {
  const file = path.join(path.dirname(path.dirname(aFile())), "notes.db");
  writeFileSync(file, "these are my notes, and they are longer than a header of SQLite would be. ".repeat(50));
  await expect(openLibsqlStore({ file, clock })).rejects.toMatchObject({ code: "store.unreadable" });
  const another = aFile();
  await (await openLibsqlStore({ file: path.join(path.dirname(another), "x.db"), clock })).close();
  const db = new Database(another);
  db.exec("create table notes (text)");
  db.close();
  await expect(openLibsqlStore({ file: another, clock })).rejects.toThrow(/another program/);
});

test("a file that a newer version migrated is refused", async () => {
  const file = aFile();
  await (await openLibsqlStore({ file, clock })).close();
  const db = new Database(file);
  db.exec("PRAGMA user_version = 99");
  db.close();
  await expect(openLibsqlStore({ file, clock })).rejects.toMatchObject({ code: "store.schema-new" });
});

test("a journal or an audit that somebody changes is refused by the file; one that was changed all the same is not read", async () => {
  const file = aFile();
  const store = await ofDefault(openLibsqlStore({ file, clock }));
  await store.rules("card").commit(rulesChange(0, ["one"]));
  await store.rules("card").commit(rulesChange(1, ["two"]));
  const db = new Database(file);
  for (const table of ["audit", "rule_journal"]) {
    expect(() => db.exec(`update ${table} set body = replace(body, 'ana', 'bob')`)).toThrow(/never changed/);
    expect(() => db.exec(`delete from ${table}`)).toThrow(/never changed/);
  }
  db.exec("drop trigger rule_journal_no_update");
  db.exec(`update rule_journal set body = replace(body, '"actor":"ana"', '"actor":"bob"') where place = 0`);
  await expect(store.rules("card").journal()).rejects.toThrow(/entry 0 of the journal was changed/);
  db.exec(`update rule_journal set body = replace(body, '"actor":"ana"', '"actor":"bob"')`);
  await expect(store.rules("card").head()).rejects.toMatchObject({ code: "rules.unreadable" });
  db.close();
  await store.close();
});

test("a writer waits for another process's transaction instead of failing", async () => {
  const file = aFile();
  const store = await ofDefault(openLibsqlStore({ file, clock }));
  const db = new Database(file);
  db.exec("BEGIN IMMEDIATE");
  const change = store.rules("card").commit(rulesChange(0, ["one"]));
  expect((await store.rules("card").head()).revision).toBe(0);
  db.exec("COMMIT");
  db.close();
  expect((await change).revision).toBe(1);
  expect((await store.audit.page({}, { limit: 5 })).items[0].at).toBe(NOW);
  await store.close();
});

test("who asks again and again hears of what was written here and elsewhere, of every tenant", async () => {
  const file = aFile();
  const [own, other] = [
    await ofDefault(openLibsqlStore({ file, clock })),
    await ofDefault(openLibsqlStore({ file, clock })),
  ];
  const rules = own.rules("card");
  const asked = async () => [(await rules.head()).revision, await own.pipelines.revision(), await own.alerts.lastId()];
  expect(await asked()).toEqual([0, 0, 0]);
  expect(await asked()).toEqual([0, 0, 0]);
  const { id } = await other.pipelines.create(fields("card"), BY);
  await other.rules("card").commit(rulesChange(0, ["one"]));
  const [, revision] = await asked();
  expect(await asked()).toEqual([1, revision, 0]);
  expect(revision).toBeGreaterThan(0);
  await own.alerts.append([newAlert(id, "t1")]);
  await rules.commit(rulesChange(1, ["two"]));
  expect(await asked()).toEqual([2, revision, 1]);
  await other.alerts.append([newAlert(id, "t2")]);
  expect(await asked()).toEqual([2, revision, 2]);
  // By the connection whose commits wait for the disk on another thread.
  const entry = {
    id: "t1",
    transaction: "{}",
    answer: "{}",
    by: "brain",
    brain: "b",
    receivedAt: 1,
    answeredAt: 2,
  } as const;
  await own.ledger.append([entry]);
  expect(await asked()).toEqual([2, revision, 2]);
  for (const store of [own, other]) await store.close();
});

test("changes that wait for each other are each whole or not there, in their order, whichever of them fails", async () => {
  const file = aFile();
  const stores = await openLibsqlStore({ file, clock });
  const names = Array.from({ length: 20 }, (_, i) => parseTenant(i === 0 ? "default" : `tenant-${i}`));
  for (const name of names.slice(1)) await stores.tenants.create({ name, title: name, quotas: FREE }, BY);
  const ids: number[] = [];
  for (const name of names) ids.push((await stores.of(name).pipelines.create(fields("card"), BY)).id);
  const outcomes = await Promise.allSettled(
    names.flatMap((name, i) => {
      const { alerts, pipelines } = stores.of(name);
      // The second one is of no pipeline: it has raised the counter when it fails.
      const [good, bad] = [newAlert(ids[i], "t1"), newAlert(99, "t2")];
      return [alerts.append([good]), alerts.append([bad]), pipelines.create(fields("card"), BY)];
    }),
  );
  expect(outcomes.map((one) => (one.status === "fulfilled" ? "done" : (one.reason as { code: string }).code))).toEqual(
    names.flatMap(() => ["done", "store.unknown", "store.conflict"]),
  );
  for (const name of names) {
    const { alerts, audit } = stores.of(name);
    const there = (await alerts.after(0, 10)).map(({ transactionId }) => transactionId);
    expect([await alerts.lastId(), there]).toEqual([1, ["t1"]]);
    expect((await audit.page({ subject: "pipeline" }, { limit: 10 })).items).toHaveLength(1);
  }
  const { alerts } = stores.of(names[0]);
  const more = await Promise.all(Array.from({ length: 40 }, (_, i) => alerts.append([newAlert(ids[0], `m${i}`)])));
  expect(more.flat()).toEqual(Array.from({ length: 40 }, (_, i) => i + 2));
  await stores.close();
});

test("every list goes along an index, in the order of its pages: none looks at all rows, none sorts them", async () => {
  const file = aFile();
  const store = await ofDefault(openLibsqlStore({ file, clock }));
  const raw = new Database(file);
  const prepare = vi.spyOn(Database.prototype, "prepare");
  /** How the statements of a question are carried out; what joins or orders the few thousand rows that were found is not among it. */
  const planOf = async (ask: () => Promise<unknown>): Promise<string> => {
    prepare.mockClear();
    await ask();
    const lines = prepare.mock.calls.flatMap(([text]) => {
      if (!/^(select|delete)/.test(text)) return [];
      const marks = (text.match(/\?/g) ?? []).map(() => null);
      return raw.prepare(`EXPLAIN QUERY PLAN ${text}`).all(marks) as readonly { readonly detail: string }[];
    });
    return lines.map(({ detail }) => detail).join("\n");
  };
  const { id } = await store.pipelines.create(fields("card"), BY);
  await store.pipelines.create(fields("other"), BY);
  const [one, two] = [{ pipelines: [id] }, { pipelines: [id, id + 1] }];
  const cases = (filter: object, order: "newest" | "worth") => () => store.cases.page(filter, { limit: 50, order });
  const free = (pipelines: readonly number[]) => () => store.cases.free({ pipelines, actor: "ana", at: NOW });
  const alerts = (filter: object) => () => store.alerts.page(filter, { limit: 50 });
  const asked: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["cases_by_open_worth_id", cases({ ...two, status: "open" }, "worth")],
    ["cases_by_open_worth_id", cases({ ...two, status: "open", severity: "info", text: "x" }, "worth")],
    ["cases_by_open_pipeline_worth_id", cases({ ...one, status: "open" }, "worth")],
    ["cases_by_open_assignee_worth_id", cases({ ...two, status: "open", assignee: "ana" }, "worth")],
    ["cases_by_open_assignee_worth_id", cases({ ...one, status: "open", assignee: "ana" }, "worth")],
    ["cases_by_open_id", cases({ ...two, status: "closed" }, "newest")],
    ["cases_by_open_pipeline_id", cases({ ...one, status: "closed", text: "x" }, "newest")],
    ["cases_by_assignee_id", cases({ ...two, status: "closed", assignee: "ana" }, "newest")],
    ["cases_by_disposition_id", cases({ ...two, disposition: "fraud" }, "newest")],
    ["cases_by_entity_id", cases({ ...two, entity: "u" }, "newest")],
    ["cases_by_pipeline_id", cases(one, "newest")],
    ["sqlite_autoindex_cases_1", cases(two, "newest")],
    ["cases_by_open_worth_id cases_by_open_due_at_id cases_by_open_why_id", free([id, id + 1])],
    ["cases_by_open_pipeline_worth_id cases_by_open_pipeline_due_at_id cases_by_open_why_pipeline_id", free([id])],
    ["alerts_by_time", alerts({})],
    ["alerts_by_time", alerts({ decision: "block", amountMin: 5, text: "x", from: 1, to: 2 })],
    ["alerts_by_pipeline_time", alerts({ pipeline: id, from: 1 })],
    ["alerts_by_severity_time", alerts({ severity: "info" })],
    ["alerts_by_pipeline_severity_time", alerts({ pipeline: id, severity: "info", amountMax: 3 })],
    ["alerts_by_entity_time", alerts({ entity: "u", pipeline: id })],
    ["alert_rules", alerts({ rule: "large", pipeline: id })],
    ["ledger_pending (tenant=? AND pending=? AND received_at<?)", () => store.ledger.forget({ before: 1, limit: 9 })],
    ["ledger_pending (tenant=? AND pending=? AND received_at<?)", () => store.ledger.older(1)],
  ];
  for (const [indexes, ask] of asked) {
    const plan = await planOf(ask);
    const named = indexes.includes("(") ? [indexes] : indexes.split(" ");
    for (const index of named) expect(plan).toContain(index);
    expect(plan).not.toMatch(/SCAN (cases|alerts|ledger)/);
    // The few thousand rows that were found beside a page are put in order, those along an index are there in theirs.
    expect(plan.match(/USE TEMP B-TREE/g)?.length ?? 0).toBeLessThanOrEqual(plan.includes("seen") ? 1 : 0);
  }
  prepare.mockRestore();
  raw.close();
  await store.close();
});

test("a process that is killed in the middle of changes leaves each of them whole or not there", async () => {
  const workspace = mkdtempSync(path.join(tmpdir(), "sentinel-store-"));
  folders.push(workspace);
  const file = path.join(workspace, "models", "state", "store.db");
  const environment = { SENTINEL_DATABASE_URL: "" };
  await killAndLook({ workspace, environment, open: () => ofDefault(openLibsqlStore({ file, clock })) });
});

test("every table is looked through for a person, or known to hold nothing of one", async () => {
  const file = aFile();
  await (await openLibsqlStore({ file, clock })).close();
  const db = new Database(file);
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all([]) as { name: string }[];
  for (const { name } of tables) {
    if (UNTOUCHED_TABLES.includes(name)) continue;
    expect(Object.keys(ERASED_TABLES)).toContain(name);
    const columns = db.prepare(`PRAGMA table_info("${name}")`).all([]) as { name: string }[];
    for (const column of Object.keys(ERASED_TABLES[name])) expect(columns.map((one) => one.name)).toContain(column);
  }
  db.close();
});
