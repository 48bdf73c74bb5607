// The report: complete, self-contained, and nothing from the data gets out of its quotes.
import { expect, test } from "vitest";
import type { Table } from "../../src/core/table.ts";
import { evaluateBatches } from "../../src/quality/evaluate.ts";
import { dataGate } from "../../src/quality/gate.ts";
import { htmlReport } from "../../src/quality/report.ts";
import { shapesOf } from "../../src/quality/shape.ts";
import { Sketcher } from "../../src/quality/sketch.ts";
import { numbers, suiteOf, table, texts } from "./tables.ts";

const ATTACK = `"><script>alert('1')</script>`;

function report(severity: string, values: readonly string[]): string {
  const suite = suiteOf({
    type: "expect_column_values_to_be_in_set",
    kwargs: { column: ATTACK, value_set: ["ok"] },
    severity,
    notes: ATTACK,
  });
  return htmlReport(dataGate({ table: table({ [ATTACK]: texts(...values), n: numbers(1, 2) }), suite }).result, {
    title: ATTACK,
    subtitle: ATTACK,
  });
}

test("names, values and notes are escaped everywhere", () => {
  const html = report("critical", [ATTACK, "ok"]);
  expect(html).not.toContain("<script");
  expect(html).toContain("&lt;script&gt;alert(&#39;1&#39;)");
});

test("nothing is fetched", () => {
  expect(report("critical", [ATTACK, "ok"])).not.toMatch(/https?:|url\(|@import|<link|<script|\ssrc=/);
});

test("the headline follows the gate", () => {
  expect(report("critical", ["no", "ok"])).toContain("Not fit for use");
  expect(report("warning", ["no", "ok"])).toContain("Fit for use, with warnings");
  expect(report("critical", ["ok", "ok"])).toContain("Every check passed");
});

test("rows at fault are shown with their numbers", () => {
  expect(report("critical", ["ok", "stray"])).toMatch(/<td>2<\/td><td><code>stray<\/code><\/td>/);
});

/** The page of one check over a column of numbers, with its pictures. */
async function pictured(type: string, kwargs: object, values: readonly number[]): Promise<string> {
  const given = table({ amount: numbers(...values) });
  const columns = shapesOf(given);
  const onlooker = new Sketcher(columns);
  async function* read(): AsyncGenerator<Table> {
    yield given;
  }
  const suite = suiteOf({ type, kwargs: { column: "amount", ...kwargs } });
  const { result } = await evaluateBatches({ columns, read }, suite, { now: null, onlooker });
  return htmlReport(result, { sketches: onlooker.sketches() });
}

/** Where the picture draws its vertical limits, left to right. */
const limitsAt = (html: string): number[] =>
  [...html.matchAll(/<line class="limit stroke-good" x1="([\d.]+)"/g)].map(([, x]) => Number(x)).sort((a, b) => a - b);

const HUNDRED = Array.from({ length: 100 }, (_, i) => i);

test("a distribution has both limits at their places on the axis, what lies beyond them is marked, and the share stands against what is allowed", async () => {
  const html = await pictured(
    "expect_column_values_to_be_between",
    { min_value: 20, max_value: 70, mostly: 0.9 },
    HUNDRED,
  );
  expect(html).toContain("Distribution of amount");
  expect(html).toMatch(/text-good"[^>]*>min 20<\/text>/);
  expect(html).toMatch(/text-good"[^>]*>max 70<\/text>/);
  const ticks = new Map(
    [...html.matchAll(/<text class="middle" x="([\d.]+)" y="235">(\d+)<\/text>/g)].map(([, x, value]) => [
      value,
      Number(x),
    ]),
  );
  const perUnit = (ticks.get("80")! - ticks.get("0")!) / 80;
  const [low, high] = limitsAt(html);
  expect([low, high].map((x) => (x - ticks.get("0")!) / perUnit)).toEqual([
    expect.closeTo(20, 0),
    expect.closeTo(70, 0),
  ]);
  // Bars beyond the limits, and only they, are red.
  const red = [...html.matchAll(/<rect class="fill-bad" x="([\d.]+)"/g)].map(([, x]) => Number(x));
  expect(red.length).toBeGreaterThan(5);
  expect(red.filter((x) => x > low && x < high - perUnit * 3)).toEqual([]);
  expect(html).toContain(">49 %, allowed 10 %</text>");
  expect(html).toMatch(/<circle class="fill-bad" cx=/);
});

test("an observed figure stands beside its limits: a mean that is fit, and one that is not", async () => {
  const fit = await pictured("expect_column_mean_to_be_between", { min_value: 40, max_value: 60 }, HUNDRED);
  expect(fit).toMatch(/text-good"[^>]*>min 40</);
  expect(fit).toMatch(/stroke-two" x1="[\d.]+"/);
  const unfit = await pictured("expect_column_mean_to_be_between", { min_value: 60, max_value: 70 }, HUNDRED);
  expect(unfit).toMatch(/<line class="limit stroke-bad" x1="[\d.]+"/);
  const observed = Number(/<line class="limit stroke-bad" x1="([\d.]+)"/.exec(unfit)![1]);
  expect(observed).toBeLessThan(limitsAt(unfit)[0]);
});
