// Simulated history in a workspace and the days after it as live traffic from several clients.
import path from "node:path";
import { datasetDuckdb } from "../../src/drivers/dataset/duckdb/driver.ts";
import { simulateDays } from "../../src/lifecycle/simulate/days.ts";
import type { SimulateOptions } from "../../src/lifecycle/simulate/options.ts";

export const HISTORY_DAYS = 60;
export const WORLD: SimulateOptions = { customers: 600, terminals: 900, days: HISTORY_DAYS, seed: 11 };
/** A world where figures do not matter: as few transactions as the gates say yes to. */
export const SMALL_WORLD: SimulateOptions = { customers: 200, terminals: 300, days: HISTORY_DAYS, seed: 7 };

/** data/transactions.parquet of a workspace. */
export async function writeHistory(dir: string, world: SimulateOptions = WORLD): Promise<void> {
  await (await datasetDuckdb()).write(path.join(dir, "data", "transactions.parquet"), simulateDays(world));
}

export interface LivePayment {
  readonly transaction_id: number;
  readonly tx_datetime: string;
  readonly customer_id: number;
  readonly terminal_id: number;
  readonly tx_amount: number;
}

/** The days from HISTORY_DAYS on, as requests; labels apart. */
export function livePayments(
  days: number,
  world: SimulateOptions = WORLD,
): {
  readonly requests: LivePayment[];
  readonly frauds: Map<string, boolean>;
} {
  const requests: LivePayment[] = [];
  const frauds = new Map<string, boolean>();
  let day = 0;
  for (const table of simulateDays({ ...world, days: HISTORY_DAYS + days })) {
    if (day++ < HISTORY_DAYS) continue;
    const value = (name: string, row: number): number => {
      const column = table.columns.get(name)!;
      return column.kind === "text" ? Number.NaN : column.values[row];
    };
    for (let row = 0; row < table.rows; row++) {
      requests.push({
        transaction_id: value("transaction_id", row),
        tx_datetime: new Date(value("tx_datetime", row)).toISOString(),
        customer_id: value("customer_id", row),
        terminal_id: value("terminal_id", row),
        tx_amount: value("tx_amount", row),
      });
      frauds.set(String(value("transaction_id", row)), value("tx_fraud", row) === 1);
    }
  }
  return { requests, frauds };
}

export interface Answered {
  readonly sentAt: number;
  readonly id: string;
  readonly status: number;
  readonly body: {
    readonly transaction_id: string;
    readonly score: number;
    readonly anomaly_score: number;
    readonly decision: string;
    readonly model: { readonly version: string; readonly bundle: string };
  };
}

/**
 * Several clients take requests one after the other from one list until it is empty or `enough` says so. A request that got
 * no answer has status 0.
 */
export async function load(
  url: string,
  requests: readonly LivePayment[],
  options: {
    readonly clients: number;
    readonly enough?: (answered: readonly Answered[]) => boolean;
    readonly answered?: Answered[];
  },
): Promise<readonly Answered[]> {
  const answered = options.answered ?? [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < requests.length && options.enough?.(answered) !== true) {
      const request = requests[next++];
      const sentAt = performance.now();
      const reply = await postJson(`${url}/predict`, request).catch(() => ({ status: 0, body: {} }));
      answered.push({ sentAt, id: String(request.transaction_id), ...(reply as Pick<Answered, "status" | "body">) });
    }
  };
  await Promise.all(Array.from({ length: options.clients }, client));
  return answered;
}

export async function postJson(
  url: string,
  body: unknown,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}
