// Simulated transactions, a day at a time, by the procedure of the Fraud Detection Handbook.
import { Random } from "../../core/random.ts";
import type { Table } from "../../core/table.ts";
import { type Customers, makeCustomers } from "./customers.ts";
import { addCardTests, breakFields, type DriftName, inflateAmounts, shiftToNight, strengthOn } from "./drift.ts";
import { type CompromiseInput, CUSTOMER_DAYS, compromisedOn, markFrauds, startingOn, TERMINAL_DAYS } from "./frauds.ts";
import { type Settings, type SimulateOptions, settingsOf } from "./options.ts";
import { DAY_SECONDS, DayRows, tableOfDay } from "./rows.ts";
import { addSpending } from "./spending.ts";
import { placeTerminals, type TerminalMap } from "./terminals.ts";

/** Transactions a customer makes on a day, on average: half the greatest rate, and room to spare. */
const ROWS_A_CUSTOMER = 2.2;

/** Streams apart from each other, so that more draws in one leave the others as they were. */
const STREAMS = ["spending", "terminals", "customers", "misuse", "night", "tests", "broken"] as const;
type Stream = (typeof STREAMS)[number];

interface World {
  readonly settings: Settings;
  readonly terminals: TerminalMap;
  readonly customers: Customers;
  readonly random: (stream: Stream, day: number) => Random;
}

/**
 * One table per day, rows in time order, columns `transaction_id` (from 0), `tx_datetime`, `customer_id`, `terminal_id`,
 * `tx_amount`, `tx_fraud`, `tx_fraud_scenario`. The same options give the same rows; only one day is in memory. Before
 * the first day of a drift scenario the rows are those without it.
 *
 * Source: Le Borgne, Siblini, Lebichot, Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection —
 * Practical Handbook" (2022), chapter 3, "Transaction data simulator". Errors: cli.usage.
 */
export function simulateDays(options: SimulateOptions = {}): Generator<Table, void, undefined> {
  const settings = settingsOf(options);
  return dayByDay(settings);
}

/** What a simulation with these options does not show: each customer's mean amount, and the chances of a compromise per day and entity. Errors: cli.usage. */
export function hiddenTruth(options: SimulateOptions = {}): {
  readonly meanAmounts: Float64Array;
  readonly terminalRate: number;
  readonly customerRate: number;
} {
  const settings = settingsOf(options);
  const { customers } = makeWorld(settings);
  return {
    meanAmounts: customers.amount,
    terminalRate: settings.compromisedTerminals / settings.terminals,
    customerRate: settings.compromisedCustomers / settings.customers,
  };
}

function* dayByDay(settings: Settings): Generator<Table, void, undefined> {
  const world = makeWorld(settings);
  let firstId = 0;
  for (let day = 0; day < settings.days; day++) {
    const midnight = settings.startMs + 1000 * DAY_SECONDS * day;
    const table = tableOfDay(rowsOfDay(world, day), { firstId, midnight });
    firstId += table.rows;
    yield table;
  }
}

function makeWorld(settings: Settings): World {
  const root = new Random(settings.seed);
  const terminals = placeTerminals(root.fork(0), settings.terminals);
  const customers = makeCustomers(root.fork(1), settings.customers, terminals);
  const seeds = new Map(STREAMS.map((stream) => [stream, root.bits()]));
  // A fork of a fresh stream depends on the day's number alone, not on the days made before.
  const random = (stream: Stream, day: number): Random => new Random(seeds.get(stream) ?? 0).fork(day);
  return { settings, terminals, customers, random };
}

function rowsOfDay(world: World, day: number): DayRows {
  const { settings, random } = world;
  const rows = new DayRows(Math.ceil(ROWS_A_CUSTOMER * settings.customers));
  const strength = (name: DriftName, on = day): number => strengthOn(on, name, settings.drift);
  const shareOf = (on: number): number => 1 - strength("fraud-pattern", on);
  const terminals: CompromiseInput = {
    perDay: settings.compromisedTerminals,
    count: settings.terminals,
    days: TERMINAL_DAYS,
    randomOf: (on) => random("terminals", on),
    shareOf,
  };
  const customers: CompromiseInput = {
    perDay: settings.compromisedCustomers,
    count: settings.customers,
    days: CUSTOMER_DAYS,
    randomOf: (on) => random("customers", on),
    shareOf,
  };
  addSpending(rows, random("spending", day), world.customers, world.terminals);
  const compromised = { terminals: compromisedOn(day, terminals), customers: compromisedOn(day, customers) };
  markFrauds(rows, random("misuse", day), compromised);
  applyDrift(rows, world, { day, strength, testable: terminals });
  return rows;
}

/** The order matters: tests happen at night even when the others' nights move, and fields break last. */
function applyDrift(
  rows: DayRows,
  { settings, random }: World,
  input: { readonly day: number; readonly strength: (name: DriftName) => number; readonly testable: CompromiseInput },
): void {
  const { day, strength } = input;
  const night = strength("night-shift");
  if (night > 0) shiftToNight(rows, random("night", day), night);
  const pattern = strength("fraud-pattern");
  if (pattern > 0) {
    const tests = random("tests", day);
    const terminals = startingOn(day, { ...input.testable, randomOf: () => tests, shareOf: () => pattern });
    addCardTests(rows, tests, { terminals, customers: settings.customers });
  }
  const inflation = strength("amount-inflation");
  if (inflation > 0) inflateAmounts(rows, inflation);
  const broken = strength("broken-field");
  if (broken > 0) breakFields(rows, random("broken", day), broken);
}
