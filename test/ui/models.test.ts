// The Models page as an ML engineer uses it, in Chromium: a candidate in shadow, the gate check by check, promoted, served, rolled back; the journal says who and why.
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { promote } from "../../src/lifecycle/promote.ts";
import { SMALL_WORLD } from "../journeys/traffic.ts";
import { shadowed } from "../lifecycle/records.ts";
import { makePlace, START } from "../lifecycle/world.ts";
import { type DeskWorld, openDesk } from "../server/desk-world.ts";
import { until } from "../server/world.ts";
import { chromiumHere, expectAccessible, openPage, startBrowser } from "./browser.ts";

if (chromiumHere === null && process.env.CI === "true") {
  test("Chromium is installed", () => expect.fail("CI must run scripts/setup-chromium first"));
}

const LIVE_AMOUNT = 12.5;

describe.skipIf(chromiumHere === null)("in Chromium", () => {
  let desk: DeskWorld;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let faults: string[];
  let key: string;

  beforeAll(async () => {
    const place = await makePlace(SMALL_WORLD);
    const { pipeline, ports } = place;
    const { version } = await place.train(1);
    const registry = await ports.registry();
    const files = await registry.load(pipeline.model, version!.version);
    const moves = { pipeline, actor: "setup", forced: "the first", seed: 1 };
    await promote(ports, { ...moves, to: "1" });
    // The same model again under other numbers: what the gate sees is the traffic below.
    for (const number of ["2", "3"]) {
      const runId = await registry.startRun({
        experiment: "card",
        name: number,
        startedAt: START,
        user: "setup",
        tags: {},
      });
      const tags = { "sentinel.gate.training": "pass", "sentinel.gate.logic": "pass" };
      await registry.register({ model: pipeline.model, runId, files, description: `try ${number}`, tags, at: START });
      const entry = {
        at: START,
        actor: "setup",
        verb: "train",
        verdict: "pass",
        evidence: "",
        reason: "made",
      } as const;
      const alias = number === "2" ? "candidate" : "candidate-b";
      await registry.moveAlias({ model: pipeline.model, alias, from: null, to: number, entry });
    }
    await shadowed(ports, { champion: "1", candidate: "2", skill: { champion: 0.8, candidate: 0.95 } });
    await place.release();
    desk = await openDesk({ workspace: place.dir });
    key = await desk.key("admin", { name: "Mia" });
    await until(async () => (await desk.call("/api/pipelines")).status === 401);
    // Labels mature by event time, which stands where the training ended until something comes.
    expect(await answering()).toBe("1");
    browser = await startBrowser();
    context = await browser.newContext({ viewport: { width: 1400, height: 1000 }, reducedMotion: "reduce" });
    ({ page, faults } = await openPage(context));
    await page.goto(`${desk.url}/#/models`);
    await page.getByLabel("Key", { exact: true }).fill(key);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Models", level: 1 }).waitFor();
  });
  afterAll(async () => {
    await browser?.close();
    await desk?.remove();
  });

  /** Which version answers a transaction. */
  async function answering(): Promise<string> {
    const body = {
      transaction_id: `t${Math.random()}`,
      time: Date.now(),
      amount: LIVE_AMOUNT,
      customer_id: "1",
      terminal_id: "2",
    };
    const answer = await desk.call("/predict", { body, headers: { authorization: `Bearer ${key}` } });
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return answer.body.model.version;
  }
  const panel = (name: string) => page.locator(".panel").filter({ has: page.getByRole("heading", { name }) });

  test("a candidate in shadow is shown with its evidence, and the gate with each check", async () => {
    await page.getByRole("button", { name: "Promote v2" }).waitFor({ timeout: 60_000 });
    const checks = panel("Promotion gate").locator("tbody");
    expect(await checks.getByRole("row").count()).toBeGreaterThan(4);
    expect(await checks.getByText("fail", { exact: true }).count()).toBe(0);
    const evidence = panel("In shadow");
    const own = evidence.locator(".shadow").filter({ hasText: "v2" });
    const { body } = await desk.call("/api/pipelines/card/models/shadow", {
      headers: { authorization: `Bearer ${key}` },
    });
    const { alerts, pairs, metrics } = body.candidates.find((one: { version: string }) => one.version === "2").report;
    const flat: readonly { pairs: number; amount: number; frauds: number; labelled: number }[] = alerts.flat();
    // Each pair is in one of four cells, the money of each beside it; those of the live traffic have no label.
    const cells = await own
      .getByRole("table", { name: /^Alerts and money/ })
      .locator("td b")
      .allTextContents();
    expect(cells.map((text) => Number(text.replaceAll(/\D/g, "")))).toEqual(flat.map((cell) => cell.pairs));
    const sum = (of: (cell: (typeof flat)[number]) => number): number =>
      flat.reduce((total, cell) => total + of(cell), 0);
    expect(sum((cell) => cell.pairs)).toBe(pairs);
    expect(sum(({ amount }) => amount)).toBeCloseTo(sumOfAmounts(4000) + LIVE_AMOUNT * (pairs - 4000), 6);
    expect([sum(({ frauds }) => frauds), sum(({ labelled }) => labelled)]).toEqual([200, 4000]);
    // What only the candidate alerts on has more fraud than what only the champion does.
    expect(alerts[0][1].frauds).toBeGreaterThan(alerts[1][0].frauds);
    const forest = own.getByRole("table", { name: /intervals of 95 %/ });
    expect(await forest.locator("tbody tr").count()).toBeGreaterThan(5);
    expect(await forest.locator("tbody svg").count()).toBe(await forest.locator("tbody tr").count());
    const { low } = metrics.averagePrecision;
    await forest
      .getByRole("row", { name: /^Average precision/ })
      .getByText(low > 0 ? "better" : "open", { exact: true })
      .waitFor();
    const ledger = own.getByRole("table", { name: /^Coverage/ });
    expect((await ledger.getByRole("row", { name: /scored/ }).textContent())!.replaceAll(/\D/g, "")).toMatch(/^400/);
    await expectAccessible(page, "models");
    await page.keyboard.press("t");
    await expectAccessible(page, "models, dark");
    await page.keyboard.press("t");
  });

  test("promoted, it answers; the journal says who did it and on what grounds", async () => {
    await page.getByRole("button", { name: "Promote v2" }).click();
    await page.getByText("v2 is champion").waitFor({ timeout: 60_000 });
    await until(async () => (await answering()) === "2");
    const entry = panel("Journal").getByRole("listitem").first();
    await entry.getByText("promote", { exact: true }).waitFor();
    await entry.getByText("PROMOTE", { exact: true }).waitFor();
    await entry.getByText("Mia").waitFor();
  });

  test("rolled back with a reason, the one before answers again, and the reason stands in the journal", async () => {
    await page.getByRole("button", { name: "Roll back" }).click();
    const dialog = page.getByRole("dialog", { name: "Roll back to v1?" });
    expect(await dialog.getByRole("button", { name: "Roll back" }).isDisabled()).toBe(true);
    await dialog.getByLabel("Why, for the journal").fill("too many calls from one branch");
    await expectAccessible(page, "rollback");
    await dialog.getByRole("button", { name: "Roll back" }).click();
    await page.getByText("Rolled back").waitFor({ timeout: 60_000 });
    await until(async () => (await answering()) === "1");
    const entry = panel("Journal").getByRole("listitem").first();
    await entry.getByText("rollback", { exact: true }).waitFor();
    await entry.getByText("too many calls from one branch").waitFor();
    await entry.getByText("Mia").waitFor();
  });

  test("a gate that holds says how much is missing; who overrides it says why, for ever", async () => {
    await page.goto(`${desk.url}/#/models?to=3`);
    await page
      .getByText(/matured frauds: 0 of 50/)
      .first()
      .waitFor({ timeout: 60_000 });
    await panel("Promotion gate").getByText("HOLD", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Promote all the same…" }).click();
    const dialog = page.getByRole("dialog", { name: "Promote v3 against the gate?" });
    await dialog.getByLabel("Why, for the journal").fill("the old one fails on refunds");
    await dialog.getByRole("button", { name: "Promote", exact: true }).click();
    await page.getByText("v3 is champion").waitFor({ timeout: 60_000 });
    await until(async () => (await answering()) === "3");
    const entry = panel("Journal").getByRole("listitem").first();
    await entry.getByText("FORCED", { exact: true }).waitFor();
    await entry.getByText("the old one fails on refunds").waitFor();
  });

  test("nothing failed in the page all the while", () => {
    expect(faults).toEqual([]);
  });
});

/** As the records are made. */
function sumOfAmounts(rows: number): number {
  return Array.from({ length: rows }, (_, i) => 10 + (i % 90)).reduce((sum, one) => sum + one, 0);
}
