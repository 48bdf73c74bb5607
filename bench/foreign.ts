// Tables that nobody tuned for, of our own making: a simulation with other parameters, and worlds in the shape of Sparkov's and PaySim's tables.
import { DAY_MS, HOUR_MS } from "../src/core/duration.ts";
import { Random } from "../src/core/random.ts";
import type { Column, Table } from "../src/core/table.ts";
import { simulateDays } from "../src/lifecycle/simulate/days.ts";
import { canonical, joinTables } from "./workspace.ts";

const START_MS = Date.UTC(2019, 0, 1);
const DAYS = 140;

/** Half the customers on a third of the terminals, with other rates of compromise: each terminal sees more cards, each day fewer frauds. */
export function secondSimulation(seed: number): Table {
  const days = simulateDays({
    seed,
    customers: 2500,
    terminals: 3000,
    compromisedTerminals: 0.5,
    compromisedCustomers: 3,
    days: DAYS,
  });
  return canonical(joinTables([...days]));
}

const CATEGORIES = [
  ["entertainment", 60],
  ["food_dining", 50],
  ["gas_transport", 65],
  ["grocery_net", 55],
  ["grocery_pos", 115],
  ["health_fitness", 55],
  ["home", 60],
  ["kids_pets", 60],
  ["misc_net", 80],
  ["misc_pos", 65],
  ["personal_care", 50],
  ["shopping_net", 85],
  ["shopping_pos", 80],
  ["travel", 110],
] as const;
export const SHOP_KINDS: readonly string[] = CATEGORIES.map(([name]) => name);
/** What thieves buy, how much of it, and for how much: amounts that some holders spend as well, or every learner would find them all. */
const STOLEN = [
  { category: 4, share: 0.25, mean: 220, deviation: 60 },
  { category: 11, share: 0.25, mean: 320, deviation: 150 },
  { category: 8, share: 0.2, mean: 260, deviation: 120 },
  { category: 12, share: 0.15, mean: 260, deviation: 120 },
  { category: 2, share: 0.15, mean: 20, deviation: 10 },
] as const;
const CARDS = 1000;
const SHOPS = 700;
/** Chance that a card is stolen on a day. */
const STOLEN_RATE = 1 / 400;

/** Card payments of holders with habits by kind of shop; a stolen card is used some ten times within two days, often at night. */
export function sparkovLike(seed: number): Table {
  const random = new Random(seed);
  const shopCategory = Int32Array.from({ length: SHOPS }, () => random.integer(CATEGORIES.length));
  const shopsOf = CATEGORIES.map((_, kind) => [...shopCategory.keys()].filter((shop) => shopCategory[shop] === kind));
  const rows = new Rows();
  for (let card = 0; card < CARDS; card++) {
    const holder = {
      rate: 0.3 + 3 * random.next() ** 2,
      spends: Math.exp(random.normal(0, 0.4)),
      lat: random.uniform(30, 45),
      long: random.uniform(-120, -75),
      people: Math.round(Math.exp(random.normal(8, 2))),
      night: random.next() < 0.2 ? 0.3 : 0.08,
    };
    const weights = CATEGORIES.map(() => -Math.log(1 - random.next()));
    const pay = (
      day: number,
      what: { readonly kind: number; readonly amount: number; readonly hour: number; readonly fraud: boolean },
    ): void => {
      const shops = shopsOf[what.kind];
      if (shops.length === 0) return;
      rows.add(START_MS + day * DAY_MS + Math.floor(what.hour * HOUR_MS), what.fraud, {
        cc_num: `4${card}`,
        merchant: `shop ${shops[random.integer(shops.length)]}`,
        category: CATEGORIES[what.kind][0],
        amt: Math.max(1, Math.round(100 * what.amount) / 100),
        city_pop: holder.people,
        lat: holder.lat,
        long: holder.long,
        merch_lat: holder.lat + random.uniform(-1, 1),
        merch_long: holder.long + random.uniform(-1, 1),
      });
    };
    for (let day = 0; day < DAYS; day++) {
      for (let i = random.poisson(holder.rate); i > 0; i--) {
        const kind = drawn(random, weights);
        const amount = holder.spends * CATEGORIES[kind][1] * Math.exp(random.normal(-0.3, 0.8));
        const hour =
          random.next() < holder.night ? 24 * random.next() : Math.min(23.9, Math.max(0, random.normal(15, 4)));
        pay(day, { kind, amount, hour, fraud: false });
      }
      if (random.next() >= STOLEN_RATE) continue;
      for (let i = random.poisson(9) + 1; i > 0; i--) {
        const stolen =
          STOLEN[
            drawn(
              random,
              STOLEN.map(({ share }) => share),
            )
          ];
        const hour = random.next() < 0.4 ? (22 + 5 * random.next()) % 24 : 24 * random.next();
        const amount = random.normal(stolen.mean, stolen.deviation);
        pay(day + random.integer(2), { kind: stolen.category, amount, hour, fraud: true });
      }
    }
  }
  return rows.table("cc_num");
}

const PAYERS = 30_000;
const PAYEES = 6000;
/** Accounts that thieves empty each day, and those through which they do. */
const EMPTIED_PER_DAY = 6;
const MULES = 60;

/** Mobile money: an account that is taken over sends all it has to a mule, which cashes it out; some owners empty their accounts themselves. */
export function paysimLike(seed: number): Table {
  const random = new Random(seed);
  const balances = Float64Array.from({ length: PAYERS }, () => Math.exp(random.normal(9, 1.5)));
  const held = new Float64Array(PAYEES + MULES);
  const rows = new Rows();
  const move = (
    time: number,
    what: {
      readonly type: string;
      readonly from: number;
      readonly to: number;
      readonly amount: number;
      readonly fraud: boolean;
    },
  ): void => {
    const { type, from, to, fraud } = what;
    const amount = Math.round(100 * what.amount) / 100;
    rows.add(time, fraud, {
      type,
      amount,
      nameOrig: `C${from}`,
      oldbalanceOrg: Math.round(100 * balances[from]) / 100,
      nameDest: `${type === "PAYMENT" ? "M" : "D"}${to}`,
      oldbalanceDest: type === "PAYMENT" ? 0 : held[to],
    });
    balances[from] = type === "CASH_IN" ? balances[from] + amount : Math.max(0, balances[from] - amount);
    held[to] += amount;
  };
  for (let day = 0; day < DAYS; day++) {
    const at = (hour: number): number => START_MS + day * DAY_MS + Math.floor(hour * HOUR_MS);
    for (let i = 0; i < 1500; i++) {
      const from = random.integer(PAYERS);
      const to = random.integer(PAYEES);
      const type = ["CASH_IN", "CASH_OUT", "PAYMENT", "PAYMENT", "TRANSFER", "DEBIT"][random.integer(6)];
      const hour = Math.min(23.9, Math.max(0, random.normal(14, 4)));
      // Sometimes people send all they have, too.
      const isAll = random.next() < 0.01 && (type === "TRANSFER" || type === "CASH_OUT");
      const amount = isAll
        ? balances[from]
        : type === "CASH_IN"
          ? Math.exp(random.normal(8.5, 1))
          : Math.min(balances[from], Math.exp(random.normal(7, 1.3)));
      move(at(hour), { type, from, to, amount, fraud: false });
    }
    for (let i = random.poisson(EMPTIED_PER_DAY); i > 0; i--) {
      const from = random.integer(PAYERS);
      // Mules change as weeks go by, and are used again.
      const mule = PAYEES + ((Math.floor(day / 7) * 5 + random.integer(10)) % MULES);
      const hour = 24 * random.next();
      const part = random.next() < 0.7 ? 1 : random.uniform(0.3, 0.9);
      move(at(hour), {
        type: random.next() < 0.5 ? "TRANSFER" : "CASH_OUT",
        from,
        to: mule,
        amount: part * balances[from],
        fraud: true,
      });
    }
  }
  return rows.table("nameOrig");
}

/** A place by its weight. */
function drawn(random: Random, weights: readonly number[]): number {
  let left = random.next() * weights.reduce((sum, weight) => sum + weight, 0);
  for (let at = 0; at < weights.length; at++) {
    left -= weights[at];
    if (left < 0) return at;
  }
  return weights.length - 1;
}

/** Rows in any order, as a table in time order with the columns that benchmarks of quality read: id, time, label, and the card. */
class Rows {
  private readonly times: number[] = [];
  private readonly frauds: boolean[] = [];
  private readonly fields: Readonly<Record<string, string | number>>[] = [];

  add(time: number, fraud: boolean, fields: Readonly<Record<string, string | number>>): void {
    this.times.push(time);
    this.frauds.push(fraud);
    this.fields.push(fields);
  }

  table(card: string): Table {
    const order = [...this.times.keys()].sort((a, b) => this.times[a] - this.times[b] || a - b);
    const columns = new Map<string, Column>([
      ["transaction_id", { kind: "number", values: Float64Array.from(order.keys()) }],
      ["time", { kind: "time", values: Float64Array.from(order, (at) => this.times[at]) }],
      ["is_fraud", { kind: "number", values: Float64Array.from(order, (at) => Number(this.frauds[at])) }],
    ]);
    for (const name of Object.keys(this.fields[0])) {
      columns.set(name, columnOf(order.map((at) => this.fields[at][name])));
    }
    columns.set("customer_id", columns.get(card)!);
    return { rows: order.length, columns };
  }
}

function columnOf(values: readonly (string | number)[]): Column {
  if (typeof values[0] === "number") return { kind: "number", values: Float64Array.from(values, Number) };
  const codes = new Map<string, number>();
  for (const value of values) if (!codes.has(String(value))) codes.set(String(value), codes.size);
  return {
    kind: "text",
    codes: Int32Array.from(values, (value) => codes.get(String(value))!),
    dictionary: [...codes.keys()],
  };
}
