// One day's spending of all customers (Handbook, chapter 3, generation of transactions).
import type { Random } from "../../core/random.ts";
import type { Customers } from "./customers.ts";
import { DAY_SECONDS, type DayRows } from "./rows.ts";
import { drawInReach, type TerminalMap } from "./terminals.ts";

const NOON_SECONDS = 43_200;
const TIME_DEVIATION_SECONDS = 20_000;

/** A time drawn outside the day drops the transaction, so that about 3 % are lost, as in the Handbook. */
export function addSpending(rows: DayRows, random: Random, customers: Customers, terminals: TerminalMap): void {
  for (let customer = 0; customer < customers.count; customer++) {
    if (customers.rate[customer] === 0) continue;
    const count = random.poisson(customers.rate[customer]);
    for (let i = 0; i < count; i++) {
      const seconds = Math.trunc(random.normal(NOON_SECONDS, TIME_DEVIATION_SECONDS));
      if (!(seconds > 0 && seconds < DAY_SECONDS)) continue;
      const amount = drawAmount(random, customers.amount[customer]);
      const terminal = drawInReach(terminals, random, customers.x[customer], customers.y[customer]);
      rows.add(seconds, customer, terminal, amount);
    }
  }
}

/** Normal with half the mean as deviation; a negative one is drawn again, evenly between 0 and twice the mean. */
function drawAmount(random: Random, mean: number): number {
  const amount = random.normal(mean, mean / 2);
  return cents(amount < 0 ? 2 * mean * random.next() : amount);
}

export function cents(amount: number): number {
  return Math.round(100 * amount) / 100;
}
