// McNemar's test against statsmodels and SciPy; the normal distribution behind it.
import { expect, test } from "vitest";
import { mcnemar, mcnemarByLabel } from "../../src/evidence/mcnemar.ts";
import { normalQuantile, normalTwoSidedTail } from "../../src/evidence/normal.ts";
import { answers } from "../reference/answers.ts";

test.each(answers.mcnemar)("discordant $onlyA and $onlyB", (answer) => {
  const result = mcnemar(answer.onlyA, answer.onlyB);
  const expected = { exact: answer.exact, "mid-p": answer.mid_p, "chi-square": answer.chi_square }[result.method];
  expect(Math.abs(result.pValue - expected)).toBeLessThan(1e-12 + 1e-9 * expected);
  expect(mcnemar(answer.onlyB, answer.onlyA).pValue).toBe(result.pValue);
  const discordant = answer.onlyA + answer.onlyB;
  expect(result.method).toBe(discordant <= 25 ? "exact" : discordant <= 1000 ? "mid-p" : "chi-square");
});

test("frauds and genuine rows are tested apart", () => {
  const alerts = { a: Uint8Array.of(1, 1, 0, 0, 1, 0), b: Uint8Array.of(1, 0, 1, 1, 0, 0) };
  const result = mcnemarByLabel(alerts, Uint8Array.of(1, 1, 1, 0, 0, 0));
  expect(result.frauds).toMatchObject({ onlyA: 1, onlyB: 1 });
  expect(result.genuine).toMatchObject({ onlyA: 1, onlyB: 1 });
});

test("normal tail and quantile as SciPy has them", () => {
  const { z, tail, p, quantile } = answers.normal;
  for (let i = 0; i < z.length; i++) {
    expect(Math.abs(normalTwoSidedTail(z[i]) - tail[i])).toBeLessThan(1e-14 + 1e-10 * tail[i]);
  }
  for (let i = 0; i < p.length; i++) expect(normalQuantile(p[i])).toBeCloseTo(quantile[i], 8);
});
