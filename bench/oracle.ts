// The oracle: how well anybody could judge the simulated world who knows its rules, its customers and every label that has arrived.
import { DAY_MS } from "../src/core/duration.ts";
import { assert } from "../src/core/errors.ts";
import type { Table } from "../src/core/table.ts";
import { FRAUD_RULES } from "../src/lifecycle/simulate/frauds.ts";

/** What the oracle knows of the world beside its transactions. */
export interface Truth {
  /** Mean amount of each customer. */
  readonly meanAmounts: Float64Array;
  /** Chance that a given terminal, or customer, begins to be compromised on a day. */
  readonly terminalRate: number;
  readonly customerRate: number;
  /** A label arrives so many whole days after its transaction, at the same time of day. */
  readonly delayDays: number;
  /**
   * Whether it reads the last digit: an amount in cents that was multiplied by five is one of five cents, which no fraud team should learn from. Without
   * it amounts are taken as if they had any number of digits.
   */
  readonly readsCents: boolean;
}

/** How likely an observation of one day is if the entity is compromised on it, and if it is not. */
export interface DayEvidence {
  active: number;
  quiet: number;
}

/**
 * What is known of one entity: the chance of each age of its newest compromise, in days; the last place is "none that still lasts". Each day one
 * begins with the same chance, whatever went before; it lasts `days` days. The forward filter of a hidden Markov model (Rabiner 1989, section III A).
 */
export class CompromiseFilter {
  private ages: Float64Array;
  private readonly rate: number;

  constructor(of: { readonly days: number; readonly rate: number }) {
    this.rate = of.rate;
    this.ages = new Float64Array(of.days + 1);
    this.ages[of.days] = 1;
  }

  copy(into: CompromiseFilter): CompromiseFilter {
    into.ages.set(this.ages);
    return into;
  }

  /** A new day: what lasts gets older, and another may begin. */
  turn(): void {
    const { ages, rate } = this;
    const none = ages.length - 1;
    const ended = ages[none] + ages[none - 1];
    for (let age = none - 1; age > 0; age--) ages[age] = ages[age - 1] * (1 - rate);
    ages[none] = ended * (1 - rate);
    ages[0] = rate;
  }

  /** What this day showed. */
  observe({ active, quiet }: DayEvidence): void {
    const { ages } = this;
    const none = ages.length - 1;
    let sum = 0;
    for (let age = 0; age <= none; age++) {
      ages[age] *= age === none ? quiet : active;
      sum += ages[age];
    }
    assert(sum > 0, "what happened is possible");
    for (let age = 0; age <= none; age++) ages[age] /= sum;
  }

  /** The chance that it is compromised on this day. */
  get active(): number {
    return 1 - this.ages[this.ages.length - 1];
  }
}

/**
 * For each row (in time order, the simulator's columns) the chance that it is fraud, given all earlier rows, its own amount, and the labels that have
 * arrived, whose scenario is known too. Source of the world: Le Borgne et al. 2022, chapter 3.
 */
export function oracleScores(table: Table, truth: Truth): Float64Array {
  const numbers = (name: string): Float64Array => {
    const column = table.columns.get(name);
    assert(column !== undefined && column.kind !== "text", `the simulated table has ${name}`);
    return column.values;
  };
  const time = numbers("tx_datetime");
  const rows: Rows = {
    day: Int32Array.from(time, (at) => Math.floor(at / DAY_MS)),
    time,
    amount: numbers("tx_amount"),
    scenario: numbers("tx_fraud_scenario"),
    customer: numbers("customer_id"),
  };
  const terminals = terminalChances(rows, byEntity(numbers("terminal_id")), truth);
  const misuse = misuseChances(rows, byEntity(rows.customer), truth);
  return Float64Array.from(rows.amount, (amount, row) =>
    amount > FRAUD_RULES.amountLimit ? 1 : 1 - (1 - misuse[row]) * (1 - terminals[row]),
  );
}

interface Rows {
  readonly day: Int32Array;
  readonly time: Float64Array;
  readonly amount: Float64Array;
  readonly scenario: Float64Array;
  readonly customer: Float64Array;
}

/** Row numbers of each entity, ascending. */
function byEntity(ids: Float64Array): Map<number, number[]> {
  const rows = new Map<number, number[]>();
  ids.forEach((id, row) => {
    const list = rows.get(id);
    if (list === undefined) rows.set(id, [row]);
    else list.push(row);
  });
  return rows;
}

/** Scenario 2: a label says whether its terminal was compromised on that day, unless the row's card was misused. */
function terminalChances(rows: Rows, entities: Map<number, number[]>, truth: Truth): Float64Array {
  const seen = (row: number, labelled: boolean, into: DayEvidence): void => {
    if (!labelled || rows.scenario[row] === 3) return;
    if (rows.scenario[row] === 2) into.quiet = 0;
    else into.active = 0;
  };
  const settings = { days: FRAUD_RULES.terminalDays, rate: truth.terminalRate, delayDays: truth.delayDays };
  return chances(rows, entities, { ...settings, seen });
}

/** Scenario 3: a third of the card's transactions cost five times as much; the amount tells at once, the label later. */
function misuseChances(rows: Rows, entities: Map<number, number[]>, truth: Truth): Float64Array {
  const { misusedShare } = FRAUD_RULES;
  const odds = (row: number): number => misuseOdds(rows.amount[row], truth.meanAmounts[rows.customer[row]], truth);
  const seen = (row: number, labelled: boolean, into: DayEvidence): void => {
    const misused = misusedShare * odds(row);
    if (!labelled) into.active *= misused + 1 - misusedShare;
    else if (rows.scenario[row] !== 3) into.active *= 1 - misusedShare;
    else into.quiet = 0;
  };
  const settings = { days: FRAUD_RULES.customerDays, rate: truth.customerRate, delayDays: truth.delayDays };
  const active = chances(rows, entities, { ...settings, seen });
  return active.map((chance, row) => {
    const misused = chance * misusedShare * odds(row);
    return misused / (misused + 1 - chance * misusedShare);
  });
}

interface Watch {
  readonly days: number;
  readonly rate: number;
  readonly delayDays: number;
  /** Multiplies what a row says of its entity on its day into the evidence. */
  readonly seen: (row: number, labelled: boolean, into: DayEvidence) => void;
}

/** For each row the chance that its entity is compromised, by all rows before it and the labels that have arrived. */
function chances(rows: Rows, entities: Map<number, number[]>, watch: Watch): Float64Array {
  const out = new Float64Array(rows.day.length);
  const now = new CompromiseFilter(watch);
  const evidence: DayEvidence = { active: 1, quiet: 1 };
  for (const list of entities.values()) {
    const settled = new CompromiseFilter(watch);
    // Nobody was compromised before the world began.
    let settledTo = rows.day[0] - 1;
    let from = 0;
    const observe = (filter: CompromiseFilter, day: number, at: number, labelled: (row: number) => boolean): number => {
      evidence.active = 1;
      evidence.quiet = 1;
      let i = at;
      for (; i < list.length && rows.day[list[i]] === day; i++) watch.seen(list[i], labelled(list[i]), evidence);
      filter.observe(evidence);
      return i;
    };
    for (let k = 0; k < list.length; k++) {
      const row = list[k];
      const day = rows.day[row];
      // All labels of days before this one have arrived.
      for (; settledTo < day - watch.delayDays - 1; settledTo++) {
        settled.turn();
        from = observe(settled, settledTo + 1, from, () => true);
      }
      settled.copy(now);
      const arrived = (other: number): boolean => rows.time[other] + watch.delayDays * DAY_MS <= rows.time[row];
      let i = from;
      for (let d = settledTo + 1; d < day; d++) {
        now.turn();
        i = observe(now, d, i, arrived);
      }
      now.turn();
      evidence.active = 1;
      evidence.quiet = 1;
      for (; i < k; i++) watch.seen(list[i], arrived(list[i]), evidence);
      now.observe(evidence);
      out[row] = now.active;
    }
  }
  return out;
}

/** How much likelier an amount is as five times an ordinary one than as an ordinary one of a customer with this mean. */
function misuseOdds(amount: number, mean: number, { readsCents }: Truth): number {
  const { misusedFactor } = FRAUD_RULES;
  const ordinary = amountDensity(amount, mean);
  const misused = amountDensity(amount / misusedFactor, mean);
  if (!readsCents) return Math.min(ODDS_MAX, misused / misusedFactor / ordinary);
  return Math.round(100 * amount) % misusedFactor === 0 ? Math.min(ODDS_MAX, misused / ordinary) : 0;
}

/** Density of an ordinary amount: normal with half the mean as deviation, a negative one drawn again evenly below twice the mean. */
function amountDensity(amount: number, mean: number): number {
  const deviation = mean / 2;
  const normal = Math.exp(-((amount - mean) ** 2) / (2 * deviation ** 2)) / (deviation * Math.sqrt(2 * Math.PI));
  const again = amount < 2 * mean ? NEGATIVE_SHARE / (2 * mean) : 0;
  // An amount that no customer of this mean has is still possible: the last digit is rounded.
  return Math.max(normal + again, DENSITY_MIN);
}

const DENSITY_MIN = 1e-300;
/** Beyond it nothing is doubtful any more, and a day's product stays a number. */
const ODDS_MAX = 1e40;
/** Share of a normal distribution that lies two deviations under its mean. */
const NEGATIVE_SHARE = 0.022750131948179195;
