// The simulator: the Handbook's figures and definitions, determinism, drift, the file it writes and the stream it emits.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { Random } from "../../src/core/random.ts";
import type { Table } from "../../src/core/table.ts";
import { datasetDuckdb } from "../../src/drivers/dataset/duckdb/driver.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import { parseDrift } from "../../src/lifecycle/simulate/drift.ts";
import { emit } from "../../src/lifecycle/simulate/emit.ts";
import { compromisedOn, startingOn } from "../../src/lifecycle/simulate/frauds.ts";
import { type SimulateOptions, settingsOf } from "../../src/lifecycle/simulate/options.ts";
import { anyInReach, drawInReach, placeTerminals } from "../../src/lifecycle/simulate/terminals.ts";
import { simulate } from "../../src/lifecycle/simulate.ts";

const DAY_MS = 86_400_000;
const START = Date.UTC(2018, 3, 1);
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "sentinel-simulate-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Row {
  readonly id: number;
  readonly day: number;
  readonly hour: number;
  readonly time: number;
  readonly customer: number;
  readonly terminal: number;
  readonly amount: number;
  readonly fraud: number;
  readonly scenario: number;
}

function values(table: Table, name: string): Float64Array {
  const column = table.columns.get(name);
  if (column === undefined || column.kind === "text") throw new Error(`no numbers in ${name}`);
  return column.values;
}

function rowsOf(tables: Iterable<Table>): Row[] {
  const rows: Row[] = [];
  for (const table of tables) {
    const time = values(table, "tx_datetime");
    const at = (name: string): Float64Array => values(table, name);
    const [id, customer, terminal] = [at("transaction_id"), at("customer_id"), at("terminal_id")];
    const [amount, fraud, scenario] = [at("tx_amount"), at("tx_fraud"), at("tx_fraud_scenario")];
    for (let i = 0; i < table.rows; i++) {
      rows.push({
        id: id[i],
        day: Math.floor((time[i] - START) / DAY_MS),
        hour: Math.floor((time[i] % DAY_MS) / 3_600_000),
        time: time[i],
        customer: customer[i],
        terminal: terminal[i],
        amount: amount[i],
        fraud: fraud[i],
        scenario: scenario[i],
      });
    }
  }
  return rows;
}

function run(options: SimulateOptions): Row[] {
  return rowsOf(simulateDays(options));
}

function average(rows: readonly Row[], value: (row: Row) => number): number {
  return rows.reduce((sum, row) => sum + value(row), 0) / rows.length;
}

function faultOf(work: () => unknown): SentinelError {
  try {
    work();
  } catch (error) {
    if (error instanceof SentinelError) return error;
    throw error;
  }
  throw new Error("nothing was raised");
}

describe("the Handbook's figures at its own size", () => {
  // Published: 1,754,155 transactions in 183 days, mean amount 53.63, 0.837 % frauds, of which 973, 9,077 and 4,631 by scenario.
  const seeds = [11, 12, 13];
  const totals = seeds.map((seed) => {
    const total = { rows: 0, amount: 0, frauds: 0, daytime: 0, scenarios: [0, 0, 0, 0], customers: new Set<number>() };
    for (const table of simulateDays({ seed })) {
      total.rows += table.rows;
      for (const amount of values(table, "tx_amount")) total.amount += amount;
      for (const scenario of values(table, "tx_fraud_scenario")) total.scenarios[scenario]++;
      for (const time of values(table, "tx_datetime"))
        if (Math.abs((time % DAY_MS) - DAY_MS / 2) < DAY_MS / 4) total.daytime++;
      for (const customer of values(table, "customer_id")) total.customers.add(customer);
    }
    total.frauds = total.scenarios[1] + total.scenarios[2] + total.scenarios[3];
    return total;
  });

  // Between seeds, the customers' rates (uniform on 0 to 4) alone move the volume by 1.2/2/sqrt(5000) = 0.8 %, the
  // means (5 to 100) the amount by about 0.9 %; the bounds are four of these, and frauds add compromises by chance.
  test.each(totals)("volume, amount and fraud rate", (total) => {
    expect(Math.abs(total.rows / 183 / 9586 - 1)).toBeLessThan(0.033);
    expect(Math.abs(total.amount / total.rows / 53.63 - 1)).toBeLessThan(0.036);
    expect(Math.abs(total.frauds / total.rows / 0.00837 - 1)).toBeLessThan(0.1);
    expect(total.customers.size).toBeGreaterThan(4950);
  });

  test.each(totals)("frauds of each scenario", ({ scenarios }) => {
    expect(Math.abs(scenarios[1] / 973 - 1)).toBeLessThan(0.25);
    expect(Math.abs(scenarios[2] / 9077 - 1)).toBeLessThan(0.15);
    expect(Math.abs(scenarios[3] / 4631 - 1)).toBeLessThan(0.2);
  });

  test.each(totals)("time of day: noon give or take 20,000 s, cut at midnight", ({ daytime, rows }) => {
    // P(|z| < 1.08) / P(|z| < 2.16) = 0.7199 / 0.9692.
    expect(daytime / rows).toBeCloseTo(0.7427, 2);
  });
});

describe("definitions", () => {
  const small = { customers: 600, terminals: 800, days: 60, seed: 3 };

  test("rows come in time order, numbered from 0, in cents, whole seconds within their day", () => {
    const rows = run({ ...small, days: 5 });
    expect(rows.filter((row, i) => row.id !== i || row.time < rows[Math.max(i - 1, 0)].time)).toEqual([]);
    expect(rows.filter(({ time }) => time % 1000 !== 0)).toEqual([]);
    expect(rows.filter(({ amount }) => amount !== Math.round(amount * 100) / 100 || !(amount >= 0))).toEqual([]);
    expect(new Set(rows.map((row) => row.day))).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  test("scenario 1: amounts over 220 and nothing else", () => {
    const rows = run({ ...small, customers: 3000, compromisedCustomers: 0, compromisedTerminals: 0 });
    expect(rows.filter((row) => row.fraud === 1).length).toBeGreaterThan(50);
    expect(rows.filter((row) => row.scenario !== (row.amount > 220 ? 1 : 0))).toEqual([]);
  });

  test("scenario 2: one terminal for 28 days, all its transactions", () => {
    const rows = run({ ...small, customers: 3000, compromisedCustomers: 0, compromisedTerminals: 1 / 60 });
    const compromised = new Set(rows.filter((row) => row.scenario === 2).map((row) => row.terminal));
    expect(compromised.size).toBe(1);
    const its = rows.filter((row) => compromised.has(row.terminal));
    expect(its.some((row) => row.day >= 28)).toBe(true);
    expect(its.filter((row) => (row.scenario === 2) !== row.day < 28)).toEqual([]);
  });

  test("scenario 3: a third of a card's transactions for 14 days, at five times the amount, and nothing else moves", () => {
    const options = { ...small, customers: 1000, compromisedTerminals: 0 };
    const before = run({ ...options, compromisedCustomers: 0 });
    const after = run({ ...options, compromisedCustomers: 5 });
    expect(after.length).toBe(before.length);
    const misused = after.filter(({ scenario }) => scenario === 3);
    const moved = after.filter((row, i) => {
      const isMisused = row.scenario === 3;
      const names = Object.keys(row) as (keyof Row)[];
      const rest = isMisused ? names.filter((name) => !["fraud", "scenario", "amount"].includes(name)) : names;
      const amount = isMisused ? 5 * before[i].amount : before[i].amount;
      return rest.some((name) => !Object.is(row[name], before[i][name])) || !(Math.abs(row.amount - amount) < 5e-7);
    });
    expect(moved).toEqual([]);
    const victims = new Set(misused.filter((row) => row.day === 20).map((row) => row.customer));
    expect(victims.size).toBeGreaterThan(10);
    // 5 a day for 14 days are 70 of 1000 cards (fewer by doubles: about 67.6); a third of what they do.
    const share =
      after.filter((row) => row.day >= 14 && row.scenario === 3).length / after.filter((row) => row.day >= 14).length;
    expect(share).toBeGreaterThan(0.8 * (0.0676 / 3));
    expect(share).toBeLessThan(1.2 * (0.0676 / 3));
  });

  test("compromises last exactly their days, new ones each day, none twice on one day", () => {
    const input = {
      perDay: 3,
      count: 100_000,
      days: 14,
      randomOf: (day: number) => new Random(5).fork(day),
      shareOf: () => 1,
    };
    const started = Array.from({ length: 40 }, (_, day) => startingOn(day, input));
    for (const day of [0, 5, 13, 14, 39]) {
      const expected = new Set(started.slice(Math.max(0, day - 13), day + 1).flatMap((set) => [...set]));
      expect(compromisedOn(day, input)).toEqual(expected);
      expect(started[day].size).toBe(3);
    }
  });

  test("a fraction a day is spread evenly and starts at once", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 4, noNaN: true }), fc.integer({ min: 1, max: 80 }), (perDay, days) => {
        const input = { perDay, count: 1000, days: 1, randomOf: (day: number) => new Random(day), shareOf: () => 1 };
        let total = 0;
        for (let day = 0; day < days; day++) total += startingOn(day, input).size;
        expect(total).toBeGreaterThanOrEqual(perDay * days - 1e-6);
        expect(total).toBeLessThan(perDay * days + 1);
      }),
      { numRuns: 200 },
    );
  });

  test("compromises follow the size of the world, but one a week at least", () => {
    expect(settingsOf({})).toMatchObject({ customers: 5000, terminals: 10_000, days: 183, startMs: START });
    expect(settingsOf({})).toMatchObject({ compromisedTerminals: 2, compromisedCustomers: 3 });
    expect(settingsOf({ customers: 100_000 }).compromisedCustomers).toBe(60);
    expect(settingsOf({ customers: 50, terminals: 50 })).toMatchObject({
      compromisedTerminals: 1 / 7,
      compromisedCustomers: 1 / 7,
    });
  });
});

describe("terminals in reach", () => {
  test("every draw is in reach, every terminal in reach is drawn, about evenly", () => {
    const map = placeTerminals(new Random(1), 2000);
    const random = new Random(2);
    for (const [x, y] of [
      [50, 50],
      [0.5, 99.5],
      [99.9, 3],
      [4.99, 5.01],
    ]) {
      const near = new Set<number>();
      map.ids.forEach((id, at) => {
        if (Math.hypot(map.x[at] - x, map.y[at] - y) < 5) near.add(id);
      });
      const counts = new Map<number, number>();
      const draws = 400 * near.size;
      for (let i = 0; i < draws; i++) {
        const id = drawInReach(map, random, x, y);
        counts.set(id, (counts.get(id) ?? 0) + 1);
      }
      expect(new Set(counts.keys())).toEqual(near);
      // Each count is Poisson-like around 400: five deviations.
      for (const count of counts.values()) expect(Math.abs(count - 400)).toBeLessThan(100);
    }
  });

  test("one terminal among many out of reach is found; with none, customers do nothing", () => {
    const map = placeTerminals(new Random(4), 1);
    const [x, y] = [map.x[0], map.y[0]];
    expect(anyInReach(map, x, Math.min(y + 4.9, 100))).toBe(true);
    expect(drawInReach(map, new Random(1), x, y)).toBe(0);
    expect(anyInReach(map, (x + 50) % 100, y)).toBe(false);
    const rows = run({ customers: 300, terminals: 1, days: 3 });
    const active = new Set(rows.map((row) => row.customer)).size;
    // At most pi 25 / 10,000 of 300 live that near.
    expect(active).toBeLessThan(15);
  });
});

describe("the same seed gives the same rows", () => {
  const options: SimulateOptions = { customers: 300, terminals: 500, days: 20, seed: 77 };

  test("twice, and whatever comes after", () => {
    const rows = run(options);
    expect(run(options)).toEqual(rows);
    const longer = run({ ...options, days: 30 });
    expect(longer.slice(0, rows.length)).toEqual(rows);
    expect(run({ ...options, seed: 78 })).not.toEqual(rows);
    expect(run({ ...options, seed: 77 + 2 ** 40 })).not.toEqual(rows);
  });

  test("a day is made when it is asked for", () => {
    const days = simulateDays({ ...options, days: 36_500 });
    const first = days.next();
    expect(first.done).toBe(false);
    days.return();
    expect(days.next().done).toBe(true);
  });

  test.each(["amount-inflation", "fraud-pattern", "night-shift", "broken-field"] as const)(
    "%s leaves the days before it as they were",
    (name) => {
      const before = run(options).filter((row) => row.day < 8);
      const drifted = run({ ...options, drift: [{ name, day: 8, ramp: 1 }] });
      expect(drifted.filter((row) => row.day < 8)).toEqual(before);
      expect(drifted.length).toBeGreaterThan(before.length);
    },
  );
});

describe("drift", () => {
  const options: SimulateOptions = { customers: 1500, terminals: 3000, days: 40, seed: 5 };
  const plain = run(options);
  const drifted = (text: string): Row[] => run({ ...options, drift: [parseDrift(text)] });
  const changed = (rows: readonly Row[]): Row[] => rows.filter((row) => row.day >= 10);

  test("amount-inflation: half as much again, the labels as they were", () => {
    const rows = drifted("amount-inflation@10");
    expect(rows).toHaveLength(plain.length);
    const otherwise = rows.filter((row, i) => {
      const inflated = plain[i].amount * (row.day >= 10 ? 1.5 : 1);
      return !(Math.abs(row.amount - inflated) < 0.05) || row.scenario !== plain[i].scenario;
    });
    expect(otherwise).toEqual([]);
  });

  test("a ramp grows evenly to the full strength", () => {
    const rows = drifted("amount-inflation@10/20");
    const ratio = (day: number): number =>
      average(
        rows.filter((row) => row.day === day),
        (row) => row.amount,
      ) /
      average(
        plain.filter((row) => row.day === day),
        (row) => row.amount,
      );
    expect(ratio(9)).toBe(1);
    expect(ratio(10)).toBeCloseTo(1.025, 3);
    expect(ratio(19)).toBeCloseTo(1.25, 3);
    expect(ratio(29)).toBeCloseTo(1.5, 3);
    expect(ratio(39)).toBeCloseTo(1.5, 3);
  });

  test("fraud-pattern: card tests of small amounts at night take the place of compromises", () => {
    const rows = drifted("fraud-pattern@10");
    const tests = rows.filter((row) => row.scenario === 4);
    expect(tests.length).toBeGreaterThan(100);
    for (const row of tests) {
      expect(row.day).toBeGreaterThanOrEqual(10);
      expect(row.hour).toBeLessThan(5);
      expect(row.amount).toBeGreaterThanOrEqual(0.5);
      expect(row.amount).toBeLessThanOrEqual(5);
    }
    const perTerminalNight = tests.length / new Set(tests.map((row) => `${row.day} ${row.terminal}`)).size;
    expect(perTerminalNight).toBe(40);
    expect(rows.filter((row) => row.scenario === 2 && row.day >= 10 + 28)).toEqual([]);
    expect(rows.filter((row) => row.scenario === 3 && row.day >= 10 + 14)).toEqual([]);
    expect(plain.some((row) => row.scenario === 2 && row.day >= 38)).toBe(true);
    expect(rows.filter((row) => row.scenario !== 4 && row.day === 12).length).toBe(
      plain.filter((row) => row.day === 12).length,
    );
  });

  test("night-shift: most of the day's transactions move by twelve hours", () => {
    const nightly = (rows: readonly Row[]): number => average(rows, (row) => (row.hour < 6 || row.hour >= 18 ? 1 : 0));
    const rows = drifted("night-shift@10");
    expect(nightly(changed(plain))).toBeCloseTo(0.257, 2);
    // 0.4 of 0.257 stays at night and 0.6 of 0.743 comes to it.
    expect(nightly(changed(rows))).toBeCloseTo(0.4 * 0.257 + 0.6 * 0.743, 2);
    expect(average(changed(rows), (row) => row.amount)).toBeCloseTo(
      average(changed(plain), (row) => row.amount),
      6,
    );
    expect(rows.filter((row, i) => i > 0 && row.time < rows[i - 1].time)).toEqual([]);
  });

  test("broken-field: customers missing, amounts in cents", () => {
    const rows = changed(drifted("broken-field@10"));
    const whole = changed(plain);
    expect(average(rows, (row) => (Number.isNaN(row.customer) ? 1 : 0))).toBeCloseTo(0.2, 2);
    const inCents = rows.filter((row, i) => Math.abs(row.amount - 100 * whole[i].amount) < 1e-6 && row.amount > 0);
    expect(inCents.length / rows.length).toBeCloseTo(0.1, 2);
    expect(rows).toHaveLength(whole.length);
    expect(rows.filter((row, i) => row.fraud !== whole[i].fraud || row.terminal !== whole[i].terminal)).toEqual([]);
  });
});

describe("options", () => {
  test.each<[SimulateOptions, RegExp]>([
    [{ customers: 0 }, /--customers.*1 to/],
    [{ customers: 1.5 }, /--customers: 1\.5 is no whole number/],
    [{ terminals: Number.NaN }, /--terminals/],
    [{ days: 40_000 }, /--days.*36500/],
    [{ seed: -1 }, /--seed/],
    [{ start: "2018-02-31" }, /--start.*2018-02-31/],
    [{ start: "yesterday" }, /--start/],
    [{ compromisedTerminals: -1 }, /--compromised-terminals/],
    [{ customers: 10, compromisedCustomers: 11 }, /--compromised-customers.*0 to 10/],
    [{ days: 10, drift: [parseDrift("night-shift@10")] }, /night-shift@: 10.*0 to 9/],
    [{ drift: [parseDrift("night-shift@1"), parseDrift("night-shift@2")] }, /twice/],
  ])("%j is refused", (options, words) => {
    const fault = faultOf(() => simulateDays(options));
    expect(fault.code).toBe("cli.usage");
    expect(`${fault.message} | ${fault.hint}`).toMatch(words);
  });

  test("drift texts", () => {
    expect(parseDrift("night-shift@12")).toEqual({ name: "night-shift", day: 12, ramp: 1 });
    expect(parseDrift("amount-inflation@0/30")).toEqual({ name: "amount-inflation", day: 0, ramp: 30 });
    for (const text of ["night-shift", "night@3", "night-shift@-1", "night-shift@1/", "constructor@1", ""]) {
      const fault = faultOf(() => parseDrift(text));
      expect(fault.code).toBe("cli.usage");
      expect(fault.hint).toMatch(/broken-field/);
    }
  });
});

describe("simulate writes a file", () => {
  test.each(["csv", "parquet", "ndjson"])("%s holds the generator's rows, and the same bytes again", async (format) => {
    const options: SimulateOptions = {
      customers: 200,
      terminals: 400,
      days: 9,
      seed: 9,
      drift: [parseDrift("broken-field@4")],
    };
    const progress: string[] = [];
    const report = {
      line: () => {},
      progress: (label: string, done: number, total: number) => progress.push(`${label} ${done}/${total}`),
    };
    const out = path.join(folder, `a.${format}`);
    const ports = { dataset: async () => datasetDuckdb(), report };
    const result = await simulate(ports, { ...options, out });
    const expected = run(options);
    expect(result).toEqual({
      out,
      rows: expected.length,
      frauds: expected.filter((row) => row.fraud === 1).length,
      days: 9,
      from: START,
      until: START + 9 * DAY_MS,
    });
    expect(progress.at(-1)).toBe("simulate 9/9");
    const read = await datasetDuckdb().read(out);
    expect(rowsOf([read])).toEqual(expected);
    const again = path.join(folder, `b.${format}`);
    await simulate({ ...ports, dataset: async () => datasetDuckdb({ threads: 1 }) }, { ...options, out: again });
    expect(await readFile(again)).toEqual(await readFile(out));
  });
});

describe("emit", () => {
  const options: SimulateOptions = { customers: 100, terminals: 300, days: 5, seed: 2 };

  /** A clock that only sleeping and slow writing move. */
  function world(writeMs = 0) {
    let now = 0;
    let busy = false;
    const writes: { readonly at: number; readonly lines: string[] }[] = [];
    return {
      writes,
      clock: { elapsed: () => now },
      sleep: async (ms: number) => {
        expect(ms).toBeGreaterThan(0);
        now += ms;
      },
      write: async (text: string) => {
        expect(busy).toBe(false);
        busy = true;
        writes.push({ at: now, lines: text.split("\n").slice(0, -1) });
        await Promise.resolve();
        now += writeMs;
        busy = false;
      },
      now: () => now,
    };
  }

  test.each([5, 50, 5000])("%i a second, never ahead of time", async (rate) => {
    const at = world();
    const { rows } = await emit({ options, rate, count: 400, ...at });
    expect(rows).toBe(400);
    let sent = 0;
    for (const { at: ms, lines } of at.writes) {
      sent += lines.length;
      expect(sent).toBeLessThanOrEqual((ms * rate) / 1000 + 1);
    }
    expect(at.now()).toBeLessThanOrEqual((400 / rate) * 1000 + 50);
    const records = at.writes.flatMap(({ lines }) => lines.map((line): unknown => JSON.parse(line)));
    const expected = run(options).slice(0, 400);
    expect(records).toEqual(
      expected.map((row) => ({
        transaction_id: row.id,
        tx_datetime: new Date(row.time).toISOString(),
        customer_id: row.customer,
        terminal_id: row.terminal,
        tx_amount: row.amount,
        tx_fraud: row.fraud,
        tx_fraud_scenario: row.scenario,
      })),
    );
  });

  test("a slow reader holds the stream back and never gets more than a second's worth at once", async () => {
    const at = world(3000);
    await emit({ options, rate: 20, count: 200, ...at });
    expect(Math.max(...at.writes.map(({ lines }) => lines.length))).toBe(20);
    expect(at.now()).toBeGreaterThanOrEqual(3000 * (200 / 20));
  });

  test("an abort stops it, the end of the days ends it, a bad rate is refused", async () => {
    const abort = new AbortController();
    const at = world();
    const stopped = await emit({
      options,
      rate: 10,
      ...at,
      signal: abort.signal,
      write: async () => {
        if (at.now() > 2000) abort.abort();
      },
    });
    expect(stopped.rows).toBeGreaterThan(15);
    expect(stopped.rows).toBeLessThan(30);
    expect((await emit({ options: { ...options, days: 1 }, rate: 1e5, ...world() })).rows).toBe(
      run({ ...options, days: 1 }).length,
    );
    for (const rate of [0, -1, Number.NaN, 1e9]) {
      await expect(emit({ options, rate, ...world() })).rejects.toMatchObject({ code: "cli.usage" });
    }
    const missing = world();
    await emit({ options: { ...options, days: 1, drift: [parseDrift("broken-field@0")] }, rate: 1e5, ...missing });
    const lines = missing.writes.flatMap((write) => write.lines);
    expect(lines.some((line) => !line.includes("customer_id"))).toBe(true);
  });
});
