// Live traffic for the demo: simulated days sent over HTTP in order, each fraud reported after the label delay.
import type { Table } from "../../core/table.ts";
import { numberAt } from "../../core/table.ts";
import { averagePrecision } from "../../metrics/metrics.ts";
import { postJson } from "../post.ts";

/** Transactions a request, and labels a request. */
const BATCH = 250;

export interface Traffic {
  readonly sent: number;
  readonly decisions: Readonly<Record<string, number>>;
  readonly labels: number;
  /** The last transaction that was blocked; null when none was. */
  readonly blocked: string | null;
  readonly seconds: number;
  /** Of the answers given, by what the simulation knows; NaN without frauds or scores. */
  readonly averagePrecision: number;
}

/** Labels that are not known yet, carried from one stretch of traffic to the next. */
export interface PendingLabels {
  readonly waiting: { readonly id: string; readonly knownAt: number }[];
}

/** Sends the rows of some days; labels whose time has come go before the transactions of that time. */
export async function sendTraffic(
  url: string,
  days: Iterable<Table>,
  given: {
    readonly pending: PendingLabels;
    readonly labelDelayMs: number;
    readonly elapsed: () => number;
    readonly onDay: (day: number) => void;
  },
): Promise<Traffic> {
  const started = given.elapsed();
  const decisions: Record<string, number> = { approve: 0, review: 0, block: 0 };
  let sent = 0;
  let labels = 0;
  let blocked: string | null = null;
  let day = 0;
  const scores: number[] = [];
  const truth: number[] = [];
  for (const table of days) {
    given.onDay(day++);
    const rows = rowsOf(table);
    for (let at = 0; at < rows.length; at += BATCH) {
      const batch = rows.slice(at, at + BATCH);
      labels += await sendLabels(url, given.pending, batch[0].time);
      const answers = (await post(`${url}/predict/batch`, batch.map(requestOf))) as readonly {
        readonly transaction_id: string;
        readonly decision: string;
        readonly score: number | null;
      }[];
      answers.forEach(({ transaction_id, decision, score }, place) => {
        decisions[decision]++;
        if (decision === "block") blocked = transaction_id;
        if (score === null) return;
        scores.push(score);
        truth.push(batch[place].fraud ? 1 : 0);
      });
      for (const { id, time, fraud } of batch)
        if (fraud) given.pending.waiting.push({ id, knownAt: time + given.labelDelayMs });
      sent += batch.length;
    }
  }
  const seconds = (given.elapsed() - started) / 1000;
  const both = truth.includes(1) && truth.includes(0);
  const precision = both ? averagePrecision(Float32Array.from(scores), Uint8Array.from(truth)) : Number.NaN;
  return { sent, decisions, labels, blocked, seconds, averagePrecision: precision };
}

export interface Row {
  readonly id: string;
  readonly time: number;
  readonly customer: number;
  readonly terminal: number;
  readonly amount: number;
  readonly fraud: boolean;
}

/** A table of the simulation, row by row. */
export function rowsOf(table: Table): Row[] {
  const at = (name: string, row: number): number => numberAt(table.columns.get(name)!, row);
  return Array.from({ length: table.rows }, (_, row) => ({
    id: String(at("transaction_id", row)),
    time: at("tx_datetime", row),
    customer: at("customer_id", row),
    terminal: at("terminal_id", row),
    amount: at("tx_amount", row),
    fraud: at("tx_fraud", row) === 1,
  }));
}

/** A payment as a request has it; what the simulation left out is left out. */
export function requestOf({ id, time, customer, terminal, amount }: Row): object {
  return {
    id,
    time,
    amount,
    ...(Number.isNaN(customer) ? {} : { user_id: customer }),
    ...(Number.isNaN(terminal) ? {} : { merchant_id: terminal }),
  };
}

async function sendLabels(url: string, pending: PendingLabels, now: number): Promise<number> {
  const due = pending.waiting.findIndex(({ knownAt }) => knownAt > now);
  const ready = pending.waiting.splice(0, due < 0 ? pending.waiting.length : due);
  for (let at = 0; at < ready.length; at += BATCH) {
    const body = ready
      .slice(at, at + BATCH)
      .map(({ id, knownAt }) => ({ transaction_id: id, fraud: true, source: "chargeback", time: knownAt }));
    await post(`${url}/feedback`, body);
  }
  return ready.length;
}

async function post(url: string, body: unknown): Promise<unknown> {
  return postJson(url, body, { refused: "server.not-ready" });
}
