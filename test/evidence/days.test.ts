// Days of traffic: what a stray date does not lengthen.
import fc from "fast-check";
import { expect, test } from "vitest";
import { DAY_MS } from "../../src/core/duration.ts";
import { busyDays } from "../../src/evidence/days.ts";

const START = Date.UTC(2026, 5, 1);
const spread = (rows: number, ms: number) => Array.from({ length: rows }, (_, i) => START + (i * ms) / (rows - 1));

test("eight minutes of traffic and one payment dated 2001, or tomorrow, are eight minutes", () => {
  const minutes = 8 / 1440;
  const traffic = spread(3000, 8 * 60_000);
  for (const stray of [Date.UTC(2001, 0, 1), START + 23 * 3_600_000, START + 25 * 3_600_000]) {
    const { days, until } = busyDays(Float64Array.from([...traffic, stray]));
    // A stray on the same day lengthens by hours at most.
    expect(days).toBeLessThanOrEqual(Math.max(minutes, 23 / 24));
    expect(until).toBeLessThanOrEqual(START + DAY_MS);
  }
  // Across midnight they are no two days.
  expect(busyDays(Float64Array.from(traffic, (time) => time - 4 * 60_000)).days).toBeCloseTo(minutes, 6);
});

test("quiet nights and Sundays count, days without traffic do not", () => {
  const days = [100, 90, 20, 110, 0, 0, 95].flatMap((rows, day) =>
    Array.from({ length: rows }, (_, i) => START + day * DAY_MS + (i * DAY_MS) / (rows + 1)),
  );
  expect(busyDays(Float64Array.from(days)).days).toBe(5);
});

test("without rows there are no days; rows that are no times are left out", () => {
  expect(busyDays(new Float64Array(0))).toEqual({ days: 0, until: null });
  expect(busyDays(Float64Array.of(Number.NaN, Number.NaN))).toEqual({ days: 0, until: null });
});

test("even traffic lasts as long as it lasted, and fewer strays than a tenth never lengthen it", () => {
  const bounds = { min: 3, max: 60 };
  fc.assert(
    fc.property(
      fc.integer(bounds),
      fc.array(fc.integer({ min: -9000, max: -1 }), { maxLength: 4 }),
      (length, strays) => {
        const even = spread(length * 100, length * DAY_MS - 1);
        const { days, until } = busyDays(Float64Array.from([...even, ...strays.map((day) => START + day * DAY_MS)]));
        expect(days).toBeCloseTo(length, 6);
        expect(until).toBe(even.at(-1));
      },
    ),
  );
});
