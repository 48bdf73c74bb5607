// Charts: ticks that are round and inside, values where their axis puts them, and text of others that stays text.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Axis, axisTicks, chart, gauge, nameBars, placeOn, tickText } from "../../src/core/chart.ts";

test("ticks lie inside the axis, ascend, and are few", () => {
  const ends = fc.tuple(
    fc.double({ min: -1e6, max: 1e6, noNaN: true }),
    fc.double({ min: 1e-3, max: 1e6, noNaN: true }),
  );
  fc.assert(
    fc.property(ends, fc.constantFrom("across" as const, "up" as const), ([from, width], direction) => {
      const axis: Axis = { label: "x", from, to: from + width };
      const ticks = axisTicks(axis, direction);
      expect(ticks.length).toBeLessThanOrEqual(8);
      for (const [i, tick] of ticks.entries()) {
        expect(tick).toBeGreaterThanOrEqual(from - width * 1e-4);
        expect(tick).toBeLessThanOrEqual(from + width * 1.0001);
        if (i > 0) expect(tick).toBeGreaterThan(ticks[i - 1]);
      }
    }),
  );
  expect(axisTicks({ label: "x", from: 0, to: 10 }, "up")).toEqual([0, 2, 4, 6, 8, 10]);
  expect(axisTicks({ label: "x", from: 1, to: 1000, scale: "log" }, "up")).toEqual([1, 10, 100, 1000]);
  const day = { label: "x", from: Date.UTC(2024, 0, 1), to: Date.UTC(2024, 0, 11), format: "day" } as const;
  expect(axisTicks(day, "across").map((at) => tickText(day, at))[0]).toBe("01-01");
  expect(tickText({ label: "x", from: 0, to: 1, format: "percent" }, 0.25)).toBe("25 %");
  expect(tickText({ label: "x", from: 0, to: 2e6 }, 1_500_000)).toBe("1.5 M");
});

test("values stand in proportion, and what lies outside at the end", () => {
  const axis: Axis = { label: "x", from: 10, to: 20 };
  const room = { from: 0, to: 100 };
  expect([5, 10, 15, 20, 99].map((value) => placeOn(axis, value, room))).toEqual([0, 0, 50, 100, 100]);
  expect(placeOn({ label: "x", from: 1, to: 100, scale: "log" }, 10, room)).toBeCloseTo(50, 9);
});

test("the same numbers give the same bytes, and no text escapes", () => {
  const evil = '"><script>alert(1)</script>';
  const draw = (): string =>
    chart({
      title: evil,
      x: { label: evil, from: 0, to: 1 },
      y: { label: evil, from: 0, to: 1 },
      parts: [
        {
          kind: "line",
          points: [
            { x: 0, y: Number.NaN },
            { x: 0.5, y: 1 / 3 },
          ],
          tone: "one",
          name: evil,
          dots: true,
        },
        { kind: "limit", axis: "x", at: 0.5, label: evil, tone: "bad" },
      ],
      note: evil,
    }) +
    nameBars({ title: evil, label: evil, bars: [{ name: evil, value: 1, shown: evil }] }) +
    gauge({
      title: evil,
      axis: { label: evil, from: 0, to: 1 },
      allowed: { from: 0, to: Number.POSITIVE_INFINITY },
      observed: { value: 2, shown: evil },
      good: false,
    });
  expect(draw()).toBe(draw());
  expect(draw()).not.toContain("<script");
  expect(draw()).not.toMatch(/NaN|Infinity/);
});

test("a limit beyond the axis has a word and an arrow, and no line where it does not lie", () => {
  const drawn = (at: number): string =>
    chart({
      title: "t",
      x: { label: "x", from: 0, to: 80 },
      y: { label: "y", from: 0, to: 1 },
      parts: [{ kind: "limit", axis: "x", at, label: `limit ${at}`, tone: "good" }],
    });
  expect(drawn(40)).toMatch(/class="limit[^>]*x1="([\d.]+)"[^>]*x2="\1".*>limit 40</);
  expect(drawn(5000)).toContain(">limit 5000 →<");
  expect(drawn(-1)).toContain(">← limit -1<");
  for (const at of [5000, -1]) expect(drawn(at)).not.toContain('class="limit');
});

test("names get the room that figures and the shortest bar leave, and nothing leaves the picture", () => {
  const name = "customer_days_since_first_known_fraud_of_its_terminals";
  const drawn = nameBars({
    title: "t",
    label: "share of what all splits gained",
    bars: [
      { name, value: 1, shown: "39.58 % observed" },
      { name: "amount", value: 0.5, shown: "1 %" },
    ],
  });
  expect(drawn).toMatch(/>customer_days_since_first_\w*…</);
  const [, from, width] = /<rect class="fill-one" x="([\d.]+)"[^>]*width="([\d.]+)"/.exec(drawn)!.map(Number);
  expect(width).toBeGreaterThanOrEqual(60);
  // A letter of 12 units takes about 6.6.
  expect(from + width + 6 + 6.6 * "39.58 % observed".length).toBeLessThanOrEqual(400);
});
