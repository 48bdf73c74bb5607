// What an alarm needs besides size: more than the natural swing, and to last; and what is a broken feed instead.
import { expect, test } from "vitest";
import { DAY_MS, HOUR_MS } from "../../src/core/duration.ts";
import { Random } from "../../src/core/random.ts";
import { jensenShannon, wasserstein } from "../../src/drift/distance.ts";
import { benjaminiHochberg, benjaminiYekutieli } from "../../src/drift/limits.ts";
import { buildReference, type Reference } from "../../src/drift/reference.ts";
import { buildSwing, designEffectOf, type Swing } from "../../src/drift/swing.ts";
import { binned, NAMES, REVIEW, referenceOf, reportOf, world } from "./worlds.ts";

const REFERENCE = referenceOf(50_000);
const WEEK = { until: 7 * DAY_MS - 1, windowMs: 7 * DAY_MS };

/** Times evenly over a week. */
const overWeek = (rows: number): Float64Array =>
  Float64Array.from({ length: rows }, (_, row) => (row * 7 * DAY_MS) / rows);

test("the Wasserstein distance of a shift is the shift, in standard deviations, and its p value is uniform without one", () => {
  const sketch = Array.from({ length: 200 }, (_, i) => i / 10);
  const deviation = Math.sqrt(sketch.reduce((sum, value) => sum + (value - 9.95) ** 2, 0) / 200);
  const { grid, bins } = binned(
    sketch,
    sketch.map((value) => value + 0.5),
  );
  // The last half step lies beyond the reference and counts as its end.
  const shifted = wasserstein(bins, { grid, sketch, slack: 0, rows: 100 });
  expect(Math.abs(shifted.distance - 0.5 / deviation)).toBeLessThan(0.02);
  const random = new Random(1);
  const pValues = Array.from({ length: 300 }, () => {
    const drawn = binned(
      sketch,
      Array.from({ length: 400 }, () => 20 * random.next()),
    );
    return wasserstein(drawn.bins, { grid: drawn.grid, sketch, slack: 0, rows: 400 }).pValue;
  });
  for (const alpha of [0.02, 0.1, 0.5]) {
    const share = pValues.filter((pValue) => pValue < alpha).length / pValues.length;
    expect(Math.abs(share - alpha)).toBeLessThan(3 * Math.sqrt((alpha * (1 - alpha)) / pValues.length) + 0.02);
  }
});

test("the Jensen-Shannon distance: 0 for equal shares, sqrt(ln 2) for none in common, SciPy's in between", () => {
  expect(jensenShannon({ reference: [2, 4], window: [1, 2] })).toBe(0);
  expect(jensenShannon({ reference: [1, 0], window: [0, 3] })).toBeCloseTo(Math.sqrt(Math.LN2), 12);
  // scipy.spatial.distance.jensenshannon([1, 0], [0.5, 0.5]), from its documentation.
  expect(jensenShannon({ reference: [1, 0], window: [1, 1] })).toBeCloseTo(0.46450140402245893, 12);
  expect(jensenShannon({ reference: [1], window: [0] })).toBeNaN();
});

test("Benjamini-Yekutieli multiplies by the harmonic number and leaves out what was not tested", () => {
  const p = [0.001, 0.02, 0.3];
  const plain = benjaminiHochberg(p);
  const strict = benjaminiYekutieli([...p, Number.NaN]);
  for (const [i, value] of plain.entries()) expect(strict[i]).toBeCloseTo(Math.min(1, value * (1 + 1 / 2 + 1 / 3)), 12);
  expect(strict[3]).toBeNaN();
});

test("one odd day is no alarm and is named; a movement of the last days is one, with its first day and an example", () => {
  const rows = 7000;
  const window = world(new Random(3), rows);
  const amounts = window.columns[1];
  const odd = amounts.map((amount, row) => (row >= 3000 && row < 4000 ? 8 * amount : amount));
  const passing = reportOf({
    reference: REFERENCE,
    window: { ...window, columns: window.columns.with(1, odd) },
    times: overWeek(rows),
    ...WEEK,
  });
  expect(passing).toMatchObject({ alarm: false, verdict: "steady" });
  expect(passing.reasons.join()).toMatch(/^amount moved, not for long enough/);
  const risen = amounts.map((amount, row) => (row >= 4000 ? 3 * amount : amount));
  const report = reportOf({
    reference: REFERENCE,
    window: { ...window, columns: window.columns.with(1, risen) },
    times: overWeek(rows),
    ...WEEK,
  });
  expect(report.verdict).toBe("drifted");
  const [amount] = report.features;
  expect(amount).toMatchObject({ name: "amount", drifted: true, lasting: true, since: 4 * DAY_MS });
  expect(report.reasons[0]).toContain("since 1970-01-05T00:00Z");
  const [shift] = report.shifts;
  expect(shift).toMatchObject({ feature: "amount", bin: { kind: "range" } });
  expect(shift.window).toBeGreaterThan(shift.reference);
  expect(shift.example!.value).toBe(risen[Number(shift.example!.id)]);
});

/** A world that swings: weekends double the amounts. */
function weekly(random: Random, days: number, perDay: number) {
  const made = world(random, days * perDay);
  const times = Float64Array.from({ length: days * perDay }, (_, row) => ((row + random.next()) / perDay) * DAY_MS);
  const amount = made.columns[1].map((value, row) => (Math.floor(row / perDay) % 7 >= 5 ? 2 : 1) * value);
  return { ...made, columns: made.columns.with(1, amount), times };
}

const SWINGING = weekly(new Random(4), 28, 1500);
const SWINGING_REFERENCE: Reference = buildReference({ names: NAMES, categories: ["category"], ...SWINGING });
const SWING: Swing = buildSwing({
  reference: SWINGING_REFERENCE,
  columns: SWINGING.columns,
  scores: SWINGING.scores,
  review: REVIEW,
  times: SWINGING.times,
  owners: [],
});

test("a weekend is no drift where weekends are known, and is where they are not", () => {
  const random = new Random(5);
  const alarms = { known: 0, unknown: 0 };
  for (let week = 0; week < 12; week++) {
    const drawn = weekly(random, 7, 1500);
    const input = {
      reference: SWINGING_REFERENCE,
      window: drawn,
      times: drawn.times,
      // Saturday and Sunday alone.
      until: 7 * DAY_MS - 1,
      windowMs: 2 * DAY_MS,
      policy: { psiFloor: 0.02, ksMin: 0.05 },
    };
    if (reportOf(input).alarm) alarms.unknown++;
    if (reportOf({ ...input, swing: SWING }).alarm) alarms.known++;
  }
  expect(alarms.unknown).toBe(12);
  expect(alarms.known).toBe(0);
});

test("what is more than the swing is still found", () => {
  const drawn = weekly(new Random(6), 7, 1500);
  const window = {
    ...drawn,
    columns: drawn.columns.with(
      1,
      drawn.columns[1].map((value) => 3 * value),
    ),
  };
  const report = reportOf({ reference: SWINGING_REFERENCE, swing: SWING, window, times: drawn.times, ...WEEK });
  expect(report.features.filter(({ drifted }) => drifted).map(({ name }) => name)).toEqual(["amount"]);
});

test("rows of one owner count for fewer, whichever it is: about as many as they repeat each other", () => {
  const cards = 4000;
  const repeats = 10;
  const drawn = world(new Random(7), cards);
  const rows = cards * repeats;
  const columns = drawn.columns.map((column) => Float64Array.from({ length: rows }, (_, row) => column[row % cards]));
  const scores = Float64Array.from({ length: rows }, (_, row) => drawn.scores[row % cards]);
  const reference = buildReference({ names: NAMES, categories: ["category"], columns, scores, alerts: drawn.alerts });
  const times = Float64Array.from({ length: rows }, (_, row) => (row % cards) * 21_600 + Math.floor(row / cards));
  const swing = buildSwing({
    reference,
    columns,
    scores,
    review: REVIEW,
    times,
    owners: [new Int32Array(rows).map((_, row) => row), Int32Array.from({ length: rows }, (_, row) => row % cards)],
  });
  const window = { ms: HOUR_MS, rows: 1000, referenceRows: 1e9 };
  for (const { cards: effect } of swing.features) expect(effect[0]).toBeCloseTo(repeats, 6);
  const { bins } = designEffectOf({ hours: swing.hours, column: swing.features[1] }, window);
  expect(bins).toBeGreaterThanOrEqual(repeats);
  expect(bins).toBeLessThan(3 * repeats);
  const column = { cards: [1, 2], natural: [0.01, 0.001], ordered: [0.02, 0.001] };
  const shortest = designEffectOf({ hours: [1, 24], column }, window);
  expect(shortest.bins).toBeCloseTo(1 + (0.01 + 0.001) / (1 / 1000 + 1e-9), 6);
  expect(shortest.ordered).toBeCloseTo(1 + (0.02 + 0.001) / (1 / 1000 + 1e-9), 6);
});

test("a changed unit, late rows and rows that come twice are broken feeds, not drift", () => {
  const rows = 7000;
  const window = world(new Random(8), rows);
  const cents = window.columns[1].map((value, row) => (row % 5 === 0 ? 100 * value : value));
  const unit = reportOf({ reference: REFERENCE, window: { ...window, columns: window.columns.with(1, cents) } });
  expect(unit.verdict).toBe("broken feed");
  expect(unit.dataQuality.map(({ feature, fault }) => [feature, fault])).toEqual([["amount", "unit"]]);
  expect(unit.dataQuality[0].window).toBeCloseTo(0.2, 1);
  expect(unit.reasons[0]).toContain("× 100");
  // Half as much again is a change of the world.
  const dearer = reportOf({
    reference: REFERENCE,
    window: {
      ...window,
      columns: window.columns.with(
        1,
        window.columns[1].map((value) => 2 * value),
      ),
    },
  });
  expect(dearer.dataQuality).toEqual([]);

  const times = overWeek(rows).map((time, row) => (row % 10 === 0 ? Math.max(0, time - 5 * HOUR_MS) : time));
  const late = reportOf({ reference: REFERENCE, window, times, ...WEEK });
  expect(late.dataQuality.map(({ feature, fault }) => [feature, fault])).toEqual([[null, "late"]]);

  const twice = <T extends Float64Array>(values: T): Float64Array =>
    values.map((_, row) => values[row % 5 === 1 ? row - 1 : row]);
  const doubled = {
    columns: window.columns.map(twice),
    scores: twice(window.scores),
  };
  const swing = { ...SWING, duplicates: 0 };
  const report = reportOf({ reference: REFERENCE, swing, window: doubled, times: twice(overWeek(rows)), ...WEEK });
  expect(report.dataQuality.map(({ feature, fault }) => [feature, fault])).toEqual([[null, "duplicated"]]);
  expect(report.dataQuality[0].window).toBeCloseTo(0.2, 2);
});
