// The contract of the Store port: one suite for every driver.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DAY_MS, HOUR_MS } from "../../src/core/duration.ts";
import { eraserOf, pseudonymOf } from "../../src/core/erasure.ts";
import { SentinelError } from "../../src/core/errors.ts";
import { verifyJournal } from "../../src/core/journal.ts";
import { type ListChange, RULES_FORMAT, type RuleSet, ruleSetHash } from "../../src/core/rule.ts";
import type { Tenant } from "../../src/core/tenant.ts";
import type { LedgerEntry } from "../../src/ports/ledger.ts";
import type { RulesChange } from "../../src/ports/rules.ts";
import {
  ALERTS_SEEN_MAX,
  type Alert,
  type AlertFilter,
  type ChangedBy,
  type NewAlert,
  PAGE_MAX,
  type PipelineFields,
  type PipelineRecord,
  type TenantQuotas,
} from "../../src/ports/store.ts";
import type { OpenStore } from "../drivers/store/of-default.ts";

export interface StorePlace {
  /** Connects, as another process would. */
  open(): Promise<OpenStore>;
  dispose(): Promise<void>;
}

export const NOW = Date.UTC(2026, 10, 21, 7, 20);
export const FREE: TenantQuotas = { requestsPerSecond: null, pipelines: null, rules: null, alerts: null };
export const BY: ChangedBy = { actor: "ana", at: NOW, reason: "because" };

export const fields = (slug: string, changes: Partial<PipelineFields> = {}): PipelineFields => ({
  slug,
  name: `Name of ${slug}`,
  source: "api",
  kafkaTopic: "transactions",
  schema: [
    { name: "transaction_id", type: "string", nullable: false },
    { name: "amount", type: "float", nullable: true },
  ],
  settings: { roles: { amount: "amount" } },
  ...changes,
});

export const newAlert = (
  pipeline: number,
  transactionId: string | null,
  changes: Partial<NewAlert> = {},
): NewAlert => ({
  pipeline,
  transactionId,
  severity: "critical",
  rules: [{ id: "large", description: "Large Transaction Alert", severity: "critical" }],
  decision: "block",
  decidedBy: "rule",
  score: 0.1 + 0.2,
  reasons: [{ feature: "amount", value: 15000 }],
  bundle: "b".repeat(64),
  ruleSet: "r".repeat(64),
  vectorHash: "v".repeat(64),
  entity: "user_1",
  amount: 15000,
  transaction: { transaction_id: transactionId, amount: 15000, currency: "USD" },
  time: NOW - 5,
  alertedAt: NOW,
  ...changes,
});

export const ruleSet = (ids: readonly string[], lists: RuleSet["lists"] = {}): RuleSet => ({
  format: RULES_FORMAT,
  pipeline: "card",
  rules: ids.map((id) => ({
    id,
    when: "amount > 1 -- \u0000 \ud800 é",
    action: "block",
    severity: "critical",
    description: "",
    stage: "live",
    share: 0.1,
    owner: "",
  })),
  areas: {},
  lists,
});

export const rulesChange = (expected: number, ids: readonly string[], more: Partial<RulesChange> = {}): RulesChange => {
  const set = ruleSet(ids);
  const entry = { at: NOW, actor: "ana", verb: "add", reason: "why", verdict: "", evidence: "", changes: ["+ rule"] };
  return { expected, sets: [set], live: ruleSetHash(set), candidate: null, lists: {}, entry, ...more };
};

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SentinelError)) throw new Error(`expected a SentinelError, got ${error}`);
  expect(error.message.length).toBeGreaterThan(10);
  expect(error.hint.length).toBeGreaterThan(3);
  return error.code;
}

export function storeContract(driver: string, makePlace: () => Promise<StorePlace>): void {
  describe(`the store on ${driver}`, () => {
    let place: StorePlace;
    let store: OpenStore;
    let other: OpenStore;
    beforeAll(async () => {
      place = await makePlace();
      store = await place.open();
      other = await place.open();
    });
    afterAll(async () => {
      await store.close();
      await other.close();
      await place.dispose();
    });
    let made = 0;
    const aPipeline = (changes: Partial<PipelineFields> = {}): Promise<PipelineRecord> =>
      store.pipelines.create(fields(`p${++made}`, changes), BY);

    test("it says where it is, that it answers, and which version its tables have", async () => {
      await store.ping();
      expect(store.where.length).toBeGreaterThan(3);
      expect(await store.schema()).toMatchObject({ pending: [] });
    });

    describe("pipelines", () => {
      test("one that is made is found by everybody, as it was given", async () => {
        const before = await store.pipelines.revision();
        const record = await aPipeline();
        expect(record).toMatchObject({
          status: "active",
          version: 1,
          schemaVersion: 1,
          createdAt: NOW,
          changedAt: NOW,
        });
        expect(await other.pipelines.find(record.id)).toEqual(record);
        expect(await other.pipelines.findBySlug(record.slug)).toEqual(record);
        expect(await other.pipelines.list()).toContainEqual(record);
        expect(await other.pipelines.revision()).toBeGreaterThan(before);
        expect(await store.pipelines.find(99_999)).toBeNull();
        expect(await store.pipelines.find(Number.NaN)).toBeNull();
        expect(await store.pipelines.findBySlug("'; drop table pipelines; --")).toBeNull();
        expect(await store.pipelines.findBySlug("\0")).toBeNull();
      });

      test("a name that is taken is refused; what no pipeline can be is, too", async () => {
        const record = await aPipeline();
        expect(await codeOf(store.pipelines.create(fields(record.slug, { name: "another" }), BY))).toBe(
          "store.conflict",
        );
        expect(await codeOf(store.pipelines.create(fields("another", { name: record.name }), BY))).toBe(
          "store.conflict",
        );
        for (const wrong of [
          { slug: "../../etc" },
          { name: "" },
          { name: "x".repeat(1001) },
          { schema: [{ name: "a", type: "text" as "string", nullable: false }] },
          { schema: [fields("x").schema[0], fields("x").schema[0]] },
          { source: "elsewhere" as "api" },
          { settings: { long: "x".repeat(1_000_001) } },
        ]) {
          expect(await codeOf(store.pipelines.create(fields("wrong", wrong), BY))).toBe("store.invalid");
        }
        expect(await store.pipelines.findBySlug("wrong")).toBeNull();
      });

      test("a change names the version that it was made from; a stale one is refused", async () => {
        const record = await aPipeline();
        const update = (expected: number, patch: object) => store.pipelines.update(record.id, { expected, patch }, BY);
        const paused = await update(1, { status: "paused" });
        expect(paused).toEqual({ ...record, status: "paused", version: 2 });
        expect(await codeOf(update(1, { status: "stopped" }))).toBe("store.stale");
        const schema = [...record.schema, { name: "country", type: "string" as const, nullable: true }];
        const wider = await other.pipelines.update(
          record.id,
          { expected: 2, patch: { schema } },
          { ...BY, at: NOW + 1 },
        );
        expect(wider).toMatchObject({ schemaVersion: 2, version: 3, schema, status: "paused", changedAt: NOW + 1 });
        expect(await store.pipelines.find(record.id)).toEqual(wider);
        expect(await codeOf(store.pipelines.update(99_999, { expected: 1, patch: {} }, BY))).toBe("store.unknown");
        expect(await codeOf(update(3, { status: "asleep" }))).toBe("store.invalid");
        const { items } = await store.audit.page({ subject: "pipeline", subjectId: String(record.id) }, { limit: 10 });
        expect(items.map(({ action }) => action)).toEqual(["pipeline.schema", "pipeline.status", "pipeline.create"]);
        expect(items[1]).toMatchObject({
          actor: "ana",
          at: NOW,
          reason: "because",
          pipeline: record.slug,
          before: { status: "active" },
          after: { status: "paused" },
        });
        expect(items[2].before).toBeNull();
      });

      test("of many who change at once from one version, one wins", async () => {
        const record = await aPipeline();
        const tries = Array.from({ length: 8 }, (_, i) =>
          (i % 2 === 0 ? store : other).pipelines.update(
            record.id,
            { expected: 1, patch: { name: `won by ${i} of ${record.slug}` } },
            BY,
          ),
        );
        const done = await Promise.allSettled(tries);
        const won = done.filter((one) => one.status === "fulfilled");
        expect(won.length).toBe(1);
        for (const one of done) if (one.status === "rejected") expect(one.reason.code).toBe("store.stale");
        expect(await store.pipelines.find(record.id)).toEqual(won[0].value);
      });

      test("a pipeline file is declared again and again, and changes the record only where it differs", async () => {
        const file = fields("from-file", { source: "file", name: "from-file" });
        const several = await Promise.all([store, other, store].map((one) => one.pipelines.declare(file, BY)));
        expect(new Set(several.map(({ id }) => id)).size).toBe(1);
        expect(several.map(({ version }) => version)).toEqual([1, 1, 1]);
        const paused = await store.pipelines.update(several[0].id, { expected: 1, patch: { status: "paused" } }, BY);
        expect(await store.pipelines.declare(file, BY)).toEqual(paused);
        const wider = { ...file, schema: [...file.schema, { name: "x", type: "integer" as const, nullable: true }] };
        expect(await store.pipelines.declare(wider, BY)).toMatchObject({
          version: 3,
          schemaVersion: 2,
          status: "paused",
        });
        const own = await aPipeline();
        expect(await codeOf(store.pipelines.declare({ ...file, slug: own.slug, name: own.name }, BY))).toBe(
          "store.conflict",
        );
      });
    });

    describe("rules", () => {
      test("a change makes the next head, with its journal, its audit, and a number per rule", async () => {
        const rules = store.rules("card");
        const rulesOf = (id: string) => ruleSet([id]).rules[0];
        expect(await rules.head()).toEqual({ revision: 0, live: null, candidate: null });
        expect(await rules.journal()).toEqual([]);
        const first = rulesChange(0, ["one", "two"]);
        const head = await rules.commit(first);
        expect(head).toEqual({ revision: 1, live: first.live, candidate: null });
        expect(await other.rules("card").head()).toEqual(head);
        expect(await other.rules("card").set(first.live!)).toEqual(first.sets[0]);
        expect(await codeOf(rules.set("0".repeat(64)))).toBe("rules.unknown");
        expect(await codeOf(rules.set("' or 1=1 --"))).toBe("rules.unknown");
        await other.rules("card").commit(rulesChange(1, ["two", "three"], { candidate: first.live }));
        const journal = await rules.journal();
        expect(verifyJournal(journal)).toMatchObject({ ok: true });
        expect(journal.map(({ live, candidate }) => [live.to, candidate.to])).toEqual([
          [first.live, null],
          [ruleSetHash(ruleSet(["two", "three"])), first.live],
        ]);
        const numbers = await store.ruleNumbers.of("card");
        expect([...numbers.keys()].sort()).toEqual(["one", "three", "two"]);
        expect(await store.ruleNumbers.find(numbers.get("three")!)).toEqual({
          number: numbers.get("three"),
          pipeline: "card",
          rule: "three",
        });
        expect(await store.ruleNumbers.find(1.5)).toBeNull();
        const { items } = await store.audit.page({ subject: "rules", subjectId: "card" }, { limit: 10 });
        expect(items.map(({ action, before, after }) => [action, before, after])[0]).toEqual([
          "rules.add",
          {
            revision: 1,
            live: first.live,
            candidate: null,
            // Of each side what differs, whole: "two" stays, so it is in neither.
            touched: { live: { rules: [rulesOf("one")] }, candidate: { rules: [] } },
          },
          {
            revision: 2,
            live: ruleSetHash(ruleSet(["two", "three"])),
            candidate: first.live,
            changes: ["+ rule"],
            verdict: "",
            evidence: "",
            touched: { live: { rules: [rulesOf("three")] }, candidate: { rules: ["one", "two"].map(rulesOf) } },
          },
        ]);
      });

      test("rules of one pipeline are not another's", async () => {
        await store.rules("a").commit(rulesChange(0, ["same"]));
        await store.rules("b").commit(rulesChange(0, ["same"]));
        expect((await store.rules("a").head()).revision).toBe(1);
        expect((await store.ruleNumbers.of("a")).get("same")).not.toBe((await store.ruleNumbers.of("b")).get("same"));
        expect(await codeOf(store.rules("c").set(ruleSetHash(ruleSet(["same"]))))).toBe("rules.unknown");
      });

      test("of many who change from one revision one wins, and nothing of the others is left", async () => {
        const tries = Array.from({ length: 8 }, (_, i) =>
          (i % 2 === 0 ? store : other).rules("race").commit(
            rulesChange(0, [`r${i}`], {
              lists: { listed: [{ value: String(i), from: 1, to: null, at: NOW, actor: "a", reason: "" }] },
            }),
          ),
        );
        const done = await Promise.allSettled(tries);
        const won = done.flatMap((one, i) => (one.status === "fulfilled" ? [i] : []));
        expect(won.length).toBe(1);
        for (const one of done) if (one.status === "rejected") expect(one.reason.code).toBe("rules.conflict");
        expect(await store.rules("race").head()).toMatchObject({
          revision: 1,
          live: ruleSetHash(ruleSet([`r${won[0]}`])),
        });
        expect((await store.rules("race").list("listed")).map(({ value }) => value)).toEqual([String(won[0])]);
        expect([...(await store.ruleNumbers.of("race")).keys()]).toEqual([`r${won[0]}`]);
      });

      test("lists are appended, counted and read from a place on, values with odd signs included", async () => {
        const change = (value: string): ListChange => ({
          value,
          from: 1,
          to: null,
          at: NOW,
          actor: "ana",
          reason: "é",
        });
        const rules = store.rules("lists");
        const odd = ["", "\0", "\ud800", "a\\u0000", "'; drop table alerts; --", "💳"].map(change);
        await rules.commit(
          rulesChange(0, [], { lists: { odd, many: Array.from({ length: 2500 }, (_, i) => change(`v${i}`)) } }),
        );
        await rules.commit(rulesChange(1, ["x"], { lists: { many: [change("last")], none: [] } }));
        expect(await rules.lists()).toEqual({ odd: odd.length, many: 2501 });
        expect(await rules.list("odd")).toEqual(odd);
        expect((await rules.list("many", 2499)).map(({ value }) => value)).toEqual(["v2499", "last"]);
        expect((await rules.list("many")).length).toBe(2501);
        expect(await rules.list("nobody's")).toEqual([]);
      });

      test("a thousand rules and more have a number each", async () => {
        const ids = Array.from({ length: 2300 }, (_, i) => `rule-${i}`);
        await store.rules("large").commit(rulesChange(0, ids));
        const numbers = await store.ruleNumbers.of("large");
        expect(new Set(numbers.values()).size).toBe(ids.length);
      });
    });

    describe("alerts", () => {
      test("one is found as it was given; a second one of its transaction is ignored", async () => {
        const { id: pipeline } = await aPipeline();
        const odd = newAlert(pipeline, "t\0\ud800\\u0000", {
          entity: "e\0",
          score: null,
          transaction: { text: "a\\u0000b", deep: [{ x: 1e-7 }, null, true], "": "empty" },
        });
        const ids = await store.alerts.append([
          newAlert(pipeline, "t1"),
          odd,
          newAlert(pipeline, null),
          newAlert(pipeline, null),
          newAlert(pipeline, "t1"),
        ]);
        expect(ids.map((id) => id === null)).toEqual([false, false, false, false, true]);
        expect(await other.alerts.append([newAlert(pipeline, "t1"), odd])).toEqual([null, null]);
        expect(await other.alerts.find(ids[0]!)).toEqual({ id: ids[0], ...newAlert(pipeline, "t1") });
        expect(await other.alerts.find(ids[1]!)).toEqual({ id: ids[1], ...odd });
        expect(await store.alerts.find(99_999_999)).toBeNull();
        expect(await store.alerts.lastId()).toBe(ids[3]);
        const filter: AlertFilter = { entity: "e\0", pipeline };
        expect((await store.alerts.page(filter, { limit: 5 })).items.map(({ id }) => id)).toEqual([ids[1]]);
        expect(await store.alerts.append([])).toEqual([]);
        expect(await codeOf(store.alerts.append([newAlert(99_999, "t")]))).toBe("store.unknown");
        expect(await codeOf(store.alerts.append(Array.from({ length: 1001 }, () => newAlert(pipeline, null))))).toBe(
          "store.invalid",
        );
        expect(await codeOf(store.alerts.append([newAlert(pipeline, "t2", { time: Number.NaN })]))).toBe(
          "store.invalid",
        );
      });

      test("what no database keeps of a transaction is shown as its escape", async () => {
        const { id: pipeline } = await aPipeline();
        const transaction = { text: "a\0b", half: "\ud800x", pair: "💳", back: "\\u0000" };
        const [id] = await store.alerts.append([newAlert(pipeline, "t1", { transaction })]);
        expect((await store.alerts.find(id!))?.transaction).toEqual({
          text: "a\\u0000b",
          half: "\\ud800x",
          pair: "💳",
          back: "\\u0000",
        });
      });

      test("a filter finds what it says and nothing else, however it is paged", async () => {
        const pipelines = [(await aPipeline()).id, (await aPipeline()).id];
        const all: NewAlert[] = Array.from({ length: 60 }, (_, i) =>
          newAlert(pipelines[i % 2], `f${i}`, {
            severity: (["critical", "warning", "info"] as const)[i % 3],
            rules: [i % 4, i % 5].map((n) => ({ id: `r${n}`, description: `rule ${n}`, severity: "info" })),
            decision: (["block", "review"] as const)[i % 2],
            entity: i % 7 === 0 ? null : `filter-user-${i % 7}`,
            amount: i % 6 === 0 ? null : i,
            alertedAt: NOW + Math.floor(i / 4) * 1000,
          }),
        );
        const ids = (await store.alerts.append(all)) as number[];
        const records: Alert[] = all.map((alert, i) => ({ id: ids[i], ...alert }));
        const one = <T>(...values: T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
        const filters = fc.record({
          pipeline: fc.constantFrom(...pipelines),
          severity: one("critical" as const, "warning" as const),
          rule: one("r0", "r3", "r4", "r9"),
          decision: one("block" as const, "review" as const),
          entity: one("filter-user-1", "filter-user-2"),
          transactionId: one("f1", "f2"),
          from: one(NOW + 3000),
          to: one(NOW + 9000),
          amountMin: one(10, 20.5),
          amountMax: one(40),
        });
        const matches = (alert: Alert, filter: AlertFilter): boolean =>
          alert.pipeline === filter.pipeline &&
          (filter.severity ?? alert.severity) === alert.severity &&
          (filter.rule === undefined || alert.rules.some(({ id }) => id === filter.rule)) &&
          (filter.decision ?? alert.decision) === alert.decision &&
          (filter.entity === undefined || filter.entity === alert.entity) &&
          (filter.transactionId ?? alert.transactionId) === alert.transactionId &&
          alert.alertedAt >= (filter.from ?? 0) &&
          alert.alertedAt < (filter.to ?? Number.POSITIVE_INFINITY) &&
          (filter.amountMin === undefined || (alert.amount !== null && alert.amount >= filter.amountMin)) &&
          (filter.amountMax === undefined || (alert.amount !== null && alert.amount <= filter.amountMax));
        await fc.assert(
          fc.asyncProperty(filters, fc.integer({ min: 1, max: 40 }), async (filter, limit) => {
            const found: Alert[] = [];
            let cursor: string | null = null;
            do {
              const page = await store.alerts.page(filter, { limit, cursor });
              found.push(...page.items);
              cursor = page.next;
            } while (cursor !== null);
            const right = records
              .filter((alert) => matches(alert, filter))
              .sort((a, b) => b.alertedAt - a.alertedAt || b.id - a.id);
            expect(found).toEqual(right);
          }),
          { numRuns: 60, seed: 7 },
        );
      });

      test("a text is found wherever it stands, with every sign as itself, and money is summed since an instant", async () => {
        const { id: pipeline } = await aPipeline();
        const merchants = ["Corner Shop", "100% off_er", "a\\b", 'quoted "text"', "Öl & Gas", "nul\u0000byte"];
        await store.alerts.append(
          merchants.map((merchant, i) =>
            newAlert(pipeline, `q${i}`, {
              alertedAt: NOW + i,
              amount: 10 + i,
              entity: `entity ${i}`,
              rules: [{ id: "r", description: i === 0 ? "Night raid" : "Large", severity: "warning" }],
              transaction: { merchant },
            }),
          ),
        );
        const found = async (text: string): Promise<readonly string[]> =>
          (await store.alerts.page({ pipeline, text }, { limit: 10 })).items.map(({ transactionId }) => transactionId!);
        for (const [i, merchant] of merchants.entries()) expect(await found(merchant), merchant).toEqual([`q${i}`]);
        expect(await found("corner sHOP")).toEqual(["q0"]);
        expect(await found("NIGHT RAID")).toEqual(["q0"]);
        expect(await found("entity 3")).toEqual(["q3"]);
        expect(await found("%")).toEqual(["q1"]);
        expect(await found("_")).toEqual(["q1"]);
        expect(await found("' or 1=1 --")).toEqual([]);
        expect(await store.alerts.flagged({ since: NOW + 2, pipelines: [pipeline] })).toEqual({
          alerts: 4,
          amount: 12 + 13 + 14 + 15,
          whole: true,
        });
        expect(await store.alerts.flagged({ since: NOW, pipelines: [] })).toEqual({
          alerts: 0,
          amount: 0,
          whole: true,
        });
      });

      test("pages stay as they are while alerts arrive, and followers miss none", async () => {
        const { id: pipeline } = await aPipeline();
        const append = (from: number, at: number) =>
          store.alerts.append(
            Array.from({ length: 10 }, (_, i) => newAlert(pipeline, `s${from + i}`, { alertedAt: at })),
          );
        const first = (await append(0, NOW)) as number[];
        const page = await store.alerts.page({ pipeline }, { limit: 4 });
        await append(10, NOW + 1);
        await append(20, NOW);
        const rest = await store.alerts.page({ pipeline }, { limit: 20, cursor: page.next });
        expect([...page.items, ...rest.items].map(({ id }) => id)).toEqual([...first].reverse());
        const before = first[0] - 1;
        const followed = await store.alerts.after(before, PAGE_MAX);
        expect(followed.map(({ id }) => id)).toEqual(Array.from({ length: 30 }, (_, i) => before + 1 + i));
        expect(await codeOf(store.alerts.page({ pipeline }, { limit: 0 }))).toBe("store.invalid");
        expect(await codeOf(store.alerts.page({ pipeline }, { limit: PAGE_MAX + 1 }))).toBe("store.invalid");
        for (const cursor of ["x", "1.2.3", "a.b; drop", "9".repeat(200), "' or 1=1.1"])
          expect(await codeOf(store.alerts.page({ pipeline }, { limit: 1, cursor }))).toBe("store.invalid");
      });

      test("writers at once give no id twice, and what one transaction alerts stands once", async () => {
        const { id: pipeline } = await aPipeline();
        const batches = Array.from({ length: 12 }, (_, batch) =>
          (batch % 2 === 0 ? store : other).alerts.append(
            Array.from({ length: 20 }, (_, i) => newAlert(pipeline, `w${(batch % 3) * 20 + i}`)),
          ),
        );
        const ids = (await Promise.all(batches)).flat().filter((id) => id !== null);
        expect(new Set(ids).size).toBe(60);
        expect(ids.length).toBe(60);
        expect((await store.alerts.counts()).filter((count) => count.pipeline === pipeline)).toEqual([
          { pipeline, severity: "critical", count: 60 },
        ]);
      });

      test("counts by pipeline and severity, in all and since an instant, are exact; so is the trend", async () => {
        const { id: pipeline } = await aPipeline();
        const times = [0, 1, 20, 40, 61, 1439, 1440, 1441, 3000].map((minutes) => NOW - minutes * 60_000);
        await store.alerts.append(
          times.map((alertedAt, i) =>
            newAlert(pipeline, `c${i}`, { alertedAt, severity: i === 1 ? "warning" : "critical" }),
          ),
        );
        const of = async (since?: number) =>
          Object.fromEntries(
            (await store.alerts.counts(since))
              .filter((one) => one.pipeline === pipeline)
              .map((one) => [one.severity, one.count]),
          );
        expect(await of()).toEqual({ critical: 8, warning: 1 });
        expect(await of(NOW - DAY_MS)).toEqual({ critical: 6, warning: 1 });
        expect(await of(NOW - DAY_MS + 1)).toEqual({ critical: 5, warning: 1 });
        expect(await of(NOW - 20 * 60_000)).toEqual({ critical: 2, warning: 1 });
        expect(await of(NOW - 19 * 60_000)).toEqual({ critical: 1, warning: 1 });
        expect(await of(NOW + 1)).toEqual({});
        const hours = (await store.alerts.hours({ since: NOW - 2 * HOUR_MS, to: NOW + 1 })).filter(
          (one) => one.pipeline === pipeline,
        );
        const hour = Math.floor(NOW / HOUR_MS) * HOUR_MS;
        expect(hours).toEqual([
          { hour: hour - HOUR_MS, pipeline, severity: "critical", count: 2 },
          { hour, pipeline, severity: "critical", count: 2 },
          { hour, pipeline, severity: "warning", count: 1 },
        ]);
      });
    });

    describe("the ledger", () => {
      const entry = (id: string, more: Partial<LedgerEntry> = {}): LedgerEntry => ({
        id,
        transaction: `{ "transaction_id": ${JSON.stringify(id)}, "amount": 1.50 }`,
        answer: '{"decision":"approve"}',
        by: "brain",
        brain: "10.0.0.1:8000",
        receivedAt: NOW,
        answeredAt: NOW + 3,
        ...more,
      });

      test("an id is written once, and the answer that came first is given back", async () => {
        const { ledger } = store;
        const counts = await ledger.counts();
        expect(await ledger.append([entry("a"), entry("b\u0000\ud800")])).toEqual([null, null]);
        const again = await ledger.append([
          entry("a", { answer: '{"decision":"block"}' }),
          entry("c"),
          entry("c", { answer: "{}" }),
        ]);
        expect(again).toEqual([{ ...entry("a"), later: null }, null, { ...entry("c"), later: null }]);
        expect(await ledger.find("b\u0000\ud800")).toEqual({ ...entry("b\u0000\ud800"), later: null });
        expect(await ledger.find("nobody")).toBeNull();
        expect(await ledger.counts()).toEqual({ ...counts, entries: counts.entries + 3 });
      });

      test("of many writers of one id one answer counts for all", async () => {
        const given = await Promise.all(
          Array.from({ length: 8 }, async (_, i) => {
            const own = entry("same", { answer: `{"from":${i}}` });
            const [before] = await (i % 2 === 0 ? store : other).ledger.append([own]);
            return (before ?? own).answer;
          }),
        );
        expect(new Set(given).size).toBe(1);
      });

      test("what a policy answered waits, the oldest first, until a brain has said something, once", async () => {
        const { ledger } = store;
        const counts = await ledger.counts();
        const byPolicy = (id: string, at: number) => entry(id, { by: "policy", brain: null, receivedAt: at });
        await ledger.append([byPolicy("late", NOW + 5), entry("scored"), byPolicy("early", NOW - 5)]);
        expect((await ledger.pending(10)).map(({ id }) => id)).toEqual(["early", "late"]);
        expect((await ledger.pending(1)).map(({ id }) => id)).toEqual(["early"]);
        const later = { answer: '{"decision":"block"}', brain: "10.0.0.2:8000", at: NOW + 60_000 };
        await ledger.settle("early", later);
        await ledger.settle("early", { ...later, answer: '{"decision":"approve"}' });
        await ledger.settle("scored", later);
        expect(await ledger.find("early")).toEqual({ ...byPolicy("early", NOW - 5), later });
        expect((await ledger.find("scored"))?.later).toBeNull();
        expect(await ledger.counts()).toEqual({
          entries: counts.entries + 3,
          byPolicy: counts.byPolicy + 2,
          pending: counts.pending + 1,
        });
      });

      test("an append of too many, and an entry that is none, are refused and write nothing", async () => {
        const { ledger } = store;
        const counts = await ledger.counts();
        await expect(ledger.append(Array.from({ length: 501 }, (_, i) => entry(`m${i}`)))).rejects.toMatchObject({
          code: "store.invalid",
        });
        await expect(ledger.append([entry("fine"), entry("")])).rejects.toMatchObject({ code: "store.invalid" });
        expect(await ledger.counts()).toEqual(counts);
      });
    });

    test("old alerts go in slices with the rules that name them; counts, later ids and younger alerts stay", async () => {
      const { id: pipeline } = await aPipeline();
      // Older than those of all other tests, which share the store.
      const old = NOW - 400 * 86_400_000;
      const alerts = Array.from({ length: 7 }, (_, i) => newAlert(pipeline, `old${i}`, { alertedAt: old + i }));
      const ids = await store.alerts.append(alerts);
      const counts = await store.alerts.counts();
      const forget = (before: number) => other.alerts.forget({ before, limit: 3 });
      expect([await forget(old + 5), await forget(old + 5), await forget(old + 5)]).toEqual([3, 2, 0]);
      const { items } = await store.alerts.page({ pipeline, rule: alerts[0].rules[0].id }, { limit: 10 });
      expect(items.map(({ id }) => id)).toEqual([ids[6], ids[5]]);
      expect(await store.alerts.counts()).toEqual(counts);
      expect(await forget(old + 100)).toBe(2);
      expect(await store.alerts.lastId()).toBe(ids[6]);
      expect(await store.alerts.append([newAlert(pipeline, "new")])).toEqual([ids[6]! + 1]);
    });

    test("a tenant that may keep so many alerts keeps the newest, and so many rules in all its pipelines", async () => {
      const small = { name: `small-${made}` as Tenant, title: "Small", quotas: { ...FREE, rules: 3 } };
      await store.stores.tenants.create(small, BY);
      const own = store.stores.of(small.name);
      const { id } = await own.pipelines.create(fields("card"), BY);
      expect(await own.alerts.trim({ keep: 2, limit: 2 })).toBe(0);
      const before = (await store.alerts.counts()).length;
      // By the order in which they became visible, whatever their times say.
      const times = [5, 1, 4, 2, 3, 9, 7];
      await own.alerts.append(times.map((at, i) => newAlert(id, `t${i}`, { alertedAt: NOW + at, entity: `e${i}` })));
      const trim = () => own.alerts.trim({ keep: 2, limit: 3 });
      expect([await trim(), await trim(), await trim()]).toEqual([3, 2, 0]);
      const left = await own.alerts.page({ rule: newAlert(id, null).rules[0].id }, { limit: 10 });
      expect(left.items.map((one) => one.id).sort()).toEqual([6, 7]);
      expect((await own.alerts.counts()).map(({ count }) => count)).toEqual([7]);
      expect((await store.alerts.counts()).length).toBe(before);

      await own.rules("card").commit(rulesChange(0, ["one", "two"]));
      await expect(own.rules("shop").commit(rulesChange(0, ["a", "b"]))).rejects.toMatchObject({
        code: "tenant.limit",
        message: "this tenant has 2 rules, may have 3, and would have 4",
      });
      expect((await own.rules("shop").head()).revision).toBe(0);
      await own.rules("shop").commit(rulesChange(0, ["a"]));
      await expect(own.rules("card").commit(rulesChange(1, ["one", "two", "three"]))).rejects.toMatchObject({
        code: "tenant.limit",
      });
      // What brings no more always has room.
      await store.stores.tenants.update(small.name, { quotas: { ...FREE, rules: 1 } }, BY);
      await own.rules("card").commit(rulesChange(1, ["one", "other"]));
      await own.rules("card").commit(rulesChange(2, ["one"]));
      await expect(own.rules("card").commit(rulesChange(3, ["one", "two"]))).rejects.toMatchObject({
        code: "tenant.limit",
      });
    });

    test("a person is erased from every table: rows stay, seals hold, and the audit says what was erased", async () => {
      const value = "card-88/x";
      const names = { names: new Set(["customer_id"]), personal: new Set(["email"]) };
      const pseudonym = pseudonymOf(new Uint8Array(12).fill(7));
      const eraser = eraserOf([value], { ...names, pseudonym });
      const { id, slug } = await aPipeline();
      const transaction = { customer_id: value, email: "m@example.org", amount: 0.1 + 0.2 };
      const [alert] = await store.alerts.append([
        newAlert(id, `t-${value}`, { entity: value, transaction, reasons: [{ text: `of ${value}` }] }),
      ]);
      const set = { ...ruleSet(["r"]), pipeline: slug };
      const named = { ...set, rules: [{ ...set.rules[0], when: `customer_id = '${value}'` }] };
      const entry = { ...rulesChange(0, []).entry, changes: [`+ ${value}`] };
      const change = { value, from: 0, to: null, at: NOW, actor: "ana", reason: `of ${value}` };
      const live = ruleSetHash(named);
      await store
        .rules(slug)
        .commit({ ...rulesChange(0, []), sets: [named], live, lists: { blocked: [change] }, entry });
      await store.ledger.append([
        {
          ...{ id: `l-${value}`, transaction: JSON.stringify(transaction).replace("card", "\\u0063ard"), answer: "{}" },
          ...{ by: "brain", brain: null, receivedAt: NOW, answeredAt: NOW },
        },
      ]);
      const run = { receipt: `forget-${made}`, by: BY };
      const found = (erased: readonly { what: string; found: number }[]) =>
        Object.fromEntries(erased.filter((one) => one.found > 0).map((one) => [one.what, one.found]));
      const all = { alerts: 1, ledger: 1, rule_list_changes: 1, rule_sets: 1, rule_journal: 1, audit: 1 };
      expect(found(await store.erase(eraser, null))).toEqual(all);
      expect(found(await store.erase(eraser, run))).toEqual(all);
      expect(found(await store.erase(eraser, run))).toEqual({});
      expect(await other.alerts.find(alert!)).toMatchObject({
        transactionId: `t-${pseudonym}`,
        entity: pseudonym,
        transaction: { customer_id: pseudonym, email: null, amount: 0.1 + 0.2 },
      });
      const kept = await other.ledger.find(`l-${pseudonym}`);
      expect(JSON.parse(kept!.transaction)).toEqual({ customer_id: pseudonym, email: null, amount: 0.1 + 0.2 });
      const rules = other.rules(slug);
      expect((await rules.set(live)).rules[0].when).toBe(`customer_id = '${pseudonym}'`);
      expect((await rules.list("blocked"))[0]).toMatchObject({ value: pseudonym, reason: `of ${pseudonym}` });
      expect((await rules.journal())[0].changes).toEqual([`+ ${pseudonym}`]);
      const seals = (await other.audit.page({ subject: "forget", subjectId: run.receipt }, { limit: 10 })).items;
      expect(seals.map(({ after }) => (after as { table: string }).table).sort()).toEqual(["audit", "rule_journal"]);
      await store.rules(slug).commit(rulesChange(1, ["again"]));
      const entries = await store.audit.scan(0, PAGE_MAX);
      expect(entries.filter((one) => "erased" in one)).toHaveLength(1);
      expect(verifyJournal(entries)).toMatchObject({ ok: true });
    });

    describe("the audit", () => {
      test("every entry seals the one before, whoever writes; pages and filters find them", async () => {
        const entry = (i: number) => ({
          at: NOW + i,
          actor: i % 2 === 0 ? "bob" : "eve",
          action: "key.revoke",
          subject: "key",
          subjectId: `k${i}`,
          pipeline: null,
          reason: "\0 odd",
          before: { text: "\0", n: 1e-7 },
          after: null,
        });
        await Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? store : other).audit.append(entry(i))));
        const seen = [];
        for (let from = 0; ; from = seen.length) {
          const more = await other.audit.scan(from, 25);
          seen.push(...more);
          if (more.length < 25) break;
        }
        expect(verifyJournal(seen)).toMatchObject({ ok: true });
        const first = await store.audit.page({ actor: "bob" }, { limit: 3 });
        const second = await store.audit.page({ actor: "bob" }, { limit: 3, cursor: first.next });
        expect(second.next).toBeNull();
        expect([...first.items, ...second.items].map(({ subjectId }) => subjectId).sort()).toEqual([
          "k0",
          "k2",
          "k4",
          "k6",
          "k8",
        ]);
        const { items } = await store.audit.page({ subject: "key", from: NOW + 3, to: NOW + 5 }, { limit: 10 });
        expect(items.map(({ subjectId }) => subjectId).sort()).toEqual(["k3", "k4"]);
        expect(items.find(({ subjectId }) => subjectId === "k4")).toMatchObject(entry(4));
      });

      test("a state that is too long to keep is named by its size, and nothing is refused for it", async () => {
        const entry = { at: NOW, actor: "a", action: "x", subject: "big", subjectId: "1", pipeline: null, reason: "" };
        await store.audit.append({ ...entry, before: "x".repeat(1_000_001), after: 1 });
        const { items } = await store.audit.page({ subject: "big" }, { limit: 1 });
        expect(items[0]).toMatchObject({ before: { cut: true, characters: 1_000_003 }, after: 1 });
      });

      test("the oldest go in slices, which is an entry itself, and the chain goes on", async () => {
        // Younger than those of all other tests, which share the store.
        const late = NOW + 1_000_000_000;
        const by = { actor: "serve", at: late + 100, reason: "kept 90 days" };
        const about = { actor: "a", action: "x", subject: "s", pipeline: null, reason: "", before: null };
        const places: number[] = [];
        for (let i = 0; i < 6; i++) {
          const entry = await store.audit.append({ ...about, at: late + i, subjectId: `${i}`, after: i });
          places.push(entry.index);
        }
        for (let count = 50; count === 50; ) count = await other.audit.forget({ before: late + 4, limit: 50, by });
        const left = await store.audit.scan(0, 100);
        const forgot = left.at(-1)!;
        expect(left[0].index).toBe(places[4]);
        expect(forgot).toMatchObject({ action: "audit.forget", before: { through: places[3] }, after: null });
        expect(left[0].previous).toBe((forgot.before as { readonly hash: string }).hash);
        for (const [i, { index, previous }] of left.slice(1).entries())
          expect([index, previous]).toEqual([left[i].index + 1, left[i].hash]);
        expect(await store.audit.forget({ before: late + 1000, limit: 100, by })).toBe(left.length - 1);
        // Whatever the instant: the newest stays, so that the chain has an end to go on from.
        expect(await store.audit.scan(0, 100)).toHaveLength(2);
      });
    });

    test("a question that finds little among many rows ends, and says where to go on", async () => {
      const { id: pipeline } = await aPipeline();
      const count = ALERTS_SEEN_MAX + 500;
      for (let from = 0; from < count; from += 1000) {
        const size = Math.min(1000, count - from);
        await store.alerts.append(
          Array.from({ length: size }, (_, i) =>
            newAlert(pipeline, null, {
              rules: [],
              amount: from + i === 3 ? 9 : from + i === 510 ? 8 : 1,
              alertedAt: NOW + from + i,
            }),
          ),
        );
      }
      const fresh = Array.from({ length: 20 }, (_, i) =>
        newAlert(pipeline, null, { rules: [], amount: 1, alertedAt: NOW + count + i }),
      );
      // What comes while a page is looked for moves no page.
      const [first] = await Promise.all([
        store.alerts.page({ pipeline, amountMin: 5 }, { limit: 10 }),
        store.alerts.append(fresh),
      ]);
      expect(first.items).toMatchObject([{ amount: 8 }]);
      const second = await store.alerts.page({ pipeline, amountMin: 5 }, { limit: 10, cursor: first.next });
      expect(second).toMatchObject({ items: [{ amount: 9, alertedAt: NOW + 3 }], next: null });
    });
  });
}
