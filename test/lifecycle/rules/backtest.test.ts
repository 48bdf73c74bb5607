// Backtests against what a loop over the rows counts; lists never see the future; conflicts measured beside proven.
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS } from "../../../src/core/duration.ts";
import { Random } from "../../../src/core/random.ts";
import type { Rule } from "../../../src/core/rule.ts";
import type { Column, Table } from "../../../src/core/table.ts";
import { addRule, backtestRules, conflictsOf } from "../../../src/lifecycle/rules.ts";
import { madeRule } from "../../rules/made.ts";
import { emptyPlace, type Place, START } from "../world.ts";

interface Row {
  readonly id: string;
  readonly time: number;
  readonly amount: number;
  readonly customer: string;
  readonly terminal: string;
  readonly fraud: boolean;
}

const DAYS = 40;
/** Frauds come at two bad terminals with large amounts, and in bursts of one customer. */
const ROWS: readonly Row[] = (() => {
  const random = new Random(11);
  const rows: Row[] = [];
  for (let i = 0; i < 4000; i++) {
    const terminal = random.integer(30);
    const amount = Math.round(random.uniform(1, 400) * 100) / 100;
    const fraud = terminal < 2 && amount > 250 ? random.next() < 0.9 : random.next() < 0.004;
    const customer = `c${random.integer(150)}`;
    const time = START + Math.floor((i / 4000) * DAYS * DAY_MS);
    rows.push({ id: `x${i}`, time, amount, customer, terminal: `t${terminal}`, fraud });
  }
  return rows;
})();

function tableOf(rows: readonly Row[]): Table {
  const text = (values: readonly string[]): Column => {
    const dictionary = [...new Set(values)];
    const codes = new Map(dictionary.map((word, code) => [word, code]));
    return { kind: "text", codes: Int32Array.from(values, (value) => codes.get(value)!), dictionary };
  };
  return {
    rows: rows.length,
    columns: new Map<string, Column>([
      ["transaction_id", text(rows.map(({ id }) => id))],
      ["time", { kind: "time", values: Float64Array.from(rows, ({ time }) => time) }],
      ["amount", { kind: "number", values: Float64Array.from(rows, ({ amount }) => amount) }],
      ["customer_id", text(rows.map(({ customer }) => customer))],
      ["terminal_id", text(rows.map(({ terminal }) => terminal))],
      ["is_fraud", { kind: "number", values: Float64Array.from(rows, ({ fraud }) => Number(fraud)) }],
    ]),
  };
}

const rule = (id: string, when: string, more: Partial<Rule> = {}): Rule =>
  madeRule(id, when, { action: "review", severity: "warning", share: 0.1, ...more });

let place: Place;
let by: { readonly pipeline: Place["pipeline"]; readonly actor: string };

beforeAll(async () => {
  place = await emptyPlace();
  await place.write("transactions.parquet", [tableOf(ROWS)]);
  place.clock.time = START + 100 * DAY_MS;
  by = { pipeline: place.pipeline, actor: "ana" };
  const { ports } = place;
  await addRule(ports, { ...by, rule: rule("bad-terminal", "terminal_id IN ('t0', 't1') AND amount > 250") });
  await addRule(ports, { ...by, rule: rule("large", "amount > 390") });
  await addRule(ports, { ...by, rule: rule("burst", "count_last('1d', customer_id) >= 4", { stage: "shadow" }) });
});
afterAll(() => place.close());

const input = () => ({ pipeline: place.pipeline, path: place.pipeline.source });
const maturedTo = ROWS.at(-1)!.time - 7 * DAY_MS;

test("figures are what a loop over the rows counts", async () => {
  const report = await backtestRules(place.ports, input());
  const [bad, large, burst] = report.rules;
  const isBad = ({ terminal, amount }: Row): boolean => (terminal === "t0" || terminal === "t1") && amount > 250;
  const isLarge = ({ amount }: Row): boolean => amount > 390;
  const hits = ROWS.filter(isBad);
  expect(report).toMatchObject({ rows: ROWS.length, model: null, maturedTo });
  expect(bad.fires).toBe(hits.length);
  const matured = hits.filter(({ time }) => time <= maturedTo);
  const frauds = matured.filter(({ fraud }) => fraud);
  expect(bad.precision).toMatchObject({
    rows: matured.length,
    hits: frauds.length,
    value: frauds.length / matured.length,
  });
  expect(bad.precision.low).toBeLessThan(bad.precision.value);
  expect(bad.precision.high).toBeGreaterThan(bad.precision.value);
  const all = ROWS.filter(({ fraud, time }) => fraud && time <= maturedTo);
  expect(bad.recall.value).toBeCloseTo(frauds.length / all.length, 12);
  expect(bad.onlyMe).toBe(frauds.filter((row) => !isLarge(row)).length);
  expect(bad.immature).toBe(hits.length - matured.length);
  expect(bad.money!.frauds).toBeCloseTo(
    frauds.reduce((sum, { amount }) => sum + amount, 0),
    6,
  );
  const common = hits.filter(isLarge).length;
  expect(bad.overlap.find((one) => one.rule === "large")).toEqual({
    rule: "large",
    rows: common,
    share: common / hits.length,
  });
  const days = (ROWS.at(-1)!.time - ROWS[0].time) / DAY_MS;
  expect(bad.firesPerDay).toBeCloseTo(hits.length / days, 9);
  expect(bad.alertsPerDay).toBeCloseTo(
    new Set(hits.map(({ time, customer }) => `${Math.floor(time / DAY_MS)} ${customer}`)).size / days,
    9,
  );
  // Windows by brute force: (t − 1 d, t], the row itself included; unknown on the first day.
  const bursts = ROWS.filter((row, i) => {
    const from = row.time - DAY_MS;
    const own = ROWS.slice(0, i + 1).filter(({ customer, time }) => customer === row.customer && time > from);
    return row.time - ROWS[0].time >= DAY_MS && own.length >= 4;
  });
  expect(burst.fires).toBe(bursts.length);
  expect(burst.unready).toBe(ROWS.filter(({ time }) => time - ROWS[0].time < DAY_MS).length);
  expect([bad.verdict.verdict, large.verdict.verdict, burst.verdict.verdict]).toEqual(["PROMOTE", "HOLD", "REJECT"]);
});

test("the intervals are those of a bootstrap of the customers", async () => {
  const { rules } = await backtestRules(place.ports, input());
  const [bad] = rules;
  const matured = ROWS.filter(({ time }) => time <= maturedTo);
  const isHit = ({ terminal, amount }: Row): boolean => (terminal === "t0" || terminal === "t1") && amount > 250;
  const precision = bootstrap(matured.filter(isHit), ({ fraud }) => fraud);
  const recall = bootstrap(
    matured.filter(({ fraud }) => fraud),
    isHit,
  );
  for (const [found, drawn] of [
    [bad.precision, precision],
    [bad.recall, recall],
  ] as const) {
    // Percentiles of a bootstrap are skewed beside Wilson's interval where a share is near 1; how wide they are is alike.
    const width = drawn.high - drawn.low;
    expect((found.high - found.low) / width).toBeGreaterThan(0.8);
    expect((found.high - found.low) / width).toBeLessThan(1.3);
    expect(Math.abs(found.low - drawn.low)).toBeLessThan(0.45 * width);
    expect(Math.abs(found.high - drawn.high)).toBeLessThan(0.45 * width);
  }
});

/** 95 % of the shares of rows for which `test` holds, customers drawn with replacement. */
function bootstrap(rows: readonly Row[], test: (row: Row) => boolean): { readonly low: number; readonly high: number } {
  const random = new Random(3);
  const byCustomer = new Map<string, { hits: number; rows: number }>();
  for (const row of rows) {
    const one = byCustomer.get(row.customer) ?? { hits: 0, rows: 0 };
    byCustomer.set(row.customer, { hits: one.hits + Number(test(row)), rows: one.rows + 1 });
  }
  const counts = [...byCustomer.values()];
  const shares = Array.from({ length: 2000 }, () => {
    let [hits, all] = [0, 0];
    for (let i = 0; i < counts.length; i++) {
      const one = counts[random.integer(counts.length)];
      hits += one.hits;
      all += one.rows;
    }
    return hits / all;
  }).sort((a, b) => a - b);
  return { low: shares[49], high: shares[1949] };
}

test("an approval goes live where it surely lets through fewer frauds than come anyhow, and never where more", async () => {
  const drafts = [
    rule("calm", "terminal_id NOT IN ('t0', 't1')", { action: "approve", stage: "draft" }),
    rule("trusting", "terminal_id IN ('t0', 't1')", { action: "approve", stage: "draft" }),
    rule("seldom", "amount > 399.5", { action: "approve", stage: "draft" }),
    rule("nowhere", "amount > 500", { action: "approve", stage: "draft" }),
  ];
  const report = await backtestRules(place.ports, { ...input(), drafts });
  const of = (id: string) => report.rules.find((one) => one.rule.id === id)!;
  const matured = ROWS.filter(({ time }) => time <= maturedTo);
  expect(report.fraudRate).toBeCloseTo(matured.filter(({ fraud }) => fraud).length / matured.length, 12);
  expect(of("calm").precision.high).toBeLessThan(report.fraudRate);
  expect(of("calm").verdict).toMatchObject({ verdict: "PROMOTE", checks: [{ passed: true }, { passed: true }] });
  expect(of("trusting").precision.low).toBeGreaterThan(report.fraudRate);
  expect(of("trusting").verdict).toMatchObject({
    verdict: "REJECT",
    reasons: [expect.stringContaining("more than of all transactions")],
  });
  expect(of("seldom").verdict).toMatchObject({
    verdict: "HOLD",
    reasons: [expect.stringMatching(/^\d+ matured hits/)],
  });
  expect(of("nowhere").verdict).toMatchObject({ verdict: "HOLD", reasons: ["it never fired on this past"] });
});

test("a list filled from confirmed frauds finds none of the frauds that filled it", async () => {
  const confirmed = ROWS.filter(({ fraud }) => fraud);
  const delay = 7 * DAY_MS;
  const store = await place.ports.rules!();
  const head = await store.head();
  const entry = { at: 0, actor: "ana", reason: "", verb: "list add", verdict: "", evidence: "", changes: [] };
  const changes = confirmed.map(({ customer, time }) => {
    return { value: customer, from: time + delay, to: null, at: 0, actor: "ana", reason: "confirmed" };
  });
  const { live, candidate } = head;
  await store.commit({ expected: head.revision, sets: [], live, candidate, lists: { fraudsters: changes }, entry });
  const when = "customer_id IN (SELECT value FROM fraudsters)";
  const drafts = [rule("listed", when, { stage: "draft", action: "block" })];
  const { rules } = await backtestRules(place.ports, { ...input(), drafts });
  const listed = rules.find(({ id }) => id === "listed")!;
  // What is caught came after the customer's first entry began, never before.
  const first = new Map<string, number>();
  for (const { customer, time } of confirmed) if (!first.has(customer)) first.set(customer, time + delay);
  const expected = ROWS.filter(({ customer, time }) => time >= (first.get(customer) ?? Number.POSITIVE_INFINITY));
  expect(listed.fires).toBe(expected.length);
  expect(listed.frauds).toBe(expected.filter(({ fraud, time }) => fraud && time <= maturedTo).length);
  const before = await backtestRules(place.ports, { ...input(), drafts, to: Math.min(...first.values()) - 1 });
  expect(before.rules.find(({ id }) => id === "listed")).toMatchObject({ fires: 0, frauds: 0, recall: { value: 0 } });
  // The same list without times would know everything.
  const naive = ROWS.filter(({ customer }) => first.has(customer)).length;
  expect(listed.fires).toBeLessThan(naive / 2);
});

test("only later rows are judged, and the earlier ones fill the windows", async () => {
  const from = START + 20 * DAY_MS;
  const { rules } = await backtestRules(place.ports, { ...input(), from });
  const burst = rules.find(({ id }) => id === "burst")!;
  expect(burst.unready).toBe(0);
  const whole = await backtestRules(place.ports, input());
  expect(burst.fires).toBeLessThan(whole.rules.find(({ id }) => id === "burst")!.fires);
  expect(burst.fires).toBeGreaterThan(0);
});

test("conflicts: what is proven, and what is measured", async () => {
  await addRule(place.ports, { ...by, rule: rule("larger", "amount > 395") });
  const report = await conflictsOf(place.ports, { ...input(), past: { path: place.pipeline.source } });
  expect(report.findings).toContainEqual(expect.objectContaining({ kind: "within", rule: "larger", other: "large" }));
  const pair = report.measured!.pairs.find((one) => one.rule === "large" && one.other === "larger")!;
  expect(pair).toMatchObject({ shareOfOther: 1, both: ROWS.filter(({ amount }) => amount > 395).length });
});
