// The simulated world of `bench -- loop`: the Handbook's payments with weekends and paydays, which swing without being drift.
import { Random } from "../src/core/random.ts";
import type { Column, Table } from "../src/core/table.ts";
import { simulateDays } from "../src/lifecycle/simulate/days.ts";
import type { DriftScenario } from "../src/lifecycle/simulate/drift.ts";

/** Weekends: fewer transactions, larger ones. */
const WEEKEND_SHARE = 0.65;
const WEEKEND_AMOUNT = 1.2;
/** Days of the month after which wages are spent. */
const PAYDAYS: readonly number[] = [25, 26, 27, 28];
const PAYDAY_AMOUNT = 1.15;

export interface LoopWorld {
  readonly customers: number;
  readonly days: number;
  readonly seed: number;
  readonly drift: readonly DriftScenario[];
}

export function* worldDays({ customers, days, seed, drift }: LoopWorld): Generator<Table, void, undefined> {
  let day = 0;
  for (const table of simulateDays({ customers, terminals: 2 * customers, days, seed, drift, start: "2026-01-01" })) {
    const date = new Date(Date.UTC(2026, 0, 1 + day));
    const weekend = date.getUTCDay() % 6 === 0;
    const random = new Random(seed * 10_007 + day);
    const kept = Array.from({ length: table.rows }, (_, row) => row).filter(
      () => !weekend || random.next() < WEEKEND_SHARE,
    );
    const factor = (weekend ? WEEKEND_AMOUNT : 1) * (PAYDAYS.includes(date.getUTCDate()) ? PAYDAY_AMOUNT : 1);
    const columns = [...table.columns].map(([name, column]): [string, Column] => {
      if (column.kind === "text")
        return [name, { ...column, codes: Int32Array.from(kept, (row) => column.codes[row]) }];
      const scale = name === "tx_amount" ? factor : 1;
      const value = (row: number): number =>
        scale === 1 ? column.values[row] : Math.round(100 * scale * column.values[row]) / 100;
      return [name, { ...column, values: Float64Array.from(kept, value) }];
    });
    yield { rows: kept.length, columns: new Map(columns) };
    day++;
  }
}
