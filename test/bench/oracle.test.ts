// The oracle against every world that there could be: what it says of a tiny one is what counting says.
import fc from "fast-check";
import { expect, test } from "vitest";
import { CompromiseFilter, oracleScores } from "../../bench/oracle.ts";
import { joinTables } from "../../bench/workspace.ts";
import { DAY_MS } from "../../src/core/duration.ts";
import { hiddenTruth, simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { averagePrecision } from "../../src/metrics/metrics.ts";

const evidence = fc.record({
  active: fc.double({ min: 0, max: 1, noNaN: true }),
  quiet: fc.double({ min: 0.01, max: 1, noNaN: true }),
});

/** P(compromised on the last day), by adding up all sets of first days. */
function counted(seen: readonly { active: number; quiet: number }[], days: number, rate: number): number {
  let active = 0;
  let all = 0;
  for (let set = 0; set < 1 << seen.length; set++) {
    let weight = 1;
    let lasts = false;
    for (let day = 0; day < seen.length; day++) {
      weight *= set & (1 << day) ? rate : 1 - rate;
      lasts = false;
      for (let age = 0; age < days && age <= day; age++) if (set & (1 << (day - age))) lasts = true;
      weight *= lasts ? seen[day].active : seen[day].quiet;
    }
    all += weight;
    if (lasts) active += weight;
  }
  return active / all;
}

test("the chance of a compromise is that of all the ways it could have come about", () => {
  const worlds = fc.record({
    seen: fc.array(evidence, { minLength: 1, maxLength: 9 }),
    days: fc.integer({ min: 1, max: 5 }),
    rate: fc.double({ min: 0.01, max: 0.6, noNaN: true }),
  });
  fc.assert(
    fc.property(worlds, ({ seen, days, rate }) => {
      const filter = new CompromiseFilter({ days, rate });
      for (const one of seen) {
        filter.turn();
        filter.observe(one);
      }
      expect(filter.active).toBeCloseTo(counted(seen, days, rate), 10);
    }),
    { numRuns: 100 },
  );
});

/** Rows [day, hour, terminal, amount, scenario] of customer 0, whose mean amount is 50. */
function table(rows: readonly (readonly [number, number, number, number, number])[]) {
  const number = (at: (row: (typeof rows)[number]) => number) => ({
    kind: "number" as const,
    values: Float64Array.from(rows, at),
  });
  return {
    rows: rows.length,
    columns: new Map([
      ["tx_datetime", number(([day, hour]) => day * DAY_MS + hour * 3_600_000)],
      ["tx_amount", number(([, , , amount]) => amount)],
      ["tx_fraud_scenario", number(([, , , , scenario]) => scenario)],
      ["customer_id", number(() => 0)],
      ["terminal_id", number(([, , terminal]) => terminal)],
    ]),
  };
}

const TRUTH = {
  meanAmounts: Float64Array.of(50),
  terminalRate: 1e-4,
  customerRate: 1e-4,
  delayDays: 7,
  readsCents: false,
};

test("a terminal is known by its labels, and only once they have arrived", () => {
  const scores = oracleScores(
    table([
      [0, 9, 1, 50, 2],
      [6, 12, 1, 50, 2],
      [7, 8, 1, 50, 2],
      [7, 10, 1, 50, 2],
      [7, 11, 2, 50, 0],
      [36, 10, 1, 50, 0],
    ]),
    TRUTH,
  );
  // Nothing is known before hour 9 of day 7; from then on it is certain for 20 days and likelier than not for some more.
  expect(scores[1]).toBeLessThan(0.05);
  expect(scores[2]).toBeLessThan(0.05);
  expect(scores[3]).toBeGreaterThan(0.6);
  expect(scores[4]).toBeLessThan(0.05);
  expect(scores[5]).toBeLessThan(0.05);
});

test("a misused card is known by its amounts at once; an amount over the limit is fraud", () => {
  const scores = oracleScores(
    table([
      [0, 9, 1, 40, 0],
      [0, 10, 2, 160, 3],
      [0, 11, 3, 170, 3],
      [0, 12, 4, 45, 0],
      [0, 13, 5, 221, 1],
    ]),
    TRUTH,
  );
  expect(scores[0]).toBeLessThan(0.01);
  expect(scores[2]).toBeGreaterThan(0.95);
  expect(scores[3]).toBeLessThan(0.05);
  expect(scores[4]).toBe(1);
});

test("nobody who is asked the same of a simulated world does better than chance beside it", () => {
  const options = {
    customers: 300,
    terminals: 600,
    days: 70,
    seed: 5,
    compromisedTerminals: 1,
    compromisedCustomers: 1,
  };
  const days = [...simulateDays(options)];
  const joined = joinTables(days);
  const truth = { ...hiddenTruth(options), delayDays: 7 };
  const labels = joined.columns.get("tx_fraud");
  if (labels?.kind !== "number") throw new Error("the simulation labels its rows");
  const fraud = Uint8Array.from(labels.values);
  const [plain, withCents] = [false, true].map((readsCents) => oracleScores(joined, { ...truth, readsCents }));
  const ap = averagePrecision(plain, fraud);
  expect(ap).toBeGreaterThan(0.6);
  expect(averagePrecision(withCents, fraud)).toBeGreaterThan(ap);
  // Its chances are honest: of the rows it is unsure about as many are fraud as it says.
  const unsure = [...withCents.keys()].filter((row) => withCents[row] > 0.1 && withCents[row] < 0.98);
  const meanOf = (values: ArrayLike<number>): number =>
    unsure.reduce((sum, row) => sum + values[row], 0) / unsure.length;
  expect(unsure.length).toBeGreaterThan(200);
  expect(Math.abs(meanOf(withCents) - meanOf(fraud))).toBeLessThan(0.06);
});
