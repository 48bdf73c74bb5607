// Random specs and streams for the property tests: ties, duplicates, late events, labels, strange names.
import fc from "fast-check";
import { DAY_MS, HOUR_MS } from "../../src/core/duration.ts";
import type { FieldValue, Transaction } from "../../src/core/transaction.ts";
import { emptyFields } from "../../src/core/transaction.ts";
import type { DerivedValue } from "../../src/core/window.ts";
import type { FeatureDef, FeatureSpec } from "../../src/features/definition.ts";
import { EVENT_WORDS } from "../../src/features/definition.ts";
import type { FeatureArrival } from "../../src/features/encode.ts";
import { checkSpec } from "../../src/features/spec.ts";

export const START = Date.UTC(2024, 1, 28);
export const LATENESS_MS = 2 * HOUR_MS;
const CUSTOMERS = ["a", "b", "1", "__proto__", "constructor", null];
const TERMINALS = [1, 2, null];
const COLUMNS = ["amount", "__proto__"] as const;

/** A column's name that would reach an object's prototype where a record has one. */
export const PROTO = "__proto__";

export function transaction(id: string, time: number, fields: Readonly<Record<string, FieldValue>>): Transaction {
  return { id, time, fields: Object.assign(emptyFields(), fields) };
}

/** Over columns: numbers, a text, a key that is a number in tables, names from the prototype. */
const EXPRESSIONS = [
  { sql: "amount / 3 - 1", columns: { amount: "number" } },
  {
    sql: `coalesce("${PROTO}", amount, -1)`,
    columns: Object.fromEntries([
      ["amount", "number"],
      [PROTO, "number"],
    ]),
  },
  { sql: "customer IN ('a', 'constructor') AND amount > 10", columns: { amount: "number", customer: "text" } },
  {
    sql: "datediff(event_time, to_timestamp('2024-01-31')) + sin(hour(event_time) / 12) + coalesce(amount, 0)",
    columns: { amount: "number", event_time: "time" },
  },
  {
    sql: "CASE terminal WHEN '1' THEN length(customer) WHEN '2' THEN 0.1 END",
    columns: { terminal: "text", customer: "text" },
  },
] as const;

/** What windows are over: of text and time too, with values that are missing, truths, and one that is not finite. */
const DERIVED: readonly DerivedValue[] = [
  {
    sql: "CASE WHEN hour(event_time) < 6 THEN amount END",
    columns: { amount: "number", event_time: "time" },
    keeps: "value",
  },
  { sql: "customer = 'a' OR amount > 100", columns: { amount: "number", customer: "text" }, keeps: "value" },
  { sql: "amount * amount - terminal", columns: { amount: "number", terminal: "number" }, keeps: "value" },
  {
    sql: `coalesce("${PROTO}", length(customer))`,
    columns: Object.fromEntries([
      [PROTO, "number"],
      ["customer", "text"],
    ]),
    keeps: "value",
  },
];

const duration = fc.constantFrom("1h", "2h", "5h", "13h", "1d", "3d");
const delay = fc.option(fc.constantFrom("0s", "1h", "6h", "1d"), { nil: undefined });
const key = fc.constantFrom(["customer"], ["terminal"], ["customer", "terminal"]);

function defArbitrary(name: string, earlier: readonly string[]): fc.Arbitrary<FeatureDef> {
  const window = fc.record({ key, window: duration, delay, empty: fc.option(fc.integer(), { nil: undefined }) });
  const kinds: fc.Arbitrary<unknown>[] = [
    fc.constantFrom(...COLUMNS).map((column) => ({ kind: "column", column })),
    fc.constantFrom("hour", "dayOfWeek", "weekend", "night").map((part) => ({ kind: "time", part })),
    fc.tuple(window, fc.constantFrom(...EVENT_WORDS)).map(([w, over]) => ({ kind: "window", ...w, over })),
    fc
      .tuple(window, fc.constantFrom(...COLUMNS), fc.constantFrom("count", "sum", "mean", "std", "min", "max"))
      .map(([w, over, aggregate]) => ({ kind: "window", ...w, over, aggregate })),
    fc
      .tuple(window, fc.constantFrom(...DERIVED), fc.constantFrom("count", "sum", "mean", "std", "min", "max"))
      .map(([w, derived, aggregate]) => ({ kind: "window", ...w, over: "made", derived, aggregate })),
    fc.tuple(window, fc.constantFrom("customer", "terminal"), fc.boolean()).map(([w, over, current]) => ({
      kind: "window",
      ...w,
      over,
      aggregate: "distinct",
      ...(current ? {} : { current }),
    })),
    fc.tuple(key, duration, fc.constantFrom(...EVENT_WORDS.slice(0, 2))).map(([k, w, over]) => ({
      kind: "window",
      key: k,
      window: w,
      over,
      current: false,
    })),
    fc.record({
      kind: fc.constant("elapsed"),
      key,
      since: fc.constantFrom("last-transaction", "first-transaction", "last-fraud", "first-fraud"),
      within: duration,
      unit: fc.constantFrom("seconds", "days"),
    }),
    fc.record({ kind: fc.constant("since-fraud"), key, within: duration, delay }),
    fc
      .tuple(key, fc.constantFrom(...COLUMNS), fc.constantFrom("1h", "5h"), fc.boolean())
      .map(([k, over, w, current]) => ({
        kind: "multiple",
        key: k,
        over,
        times: 1.5,
        window: w,
        usual: "13h",
        current,
      })),
  ];
  kinds.push(
    fc
      .record({
        key,
        over: fc.constantFrom(...COLUMNS),
        percent: fc.constantFrom(0, 10, 50, 95, 100),
        window: duration,
        delay,
        current: fc.constantFrom(undefined, false),
        empty: fc.constantFrom(undefined, -1),
      })
      .map((one) => ({ kind: "percentile", ...one })),
    fc.record({
      kind: fc.constant("first-seen"),
      key,
      column: fc.constantFrom("customer", "terminal"),
      within: duration,
    }),
    fc.record({
      kind: fc.constant("new-values"),
      key,
      column: fc.constantFrom("customer", "terminal"),
      window: fc.constantFrom("1h", "5h"),
      within: fc.constantFrom("13h", "3d"),
      current: fc.constantFrom(undefined, false),
    }),
    fc
      .record({
        turned: fc.boolean(),
        measure: fc.constantFrom("count", "frauds", "share"),
        window: duration,
        delay,
        empty: fc.constantFrom(undefined, -1),
      })
      .map(({ turned, measure, empty, ...rest }) => ({
        kind: "neighbours",
        key: [turned ? "customer" : "terminal"],
        column: turned ? "terminal" : "customer",
        measure,
        ...rest,
        empty: measure === "share" ? empty : undefined,
      })),
    fc
      .record({
        turned: fc.boolean(),
        aggregate: fc.constantFrom("mean", "sum", "max"),
        within: duration,
        window: duration,
        delay,
        empty: fc.constantFrom(undefined, -1),
      })
      .map(({ turned, aggregate, empty, ...rest }) => ({
        kind: "two-hops",
        key: [turned ? "customer" : "terminal"],
        through: [turned ? "terminal" : "customer"],
        aggregate,
        ...rest,
        empty: aggregate === "sum" ? undefined : empty,
      })),
    fc.record({
      kind: fc.constant("fraud-value"),
      key,
      over: fc.constantFrom(...COLUMNS),
      aggregate: fc.constantFrom("min", "max"),
      within: duration,
    }),
    fc.record({
      kind: fc.constant("fraud-run"),
      key,
      measure: fc.constantFrom("count", "seconds", "days"),
      within: fc.constantFrom("13h", "3d"),
      delay: fc.constantFrom(undefined, "1h", "6h"),
    }),
    // Amounts are no degrees, mostly: what is out of range is no place.
    fc.record({
      kind: fc.constant("movement"),
      key,
      measure: fc.constantFrom("distance", "speed"),
      latitude: fc.constant(PROTO),
      longitude: fc.constant("amount"),
      within: duration,
    }),
    // The customer that is called as the terminal, and the other way round.
    fc.tuple(fc.boolean(), duration, fc.constantFrom(...EVENT_WORDS)).map(([turned, w, over]) => ({
      kind: "window",
      ...rolesTurned(turned),
      window: w,
      over,
    })),
    fc.tuple(fc.boolean(), duration, fc.constantFrom("sum", "max")).map(([turned, w, aggregate]) => ({
      kind: "window",
      ...rolesTurned(turned),
      window: w,
      over: "amount",
      aggregate,
    })),
    fc
      .tuple(fc.boolean(), duration, fc.constantFrom("last-transaction", "first-fraud"))
      .map(([turned, within, since]) => ({
        kind: "elapsed",
        ...rolesTurned(turned),
        since,
        within,
        unit: "seconds",
      })),
  );
  const values = fc.constantFrom(["text"], ["7", "a", "2"], ["constructor", "1", "__proto__", "b", "-0", "0"]);
  kinds.push(fc.record({ kind: fc.constant("category"), column: fc.constantFrom("customer", "terminal"), values }));
  kinds.push(fc.constantFrom(...EXPRESSIONS).map((expression) => ({ kind: "expression", ...expression })));
  if (earlier.length > 0) {
    const reference = fc.constantFrom(...earlier);
    kinds.push(
      fc.record({ kind: fc.constant("ratio"), numerator: reference, denominator: reference }),
      fc.record({ kind: fc.constant("difference"), of: reference, minus: reference }),
      // An earlier feature beside columns, which may have its name.
      fc.tuple(reference, reference, fc.constantFrom(...EXPRESSIONS)).map(([a, b, { sql, columns }]) => ({
        kind: "expression",
        sql: `CASE WHEN ${a} > ${b} OR ${a} IS NULL THEN (${sql}) IS NOT NULL ELSE ${b} % 3 > 1 END`,
        columns,
      })),
    );
  }
  return fc.oneof(...kinds).map((def) => dropUndefined({ name, ...(def as object) }) as unknown as FeatureDef);
}

export const specArbitrary: fc.Arbitrary<FeatureSpec> = fc.integer({ min: 1, max: 12 }).chain((count) => {
  const names = Array.from({ length: count }, (_, i) => `f${i}`);
  const defs = names.map((name, i) => defArbitrary(name, names.slice(0, i)));
  return fc.tuple(...defs).map((features) => checkSpec({ name: "random", version: 1, features }));
});

/** Without features that look for a key in other columns, or through another key: those are refused. */
export const ownKeysArbitrary: fc.Arbitrary<FeatureSpec> = specArbitrary.filter(({ features }) =>
  features.every((one) => one.kind !== "two-hops" && !("history" in one && one.history)),
);

export const labelArbitrary: fc.Arbitrary<{ readonly fraud: number; readonly after: number }> = fc.record({
  fraud: fc.constantFrom(0, 1, Number.NaN),
  // At once, within the hour, among other labels, and long after every window of the key has forgotten the row.
  after: fc.constantFrom(0, 1, HOUR_MS, 6 * HOUR_MS, DAY_MS, 40 * DAY_MS),
});

interface Draw {
  readonly step: number;
  readonly late: number;
  readonly customer: string | null;
  readonly terminal: number | null;
  readonly amount: FieldValue;
  readonly other: FieldValue;
  readonly kind: "new" | "retry" | "label";
  readonly back: number;
  readonly fraud: boolean;
  readonly wait: number;
}

const QUARTER_MS = HOUR_MS / 4;
const amount = fc.oneof(
  fc.integer({ min: -300, max: 30000 }).map((cents) => cents / 100),
  fc.constantFrom(null, "text", 1e300, -0),
);

const drawArbitrary: fc.Arbitrary<Draw> = fc.record({
  // Steps of 0 make ties.
  step: fc.constantFrom(0, 0, 1, 1, 2, 7, 30),
  late: fc.constantFrom(0, 0, 0, 0, 3, 8, 9, 40),
  customer: fc.constantFrom(...CUSTOMERS),
  terminal: fc.constantFrom(...TERMINALS),
  amount,
  other: amount,
  kind: fc.constantFrom("new", "new", "new", "retry", "label", "label"),
  back: fc.nat(12),
  fraud: fc.boolean(),
  wait: fc.constantFrom(-5, 0, 1, 4, 30),
});

/** Arrivals in order: transactions (some late, some retried) and labels (some repeated, corrected, early or far ahead). */
export const streamArbitrary: fc.Arbitrary<readonly FeatureArrival[]> = fc
  .array(drawArbitrary, { minLength: 1, maxLength: 80, size: "max" })
  .map((draws) => {
    const events: FeatureArrival[] = [];
    const sent: Transaction[] = [];
    let clock = START;
    draws.forEach((draw, i) => {
      clock += draw.step * QUARTER_MS;
      const earlier = sent.at(-1 - (draw.back % Math.max(1, sent.length)));
      if (draw.kind === "new" || earlier === undefined) {
        const { customer, terminal } = draw;
        const time = clock - draw.late * QUARTER_MS;
        const made = transaction(`t${i}`, time, { customer, terminal, amount: draw.amount, [PROTO]: draw.other });
        sent.push(made);
        events.push({ kind: "transaction", transaction: made });
      } else if (draw.kind === "retry") events.push({ kind: "transaction", transaction: earlier });
      else {
        const knownAt = clock + draw.wait * QUARTER_MS;
        events.push({ kind: "label", transaction: earlier, fraud: draw.fraud, knownAt });
      }
    });
    return events;
  });

/** The same streams with arrivals: one transaction in three is dated hours ahead of the clock, as by a client that sends local time as UTC. */
export const arrivalsArbitrary: fc.Arbitrary<readonly FeatureArrival[]> = fc
  .tuple(streamArbitrary, fc.array(fc.integer({ min: 0, max: 23 }), { minLength: 7, maxLength: 7 }))
  .map(([events, hours]) => {
    const ids: string[] = [];
    return events.map((event): FeatureArrival => {
      const { transaction: sent } = event;
      if (!ids.includes(sent.id)) ids.push(sent.id);
      const place = ids.indexOf(sent.id);
      const ahead = place % 3 === 1 ? hours[place % hours.length] * HOUR_MS : 0;
      const dated = { ...sent, time: sent.time + ahead };
      if (event.kind === "label") return { ...event, transaction: dated };
      return { ...event, transaction: dated, receivedAt: sent.time };
    });
  });

function rolesTurned(turned: boolean): { readonly key: string[]; readonly history: string[] } {
  return turned ? { key: ["customer"], history: ["terminal"] } : { key: ["terminal"], history: ["customer"] };
}

function dropUndefined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined));
}
