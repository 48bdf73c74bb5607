// Simulated transactions as a live stream: NDJSON lines at a steady rate, no faster than the reader takes them.
import type { Column, Table } from "../../core/table.ts";
import type { Clock } from "../../ports/ports.ts";
import { simulateDays } from "./days.ts";
import { type SimulateOptions, whole, within } from "./options.ts";

export interface EmitInput {
  readonly options: SimulateOptions;
  /** Transactions per second; above 0. */
  readonly rate: number;
  /** Most transactions to emit; all when absent. */
  readonly count?: number;
  /** Takes whole lines; settles when there is room for more. */
  readonly write: (lines: string) => Promise<void>;
  readonly sleep: (ms: number) => Promise<void>;
  readonly clock: Pick<Clock, "elapsed">;
  readonly signal?: AbortSignal;
}

const RATE_MIN = 1e-3;
const RATE_MAX = 1e6;
/** Lines are written together when more than one is due within this time. */
const TICK_MS = 20;
/** A reader that was slow gets at most this much at once; the rest of the delay is forgotten. */
const ARREARS_MS_MAX = 1000;

/** Returns the number of transactions emitted. Errors: cli.usage; whatever `write` raises. */
export async function emit(input: EmitInput): Promise<{ readonly rows: number }> {
  const rate = within("rate", input.rate, { min: RATE_MIN, max: RATE_MAX });
  const most = whole("count", input.count ?? Number.MAX_SAFE_INTEGER, { min: 0, max: Number.MAX_SAFE_INTEGER });
  const due = pace(input, rate);
  let rows = 0;
  for (const table of simulateDays(input.options)) {
    const line = lineOf(table);
    for (let row = 0; row < table.rows; ) {
      if (rows >= most || input.signal?.aborted) return { rows };
      const count = Math.min(await due(), table.rows - row, most - rows);
      let lines = "";
      for (let i = 0; i < count; i++) lines += line(row + i);
      await input.write(lines);
      row += count;
      rows += count;
      due.took(count);
    }
  }
  return { rows };
}

/** Waits until at least one is due and tells how many are; `took` says how many were used. */
interface Pace {
  (): Promise<number>;
  took(count: number): void;
}

function pace({ clock, sleep }: EmitInput, rate: number): Pace {
  let origin = clock.elapsed();
  let sent = 0;
  const dueNow = (): number => Math.floor(((clock.elapsed() - origin) * rate) / 1000) + 1 - sent;
  const wait = async (): Promise<number> => {
    let due = dueNow();
    while (due < 1) {
      await sleep(Math.max((sent * 1000) / rate - (clock.elapsed() - origin), TICK_MS));
      due = dueNow();
    }
    const most = Math.max(1, Math.ceil((rate * ARREARS_MS_MAX) / 1000));
    if (due <= most) return due;
    origin = clock.elapsed() - ((sent + most - 1) * 1000) / rate;
    return most;
  };
  return Object.assign(wait, {
    took(count: number) {
      sent += count;
    },
  });
}

function lineOf(table: Table): (row: number) => string {
  const members = [...table.columns].map(([name, column]) => ({ key: JSON.stringify(name), column }));
  return (row) => {
    const present = members.map(({ key, column }) => member(key, column, row)).filter((text) => text !== "");
    return `{${present.join(",")}}\n`;
  };
}

/** Missing is left out. */
function member(key: string, column: Column, row: number): string {
  if (column.kind === "text") return "";
  const value = column.values[row];
  if (Number.isNaN(value)) return "";
  return column.kind === "time" ? `${key}:"${new Date(value).toISOString()}"` : `${key}:${value}`;
}
