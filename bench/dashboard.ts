// Dashboard: how soon the first page is there and can be used, how fast lists answer, beside a store of a million alerts and a log of ten million transactions; and what an hour of live stream leaves in the page.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { type Browser, type CDPSession, chromium, type Page } from "playwright-core";
import { loadConfig } from "../src/config.ts";
import { Random } from "../src/core/random.ts";
import { RULE_SEVERITIES } from "../src/core/rule.ts";
import type { NewAlert, Store } from "../src/ports/store.ts";
import { openWorkspacePorts } from "../src/wiring.ts";
import { type Bench, type BenchOptions, type Figures, quantileOf } from "./bench.ts";
import { fillLog } from "./log-fill.ts";
import { preparedWorkspace, sentinelServer } from "./serving.ts";
import { logIn } from "./start.ts";
import { ROOT } from "./workspace.ts";

/** Alerts in the store, unless told otherwise; ten times as many transactions are in the log. */
const ALERTS = 1_000_000;
const TRANSACTIONS_PER_ALERT = 10;
const BATCH = 1000;
const CUSTOMERS = 5000;
/** Requests of one list. */
const CALLS = 60;
/** A day's alerts of a store that has kept a month. */
const SPAN_MS = 30 * 86_400_000;
const BROWSERS = [
  process.env.SENTINEL_CHROMIUM ?? "",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

/** An instant of the past month, as a filter says it. */
const daysAgo = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString();
/** What the pages ask first, and every filter that analysts have: alone, rare, and together. */
const LISTS: Readonly<Record<string, string>> = {
  overview: "/api/overview?hours=24",
  alerts: "/api/alerts?limit=50",
  alertsOfPipeline: "/api/alerts?limit=50&pipeline=card",
  alertsCritical: "/api/alerts?limit=50&severity=critical",
  alertsInfo: "/api/alerts?limit=50&severity=info",
  alertsOfRule: "/api/alerts?limit=50&rule=RULE",
  alertsBlocked: "/api/alerts?limit=50&decision=block",
  alertsApproved: "/api/alerts?limit=50&decision=approve",
  alertsOfEntity: "/api/alerts?limit=50&entity=c42",
  alertsOfTransaction: "/api/alerts?limit=50&transaction_id=bench-77",
  alertsByAmount: "/api/alerts?limit=50&min_amount=900",
  alertsByRareAmount: "/api/alerts?limit=50&min_amount=2000",
  alertsByTime: `/api/alerts?limit=50&from=${daysAgo(20)}&to=${daysAgo(19)}`,
  alertsByText: "/api/alerts?limit=50&q=merchant-77",
  alertsByRareText: "/api/alerts?limit=50&q=nobody-has-this",
  alertsByAll: `/api/alerts?limit=50&pipeline=card&severity=critical&decision=block&entity=c42&min_amount=1&from=${daysAgo(29)}&q=merchant`,
  rules: "/api/pipelines/card/rules",
  pipelines: "/api/pipelines",
  cases: "/api/cases?limit=50",
  casesByWorth: "/api/cases?limit=50&order=worth&status=open",
  casesOfEntity: "/api/cases?limit=50&entity=c42",
  casesOfNobody: "/api/cases?limit=50&assignee=nobody",
  casesByText: "/api/cases?limit=50&q=nobody-has-this",
  casesClosed: "/api/cases?limit=50&status=closed",
  casesCritical: "/api/cases?limit=50&order=worth&status=open&severity=critical",
  casesSummary: "/api/cases/summary",
  notifications: "/api/notifications",
  audit: "/api/audit?limit=100",
  auditOfNobody: "/api/audit?limit=100&actor=nobody",
  auditOfCases: "/api/audit?limit=100&subject=case",
};

export const bench: Bench = {
  async run(options): Promise<Figures> {
    const executablePath = BROWSERS.find((place) => place !== "" && existsSync(place));
    if (executablePath === undefined) throw new Error("there is no Chromium: scripts/setup-chromium installs it");
    const { dir } = await preparedWorkspace(options);
    const alerts = options.rows ?? ALERTS;
    const first = await sentinelServer(dir);
    await fetch(`http://127.0.0.1:${first.port}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        transaction_id: "first",
        time: Date.now() - SPAN_MS,
        amount: 10,
        customer_id: "c1",
        terminal_id: "t1",
      }),
    });
    const rule = await madeRule(`http://127.0.0.1:${first.port}`);
    await first.stop();
    const state = path.join(dir, "models", "state");
    const rows = alerts * TRANSACTIONS_PER_ALERT;
    const fields = `json_set(p.fields, '$.customer_id', 'c' || (n.i % ${CUSTOMERS}))`;
    fillLog(path.join(state, logIn(state)), { rows, stepMs: Math.ceil(SPAN_MS / rows), fields });
    await fillStore(dir, { alerts, seed: options.seed });
    options.print(`  ${alerts.toLocaleString("en")} alerts in the store`);
    const server = await sentinelServer(dir);
    const url = `http://127.0.0.1:${server.port}`;
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
    try {
      await inCases(url, options);
      const lists = await timedLists(url, { options, rule });
      const page = await timedPage(browser, url, options);
      const live = await liveMemory(browser, url, options);
      return { alerts, bundleKb: bundleKb(options), lists, page, live };
    } finally {
      await browser.close();
      await server.stop();
    }
  },
};

/** Alerts over a month, by the store's own door, on whichever store the environment names. */
async function fillStore(dir: string, of: { readonly alerts: number; readonly seed: number }): Promise<void> {
  const { common, close } = openWorkspacePorts(loadConfig({ workspace: dir }), {
    report: { line: () => {}, progress: () => {} },
  });
  try {
    const store: Store = await common.store!();
    const pipeline = (await store.pipelines.findBySlug("card"))!.id;
    const random = new Random(of.seed);
    const now = common.clock.now();
    for (let at = 0; at < of.alerts; at += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, of.alerts - at) }, (_, place) => {
        const index = at + place;
        return alertOf(index, { pipeline, random, time: now - SPAN_MS + Math.floor((SPAN_MS * index) / of.alerts) });
      });
      await store.alerts.append(batch);
    }
  } finally {
    await close();
  }
}

function alertOf(
  index: number,
  of: { readonly pipeline: number; readonly random: Random; readonly time: number },
): NewAlert {
  const { pipeline, random, time } = of;
  const severity = RULE_SEVERITIES[index % 10 === 0 ? 0 : 1];
  const [amount, entity] = [Math.round(random.uniform(1, 1000) * 100) / 100, `c${random.integer(CUSTOMERS)}`];
  return {
    pipeline,
    transactionId: `bench-${index}`,
    severity,
    rules: [{ id: "large", description: "Large payment", severity }],
    decision: index % 10 === 0 ? "block" : "review",
    decidedBy: "rule",
    score: random.next(),
    reasons: [
      {
        by: "rule",
        rule: "large",
        expression: "amount > 100",
        description: "Large payment",
        severity,
        action: "review",
      },
    ],
    bundle: null,
    ruleSet: null,
    vectorHash: null,
    entity,
    amount,
    transaction: {
      transaction_id: `bench-${index}`,
      amount,
      customer_id: entity,
      merchant: `merchant-${random.integer(1000)}`,
    },
    time,
    alertedAt: time,
  };
}

/** The rule that the alerts name, which fires nowhere; its number. */
async function madeRule(url: string): Promise<number> {
  const body = { name: "large", rule_expression: "amount > 1000000000", severity: "warning", stage: "shadow" };
  const response = await fetch(`${url}/api/pipelines/card/rules`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.status !== 201) throw new Error(`the rule is refused: ${await response.text()}`);
  return ((await response.json()) as { readonly id: number }).id;
}

/** Waits until every alert is part of a case: they are taken in the order of their numbers, beside whatever is asked. */
async function inCases(url: string, options: BenchOptions): Promise<void> {
  const begun = performance.now();
  for (;;) {
    const [newest] = (await (await fetch(`${url}/api/alerts?limit=1`)).json()) as { readonly case_id: number | null }[];
    if (newest !== undefined && newest.case_id !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  options.print(`  all alerts are in cases after ${((performance.now() - begun) / 1000).toFixed(0)} s`);
}

async function timedLists(
  url: string,
  { options, rule }: { readonly options: BenchOptions; readonly rule: number },
): Promise<Figures> {
  const figures: Record<string, Figures> = {};
  for (const [name, asked] of Object.entries(LISTS)) {
    const at = asked.replace("RULE", String(rule));
    const times = new Float64Array(CALLS);
    for (let i = 0; i < CALLS; i++) {
      const begun = performance.now();
      const response = await fetch(`${url}${at}`);
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`${at} answered ${response.status}`);
      times[i] = performance.now() - begun;
    }
    times.sort();
    const own = { p50: quantileOf(times, 0.5), p95: quantileOf(times, 0.95) };
    options.print(`  ${name.padEnd(18)} p50 ${own.p50.toFixed(1)} ms, p95 ${own.p95.toFixed(1)} ms`);
    figures[name] = own;
  }
  return figures;
}

/** First contentful paint, and when the first page shows figures and takes keys; the median of several loads in new contexts. */
async function timedPage(browser: Browser, url: string, options: BenchOptions): Promise<Figures> {
  const paints: number[] = [];
  const ready: number[] = [];
  for (let i = 0; i < options.repeats; i++) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(url);
    await page.getByText("Money flagged, 24 h").waitFor();
    ready.push(await page.evaluate<number>("performance.now()"));
    paints.push(
      await page.evaluate<number>("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"),
    );
    await context.close();
  }
  const middle = (values: readonly number[]): number => quantileOf(Float64Array.from(values).sort(), 0.5);
  const figures = { firstContentfulPaintMs: middle(paints), usableMs: middle(ready) };
  options.print(
    `  first paint ${figures.firstContentfulPaintMs.toFixed(0)} ms, usable ${figures.usableMs.toFixed(0)} ms`,
  );
  return figures;
}

/** What the page's heap holds at the begin and at the end of so many minutes of live stream, garbage collected. */
async function liveMemory(browser: Browser, url: string, options: BenchOptions): Promise<Figures> {
  const page: Page = await browser.newPage();
  const session: CDPSession = await page.context().newCDPSession(page);
  const heapMb = async (): Promise<number> => {
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = (await session.send("Runtime.getHeapUsage")) as { readonly usedSize: number };
    return usedSize / 1e6;
  };
  await page.goto(url);
  await page.getByText("live", { exact: true }).waitFor();
  // Caches fill, code is compiled.
  await page.waitForTimeout(60_000);
  const before = await heapMb();
  await page.waitForTimeout(options.minutes * 60_000);
  const after = await heapMb();
  options.print(`  ${options.minutes} min of live stream: ${before.toFixed(1)} MB, then ${after.toFixed(1)} MB`);
  await page.close();
  return { minutes: options.minutes, heapMbBefore: before, heapMbAfter: after };
}

function bundleKb(options: BenchOptions): number {
  const folder = path.join(ROOT, "dist", "ui");
  const bytes = readdirSync(folder).reduce(
    (sum, name) => sum + gzipSync(readFileSync(path.join(folder, name))).length,
    0,
  );
  options.print(`  ${(bytes / 1000).toFixed(1)} kB of page, gzip`);
  return bytes / 1000;
}
