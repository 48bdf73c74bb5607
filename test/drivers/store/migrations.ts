// Migrations keep what is there: from every earlier version, with rows in it, to the present one.
import { expect, test } from "vitest";
import { verifyJournal } from "../../../src/core/journal.ts";
import { DEFAULT_TENANT, type Tenant } from "../../../src/core/tenant.ts";
import type { Store, Stores } from "../../../src/ports/store.ts";
import { BY, FREE, fields, newAlert, rulesChange } from "../../contracts/store.ts";
import type { OpenStore } from "./of-default.ts";
import { AUDIT, CHANGE, ENTRY, ROWS, SET_HASH } from "./versions.ts";

export interface OldStore {
  /** Makes the tables of a version, in an empty place. */
  migrate(to: number): Promise<void>;
  /** Statements in which `@` stands for the schema. */
  write(statements: readonly string[]): Promise<void>;
  /** As this version opens it, after the migration where that is a command. */
  open(): Promise<OpenStore>;
}

export function migrationContract(makeOld: () => Promise<OldStore>): void {
  test("there are rows of every version", async () => {
    const old = await makeOld();
    const store = await old.open();
    expect((await store.schema()).known).toBe(ROWS.length);
    await store.close();
  });

  test.each(ROWS.map((_, index) => index + 1))("what version %i wrote is kept, and goes on", async (version) => {
    const old = await makeOld();
    for (let step = 1; step <= version; step++) {
      await old.migrate(step);
      await old.write(ROWS[step - 1]);
    }
    const store = await old.open();
    expect(await store.schema()).toMatchObject({ version: ROWS.length, pending: [] });
    await lookAtRules(store);
    if (version >= 2) await lookAtPipelines(store);
    if (version >= 3) await lookAtAlerts(store);
    if (version >= 4) await lookAtLedger(store);
    if (version >= 5) await lookAtCases(store);
    if (version >= 6) await lookAtOutbox(store);
    await lookAtTenants(store.stores, version);
    // Counters go on where they were.
    await store.rules("card").commit(rulesChange(1, ["new"]));
    expect((await store.ruleNumbers.of("card")).get("new")).toBe(8);
    expect(verifyJournal(await store.audit.scan(0, 10))).toMatchObject({ ok: true });
    await store.close();
  });
}

async function lookAtRules(store: Store): Promise<void> {
  const rules = store.rules("card");
  expect(await rules.head()).toEqual({ revision: 1, live: SET_HASH, candidate: null });
  expect(await rules.journal()).toEqual([ENTRY]);
  expect((await rules.set(SET_HASH)).lists).toEqual({ mules: 1 });
  expect(await rules.list("mules")).toEqual([CHANGE]);
  expect(await store.ruleNumbers.find(7)).toEqual({ number: 7, pipeline: "card", rule: "large" });
  expect(await store.audit.scan(0, 10)).toEqual([AUDIT]);
}

async function lookAtPipelines(store: Store): Promise<void> {
  expect(await store.pipelines.find(3)).toMatchObject({
    slug: "shop",
    name: "The shop's",
    status: "paused",
    schema: [{ name: "amount", type: "float", nullable: true }],
    settings: { a: 1 },
    schemaVersion: 2,
    version: 5,
  });
}

async function lookAtAlerts(store: Store): Promise<void> {
  const { items } = await store.alerts.page({ rule: "large" }, { limit: 5 });
  expect(items).toMatchObject([{ id: 4, pipeline: 3, score: 0.25, entity: "e", transaction: { amount: 12.5 } }]);
  expect(await store.alerts.counts()).toEqual([{ pipeline: 3, severity: "critical", count: 1 }]);
  expect(await store.alerts.append([newAlert(3, "t1"), newAlert(3, "t2")])).toEqual([null, 5]);
}

async function lookAtLedger(store: Store): Promise<void> {
  const entry = { id: "g1", transaction: '{"amount": 1}', answer: '{"decision":"approve"}', by: "policy", later: null };
  expect(await store.ledger.pending(5)).toMatchObject([entry]);
  expect(await store.ledger.counts()).toEqual({ entries: 1, byPolicy: 1, pending: 1 });
}

async function lookAtCases(store: Store): Promise<void> {
  const one = await store.cases.find(2);
  expect(one).toMatchObject({
    status: "new",
    entity: { column: "user_id", value: "e" },
    alerts: 1,
    version: 3,
    loss: 1,
  });
  expect(await store.cases.alertsOf(2, 5)).toEqual([{ alert: 4, transactionId: "t1", why: "rule", propensity: 1 }]);
  expect((await store.cases.historyOf(2, 5)).map(({ action }) => action)).toEqual(["opened"]);
  const owed = await store.cases.owed({ pipeline: 3, at: 5, leaseUntil: 9 });
  expect(owed).toMatchObject([{ transactionId: "t1", fraud: true, review: { case: 2, closing: 1 } }]);
  expect(await store.cases.snoozes({ pipelines: [3], at: 5, limit: 5 })).toMatchObject([
    { entity: "e", rule: "large" },
  ]);
}

async function lookAtOutbox(store: Store): Promise<void> {
  expect(await store.outbox.states()).toEqual([{ target: "duty", waiting: 1, oldestAt: 5, dead: 1, sent: 0 }]);
  expect(await store.outbox.due({ targets: ["duty"], at: 9, leaseUntil: 10 })).toMatchObject([
    { id: 4, key: "alert 1" },
  ]);
  expect((await store.outbox.deadLetters({ limit: 5 })).items).toMatchObject([{ id: 3, cause: "no answer", tries: 9 }]);
}

/** What was there is the first tenant's, and nobody else's. */
async function lookAtTenants(stores: Stores, version: number): Promise<void> {
  const names = (await stores.tenants.list()).map(({ name, status }) => [name, status]);
  expect(names).toEqual([["default", "active"], ...(version >= 9 ? [["north", "active"]] : [])]);
  const south = await stores.tenants.create({ name: "south" as Tenant, title: "South", quotas: FREE }, BY);
  for (const other of [south.name, ...(version >= 9 ? ["north" as Tenant] : [])]) {
    const store = stores.of(other);
    expect((await store.rules("card").head()).revision).toBe(0);
    expect(await store.pipelines.list()).toEqual([]);
    expect(await store.alerts.counts()).toEqual([]);
    expect((await store.pipelines.create(fields("shop"), BY)).id).toBe(1);
    expect(await store.cases.find(2)).toBeNull();
    expect(verifyJournal(await store.audit.scan(0, 10))).toMatchObject({ ok: true });
  }
  expect((await stores.of(DEFAULT_TENANT).pipelines.list()).some(({ id }) => id === 1)).toBe(false);
}
