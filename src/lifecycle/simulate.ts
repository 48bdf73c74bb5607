// The verb simulate: writes simulated transactions into a file of any format.
import type { Table } from "../core/table.ts";
import type { Ports } from "../ports/ports.ts";
import { simulateDays } from "./simulate/days.ts";
import { type SimulateOptions, settingsOf } from "./simulate/options.ts";
import { INTEGER_COLUMNS } from "./simulate/rows.ts";

export { simulateDays } from "./simulate/days.ts";
export { parseDrift } from "./simulate/drift.ts";
export { emit } from "./simulate/emit.ts";
export type { SimulateOptions } from "./simulate/options.ts";
export { INTEGER_COLUMNS } from "./simulate/rows.ts";

export interface SimulateInput extends SimulateOptions {
  /** The file; its ending names the format. */
  readonly out: string;
}

export interface SimulateResult {
  readonly out: string;
  readonly rows: number;
  readonly frauds: number;
  readonly days: number;
  /** Midnight of the first day and of the day after the last, epoch ms. */
  readonly from: number;
  readonly until: number;
}

const DAY_MS = 86_400_000;

/** Errors: cli.usage; dataset.format-unknown, dataset.unwritable. */
export async function simulate(
  ports: Pick<Ports, "dataset" | "report">,
  input: SimulateInput,
): Promise<SimulateResult> {
  const { days, startMs } = settingsOf(input);
  let frauds = 0;
  function* counted(): Generator<Table, void, undefined> {
    let done = 0;
    for (const table of simulateDays(input)) {
      const column = table.columns.get("tx_fraud");
      if (column?.kind === "number") for (const fraud of column.values) frauds += fraud;
      yield table;
      ports.report.progress("simulate", ++done, days);
    }
  }
  const dataset = await ports.dataset();
  const { rows } = await dataset.write(input.out, counted(), { integers: INTEGER_COLUMNS });
  return { out: input.out, rows, frauds, days, from: startMs, until: startMs + DAY_MS * days };
}
