// Student's t and the expanded percentile: against printed tables and closed forms.
import { expect, test } from "vitest";
import { normalQuantile } from "../../src/evidence/normal.ts";
import { expandedTail, studentQuantile } from "../../src/evidence/student.ts";

test("quantiles are those of printed tables, and of the closed forms for one and two degrees", () => {
  for (const [p, freedom, t] of [
    [0.975, 3, 3.18245],
    [0.975, 10, 2.22814],
    [0.995, 29, 2.75639],
    [0.975, 60, 2.0003],
    [0.95, 120, 1.65765],
  ] as const) {
    expect(studentQuantile(p, freedom)).toBeCloseTo(t, 4);
    expect(studentQuantile(1 - p, freedom)).toBeCloseTo(-t, 4);
  }
  for (const p of [0.6, 0.9, 0.999]) {
    expect(studentQuantile(p, 1)).toBeCloseTo(Math.tan(Math.PI * (p - 0.5)), 6);
    expect(studentQuantile(p, 2)).toBeCloseTo((2 * p - 1) * Math.sqrt(2 / (4 * p * (1 - p))), 6);
  }
});

test("the sum and the expansion meet, and both end in the normal distribution", () => {
  for (const p of [0.9, 0.975, 0.9995]) {
    expect(studentQuantile(p, 101)).toBeLessThan(studentQuantile(p, 100));
    expect(studentQuantile(p, 100) - studentQuantile(p, 101)).toBeLessThan(2e-3);
    expect(studentQuantile(p, 1_000_000)).toBeCloseTo(normalQuantile(p), 4);
  }
});

test("fewer groups look further out; very many, and one, look where they were told", () => {
  expect(expandedTail(0.025, 1)).toBe(0.025);
  expect(expandedTail(0.025, 1_000_000)).toBeCloseTo(0.025, 5);
  // t of 19 degrees is 2.09302, times √(20/19): 2.14739; the normal tail beyond it is 1.588 %.
  expect(expandedTail(0.025, 20)).toBeCloseTo(0.01588, 4);
  expect(expandedTail(0.025, 5)).toBeLessThan(expandedTail(0.025, 20));
});
