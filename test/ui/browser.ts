// The browser of the dashboard's tests: Chromium without a window, whose pages fail the test when they break the policy or throw.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { expect } from "vitest";

const PLACES = [
  process.env.SENTINEL_CHROMIUM ?? "",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
/** Where Chromium is; scripts/setup-chromium puts it there. Null: nowhere. */
export const chromiumHere = PLACES.find((place) => place !== "" && existsSync(place)) ?? null;

/** One step of a person; a machine under load is slow. */
const STEP_MS_MAX = 60_000;
/** Nothing of the browser's own calls home, and no sandbox where tests run as root. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumHere!, args: ARGUMENTS });
}

export interface Watched {
  readonly page: Page;
  /** What went wrong in it: errors of scripts, of the policy, and answers that nobody expected. */
  readonly faults: string[];
}

export async function openPage(context: BrowserContext): Promise<Watched> {
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_MS_MAX);
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    // A refused request is also written to the console; tests of refusals look at it themselves.
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text()))
      faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.hostname !== "127.0.0.1" && url.protocol.startsWith("http")) faults.push(`asked ${request.url()}`);
  });
  return { page, faults };
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Violation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** Fails on what breaks WCAG 2.2 at level AA. */
export async function expectAccessible(page: Page, what: string): Promise<void> {
  // Injected by the debugger, which the page's policy does not bind.
  const violations = (await page.evaluate(`${AXE};
    axe.run(document, { runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] } })
      .then(({ violations }) => violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })) })))`)) as readonly Violation[];
  const told = violations.map(
    ({ id, help, nodes }) =>
      `${what}: ${id}: ${help}\n${nodes
        .slice(0, 4)
        .map(({ html, failureSummary }) => `  ${html.slice(0, 200)}\n    ${failureSummary ?? ""}`)
        .join("\n")}`,
  );
  expect(told).toEqual([]);
}
