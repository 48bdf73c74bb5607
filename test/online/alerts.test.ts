// Alerts: what raises one, what it freezes, and that none is lost where the queue is full, the store is away, or the process was killed.

import { afterEach, expect, test, vi } from "vitest";
import { joined } from "../../src/core/bytes.ts";
import { sha256 } from "../../src/core/hash.ts";
import type { Rule } from "../../src/core/rule.ts";
import { alertOf } from "../../src/online/alerts/alert.ts";
import { ALERTS_WAITING_MAX, Alerts, FLUSH_MS } from "../../src/online/alerts.ts";
import { silentLog } from "../../src/online/counters.ts";
import type { PredictionDraft } from "../../src/online/states.ts";
import type { PredictionLog, PredictionRecord } from "../../src/ports/log.ts";
import type { SnapshotStore } from "../../src/ports/ports.ts";
import type { NewAlert, Store } from "../../src/ports/store.ts";

const COLUMNS = { id: "transaction_id", time: "time", amount: "amount", card: "user_id" };
const SET = "s".repeat(64);

const rule = (id: string, more: Partial<Rule> = {}): Rule => ({
  id,
  when: `amount > 1 /* ${id} */`,
  action: "review",
  severity: "warning",
  description: `about ${id}`,
  stage: "live",
  share: 1,
  owner: "",
  ...more,
});
const RULES = new Map(
  [
    rule("warns"),
    rule("cries", { severity: "critical", action: "block" }),
    rule("tells", { severity: "info" }),
    rule("marks", { action: "tag" }),
    rule("lets", { action: "approve", severity: "critical" }),
    rule("bare", { description: "" }),
  ].map((one) => [one.id, one] as const),
);

function draft(id: string, more: Partial<PredictionDraft> = {}): PredictionDraft {
  return {
    transactionId: id,
    time: 1000,
    receivedAt: 2000,
    fields: { amount: 50, user_id: "u1" },
    extra: { note: "kept" },
    vector: new Float32Array(0),
    score: Number.NaN,
    anomalyScore: Number.NaN,
    decision: "approve",
    version: "",
    bundle: "",
    latencyMs: 1,
    degraded: false,
    ...more,
  };
}

const fired = (ids: readonly string[], more: Partial<NonNullable<PredictionDraft["rules"]>> = {}) => ({
  set: SET,
  by: "rule" as const,
  rule: ids[0] ?? null,
  fired: ids,
  without: "approve" as const,
  shadow: [],
  unready: 0,
  ...more,
});
const NO_DRAW = { share: 0, seed: 1 };
const raised = (one: PredictionDraft, drawing = NO_DRAW) =>
  alertOf(one, { pipelineId: 3, columns: COLUMNS, rules: RULES, drawing, why: null });

test("of what nothing flags the share that was asked for is drawn, by the id alone, and says with which chance", () => {
  const drawing = { share: 0.1, seed: 7 };
  const ids = Array.from({ length: 4000 }, (_, i) => `t${i}`);
  const drawn = ids.filter((id) => raised(draft(id), drawing) !== null);
  // 400 expected, a standard deviation of 19.
  expect(drawn.length).toBeGreaterThan(300);
  expect(drawn.length).toBeLessThan(500);
  expect(ids.filter((id) => raised(draft(id), drawing) !== null)).toEqual(drawn);
  expect(ids.filter((id) => raised(draft(id), { ...drawing, seed: 8 }) !== null)).not.toEqual(drawn);
  expect(raised(draft(drawn[0]), drawing)).toMatchObject({
    severity: "info",
    decision: "approve",
    rules: [],
    reasons: [{ by: "exploration", propensity: 0.1 }],
  });
  // What is flagged anyhow is no draw, and what a rule lets through is nobody's to look at.
  expect(raised(draft(drawn[0], { rules: fired(["warns"]) }), drawing)).toMatchObject({ severity: "warning" });
  expect(raised(draft(drawn[0], { decision: "review", rules: fired(["tells"]) }), drawing)).toBeNull();
});

test("a rule of severity warning or critical raises an alert, unless it lets through; one of severity info does not", () => {
  expect(raised(draft("a"))).toBeNull();
  expect(raised(draft("a", { rules: fired([]) }))).toBeNull();
  expect(raised(draft("a", { decision: "review", rules: fired(["tells"]) }))).toBeNull();
  expect(raised(draft("a", { rules: fired(["lets"]) }))).toBeNull();
  expect(raised(draft("a", { rules: fired(["marks"], { by: "policy", rule: null }) }))).toMatchObject({
    severity: "warning",
    decision: "approve",
  });
  const both = raised(draft("a", { decision: "block", rules: fired(["tells", "warns", "cries"], { rule: "cries" }) }));
  expect(both).toMatchObject({
    pipeline: 3,
    transactionId: "a",
    severity: "critical",
    decision: "block",
    decidedBy: "rule",
    rules: [{ id: "cries" }, { id: "warns", description: "about warns" }],
    entity: "u1",
    amount: 50,
    ruleSet: SET,
    vectorHash: null,
    score: null,
    time: 1000,
    alertedAt: 2000,
    transaction: { transaction_id: "a", time: "1970-01-01T00:00:01.000Z", amount: 50, user_id: "u1", note: "kept" },
  });
  expect(both!.reasons).toHaveLength(3);
  expect(raised(draft("a", { decision: "review", rules: fired(["bare"]) }))!.rules[0].description).toContain(
    "amount > 1",
  );
  // Its set is gone: the alert is not.
  expect(
    alertOf(draft("a", { decision: "review", rules: fired(["x"]) }), {
      pipelineId: 3,
      columns: COLUMNS,
      rules: null,
      why: null,
      drawing: NO_DRAW,
    }),
  ).toMatchObject({
    rules: [{ id: "x", severity: "warning" }],
  });
});

test("what the model, or the policy in its place, reviews or blocks raises an alert; what a rule lets through does not", () => {
  const vector = new Float32Array([1, 2, 3, 4]).subarray(1, 3);
  const judged = { score: 0.93, anomalyScore: 0.5, version: "3", bundle: "b", vector };
  const block = raised(draft("m", { ...judged, decision: "block" }));
  expect(block).toMatchObject({ severity: "critical", decidedBy: "model", score: 0.93, bundle: "b", rules: [] });
  expect(block!.vectorHash).toBe(sha256(new Uint8Array(new Float32Array([2, 3]).buffer)));
  expect(raised(draft("m", { ...judged, decision: "review" }))).toMatchObject({ severity: "warning" });
  expect(raised(draft("m", { decision: "review", degraded: true }))).toMatchObject({
    severity: "warning",
    decidedBy: "policy",
  });
  expect(
    raised(draft("m", { ...judged, decision: "approve", rules: fired(["lets"], { without: "block" }) })),
  ).toBeNull();
  expect(
    raised(
      draft("m", {
        ...judged,
        decision: "block",
        rules: fired(["tells"], { by: "model", rule: null, without: "block" }),
      }),
    ),
  ).toMatchObject({
    severity: "critical",
  });
});

/** A log in memory, a store that can be away, and what survives a process. */
class World {
  readonly records: PredictionRecord[] = [];
  readonly stored: NewAlert[] = [];
  away = false;
  late = 0;
  readonly saved = new Map<string, Uint8Array>();
  now = 0;
  private readonly snapshots: SnapshotStore = {
    save: async (name, bytes) => void this.saved.set(name, bytes instanceof Uint8Array ? bytes : joined(bytes)),
    load: async (name) => this.saved.get(name) ?? null,
  };

  open(): Alerts {
    const log = {
      last: async () => ({ sequence: this.records.length, applied: 0 }),
      scan: async function* (this: World, from: number) {
        for (const record of this.records) if (record.sequence >= from) yield { kind: "prediction" as const, record };
      }.bind(this),
    };
    const store = {
      pipelines: { findBySlug: async () => ({ id: 3 }) },
      alerts: {
        lastId: async () => this.stored.length,
        append: async (alerts: readonly NewAlert[]) => {
          if (this.away) throw new Error("the store is away");
          const known = new Set(this.ids);
          return alerts.map((alert) => (known.has(alert.transactionId!) ? null : this.stored.push(alert)));
        },
      },
    };
    return new Alerts({
      pipeline: { name: "p", columns: COLUMNS, cases: { explore: NO_DRAW } },
      log: log as unknown as PredictionLog,
      store: async () => store as unknown as Store,
      snapshots: async () => this.snapshots,
      declare: () => {
        throw new Error("it is there");
      },
      rulesOf: async () => RULES,
      scorerOf: () => Promise.reject(new Error("no bundle here")),
      clock: { now: () => this.now, elapsed: () => this.now },
      logger: silentLog,
      counters: { alerted: () => {}, alertLate: () => void this.late++ },
    });
  }

  answer(alerts: Alerts | null, id: string): void {
    const one = draft(id, { decision: "review", rules: fired(["warns"]) });
    this.records.push({ ...one, sequence: this.records.length + 1 });
    alerts?.offer(one);
  }

  get ids(): readonly string[] {
    return this.stored.map(({ transactionId }) => transactionId!);
  }
}

afterEach(() => {
  vi.useRealTimers();
});

test("an alert is in the store one beat after its answer, and a beat is far below the second that it may take", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const world = new World();
  const alerts = world.open();
  await alerts.start();
  await vi.advanceTimersByTimeAsync(FLUSH_MS);
  alerts.offer(draft("a", { decision: "review", rules: fired(["warns"]) }));
  await vi.advanceTimersByTimeAsync(FLUSH_MS - 1);
  expect(world.ids).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(world.ids).toEqual(["a"]);
  // The other half is the store's and the reader's.
  expect(FLUSH_MS).toBeLessThanOrEqual(500);
  await alerts.stop();
});

test("while the store is away answers wait; what finds no room is made from the log", async () => {
  const world = new World();
  const alerts = world.open();
  await alerts.start();
  world.away = true;
  const count = ALERTS_WAITING_MAX + 5;
  for (let at = 0; at < count; at++) world.answer(alerts, `t${at}`);
  await alerts.flush();
  expect(alerts.storeFault).toContain("away");
  expect(alerts.waitingCount).toBe(ALERTS_WAITING_MAX);
  expect(world.late).toBe(5);
  world.away = false;
  // Not at once, so that a store that comes back is not overrun.
  await alerts.flush();
  expect(world.stored).toHaveLength(0);
  world.now += 1000;
  await alerts.flush();
  expect(new Set(world.ids).size).toBe(count);
  expect(world.stored).toHaveLength(count);
  expect(alerts.storeFault).toBeNull();
  await alerts.stop();
}, 20_000);

test("a process that was killed: the next one makes from the log what is missing, and nothing twice", async () => {
  const world = new World();
  world.answer(null, "before there were alerts");
  const first = world.open();
  await first.start();
  world.answer(first, "a");
  await first.flush();
  world.answer(null, "b");
  // Killed here.
  const second = world.open();
  await second.start();
  world.answer(second, "c");
  await second.flush();
  expect([...world.ids].sort()).toEqual(["a", "b", "c"]);
  // What the store lost since is made again too.
  world.now += 60_000;
  await second.flush();
  world.now += 60_000;
  await second.flush();
  await second.stop();
  await first.stop();
  world.stored.length = 0;
  const third = world.open();
  await third.start();
  await third.flush();
  expect(world.ids).toContain("a");
  await third.stop();
});
