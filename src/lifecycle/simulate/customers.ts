// Customers: where they live, how much and how often they spend (Handbook, chapter 3, customer profiles).
import type { Random } from "../../core/random.ts";
import { anyInReach, MAP_SIDE, type TerminalMap } from "./terminals.ts";

export interface Customers {
  readonly count: number;
  readonly x: Float64Array;
  readonly y: Float64Array;
  /** Mean amount; the standard deviation is half of it. */
  readonly amount: Float64Array;
  /** Mean transactions per day; 0 for a customer with no terminal in reach. */
  readonly rate: Float64Array;
}

const AMOUNT_MIN = 5;
const AMOUNT_MAX = 100;
const RATE_MAX = 4;

export function makeCustomers(random: Random, count: number, terminals: TerminalMap): Customers {
  const x = new Float64Array(count);
  const y = new Float64Array(count);
  const amount = new Float64Array(count);
  const rate = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    x[i] = MAP_SIDE * random.next();
    y[i] = MAP_SIDE * random.next();
    amount[i] = AMOUNT_MIN + (AMOUNT_MAX - AMOUNT_MIN) * random.next();
    const wanted = RATE_MAX * random.next();
    rate[i] = anyInReach(terminals, x[i], y[i]) ? wanted : 0;
  }
  return { count, x, y, amount, rate };
}
