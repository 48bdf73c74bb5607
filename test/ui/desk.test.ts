// The dashboard as a person uses it, in Chromium: log in, see what is decided, find an alert; hostile texts are texts, by the keyboard as by the mouse.
import path from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readPages } from "../../src/cli/serve/pages.ts";
import type { Role } from "../../src/core/key.ts";
import { type DeskWorld, openDesk } from "../server/desk-world.ts";
import { until } from "../server/world.ts";
import { chromiumHere, expectAccessible, openPage, startBrowser } from "./browser.ts";

if (chromiumHere === null) {
  console.warn("SKIPPED the dashboard in a browser: there is no Chromium; scripts/setup-chromium installs it");
  test.runIf(process.env.CI === "true")("Chromium is installed", () =>
    expect.fail("CI must run scripts/setup-chromium first"),
  );
}

/** What a merchant may call itself, and what a card may be called. */
const HOSTILE = {
  html: `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`,
  formula: `=HYPERLINK("http://evil.example","pay")`,
  bidi: "safe\u202Etxt.exe",
  long: "x".repeat(1000),
} as const;

test("the whole page is at most 150 kB, gzip", () => {
  const pages = readPages(path.join(import.meta.dirname, "..", ".."));
  expect(pages).not.toBeNull();
  const bytes = [...pages!.values()].reduce((sum, { gzip }) => sum + gzip.length, 0);
  expect(bytes).toBeLessThan(150_000);
});

describe.skipIf(chromiumHere === null)("in Chromium", { timeout: 300_000 }, () => {
  let desk: DeskWorld;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let faults: string[];
  const keys = {} as Record<Role, string>;

  beforeAll(async () => {
    desk = await openDesk();
    for (const role of ["viewer", "analyst", "admin"] as const)
      keys[role] = await desk.key(role, { name: `${role} Ann` });
    await until(async () => (await desk.call("/api/pipelines")).status === 401);
    const headers = { authorization: `Bearer ${keys.admin}` };
    // A server that has read the first key alone asks for one, and does not know the others yet.
    await until(async () => (await desk.call("/api/pipelines", { headers })).status === 200);
    const fields = [
      { name: "transaction_id", type: "string", nullable: false },
      { name: "user_id", type: "string" },
      { name: "amount", type: "float" },
      { name: "merchant", type: "string" },
    ];
    expect((await desk.call("/api/pipelines", { body: { name: "Shop", schema: fields }, headers })).status).toBe(201);
    const rule = {
      rule_expression: "amount > 100 AND merchant IS NOT NULL",
      severity: "critical",
      description: "Large payment",
    };
    expect((await desk.call("/api/pipelines/shop/rules", { body: rule, headers })).status).toBe(201);
    const merchants = ["Corner shop", ...Object.values(HOSTILE)];
    for (let i = 0; i < 70; i++) {
      const body = {
        transaction_id: `t${i}`,
        user_id: `user ${i % 9}`,
        amount: i < 60 ? 101 + i : 5,
        merchant: merchants[i < 5 ? i : 0],
      };
      const { status, body: answer } = await desk.call("/pipelines/shop/predict", { body, headers });
      expect(status, JSON.stringify(answer).slice(0, 500)).toBe(200);
    }
    await until(async () => (await desk.call("/api/alerts?limit=100", { headers })).body.length === 60);
    browser = await startBrowser();
    context = await browser.newContext({ viewport: { width: 1200, height: 800 }, reducedMotion: "reduce" });
    ({ page, faults } = await openPage(context));
  });
  afterAll(async () => {
    await browser?.close();
    await desk?.remove();
  });
  // Each begins with nothing open.
  beforeEach(async () => {
    await page.goto("about:blank");
    await page.setViewportSize({ width: 1200, height: 800 });
    await page.goto(`${desk.url}/#/overview`);
  });
  async function logIn(key: string, who: string): Promise<void> {
    await context.clearCookies();
    await page.goto("about:blank");
    await page.goto(desk.url);
    await page.getByLabel("Key", { exact: true }).fill(key);
    await page.keyboard.press("Enter");
    await page.getByText(who).first().waitFor();
  }

  test("a person logs in with a key, and sees who they are", async () => {
    await context.clearCookies();
    await page.goto("about:blank");
    await page.goto(desk.url);
    await page.getByLabel("Key", { exact: true }).waitFor();
    await expectAccessible(page, "login");
    await page.getByLabel("Key", { exact: true }).fill("sentinel_00000000_wrong");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").getByText("not valid").waitFor();
    await page.getByLabel("Key", { exact: true }).fill(keys.analyst);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    await page.getByText("analyst Ann").waitFor();
    // The key is nowhere that a script could find it.
    const kept = await page.evaluate<string>("JSON.stringify([localStorage, sessionStorage, document.cookie])");
    expect(kept).not.toContain(keys.analyst);
    expect(kept).not.toContain("sentinel_session");
  });

  test("the overview shows what was decided, live, and every picture has its JSON", async () => {
    await logIn(keys.analyst, "analyst Ann");
    await page.getByText("live", { exact: true }).waitFor();
    await page.getByText("60 critical").waitFor();
    for (const link of await page.getByRole("link", { name: /as JSON$/ }).all()) {
      const url = new URL((await link.getAttribute("href"))!, desk.url);
      const answer = await page.evaluate(async (at) => (await fetch(at)).status, url.pathname + url.search);
      expect(answer, url.pathname).toBe(200);
    }
    await expectAccessible(page, "overview");
    await page.keyboard.press("t");
    await expectAccessible(page, "overview, dark");
    await page.keyboard.press("t");
  });

  test("by the keyboard alone: to the alerts, search, walk, open, close", async () => {
    await logIn(keys.analyst, "analyst Ann");
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("a");
    await page.getByRole("heading", { name: "Alerts", level: 1 }).waitFor();
    await page.getByRole("row").nth(1).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("corner");
    await Promise.all([
      page.waitForResponse((answer) => answer.url().includes("q=corner")),
      page.keyboard.press("Enter"),
    ]);
    await page.getByText("Loading…").waitFor({ state: "detached" });
    await page.getByRole("row").nth(1).waitFor();
    await page.locator("body").press("Escape");
    await page.evaluate("document.activeElement.blur()");
    const drawer = page.getByRole("complementary", { name: /^Alert / });
    await until(async () => {
      await page.keyboard.press("j");
      await page.keyboard.press("Enter");
      return drawer.isVisible();
    });
    await drawer.getByText("Rules that fired").waitFor();
    await drawer.locator(".lit dt").first().waitFor();
    // The fields that the rule reads are lit up, the others are not.
    expect(await drawer.locator(".lit dt").allTextContents()).toEqual(["amount", "merchant"]);
    await expectAccessible(page, "alert");
    await page.keyboard.press("Escape");
    await drawer.waitFor({ state: "detached" });
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  });

  test("filters are part of the address, pages follow each other, and the CSV is that of the filter", async () => {
    await logIn(keys.analyst, "analyst Ann");
    await page.goto(`${desk.url}/#/alerts`);
    await page.getByRole("button", { name: /Older/ }).click();
    await page.waitForURL(/cursor=/);
    await until(async () => (await page.getByRole("row").count()) === 11);
    await page.getByRole("button", { name: /Newer/ }).click();
    await until(async () => (await page.getByRole("row").count()) === 51);
    await page.getByLabel("Least amount").fill("150");
    await page.keyboard.press("Enter");
    await until(async () => (await page.getByRole("row").count()) === 12);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "CSV" }).click(),
    ]);
    const lines = (await (await download.createReadStream()).toArray()).join("").trim().split("\r\n");
    expect(lines).toHaveLength(12);
  });

  test("hostile texts are shown as texts", async () => {
    await logIn(keys.analyst, "analyst Ann");
    await page.goto(`${desk.url}/#/alerts?q=onerror`);
    await page.getByRole("heading", { name: "Alerts", level: 1 }).waitFor();
    await page.getByRole("row").nth(1).click();
    const drawer = page.getByRole("complementary", { name: /^Alert / });
    await drawer.getByText(HOSTILE.html, { exact: true }).waitFor();
    expect(await page.locator("main img, aside img, aside script").count()).toBe(0);
    await page.goto(`${desk.url}/#/alerts?q=txt.exe`);
    await page.getByRole("row").nth(1).click();
    await drawer.getByText("safe⟨U+202E⟩txt.exe").first().waitFor();
    await page.goto(`${desk.url}/#/alerts?q=xxxxx`);
    // The API refuses texts of a megabyte; the page would show one cut, whoever put it into the store.
    const huge = { transaction_id: "huge", amount: 200, merchant: "y".repeat(1_000_000) };
    const headers = { authorization: `Bearer ${keys.admin}` };
    expect((await desk.call("/pipelines/shop/predict", { body: huge, headers })).status).toBeGreaterThanOrEqual(400);
    await page.route("**/api/alerts/*", async (route) => {
      const answer = await route.fetch();
      const alert = await answer.json();
      await route.fulfill({ response: answer, json: { ...alert, transaction_data: huge } });
    });
    await page.getByRole("row").nth(1).click();
    await drawer.getByText("(1,000,000 characters)").waitFor();
    await page.unroute("**/api/alerts/*");
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
    await page.goto(`${desk.url}/#/alerts?q=${encodeURIComponent(HOSTILE.html)}`);
    await page.getByRole("row").nth(1).waitFor();
    expect(await page.title()).not.toContain("owned");
    const csv = await desk.call("/api/alerts?format=csv&q=HYPERLINK", {
      headers: { authorization: `Bearer ${keys.viewer}` },
    });
    expect(csv.body).not.toMatch(/(^|,)"?=/m);
  });

  test("a case is claimed, noted, closed as fraud by single keys; its labels are counted and it is gone from the queue", async () => {
    await logIn(keys.analyst, "analyst Ann");
    await page.goto(`${desk.url}/#/cases`);
    await page.getByRole("heading", { name: "Cases", level: 1 }).waitFor();
    await page.getByRole("row").nth(1).waitFor();
    await expectAccessible(page, "cases");
    const before = await page.getByRole("row").count();
    await page.keyboard.press("n");
    const drawer = page.getByRole("complementary", { name: /^Case / });
    await drawer.getByRole("button", { name: "Release" }).waitFor();
    await expectAccessible(page, "case");
    await drawer.getByLabel("Note").fill("the customer knows nothing of it");
    await page.keyboard.press("Enter");
    await drawer.getByText("the customer knows nothing of it").waitFor();
    await page.evaluate("document.activeElement.blur()");
    await page.keyboard.press("f");
    const dialog = page.getByRole("dialog", { name: "Close as fraud" });
    await dialog.getByLabel("Comment").fill("called at 14:10");
    await expectAccessible(page, "closing");
    await dialog.getByRole("button", { name: "Close the case" }).click();
    await drawer.getByText("Labels written").waitFor();
    await page.keyboard.press("Escape");
    await until(async () => (await page.getByRole("row").count()) === before - 1);
    await page.getByRole("button", { name: "Closed" }).click();
    await page.getByRole("row").nth(1).getByText("fraud").waitFor();
    const headers = { authorization: `Bearer ${keys.viewer}` };
    await until(async () => {
      const { body } = await desk.call("/api/days?pipeline=shop", { headers });
      return body.days.some((day: { frauds: number }) => day.frauds > 0);
    });
  });

  test("a rule is written and checked, tried on the past, put into shadow, made live, and fires", async () => {
    await logIn(keys.analyst, "analyst Ann");
    const probe = "Small probe";
    await page.goto(`${desk.url}/#/rules?pipeline=shop`);
    await page.getByRole("heading", { name: "Rules", level: 1 }).waitFor();
    await page.getByRole("row").nth(1).waitFor();
    await expectAccessible(page, "rules");
    await page.keyboard.press("c");
    const drawer = page.getByRole("complementary", { name: "Rule New rule" });
    const field = drawer.locator("textarea");
    await field.fill("amont > 4");
    await drawer.getByText(/Line 1, column 1/).waitFor();
    await field.fill("");
    await field.pressSequentially("amo");
    await drawer.getByRole("option", { name: /amount/ }).waitFor();
    // On a page that is drawn late the next letters are there first.
    await page.evaluate(
      "window.drawn = requestAnimationFrame; requestAnimationFrame = (then) => setTimeout(then, 300)",
    );
    await page.keyboard.press("Tab");
    await field.pressSequentially(" > 4");
    await page.waitForTimeout(400);
    await field.pressSequentially(" AND amount < 6");
    await page.evaluate("requestAnimationFrame = window.drawn");
    expect(await field.inputValue()).toBe("amount > 4 AND amount < 6");
    await drawer.getByText("It can be read.").waitFor();
    await drawer.getByLabel("Description").fill(probe);
    await drawer.getByRole("button", { name: "Backtest on the log" }).click();
    await drawer.getByText(/10 of \d+ transactions/).waitFor({ timeout: 60_000 });
    await expectAccessible(page, "rule");
    await drawer.getByRole("button", { name: "Add in stage shadow" }).click();
    await drawer.waitFor({ state: "detached" });
    const row = page.getByRole("row").filter({ hasText: probe });
    await row.getByText("shadow").waitFor();
    await row.click();
    await page.getByRole("button", { name: "Make live" }).click();
    await row.getByText("live").waitFor();
    const headers = { authorization: `Bearer ${keys.admin}` };
    await until(async () => {
      const body = { transaction_id: `probe-${Math.random()}`, user_id: "user p", amount: 5 };
      return (await desk.call("/pipelines/shop/predict", { body, headers })).body.decision === "review";
    });
    await page.goto(`${desk.url}/#/alerts?pipeline=shop&q=${encodeURIComponent(probe)}`);
    await page.getByRole("row").nth(1).getByText(probe).waitFor();
    for (const view of ["conflicts", "history"]) {
      await page.goto(`${desk.url}/#/rules?pipeline=shop&view=${view}`);
      await page.getByText("Loading…").first().waitFor({ state: "hidden", timeout: 60_000 });
      await expectAccessible(page, view);
    }
  });

  test("a policy lets nothing in line run, files keep for ever, and the page never does", async () => {
    const page = await desk.call("/");
    const policy = page.headers.get("content-security-policy")!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe");
    expect(page.headers.get("cache-control")).toBe("no-cache");
    const files = [...String(page.body).matchAll(/\/ui\/[\w.-]+/g)].map(([name]) => name);
    expect(files).toHaveLength(3);
    expect(String(page.body)).not.toMatch(/<script(?![^>]* src=)|<style|https?:|style=/);
    for (const name of files) {
      const file = await desk.call(name);
      expect([file.status, file.headers.get("cache-control")]).toEqual([200, "public, max-age=31536000, immutable"]);
    }
    expect((await desk.call("/ui/..%2f..%2fpackage.json")).status).toBe(404);
  });

  test("what a role may not do is not shown; a logout leads back to the login", async () => {
    await logIn(keys.analyst, "analyst Ann");
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Key", { exact: true }).waitFor();
    expect((await context.cookies()).map(({ name }) => name)).toEqual([]);
    await page.getByLabel("Key", { exact: true }).fill(keys.viewer);
    await page.keyboard.press("Enter");
    await page.getByText("viewer Ann").first().waitFor();
  });

  test("a viewer is offered no change, and sees no keys", async () => {
    await logIn(keys.viewer, "viewer Ann");
    for (const [at, title, name] of [
      ["rules?pipeline=shop", "Rules", "Write a rule"],
      ["cases", "Cases", "Next case"],
      ["pipelines", "Pipelines", "Make a pipeline"],
    ]) {
      await page.goto(`${desk.url}/#/${at}`);
      await page.getByRole("heading", { name: title, level: 1 }).waitFor();
      await page.getByText("Loading…").first().waitFor({ state: "hidden" });
      await page.getByRole("row").nth(1).waitFor();
      expect(await page.getByRole("button", { name }).count(), name).toBe(0);
    }
    expect(await page.getByRole("link", { name: "Keys and people" }).count()).toBe(0);
    // Who goes there all the same sees the first page.
    await page.goto(`${desk.url}/#/people`);
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  });

  test("an admin makes a pipeline field by field; an event that is sent from the page is answered, and its alert is there", async () => {
    await logIn(keys.admin, "admin Ann");
    const name = "Till";
    const slug = name.toLowerCase();
    await page.goto(`${desk.url}/#/pipelines`);
    await page.getByRole("heading", { name: "Pipelines", level: 1 }).waitFor();
    await page.getByRole("row").filter({ hasText: "Shop" }).waitFor();
    await page.keyboard.press("c");
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByRole("button", { name: "Add a field" }).click();
    await page.getByLabel("Name of field 5").fill("cashier");
    await expectAccessible(page, "new pipeline");
    await page.getByRole("button", { name: "Make the pipeline" }).click();
    await page.getByRole("row").filter({ hasText: name }).waitFor();
    const headers = { authorization: `Bearer ${keys.admin}` };
    const rule = { rule_expression: "amount > 900", severity: "critical", description: "Till is full" };
    expect((await desk.call(`/api/pipelines/${slug}/rules`, { body: rule, headers })).status).toBe(201);
    const route = encodeURIComponent("POST /api/pipelines/{id}/transactions");
    await page.goto(`${desk.url}/#/api?route=${route}`);
    await page.getByLabel(/id in the path/).fill(slug);
    await page
      .getByLabel(/^Body/)
      .fill(JSON.stringify({ transaction_id: "e1", user_id: "u", amount: 950, cashier: "Bo" }));
    await expectAccessible(page, "API");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.getByRole("region", { name: "Answer" }).getByText('"decision": "review"').waitFor();
    await page.goto(`${desk.url}/#/alerts?pipeline=${slug}`);
    await page.getByRole("row").nth(1).getByText("Till is full").waitFor();
  });

  test("an admin makes a key, which is shown once, and revokes it; both are in the audit", async () => {
    await logIn(keys.admin, "admin Ann");
    const who = "Bo";
    await page.goto(`${desk.url}/#/people`);
    await page.getByRole("button", { name: "Make a key" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("For whom").fill(who);
    await expectAccessible(page, "new key");
    await dialog.getByRole("button", { name: "Make the key" }).click();
    const made = await dialog.getByText(/^sentinel_/).textContent();
    await dialog.getByRole("button", { name: "I have it" }).click();
    const row = page.getByRole("row").filter({ hasText: who });
    await row.getByRole("button", { name: "Revoke" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await row.getByText("revoked").waitFor();
    await expectAccessible(page, "keys");
    await until(async () => (await desk.call("/api/session", { body: { key: made } })).status === 401);
    await page.goto(`${desk.url}/#/audit?subject=key`);
    await page.getByRole("row").nth(1).getByText("key.revoke").waitFor();
    await page.getByRole("row").nth(1).click();
    await page.getByText("Before and after").first().waitFor();
    await expectAccessible(page, "audit");
  });

  test("no page is wider than its window, from a telephone to a wall, in either theme", async () => {
    await logIn(keys.admin, "admin Ann");
    for (const width of [360, 1200, 2560]) {
      await page.setViewportSize({ width, height: 800 });
      for (const name of [
        "overview",
        "alerts",
        "cases",
        "rules?pipeline=shop",
        "pipelines",
        "audit",
        "notices",
        "people",
        "api",
      ]) {
        await page.goto(`${desk.url}/#/${name}`);
        await page.getByText("Loading…").first().waitFor({ state: "hidden" });
        const wide = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
        expect(wide, `${name} at ${width}`).toBeLessThanOrEqual(0);
      }
    }
    await page.setViewportSize({ width: 360, height: 760 });
    // Every page can be reached without a wheel, and the page for programmers is no wider either.
    const beside = await page.evaluate<number>(
      "[...document.querySelectorAll('.nav li a')].filter((a) => a.getBoundingClientRect().right > innerWidth + 1).length",
    );
    expect(beside).toBe(0);
    await page.goto(`${desk.url}/docs`);
    expect(await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
    expect(await page.locator("body").innerText()).not.toContain("`");
    await page.goto(`${desk.url}/#/overview`);
    await page.keyboard.press("t");
    for (const name of ["overview", "alerts", "cases"]) {
      await page.goto(`${desk.url}/#/${name}`);
      await page.getByText("Loading…").first().waitFor({ state: "hidden" });
      await expectAccessible(page, `${name}, 360 wide, dark`);
    }
  });

  test("whose desk it is stands in the bar where it is not everybody's", async () => {
    await logIn(keys.viewer, "viewer Ann");
    expect(await page.locator(".bar .tenant").count()).toBe(0);
    const key = await desk.tenant("north");
    await logIn(key, "The north");
    expect(await page.locator(".bar .tenant").allTextContents()).toEqual(["The north"]);
    await expectAccessible(page, "overview of a tenant");
    await page.setViewportSize({ width: 360, height: 760 });
    const wide = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
    expect(wide).toBeLessThanOrEqual(0);
  });

  test("nothing failed in the page all the while, and nothing but this server was asked", () => {
    expect(faults).toEqual([]);
  });
});
