// The rows of one day while they are made: growing typed arrays, sorted by second into a table at the end.
import type { Column, Table } from "../../core/table.ts";

export const DAY_SECONDS = 86_400;

/** Columns that hold whole numbers. */
export const INTEGER_COLUMNS = ["transaction_id", "customer_id", "terminal_id", "tx_fraud", "tx_fraud_scenario"];

/** Rows in the order they were made. `customer` NaN is missing; scenario 0 is no fraud. */
export class DayRows {
  count = 0;
  seconds: Float64Array;
  customer: Float64Array;
  terminal: Float64Array;
  amount: Float64Array;
  scenario: Float64Array;

  constructor(capacity: number) {
    const size = Math.max(capacity, 16);
    this.seconds = new Float64Array(size);
    this.customer = new Float64Array(size);
    this.terminal = new Float64Array(size);
    this.amount = new Float64Array(size);
    this.scenario = new Float64Array(size);
  }

  /** Adds a row that is no fraud so far, and returns its number. */
  add(seconds: number, customer: number, terminal: number, amount: number): number {
    if (this.count === this.seconds.length) this.grow();
    const row = this.count++;
    this.seconds[row] = seconds;
    this.customer[row] = customer;
    this.terminal[row] = terminal;
    this.amount[row] = amount;
    return row;
  }

  private grow(): void {
    this.seconds = doubled(this.seconds);
    this.customer = doubled(this.customer);
    this.terminal = doubled(this.terminal);
    this.amount = doubled(this.amount);
    this.scenario = doubled(this.scenario);
  }
}

/** The day in time order (rows of one second in the order they were made), with the reference data's column names. */
export function tableOfDay(rows: DayRows, { firstId, midnight }: { firstId: number; midnight: number }): Table {
  const order = orderBySecond(rows);
  const pick = (value: (row: number, at: number) => number): Float64Array => {
    const values = new Float64Array(rows.count);
    for (let i = 0; i < values.length; i++) values[i] = value(order[i], i);
    return values;
  };
  const number = (value: (row: number, at: number) => number): Column => ({ kind: "number", values: pick(value) });
  const columns = new Map<string, Column>([
    ["transaction_id", number((_, i) => firstId + i)],
    ["tx_datetime", { kind: "time", values: pick((row) => midnight + 1000 * rows.seconds[row]) }],
    ["customer_id", number((row) => rows.customer[row])],
    ["terminal_id", number((row) => rows.terminal[row])],
    ["tx_amount", number((row) => rows.amount[row])],
    ["tx_fraud", number((row) => (rows.scenario[row] > 0 ? 1 : 0))],
    ["tx_fraud_scenario", number((row) => rows.scenario[row])],
  ]);
  return { rows: rows.count, columns };
}

/** Counting sort: a day has few seconds and many rows. */
function orderBySecond({ seconds, count }: DayRows): Int32Array {
  const starts = new Int32Array(DAY_SECONDS + 1);
  for (let i = 0; i < count; i++) starts[seconds[i] + 1]++;
  for (let second = 0; second < DAY_SECONDS; second++) starts[second + 1] += starts[second];
  const order = new Int32Array(count);
  for (let i = 0; i < count; i++) order[starts[seconds[i]]++] = i;
  return order;
}

function doubled(values: Float64Array): Float64Array {
  const larger = new Float64Array(2 * values.length);
  larger.set(values);
  return larger;
}
