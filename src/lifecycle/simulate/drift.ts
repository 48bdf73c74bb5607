// Drift scenarios: ways in which the simulated world, or its data, changes from a day on.
import { SentinelError } from "../../core/errors.ts";
import type { Random } from "../../core/random.ts";
import { DAY_SECONDS, type DayRows } from "./rows.ts";
import { cents } from "./spending.ts";

/**
 * `amount-inflation` all amounts times 1.5; what is fraud stays as it was. `fraud-pattern` compromises no longer start;
 * instead cards are tested at night with small amounts on a few terminals (fraud scenario 4). `night-shift` 60 % of the
 * transactions move by twelve hours. `broken-field` 20 % come without customer_id, 10 % with the amount in cents.
 */
export const DRIFT_NAMES = ["amount-inflation", "fraud-pattern", "night-shift", "broken-field"] as const;
export type DriftName = (typeof DRIFT_NAMES)[number];

export interface DriftScenario {
  readonly name: DriftName;
  /** First day of the change; day 0 is the first simulated one. */
  readonly day: number;
  /** Days until the change has its full strength, growing evenly; 1 is at once. */
  readonly ramp: number;
}

const INFLATION_FACTOR = 1.5;
const NIGHT_SHARE = 0.6;
const CUSTOMER_MISSING_SHARE = 0.2;
const AMOUNT_IN_CENTS_SHARE = 0.1;
/** Scenario 4: cards tested on one terminal in one night; with as many terminals per day as would have been compromised. */
const CARD_TESTS = 40;
const CARD_TEST_HOURS = 5;
const CARD_TEST_AMOUNT_MIN = 0.5;
const CARD_TEST_AMOUNT_MAX = 5;
const CARD_TEST_SCENARIO = 4;

/** Parses `NAME@DAY` or `NAME@DAY/RAMP`; raises cli.usage. */
export function parseDrift(text: string): DriftScenario {
  const found = /^([a-z-]+)@(\d{1,9})(?:\/(\d{1,9}))?$/.exec(text);
  const name = DRIFT_NAMES.find((known) => known === found?.[1]);
  if (found === null || name === undefined) {
    throw new SentinelError("cli.usage", `--drift: ${text} is no drift scenario`, {
      hint: `give NAME@DAY, or NAME@DAY/RAMP to let it grow over RAMP days; NAME is one of ${DRIFT_NAMES.join(", ")}`,
    });
  }
  return { name, day: Number(found[2]), ramp: Number(found[3] ?? 1) };
}

/** How far a scenario has come on a day, 0 to 1; 0 when it is not asked for. */
export function strengthOn(day: number, name: DriftName, drift: readonly DriftScenario[]): number {
  const scenario = drift.find((one) => one.name === name);
  if (scenario === undefined || day < scenario.day) return 0;
  return Math.min((day - scenario.day + 1) / scenario.ramp, 1);
}

export function inflateAmounts(rows: DayRows, strength: number): void {
  const factor = 1 + (INFLATION_FACTOR - 1) * strength;
  for (let row = 0; row < rows.count; row++) rows.amount[row] = cents(factor * rows.amount[row]);
}

export function shiftToNight(rows: DayRows, random: Random, strength: number): void {
  for (let row = 0; row < rows.count; row++) {
    if (random.next() < NIGHT_SHARE * strength) {
      rows.seconds[row] = (rows.seconds[row] + DAY_SECONDS / 2) % DAY_SECONDS;
    }
  }
}

/** Stolen cards of any customer, wherever they live, on each of the terminals. */
export function addCardTests(
  rows: DayRows,
  random: Random,
  { terminals, customers }: { readonly terminals: Iterable<number>; readonly customers: number },
): void {
  for (const terminal of terminals) {
    for (let i = 0; i < CARD_TESTS; i++) {
      const seconds = random.integer(3600 * CARD_TEST_HOURS);
      const amount = CARD_TEST_AMOUNT_MIN + (CARD_TEST_AMOUNT_MAX - CARD_TEST_AMOUNT_MIN) * random.next();
      const row = rows.add(seconds, random.integer(customers), terminal, cents(amount));
      rows.scenario[row] = CARD_TEST_SCENARIO;
    }
  }
}

export function breakFields(rows: DayRows, random: Random, strength: number): void {
  for (let row = 0; row < rows.count; row++) {
    const customer = random.next();
    const amount = random.next();
    if (customer < CUSTOMER_MISSING_SHARE * strength) rows.customer[row] = Number.NaN;
    if (amount < AMOUNT_IN_CENTS_SHARE * strength) rows.amount[row] = Math.round(100 * rows.amount[row]);
  }
}
