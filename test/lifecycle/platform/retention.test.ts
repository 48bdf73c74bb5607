// Retention: slices until nothing is too old, each kind by its own days, and a store that is away is asked again later.
import { expect, test } from "vitest";
import { DAY_MS } from "../../../src/core/duration.ts";
import { Retention } from "../../../src/lifecycle/platform.ts";
import type { StoreKept } from "../../../src/lifecycle/retention.ts";
import { silentLog } from "../../../src/online/counters.ts";
import type { ChangedBy, Store } from "../../../src/ports/store.ts";

const NOW = 1000 * DAY_MS;

/** A store with so many old alerts and entries. */
function worldOf(
  keep: Partial<StoreKept>,
  have: { alerts: number; entries: number; ledger?: number },
  { asks, alertsMax = null }: { readonly asks?: () => StoreKept; readonly alertsMax?: number | null } = {},
) {
  const reasons: unknown[] = [];
  let removed = 0;
  const asked: { readonly what: string; readonly before: number; readonly limit: number }[] = [];
  let away = false;
  const take = (
    what: "alerts" | "entries" | "ledger",
    { before, limit }: { readonly before: number; readonly limit: number },
  ) => {
    if (away) throw new Error("the store is away");
    asked.push({ what, before, limit });
    const count = Math.min(limit, have[what] ?? 0);
    have[what] = (have[what] ?? 0) - count;
    return count;
  };
  const store = {
    alerts: {
      forget: async (of: { readonly before: number; readonly limit: number }) => take("alerts", of),
      trim: async ({ keep: kept, limit }: { readonly keep: number; readonly limit: number }) =>
        take("alerts", { before: kept, limit: Math.min(limit, Math.max(0, have.alerts - kept)) }),
    },
    audit: {
      forget: async ({ by, ...of }: { readonly before: number; readonly limit: number; readonly by: ChangedBy }) => {
        reasons.push(by.reason);
        return take("entries", of);
      },
    },
    ledger: { forget: async (of: { readonly before: number; readonly limit: number }) => take("ledger", of) },
  };
  const warnings: string[] = [];
  const retention = new Retention({
    store: async () => store as unknown as Store,
    keep: asks ?? (() => ({ alertsMs: null, auditMs: null, ledgerMs: null, auditBy: "SENTINEL_AUDIT_KEEP", ...keep })),
    alerts: {
      max: () => alertsMax,
      removed: (count) => {
        removed += count;
      },
    },
    clock: { now: () => NOW, elapsed: () => 0 },
    logger: { ...silentLog, warn: (_: object, message: string) => void warnings.push(message) },
  });
  return {
    retention,
    reasons,
    asked,
    have,
    warnings,
    removed: () => removed,
    leave: (is: boolean) => {
      away = is;
    },
  };
}

test("what is too old goes in slices, each kind by its own days; what is kept for ever is never asked for", async () => {
  const both = worldOf({ alertsMs: 90 * DAY_MS, auditMs: 400 * DAY_MS }, { alerts: 450, entries: 3 });
  await both.retention.look();
  expect(both.have).toEqual({ alerts: 0, entries: 0 });
  expect(both.asked.map(({ what, before }) => [what, (NOW - before) / DAY_MS])).toEqual([
    ["alerts", 90],
    ["alerts", 90],
    ["alerts", 90],
    ["entries", 400],
  ]);
  expect(Math.max(...both.asked.map(({ limit }) => limit))).toBeLessThanOrEqual(200);
  const none = worldOf({ alertsMs: null, auditMs: null }, { alerts: 1, entries: 1 });
  await none.retention.look();
  expect(none.asked).toEqual([]);
  const alertsOnly = worldOf({ alertsMs: DAY_MS, auditMs: null }, { alerts: 1, entries: 1 });
  await alertsOnly.retention.look();
  expect(alertsOnly.have).toEqual({ alerts: 0, entries: 1 });
  const ledger = worldOf({ ledgerMs: 7 * DAY_MS }, { alerts: 1, entries: 1, ledger: 201 });
  await ledger.retention.look();
  expect(ledger.have).toEqual({ alerts: 1, entries: 1, ledger: 0 });
});

test("a store that is away is a warning, and the next look goes on", async () => {
  const world = worldOf({ alertsMs: DAY_MS, auditMs: null }, { alerts: 5, entries: 0 });
  world.leave(true);
  await world.retention.look();
  expect(world.warnings).toHaveLength(1);
  world.leave(false);
  await world.retention.look();
  expect(world.have.alerts).toBe(0);
  await world.retention.stop();
});

test("beyond the number that a tenant may keep the oldest alerts go in slices, and are counted; without one none is asked for", async () => {
  const limited = worldOf({}, { alerts: 1450, entries: 3 }, { alertsMax: 1000 });
  await limited.retention.trim();
  expect(limited.have).toEqual({ alerts: 1000, entries: 3 });
  expect(limited.removed()).toBe(450);
  expect(Math.max(...limited.asked.map(({ limit }) => limit))).toBeLessThanOrEqual(200);
  await limited.retention.trim();
  expect(limited.removed()).toBe(450);
  limited.leave(true);
  await limited.retention.trim();
  expect(limited.warnings).toHaveLength(1);
  const free = worldOf({ alertsMs: DAY_MS }, { alerts: 1450, entries: 3 });
  await free.retention.trim();
  expect(free.asked).toEqual([]);
});

test("what pipelines say is asked at each look, and an entry of the audit names the setting that counted", async () => {
  const said: { auditMs: number | null; auditBy: StoreKept["auditBy"] } = { auditMs: null, auditBy: "retention.audit" };
  const live = worldOf({}, { alerts: 0, entries: 2 }, { asks: () => ({ alertsMs: null, ledgerMs: null, ...said }) });
  await live.retention.look();
  said.auditMs = DAY_MS;
  await live.retention.look();
  expect([live.have.entries, live.reasons]).toEqual([0, ["retention.audit"]]);
});
