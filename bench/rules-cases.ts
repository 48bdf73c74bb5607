// Rules for the benches: the same conditions as SQL for Sentinel and DuckDB, and as JSON for json-rules-engine.
import type { RuleProperties } from "json-rules-engine";
import { Random } from "../src/core/random.ts";
import type { Rule } from "../src/core/rule.ts";

/** One part of a condition, in every spelling. */
interface Part {
  readonly sql: string;
  readonly json: { readonly fact: string; readonly operator: string; readonly value: unknown };
}

export const COUNTRIES = ["FR", "DE", "IT", "ES", "US", "GB", "NG", "RU", "CN", "BR", "XX", "YY"] as const;
export const CURRENCIES = ["EUR", "USD", "BTC", "XMR", "GBP"] as const;
export const CHANNELS = ["online", "shop", "phone"] as const;

/** Columns of the benches' transactions; three of them are texts. */
export interface Event {
  readonly amount: number;
  readonly balance: number;
  readonly age_days: number;
  readonly items: number;
  readonly country: string;
  readonly currency: string;
  readonly channel: string;
}

export function makeEvent(random: Random): Event {
  return {
    amount: Math.round(random.uniform(0, 2000) * 100) / 100,
    balance: Math.round(random.uniform(-500, 20_000)),
    age_days: random.integer(4000),
    items: random.integer(20),
    country: COUNTRIES[random.integer(COUNTRIES.length)],
    currency: CURRENCIES[random.integer(CURRENCIES.length)],
    channel: CHANNELS[random.integer(CHANNELS.length)],
  };
}

const OPERATORS = {
  "<": "lessThan",
  ">": "greaterThan",
  "<=": "lessThanInclusive",
  ">=": "greaterThanInclusive",
} as const;
const RANGES = { amount: [0, 2000], balance: [-500, 20_000], age_days: [0, 4000], items: [0, 20] } as const;
const WORDS = { country: COUNTRIES, currency: CURRENCIES, channel: CHANNELS } as const;

function numberPart(random: Random): Part {
  const names = Object.keys(RANGES) as (keyof typeof RANGES)[];
  const fact = names[random.integer(names.length)];
  const [low, high] = RANGES[fact];
  const signs = Object.keys(OPERATORS) as (keyof typeof OPERATORS)[];
  const sign = signs[random.integer(signs.length)];
  const value = Math.round(random.uniform(low, high));
  return { sql: `${fact} ${sign} ${value}`, json: { fact, operator: OPERATORS[sign], value } };
}

function wordPart(random: Random): Part {
  const names = Object.keys(WORDS) as (keyof typeof WORDS)[];
  const fact = names[random.integer(names.length)];
  const words = WORDS[fact];
  if (random.next() < 0.5) {
    const value = words[random.integer(words.length)];
    return { sql: `${fact} = '${value}'`, json: { fact, operator: "equal", value } };
  }
  const value = [...new Set([0, 1, 2].map(() => words[random.integer(words.length)]))];
  return {
    sql: `${fact} IN (${value.map((word) => `'${word}'`).join(", ")})`,
    json: { fact, operator: "in", value },
  };
}

/** Rules of two to four parts; every fourth is an OR of two ANDs. */
export function makeRules(
  count: number,
  seed: number,
): { readonly rules: readonly Rule[]; readonly peer: readonly RuleProperties[] } {
  const random = new Random(seed);
  const rules: Rule[] = [];
  const peer: RuleProperties[] = [];
  const all = (parts: number): readonly Part[] =>
    Array.from({ length: parts }, (_, i) => (i % 2 === 0 ? numberPart(random) : wordPart(random)));
  const sqlOf = (parts: readonly Part[]): string => parts.map(({ sql }) => sql).join(" AND ");
  for (let i = 0; i < count; i++) {
    const id = `r${i}`;
    const first = all(2 + random.integer(3));
    const second = i % 4 === 3 ? all(2) : null;
    const when = second === null ? sqlOf(first) : `(${sqlOf(first)}) OR (${sqlOf(second)})`;
    const jsonOf = (parts: readonly Part[]) => ({ all: parts.map(({ json }) => json) });
    rules.push({ id, when, action: "tag", severity: "info", description: "", stage: "live", share: 1, owner: "" });
    const conditions = second === null ? jsonOf(first) : { any: [jsonOf(first), jsonOf(second)] };
    peer.push({ conditions, event: { type: id } } as RuleProperties);
  }
  return { rules, peer };
}

/** The columns as a JSON Schema. */
export const SCHEMA = {
  type: "object",
  properties: {
    id: { type: "string" },
    time: { type: "string" },
    user_id: { type: "string" },
    ...Object.fromEntries(Object.keys(RANGES).map((name) => [name, { type: "number" }])),
    ...Object.fromEntries(Object.keys(WORDS).map((name) => [name, { type: "string" }])),
  },
};

/** A pipeline of these columns, without a model. */
export const PIPELINE = `
name: bench
model: none
source: data/none.parquet
features: none
schema: bench.schema.json
suite: none
columns: { id: id, time: time, card: user_id, label: label }
serve: { poll: 50ms }
`;
