// Times read in one place: ISO texts, counts of a unit from an origin, declared formats and zones; what is refused, and the unit it names.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  isoTime,
  PLAIN_TIME,
  readCount,
  readTime,
  TIME_MAX,
  TIME_MIN,
  TIME_UNITS,
  timeFault,
} from "../../src/core/time.ts";
import { compileFormat } from "../../src/core/time-format.ts";
import { zoneOf } from "../../src/core/zone.ts";

const plausible = fc.integer({ min: TIME_MIN, max: TIME_MAX });

test("any plausible instant reads back from its ISO text, from its milliseconds, and from its milliseconds as a text", () => {
  fc.assert(
    fc.property(plausible, (ms) => {
      expect(readTime(ms)).toBe(ms);
      expect(readTime(String(ms))).toBe(ms);
      expect(readTime(new Date(ms).toISOString())).toBe(ms);
      expect(readTime(new Date(ms).toISOString().replace("T", " ").replace("Z", " UTC"))).toBe(ms);
    }),
  );
});

test("a count in any unit from any origin gives the instant to the millisecond", () => {
  const micros = { ns: 1e-3, us: 1, ms: 1e3, s: 1e6, min: 6e7, h: 3.6e9, d: 8.64e10, w: 6.048e11 };
  const units = TIME_UNITS.filter((unit) => unit !== "month");
  fc.assert(
    fc.property(plausible, fc.constantFrom(...units), (ms, unit) => {
      const origin = Date.UTC(2000, 0, 1);
      const value = ((ms - origin) * 1000) / micros[unit];
      const rule = { ...PLAIN_TIME, unit, origin };
      // Beyond what a double keeps of a count of nanoseconds nothing can be read back.
      if (unit === "ns") expect(Math.abs(readCount(value, rule) - ms)).toBeLessThanOrEqual(1);
      else expect(readCount(value, rule)).toBe(ms);
    }),
  );
  expect(readCount(1709251200.123, { ...PLAIN_TIME, unit: "s" })).toBe(1709251200123);
});

test("zones, blanks and fractions", () => {
  const noon = Date.UTC(2026, 2, 1, 12);
  for (const text of [
    "2026-03-01T12:00:00Z",
    "2026-03-01t12:00:00z",
    "2026-03-01 12:00:00",
    "2026-03-01 12:00",
    "2026-03-01 12:00:00 UTC",
    "2026-03-01T14:30:00+02:30",
    "2026-03-01 14:00:00+02",
    "2026-03-01T07:00:00-0500",
    "2026-03-01T12:00:00.000999Z",
  ]) {
    expect(readTime(text), text).toBe(noon);
  }
  expect(readTime("2026-03-01")).toBe(Date.UTC(2026, 2, 1));
  for (const text of [
    "",
    "now",
    "2026-13-01",
    "2026-02-30",
    "2026-03-01T24:00:00Z",
    "12",
    "2026-03-01T12:00:00+99:00",
  ]) {
    expect(readTime(text), text).toBeNaN();
  }
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1.5, 1e300, true, null, {}])
    expect(readTime(value)).toBeNaN();
});

test.each([
  [1712000000, /as seconds it is 2024-04-01T19:33:20Z.*unit: s/],
  ["1712000000", /unit: s/],
  [1712000000000000, /as microseconds it is 2024-04-01.*unit: us/],
  [1.712e18, /as nanoseconds.*unit: ns/],
  [20240401, /it reads as 2024-04-01T00:00:00Z.*format: "%Y%m%d"/],
  [202404011230, /2024-04-01T12:30:00Z.*"%Y%m%d%H%M"/],
  [20240401123000, /"%Y%m%d%H%M%S"/],
  [45383.5, /spreadsheet's days it is 2024-04-01T12:00:00Z.*origin: 1899-12-30/],
  [17, /unit: h, origin/],
  ["0000-01-01 00:00:00", /placeholder/],
  ["9999-12-31", /placeholder/],
  ["04/01/2024 10:00", /%d\/%m\/%Y %H:%M.*%m\/%d\/%Y/],
  ["yesterday", /2018-04-01 00:00:31/],
])("%s is refused, and the hint says %s", (value, hint) => {
  expect(readTime(value)).toBeNaN();
  const fault = timeFault(value, { column: "when" });
  expect(fault.hint).toMatch(hint);
  expect(fault.what).toContain(typeof value === "string" ? value : String(value));
});

test("declared formats read what is so written and nothing else", () => {
  const rule = (text: string) => ({ ...PLAIN_TIME, format: compileFormat(text)! });
  expect(readTime("3/12/2024 9:05", rule("%d/%m/%Y %H:%M"))).toBe(Date.UTC(2024, 11, 3, 9, 5));
  expect(readTime("03/12/24 09:05 PM", rule("%m/%d/%y %I:%M %p"))).toBe(Date.UTC(2024, 2, 12, 21, 5));
  expect(readTime("12 Mar 2024, 00:00:01.5 +0200", rule("%d %b %Y, %H:%M:%S.%f %z"))).toBe(
    Date.UTC(2024, 2, 11, 22, 0, 1, 500),
  );
  expect(readTime(20240312, rule("%Y%m%d"))).toBe(Date.UTC(2024, 2, 12));
  expect(readTime("2024-13-01", rule("%Y-%d-%m"))).toBe(Date.UTC(2024, 0, 13));
  // Not an ISO date of another order.
  expect(readTime("2024-01-13", rule("%Y-%d-%m"))).toBeNaN();
  expect(readTime("2024-03-12T00:00:00Z", rule("%d/%m/%Y"))).toBe(Date.UTC(2024, 2, 12));
  for (const text of ["31/02/2024", "1/13/2024", "2024111", ""]) expect(readTime(text, rule("%d/%m/%Y"))).toBeNaN();
  expect(readTime("2024111", rule("%Y%m%d"))).toBeNaN();
  for (const text of ["%Y-%m", "%q", "%Y-%Y-%m-%d", "plain", "%"]) expect(compileFormat(text)).toBeNull();
});

test("a text without an offset is in the declared zone, also where clocks change", () => {
  const inZone = (name: string) => ({ ...PLAIN_TIME, zone: zoneOf(name)! });
  expect(readTime("2024-07-01 12:00:00", inZone("Europe/Paris"))).toBe(Date.UTC(2024, 6, 1, 10));
  expect(readTime("2024-01-01 12:00:00", inZone("Europe/Paris"))).toBe(Date.UTC(2024, 0, 1, 11));
  expect(readTime("2024-01-01 12:00:00Z", inZone("Europe/Paris"))).toBe(Date.UTC(2024, 0, 1, 12));
  expect(readTime("2024-10-27 02:30:00", inZone("Europe/Paris"))).toBe(Date.UTC(2024, 9, 27, 0, 30));
  expect(readTime("2024-10-27 03:00:00", inZone("Europe/Paris"))).toBe(Date.UTC(2024, 9, 27, 2));
  expect(readTime("2024-01-01 12:00:00", inZone("-05:30"))).toBe(Date.UTC(2024, 0, 1, 17, 30));
  for (const name of ["Mars/Olympus", "+25:00", ""]) expect(zoneOf(name)).toBeNull();
});

test("an instant as a text is what a Date writes, whatever day came before, and no time is refused alike", () => {
  const day = 86_400_000;
  const instant = fc.oneof(
    fc.double({ min: -1e15, max: 1e15, noNaN: true }),
    fc.integer({ min: TIME_MIN, max: TIME_MAX }),
    fc.constantFrom(0, -1, day - 1, day, 1.5e12 + 0.9, Date.UTC(10_000, 0, 1) - 1, Date.UTC(10_000, 0, 1), 8.64e15),
  );
  fc.assert(
    fc.property(fc.array(instant, { minLength: 1, maxLength: 9 }), (times) => {
      for (const time of times) expect(isoTime(time)).toBe(new Date(time).toISOString());
    }),
  );
  for (const time of [Number.NaN, 9e15]) expect(() => isoTime(time)).toThrow(RangeError);
});
