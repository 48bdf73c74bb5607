// The login by an identity provider as a person does it, in Chromium: there, agreed, back, out again; and who has no role is told so.
import { writeFileSync } from "node:fs";
import path from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config.ts";
import { openLogin } from "../../src/wiring.ts";
import { type DeskWorld, openDesk } from "../server/desk-world.ts";
import { CLIENT, startProvider, type TestProvider } from "../server/provider.ts";
import { chromiumHere, expectAccessible, openPage, startBrowser } from "./browser.ts";

if (chromiumHere === null && process.env.CI === "true") {
  test("Chromium is installed", () => expect.fail("CI must run scripts/setup-chromium first"));
}

describe.skipIf(chromiumHere === null)("in Chromium", { timeout: 300_000 }, () => {
  let desk: DeskWorld;
  let provider: TestProvider;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    desk = await openDesk({
      login: async (url, dir) => {
        provider = await startProvider({ ann: { groups: ["fraud"] }, bob: { groups: ["warehouse"] } }, url);
        writeFileSync(path.join(dir, "secret"), CLIENT.secret);
        writeFileSync(
          path.join(dir, "login.yaml"),
          `{ issuer: "${provider.issuer}", client_id: ${CLIENT.id}, client_secret_from: "file:secret", url: "${url}", title: Shop account, roles: { fraud: analyst } }`,
        );
        return (await openLogin(loadConfig({ workspace: dir, environment: {} })))!;
      },
    });
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await desk?.remove();
    await provider?.close();
  });

  /** A browser that nobody is logged in with, neither here nor at the provider. */
  async function fresh(): Promise<void> {
    await context?.close();
    context = await browser.newContext({ viewport: { width: 1200, height: 800 }, reducedMotion: "reduce" });
    ({ page } = await openPage(context));
  }

  async function logIn(login: string): Promise<void> {
    await page.getByRole("link", { name: "Log in by Shop account" }).click();
    await page.getByPlaceholder("Enter any login").fill(login);
    await page.getByPlaceholder("and password").fill("any");
    await page.getByRole("button", { name: "Sign-in" }).click();
    await page.getByRole("button", { name: "Continue" }).click();
  }

  test("a person logs in there, comes back to where they wanted to go, and logs out of both", async () => {
    await fresh();
    await page.goto(`${desk.url}/#/rules`);
    await page.getByRole("link", { name: "Log in by Shop account" }).waitFor();
    await page.getByLabel("Key", { exact: true }).waitFor();
    await expectAccessible(page, "login by a provider");
    await logIn("ann");
    await page.getByRole("heading", { name: "Rules", level: 1 }).waitFor();
    await page.getByText("oidc:ann").waitFor();
    // The provider is another site, whose redirect must not keep the strict cookie away; scripts see none of it.
    expect(await page.evaluate<string>("document.cookie")).toBe("");
    expect((await context.cookies(desk.url)).map(({ name, sameSite, httpOnly }) => [name, sameSite, httpOnly])).toEqual(
      [["sentinel_session", "Strict", true]],
    );
    await page.reload();
    await page.getByText("oidc:ann").waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("button", { name: "Yes, sign me out" }).click();
    await page.waitForURL(`${desk.url}/**`);
    await page.getByRole("link", { name: "Log in by Shop account" }).waitFor();
    expect((await context.cookies(desk.url)).map(({ name }) => name)).toEqual([]);
  });

  test("who has no role here is told so on a page that leads back", async () => {
    await fresh();
    await page.goto(desk.url);
    await logIn("bob");
    await page
      .getByRole("alert")
      .getByText(/nothing that counts here in the claim "groups"/)
      .waitFor();
    await expectAccessible(page, "refused");
    await page.getByRole("link", { name: "Back to the login" }).click();
    await page.getByLabel("Key", { exact: true }).waitFor();
  });
});
