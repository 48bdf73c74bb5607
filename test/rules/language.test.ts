// The language of rules: what people bring along works or is refused with its place and what to write instead; hostile texts stay bounded.
import { expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { RULES_FORMAT, type Rule } from "../../src/core/rule.ts";
import { emptyFields, type FieldValue } from "../../src/core/transaction.ts";
import type { ExpressionType } from "../../src/expression/check.ts";
import { findConflicts } from "../../src/rules/conflict.ts";
import { readCondition } from "../../src/rules/language.ts";
import { EMPTY_LIST, ListIndex } from "../../src/rules/lists.ts";
import { compileRules, FIRED, UNREADY } from "../../src/rules/program.ts";
import type { RuleScope } from "../../src/rules/scope.ts";
import { madeRule } from "./made.ts";

const COLUMNS: Readonly<Record<string, ExpressionType>> = {
  amount: "number",
  amount_usd: "number",
  currency: "text",
  country: "text",
  description: "text",
  customer_email: "text",
  shipping_address: "text",
  crypto_type: "text",
  membership_tier: "text",
  loyalty_points: "number",
  temperature: "number",
  vibration: "number",
  is_new_wallet: "boolean",
  user_id: "number",
  device_id: "text",
  lat: "number",
  lon: "number",
  timestamp: "time",
};
const scope: RuleScope = {
  columns: new Map(Object.entries(COLUMNS)),
  nameOf: (name) => Object.keys(COLUMNS).find((one) => one === name.toLowerCase()) ?? name,
  time: "timestamp",
  features: ["user mean", "age_days"],
  redacted: new Set(),
  hasModel: true,
  areas: {
    paris: [
      [48.8, 2.2],
      [48.95, 2.2],
      [48.95, 2.5],
      [48.8, 2.5],
    ],
  },
  lists: new Set(["whitelist_table", "mules"]),
};

const rule = (when: string, id = "r"): Rule => madeRule(id, when);

async function fires(
  when: string,
  fields: Readonly<Record<string, FieldValue>>,
  time = Date.UTC(2026, 0, 4, 13, 30),
): Promise<boolean | "unready"> {
  const lists = (name: string): ListIndex =>
    name === "mules" ? new ListIndex([{ value: "7", from: 0, to: null, at: 0, actor: "", reason: "" }]) : EMPTY_LIST;
  const set = { format: RULES_FORMAT, pipeline: "p", rules: [rule(when)], areas: scope.areas, lists: {} } as const;
  const program = await compileRules({ set, hash: "", scope, lists });
  if (program.faults.length > 0) throw program.faults[0].error;
  const hits = new Uint8Array(1);
  const transaction = { id: "x", time, fields: Object.assign(emptyFields(), fields) };
  const vector = Float32Array.of(10, 2);
  program.ask({ transaction, vector, score: Math.fround(0.9), anomalyScore: 0.1, windows: null, reachMs: 0 }, hits);
  return hits[0] === UNREADY ? "unready" : hits[0] === FIRED;
}

const ROW = {
  amount: 1500,
  amount_usd: 20_000,
  currency: "BTC",
  country: "XX",
  description: "a suspicious gift",
  customer_email: null,
  shipping_address: "1 rue",
  crypto_type: "XMR",
  membership_tier: "BRONZE",
  loyalty_points: 20_000,
  temperature: 151,
  vibration: 60,
  is_new_wallet: true,
  user_id: 7,
  lat: 48.85,
  lon: 2.35,
} as const;

test.each([
  "amount > 1000",
  "amount BETWEEN 1000 AND 1500",
  "amount IN (99.99, 1500)",
  "currency != 'EUR'",
  "description LIKE '%suspicious%'",
  "country IN ('XX', 'YY')",
  "amount > 500 AND currency = 'BTC'",
  "(amount > 10000) OR (currency NOT IN ('USD', 'EUR'))",
  "customer_email IS NULL",
  "shipping_address IS NOT NULL",
  "amount > 1000 AND (currency = 'BTC' OR country = 'XX')",
  "user_id NOT IN (SELECT user_id FROM whitelist_table)",
  "user_id IN (SELECT value FROM mules)",
  "is_new_wallet = true AND amount_usd > 10000",
  "temperature > 150 OR temperature < -20",
  "temperature > 120 AND vibration > 50",
  "loyalty_points > 10000 AND membership_tier = 'BRONZE'",
  "crypto_type IN ('XMR', 'ZEC') AND amount_usd > 5000",
  "AMOUNT > 1000 and lower(Currency) = 'btc'",
  "hour(timestamp) = 13 AND dayofweek(timestamp) = 1 AND date_part('month', timestamp) = 1",
  "timestamp >= TIMESTAMP '2026-01-04 13:30:00'",
  "description RLIKE '^a [a-z]+'",
  "score >= 0.9 AND `user mean` = 10 AND age_days < 3",
  "inside(lat, lon, 'paris') AND distance_km(lat, lon, 48.85, 2.35) < 0.001",
])("%s", async (when) => {
  expect(await fires(when, ROW)).toBe(true);
});

test.each([
  ["inside", 48.85, 2.35, true, false],
  ["outside of it, within the box of no other", 48.7, 2.35, false, true],
  ["beyond the meridian", 48.85, -179, false, true],
  ["without a latitude", null, 2.35, false, false],
  ["without a longitude", 48.85, null, false, false],
  ["at a latitude that is none", 95, 2.35, false, false],
  ["at a longitude that is none", 48.85, 190, false, false],
])("a place %s (%s, %s)", async (_, lat, lon, isInside, isOutside) => {
  expect(await fires("inside(lat, lon, 'paris')", { lat, lon })).toBe(isInside);
  expect(await fires("NOT inside(lat, lon, 'paris')", { lat, lon })).toBe(isOutside);
});

test("distances between places that are known, in a condition", async () => {
  const from = { lat: 48.8566, lon: 2.3522 };
  expect(await fires("distance_km(lat, lon, 51.5074, -0.1278) BETWEEN 343 AND 344", from)).toBe(true);
  expect(await fires("distance_km(lat, lon, 40.7128, -74.006) BETWEEN 5834 AND 5840", from)).toBe(true);
  expect(await fires("distance_km(lat, lon, 40.7128, -74.006) >= 0", { lat: 48.8566, lon: null })).toBe(false);
});

test("an area over the meridian that was stored before is a fault of the rules that ask it", async () => {
  const corners = [
    [-21, 176],
    [-12, 176],
    [-12, -178],
    [-21, -178],
  ] as const;
  const wide = { ...scope, areas: { fiji: corners } };
  expect(() => readCondition("inside(lat, lon, 'fiji')", wide)).toThrow(
    /area fiji: its edge from longitude -178 to 176/,
  );
});

test("anomaly_score is the model's, rounded as it is, and nothing where the model gave none", async () => {
  expect(await fires("anomaly_score < 0.2 AND ANOMALY_SCORE > 0.05", ROW)).toBe(true);
  expect(await fires("anomaly_score > 0.2", ROW)).toBe(false);
  // 0.1 as Float32 is more than 0.1; beside a score a constant is rounded alike.
  const set = { format: RULES_FORMAT, pipeline: "p", areas: {}, lists: {} } as const;
  const rules = [rule("anomaly_score = 0.1", "same"), rule("anomaly_score > 0.1", "more"), rule("score >= 0", "score")];
  const program = await compileRules({ set: { ...set, rules }, hash: "", scope, lists: () => EMPTY_LIST });
  const transaction = { id: "x", time: 0, fields: Object.assign(emptyFields(), ROW) };
  const ask = (anomalyScore: number, score: number): number[] => {
    const hits = new Uint8Array(rules.length);
    program.ask({ transaction, vector: Float32Array.of(1, 1), score, anomalyScore, windows: null, reachMs: 0 }, hits);
    return [...hits];
  };
  expect(ask(Math.fround(0.1), 0.5)).toEqual([FIRED, 0, FIRED]);
  expect(ask(Math.fround(0.3), 0.5)).toEqual([0, FIRED, FIRED]);
  expect(ask(Number.NaN, 0.5).slice(0, 2)).not.toContain(FIRED);
  const bare = { ...scope, hasModel: false };
  expect(() => readCondition("anomaly_score > 0.5", bare)).toThrow(/anomaly_score is a model's, and there is none/);
});

const INSTANTS = [
  "1969-12-31T23:59:59.999Z",
  "1970-01-01T00:00:00.000Z",
  "1900-03-01T00:00:00.000Z",
  "2000-02-29T12:00:00.000Z",
  "2024-02-29T23:59:59.999Z",
  "2024-12-31T23:59:59.000Z",
  "2025-01-01T00:00:00.000Z",
  // The hours in which clocks change in Europe and in America.
  "2026-03-29T01:00:00.000Z",
  "2026-11-01T06:30:00.000Z",
  "2026-01-03T23:59:59.999Z",
  "2026-01-04T00:00:00.000Z",
  "2026-07-06T05:04:03.002Z",
  "2100-03-01T00:00:00.000Z",
];

test.each(INSTANTS)("the parts of %s are those of its date in UTC, in whatever zone it is written", async (text) => {
  const time = Date.parse(text);
  const at = new Date(time);
  const dayOfYear = Math.round(
    (Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()) - Date.UTC(at.getUTCFullYear(), 0, 1)) /
      86_400_000,
  );
  const parts = {
    year: at.getUTCFullYear(),
    quarter: Math.ceil((at.getUTCMonth() + 1) / 3),
    month: at.getUTCMonth() + 1,
    day: at.getUTCDate(),
    dayofweek: at.getUTCDay() + 1,
    weekday: (at.getUTCDay() + 6) % 7,
    dayofyear: dayOfYear + 1,
    hour: at.getUTCHours(),
    minute: at.getUTCMinutes(),
    second: at.getUTCSeconds(),
  };
  const all = (of: string): string =>
    Object.entries(parts)
      .map(([part, value]) => `${part}(${of}) = ${value}`)
      .join(" AND ");
  const named = ["year", "month", "day", "hour", "minute", "second"] as const;
  const dated = named.map((part) => `date_part('${part}', timestamp) = ${parts[part]}`);
  const extracted = named.map((part) => `EXTRACT(${part.toUpperCase()} FROM timestamp) = ${parts[part]}`);
  expect(await fires([all("timestamp"), ...dated, ...extracted].join(" AND "), {}, time)).toBe(true);
  for (const [zone, minutes] of [
    ["+05:30", 330],
    ["-08:00", -480],
    ["+14:00", 840],
  ] as const) {
    const description = new Date(time + minutes * 60_000).toISOString().replace("Z", zone);
    const condition = `to_timestamp(description) = timestamp AND ${all("to_timestamp(description)")}`;
    expect(await fires(condition, { description }, time), description).toBe(true);
  }
});

test("what is not known does not fire", async () => {
  for (const when of [
    "country <> 'FR'",
    "country NOT IN ('FR')",
    "NOT country = 'FR'",
    "user_id NOT IN (SELECT value FROM mules)",
  ]) {
    expect(await fires(when, {}), when).toBe(false);
  }
  expect(await fires("country IS DISTINCT FROM 'FR'", {})).toBe(true);
  expect(await fires("count_last('5m', user_id) >= 1", ROW)).toBe("unready");
});

test.each([
  [
    "amount > (SELECT AVG(amount) * 3 FROM user_stats WHERE user_id = transactions.user_id)",
    /column 11: SELECT.*avg_last\(amount, '30d', user_id\) \* 3/,
  ],
  ["(SELECT COUNT(*) FROM t WHERE t.user_id = user_id) > 3", /count_last\('30d', user_id\)/],
  ["user_id IN (SELECT user_id FROM mules WHERE active)", /without WHERE or joins/],
  ["user_id IN (SELECT user_id FROM mulez)", /column 9: no list mulez.*did you mean mules/],
  ["amont > 3", /column 1: no column or feature amont.*did you mean amount/],
  ["amount > '3'", /mixes numbers with a text/],
  ["currency > 3 AND TRUE", /mixes texts with a number/],
  ["amount", /the rule is a number, no condition/],
  ["sum(amount) > 3", /no function sum.*sum_last\(amount, '1h', user_id\)/],
  ["count_last(user_id) > 3", /count_last: no duration.*count_last\('5m', user_id\)/],
  ["count_last('5x', user_id) > 3", /'5x' is no duration/],
  ["count_last('500d', user_id) > 3", /more than 400 days/],
  ["count_last('5m', usr_id) > 3", /no column usr_id to be a key.*did you mean user_id/],
  ["sum_last(score, '1h', user_id) > 3", /no column score.*the transaction's own columns/],
  ["sum_last(count_last('5m', user_id), '1h', user_id) > 3", /stands inside another window/],
  ["sequence(user_id, '5m', amount < 1)", /sequence: it has 3 arguments/],
  ["sequence(user_id, '5m', amount < 1, amount > 2, amount > 3, amount > 4)", /last part of sequence begins with NOT/],
  ["sequence(user_id, '5m', TRUE, TRUE, TRUE, TRUE, NOT amount > 4)", /sequence has 4 steps, and at most 3/],
  ["inside(lat, lon, 'pari')", /no area pari.*did you mean paris/],
  ["timestamp > '2026-01-01'", /mixes times with a text.*TIMESTAMP/],
  ["hour(amount) = 3", /hour takes times, this is a number/],
  ["description RLIKE '(a'", /pattern of RLIKE cannot be used/],
  ["constructor = 1", /no column or feature constructor/],
  ["__proto__ = 1", /no column or feature __proto__/],
  ["toString(amount) = 1", /no function toString/],
  ["amount > 1; DROP TABLE rules", /a semicolon is not allowed/],
  ["amount > 1 OR 1=1 --", /a comment is not allowed/],
  ["amount > 1 UNION SELECT 1", /UNION stands where/],
  ["amount > 1e400", /too large/],
  [`${"(".repeat(200)}amount > 1${")".repeat(200)}`, /nested too deeply/],
  ["a".repeat(10_001), /10001 characters/],
  [Array.from({ length: 600 }, (_, i) => `amount > ${i}`).join(" OR "), /more than 1000 parts/],
])("refused: %.60s", (when, said) => {
  try {
    readCondition(when, scope);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(SentinelError);
    const { code, message, hint } = error as SentinelError;
    expect(code).toBe("expression.invalid");
    expect(`${message} | ${hint}`).toMatch(said);
    expect(message).toMatch(/^line 1, column \d+: /);
  }
});

test("a pattern that would backtrack for ever is answered at once", async () => {
  const hostile = { description: `${"a".repeat(900)}!` };
  for (const when of [
    "description RLIKE '^(a+)+$'",
    "description RLIKE '^(a|a)*$'",
    "description RLIKE '(.*a){20}b'",
    "description LIKE '%a%a%a%a%a%a%a%b'",
  ]) {
    expect(await fires(when, hostile), when).toBe(false);
  }
});

test("numbers beyond what is exact are compared as they are, and never wrap", async () => {
  expect(await fires("amount > 9007199254740993", { amount: 9_007_199_254_740_992 })).toBe(false);
  expect(await fires("amount * 1e300 * 1e300 > 0", { amount: 5 })).toBe(false);
  expect(await fires("amount + 9223372036854775807 > 0", { amount: 1 })).toBe(true);
});

test("a rule that fails takes no other with it, and is counted", async () => {
  const failing = new ListIndex([]);
  failing.hasNumber = () => {
    throw new Error("broken");
  };
  const rules = [rule("amount > 1", "a"), rule("user_id IN (SELECT value FROM mules)", "b"), rule("amount > 2", "c")];
  const set = { format: RULES_FORMAT, pipeline: "p", rules, areas: {}, lists: {} } as const;
  const program = await compileRules({ set, hash: "", scope, lists: () => failing });
  const hits = new Uint8Array(3);
  const transaction = { id: "x", time: 0, fields: Object.assign(emptyFields(), ROW) };
  const given = { transaction, vector: null, score: 0, anomalyScore: 0, windows: null, reachMs: 0 };
  expect(program.ask(given, hits)).toBe(1);
  expect([...hits]).toEqual([FIRED, UNREADY, FIRED]);
});

test("ten thousand rules are compiled and asked", async () => {
  const rules = Array.from({ length: 10_000 }, (_, i) =>
    rule(`amount > ${i} AND currency IN ('BTC', 'C${i}')`, `r${i}`),
  );
  const set = { format: RULES_FORMAT, pipeline: "p", rules, areas: {}, lists: {} } as const;
  const program = await compileRules({ set, hash: "", scope, lists: () => EMPTY_LIST });
  const hits = new Uint8Array(rules.length);
  const transaction = { id: "x", time: 0, fields: Object.assign(emptyFields(), ROW) };
  program.ask({ transaction, vector: null, score: 0, anomalyScore: 0, windows: null, reachMs: 0 }, hits);
  expect(hits.reduce((sum, hit) => sum + hit, 0)).toBe(1500);
});

test("conflicts: never and always true, the same, within, against, and where nobody can tell without data", () => {
  const read = (id: string, when: string, action: Rule["action"] = "review") => ({
    rule: { id, action },
    condition: readCondition(when, scope),
  });
  const of = (...rules: ReturnType<typeof read>[]): string[] =>
    findConflicts(rules).map((one) => `${one.kind} ${one.rule}${"other" in one ? ` ${one.other}` : ""}`);
  expect(of(read("n", "amount > 5 AND amount < 3"))).toEqual(["never-true n"]);
  expect(of(read("n", "currency = 'EUR' AND currency IN ('USD', 'GBP')"))).toEqual(["never-true n"]);
  expect(of(read("t", "amount > 5 OR amount <= 5"))).toEqual(["always-true t"]);
  expect(of(read("t", "amount IS NULL OR amount IS NOT NULL"))).toEqual(["always-true t"]);
  expect(of(read("a", "amount > 5 AND country = 'FR'"), read("b", "country IN ('FR') AND 5 < amount"))).toEqual([
    "duplicate a b",
  ]);
  expect(of(read("a", "amount > 10"), read("b", "amount > 5 OR currency = 'BTC'"))).toEqual(["within a b"]);
  // b is not true where there is no country, so a is not within it.
  expect(of(read("a", "amount > 10"), read("b", "amount > 5 AND (country = 'FR' OR country <> 'FR')"))).toEqual([]);
  expect(of(read("a", "amount > 10", "approve"), read("b", "amount > 5", "block"))).toEqual(["against a b"]);
  expect(of(read("a", "amount > 10", "approve"), read("b", "amount < 5", "block"))).toEqual([]);
  expect(of(read("a", "description LIKE '%x%'", "approve"), read("b", "lower(description) = 'x'", "block"))).toEqual([
    "undecided a",
    "undecided-pair a b",
  ]);
});

test.each([
  ["country LIKE '50\\%'", "ESCAPE '\\'"],
  ["country NOT ILIKE 'a\\_b'", "ESCAPE '\\'"],
  ["count_last('5m', user_id, country LIKE 'a\\\\b') > 1", "ESCAPE '\\'"],
  ["country RLIKE '^\\\\d+$'", "one backslash"],
  ["regexp_like(country, 'a\\\\.b')", "one backslash"],
])("%s means something else in Spark: refused, with what to write", (when, hint) => {
  expect(() => readCondition(when, scope)).toThrow(
    expect.objectContaining({ code: "expression.invalid", hint: expect.stringContaining(hint) }),
  );
});

test("backslashes that mean the same everywhere are taken", () => {
  for (const when of [
    "country LIKE '50\\%' ESCAPE '\\'",
    "country LIKE 'C:\\x'",
    "country LIKE 'C:\\%' ESCAPE '!'",
    "country RLIKE '^\\d+\\.x$'",
    "country RLIKE '[\\\\]d'",
  ]) {
    expect(readCondition(when, scope).lists).toEqual([]);
  }
});

test("lists as of the event's time: on from `from`, off at `to`, gone when taken back", () => {
  const at = { at: 0, actor: "", reason: "" };
  const list = new ListIndex([
    { value: "a", from: 10, to: null, ...at },
    { value: "a", from: 10, to: 20, ...at },
    { value: "a", from: 30, to: null, ...at },
    { value: "b", from: 5, to: null, ...at },
    { value: "b", from: 5, to: 5, ...at },
    { value: "007", from: 0, to: null, ...at },
  ]);
  expect([9, 10, 19, 20, 29, 30].map((time) => list.hasText("a", time))).toEqual([
    false,
    true,
    true,
    false,
    false,
    true,
  ]);
  expect(list.hasText("b", 6)).toBe(false);
  expect([list.hasText("007", 1), list.hasNumber(7, 1)]).toEqual([true, false]);
});

test.each([
  "device_id = 'a'",
  "count_last('5m', device_id) > 3",
  "sum_last(amount, '5m', user_id, DEVICE_ID) > 3",
  "sum_last(CASE WHEN device_id = 'a' THEN 1 ELSE 0 END, '5m', user_id) > 3",
  "distinct_last(device_id, '1d', user_id) > 2",
  "sequence(user_id, '5m', device_id = 'a', amount > 3)",
  "sequence(user_id, '5m', device_id = 'a', amount > 3, amount > 9)",
  "device_id IN (SELECT value FROM mules)",
])("%s is refused where the log does not hold the device", async (when) => {
  const set = { format: RULES_FORMAT, pipeline: "p", rules: [rule(when)], areas: scope.areas, lists: {} } as const;
  const lists = (): ListIndex => EMPTY_LIST;
  const open = await compileRules({ set, hash: "", scope, lists });
  expect(open.faults).toEqual([]);
  const hidden = await compileRules({ set, hash: "", scope: { ...scope, redacted: new Set(["device_id"]) }, lists });
  expect(hidden.faults[0].error.message).toContain("log.redact hides device_id");
});
