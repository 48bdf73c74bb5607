// Takes pictures of the dashboard of a running server: node scripts/desk-pictures.mjs URL FOLDER [--pages a,b] [--widths 360,1200] [--themes light,dark] [--name N].
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pages: { type: "string", default: "overview,alerts,cases,rules,pipelines,models,drift,audit,notices,people,api" },
    widths: { type: "string", default: "360,1200,2560" },
    themes: { type: "string", default: "light,dark" },
    key: { type: "string" },
    /** What the one picture is called. */
    name: { type: "string" },
    /** Clicked once the page is there, so that a drawer is open. */
    click: { type: "string" },
  },
});
const [url, folder] = positionals;
if (url === undefined || folder === undefined) {
  console.error("desk-pictures: URL and FOLDER are needed, such as http://127.0.0.1:8000 docs/pictures");
  process.exit(2);
}
const PLACES = [
  process.env.SENTINEL_CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
const HEIGHTS = { 360: 760, 1200: 800, 2560: 1440 };
/** Pictures load, the stream ticks. */
const SETTLE_MS = 1500;
/** Gate and drift are computed in a thread that starts for them. */
const LOAD_MS_MAX = 20_000;

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: PLACES.find((place) => place !== undefined && existsSync(place)),
  args: ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"],
});
for (const theme of values.themes.split(",")) {
  for (const width of values.widths.split(",").map(Number)) {
    const viewport = { width, height: HEIGHTS[width] ?? 800 };
    const context = await browser.newContext({ viewport, colorScheme: theme });
    const page = await context.newPage();
    page.on("pageerror", (error) => console.error(`${page.url()}: ${error.message}`));
    page.on("console", (message) => message.type() === "error" && console.error(`${page.url()}: ${message.text()}`));
    await page.goto(url);
    if (values.key !== undefined) {
      await page.getByLabel("Key").fill(values.key);
      await page.keyboard.press("Enter");
    }
    for (const name of values.pages.split(",")) {
      await page.goto(`${url}/#/${name}`);
      await page
        .getByText("Loading…")
        .first()
        .waitFor({ state: "hidden", timeout: LOAD_MS_MAX })
        .catch(() => {});
      await page.waitForTimeout(SETTLE_MS);
      if (values.click !== undefined) {
        await page.locator(values.click).first().click();
        await page
          .getByText("Loading…")
          .first()
          .waitFor({ state: "hidden", timeout: LOAD_MS_MAX })
          .catch(() => {});
        await page.waitForTimeout(SETTLE_MS);
      }
      const file = path.join(
        folder,
        values.name !== undefined
          ? `${values.name}.png`
          : `${name.replace(/\W+/g, "-")}${values.click === undefined ? "" : "-open"}-${width}-${theme}.png`,
      );
      await page.screenshot({ path: file });
      console.log(file);
    }
    await context.close();
  }
}
await browser.close();
