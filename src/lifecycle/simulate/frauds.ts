// The Handbook's three fraud scenarios (chapter 3, fraud scenarios), decided day by day.
import type { Random } from "../../core/random.ts";
import type { DayRows } from "./rows.ts";
import { cents } from "./spending.ts";

/** Scenario 1: so large an amount is always fraud. */
const AMOUNT_LIMIT = 220;
/** Scenario 2: days a compromised terminal turns all that it sees into fraud. */
export const TERMINAL_DAYS = 28;
/** Scenario 3: days a compromised card is misused, the share of its transactions that are, and how much dearer. */
export const CUSTOMER_DAYS = 14;
const MISUSED_SHARE = 1 / 3;
const MISUSED_FACTOR = 5;

/** The rules in numbers, for a judge who knows them. */
export const FRAUD_RULES = {
  amountLimit: AMOUNT_LIMIT,
  terminalDays: TERMINAL_DAYS,
  customerDays: CUSTOMER_DAYS,
  misusedShare: MISUSED_SHARE,
  misusedFactor: MISUSED_FACTOR,
} as const;

/** Who is compromised on a day. */
export interface Compromised {
  readonly terminals: ReadonlySet<number>;
  readonly customers: ReadonlySet<number>;
}

export interface CompromiseInput {
  /** New compromises per day; a fraction means one every so many days. */
  readonly perDay: number;
  /** Of how many terminals or customers. */
  readonly count: number;
  /** How long one lasts. */
  readonly days: number;
  /** The stream of the day a compromise starts on. */
  readonly randomOf: (day: number) => Random;
  /** Share of the new compromises that still happen on a day, 0 to 1 (drift takes some away). */
  readonly shareOf: (day: number) => number;
}

/** Those whose compromise started in the last `days` days, this one included; depends on no other state. */
export function compromisedOn(day: number, input: CompromiseInput): ReadonlySet<number> {
  const active = new Set<number>();
  for (let start = Math.max(0, day - input.days + 1); start <= day; start++) {
    for (const one of startingOn(start, input)) active.add(one);
  }
  return active;
}

/** Different ones, as many as are due: the first on the first day, then evenly. */
export function startingOn(day: number, { perDay, count, randomOf, shareOf }: CompromiseInput): ReadonlySet<number> {
  // A hair less than a whole number is a whole number that floating point missed.
  const dueBy = (days: number): number => Math.ceil(perDay * days - 1e-9);
  const due = Math.min(dueBy(day + 1) - dueBy(day), count);
  const random = randomOf(day);
  const drawn = new Set<number>();
  while (drawn.size < due) drawn.add(random.integer(count));
  const share = shareOf(day);
  return share === 1 ? drawn : new Set([...drawn].filter(() => random.next() < share));
}

/**
 * Marks the day's frauds; where scenarios meet, the higher number names the row, as in the Handbook. Scenario 3 flips a
 * coin for each row where the Handbook draws exactly a third of 14 days' rows: the days stay independent of each other.
 * A card compromised twice at once is misused once.
 */
export function markFrauds(rows: DayRows, random: Random, { terminals, customers }: Compromised): void {
  for (let row = 0; row < rows.count; row++) {
    if (rows.amount[row] > AMOUNT_LIMIT) rows.scenario[row] = 1;
    if (terminals.has(rows.terminal[row])) rows.scenario[row] = 2;
    if (customers.has(rows.customer[row]) && random.next() < MISUSED_SHARE) {
      rows.scenario[row] = 3;
      rows.amount[row] = cents(MISUSED_FACTOR * rows.amount[row]);
    }
  }
}
