// The HTML reports in a real Chromium, light and dark, on a wide screen and a narrow one: nothing is cut off, overlaps or is too faint or too small to read.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import type { Table } from "../../src/core/table.ts";
import { monitor, monitorReport } from "../../src/lifecycle/monitor.ts";
import { promote } from "../../src/lifecycle/promote.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { parseDrift } from "../../src/lifecycle/simulate/drift.ts";
import { validate } from "../../src/lifecycle/validate.ts";
import { evaluateBatches } from "../../src/quality/evaluate.ts";
import { htmlReport } from "../../src/quality/report.ts";
import { shapesOf } from "../../src/quality/shape.ts";
import { Sketcher } from "../../src/quality/sketch.ts";
import { makePlace, type Place } from "../lifecycle/world.ts";
import { suiteFor } from "../quality/parity/compare.ts";
import { PARITY_SUITE } from "../quality/parity/suite.ts";
import { PARITY_TABLES } from "../quality/parity/tables.ts";
import { tableFrom } from "../quality/tables.ts";
import { chromiumHere, startBrowser } from "./browser.ts";
import { layoutFaults } from "./layout.ts";

const FAILING = ["ranges: infinite amounts", "late rows: from next year"];
const WIDTHS = [400, 1200];
const DAYS = 90;
const WORLD = { customers: 200, terminals: 300, seed: 3 };
const END = Date.UTC(2018, 3, 1) + (DAYS + 15) * DAY_MS;

if (chromiumHere === null) {
  console.warn("SKIPPED reports in Chromium: there is none; scripts/setup-chromium installs it");
  if (process.env.CI === "true") test("Chromium is installed", () => expect.fail("CI needs scripts/setup-chromium"));
}

describe.runIf(chromiumHere !== null)("in Chromium", () => {
  let place: Place;
  let browser: Browser;
  let page: Page;
  const pages: Record<string, string> = {};

  beforeAll(async () => {
    place = await makePlace({ ...WORLD, days: DAYS });
    const { version } = await place.train(1);
    const { pipeline, ports } = place;
    const files = await (await ports.registry()).load(pipeline.model, version!.version);
    pages.training = Buffer.from(files.get("report.html")!).toString("utf8");
    await promote(ports, { pipeline, to: version!.version, actor: "tester", forced: "a test", seed: 1 });
    const drift = [`amount-inflation@${DAYS}`, `night-shift@${DAYS + 8}`].map(parseDrift);
    const later = await place.write("later.parquet", simulateDays({ ...WORLD, days: DAYS + 15, drift }));
    pages.validation = (await validate(ports, { pipeline, path: later })).html;
    pages.monitor = monitorReport(await monitor(ports, { pipeline, path: later, until: END }));
  });

  beforeAll(async () => {
    browser = await startBrowser();
    page = await browser.newPage();
  }, 60_000);

  afterAll(async () => {
    await browser?.close();
    await place?.close();
  });

  /** Every kind of check over tables that many of them fail. */
  beforeAll(async () => {
    for (const title of FAILING) {
      const given = tableFrom(PARITY_TABLES[title]);
      const columns = shapesOf(given);
      const onlooker = new Sketcher(columns);
      async function* read(): AsyncGenerator<Table> {
        yield given;
      }
      const { result } = await evaluateBatches({ columns, read }, suiteFor(PARITY_SUITE), { now: null, onlooker });
      pages[title] = htmlReport(result, { title, sketches: onlooker.sketches(), failures: "a,b\n1,2\n" });
    }
  });

  test.each(["light", "dark"] as const)("every report can be read, %s", async (scheme) => {
    for (const [name, html] of Object.entries(pages))
      expect.soft(await layoutFaults(page, html, { widths: WIDTHS, scheme }), name).toEqual([]);
  });

  test("a page that is too wide, a faint word and texts on each other are found", async () => {
    const broken = `<!doctype html><body><p style="color:#999;width:500px">faint</p><svg viewBox="0 0 400 40" width="400" aria-label="chart">
<text x="0" y="20" font-size="14">one</text><text x="4" y="22" font-size="14">two</text><text x="390" y="20" font-size="14">outside</text></svg></body>`;
    const found = (await layoutFaults(page, broken, { widths: [400], scheme: "light" })).join("\n");
    expect(found).toMatch(/page is \d+ px wide/);
    expect(found).toMatch(/"faint" has a contrast of 2\.85/);
    expect(found).toMatch(/"one" and "two" overlap/);
    expect(found).toMatch(/"outside" is cut off/);
  });
});
