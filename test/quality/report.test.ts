// The report: complete, self-contained, and nothing from the data gets out of its quotes.
import { expect, test } from "vitest";
import { dataGate } from "../../src/quality/gate.ts";
import { htmlReport } from "../../src/quality/report.ts";
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
