// Figures of the desk at /metrics: open cases by age, closings with the time that they took, messages that wait and what became of the others.
import { expect, test } from "vitest";
import { DEFAULT_TENANT, parseTenant } from "../../src/core/tenant.ts";
import { Pipelines } from "../../src/online/pipelines.ts";
import type { Store } from "../../src/ports/store.ts";
import { deskFigures } from "../../src/server/desk-figures.ts";
import { createMeasures, createProcessMeasures } from "../../src/server/measures.ts";
import type { ServerParts } from "../../src/server/parts.ts";
import { openDesk } from "./desk-world.ts";
import { silent, until } from "./world.ts";

test("a case is open until it is closed, and its closing is counted with its disposition and its time", async () => {
  const desk = await openDesk();
  try {
    const fields = [
      { name: "transaction_id", type: "string", nullable: false },
      { name: "user_id", type: "string" },
      { name: "amount", type: "float" },
    ];
    await desk.call("/api/pipelines", { body: { name: "Shop", schema: fields } });
    await desk.call("/api/pipelines/shop/rules", { body: { rule_expression: "amount > 100", severity: "critical" } });
    await desk.call("/pipelines/shop/predict", { body: { transaction_id: "t1", user_id: "u", amount: 500 } });
    const open = async (age: string): Promise<string | undefined> => {
      const { body } = await desk.call("/metrics");
      return figureOf(String(body), `sentinel_cases_open{severity="critical",age="${age}",pipeline="shop"}`);
    };
    await until(async () => (await open("day")) === "1");
    expect(await open("week")).toBe("0");
    const { body } = await desk.call("/api/cases");
    const close = { disposition: "fraud", reason: "the customer said so" };
    const done = await desk.call(`/api/cases/${body.cases[0].id}/close`, { body: close, headers: { "if-match": "*" } });
    expect(done.status, JSON.stringify(done.body)).toBe(200);
    await until(async () => (await open("day")) === "0");
    const text = String((await desk.call("/metrics")).body);
    expect(figureOf(text, 'sentinel_cases_closed_total{disposition="fraud",pipeline="shop"}')).toBe("1");
    expect(figureOf(text, 'sentinel_cases_closed_total{disposition="genuine",pipeline="shop"}')).toBe("0");
    expect(figureOf(text, 'sentinel_case_seconds_bucket{le="60",pipeline="shop"}')).toBe("1");
  } finally {
    await desk.remove();
  }
});

test("messages that wait are counted by receiver with their age, also where none waits; a store that is away changes nothing", async () => {
  const measures = createProcessMeasures();
  let states = [{ target: "team", waiting: 3, oldestAt: 40_000, dead: 0, sent: 0 }];
  let away = false;
  const open = async (): Promise<Store> => {
    if (away) throw new Error("away");
    const cases = { summary: async () => ({ open: [], closed: [] }) };
    return { cases, outbox: { states: async () => states } } as unknown as Store;
  };
  const clock = { now: () => 100_000, elapsed: () => 0 };
  const pipelines = new Pipelines<ServerParts>(null, {
    start: () => Promise.reject(new Error("none")),
    clock,
    logger: silent,
  });
  const targets = ["team", "pager"].map((name) => ({ name, send: async () => ({ outcome: "taken" as const }) }));
  const notices = { file: { targets: {}, routes: [], daily: "06:00" }, targets } as never;
  const of = { pipelines, clock, measures, measuresOf: createMeasures };
  const rounds = deskFigures({ store: open, notices }, { ...of, tenant: DEFAULT_TENANT });
  const shown = async (name: string, target: string) =>
    figureOf(await measures.text(), `sentinel_outbox_${name}{target="${target}"}`);
  // What never failed begins at zero, so that its first fault is an increase.
  expect(await shown("dead_total", "pager")).toBe("0");
  await rounds.next();
  expect([await shown("waiting", "team"), await shown("oldest_seconds", "team")]).toEqual(["3", "60"]);
  expect([await shown("waiting", "pager"), await shown("oldest_seconds", "pager")]).toEqual(["0", "0"]);
  // Another tenant's receiver of that name, for which nothing waits, changes nothing of this one's.
  const idle = { cases: { summary: async () => ({ open: [] }) }, outbox: { states: async () => [] } };
  const other = async (): Promise<Store> => idle as unknown as Store;
  await deskFigures({ store: other, notices }, { ...of, tenant: parseTenant("north") }).next();
  expect([await shown("waiting", "team"), await shown("oldest_seconds", "team")]).toEqual(["3", "60"]);
  expect(await measures.text()).toMatch(/sentinel_outbox_waiting\{(?=.*tenant="north")(?=.*target="team").*\} 0/);
  away = true;
  await rounds.next();
  expect(await shown("waiting", "team")).toBe("3");
  away = false;
  states = [];
  await rounds.next();
  expect([await shown("waiting", "team"), await shown("oldest_seconds", "team")]).toEqual(["0", "0"]);
  for (const outcome of ["sent", "sent", "again", "dead"] as const)
    measures.outboxOf(DEFAULT_TENANT).settled("team", outcome);
  expect(
    await Promise.all(["delivered_total", "failures_total", "dead_total"].map((name) => shown(name, "team"))),
  ).toEqual(["2", "1", "1"]);
});

function figureOf(page: string, series: string): string | undefined {
  return page
    .split("\n")
    .find((line) => line.startsWith(`${series} `))
    ?.slice(series.length + 1);
}
