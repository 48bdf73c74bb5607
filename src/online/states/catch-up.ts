// Catching up: what the log holds is learned in order of arrival; the log reads in small portions, so that the event loop stays free.
import type { Transaction } from "../../core/transaction.ts";
import type { FeatureArrival } from "../../features/encode.ts";
import type { LogArrivalEntry, LogEntry, LoggedTransaction, PredictionLog, PredictionRecord } from "../../ports/log.ts";

/** One arrival as a feature state learns it; `key` tells arrivals apart. */
export type Arrival = FeatureArrival & { readonly key: string };

/** An arrival with its place in the log, and the record for a transaction. */
export type LogArrival = Arrival & { readonly sequence: number; readonly record: PredictionRecord | null };

/** The log's entries from a sequence number on. A label whose transaction the log no longer has is left out. */
export async function* arrivals(log: PredictionLog, fromSequence: number): AsyncGenerator<LogArrival> {
  for await (const entry of log.scan(fromSequence)) {
    const arrival = arrivalOf(entry);
    if (arrival !== null) yield arrival;
  }
}

/** One entry of the log as an arrival; null for a label whose transaction the log no longer has. */
export function arrivalOf(entry: LogEntry): LogArrival | null {
  const arrival = learnedOf(entry);
  return arrival === null ? null : { ...arrival, record: entry.kind === "prediction" ? entry.record : null };
}

/** As {@link arrivalOf}, of an entry without its answer. */
export function learnedOf(entry: LogArrivalEntry): (Arrival & { readonly sequence: number }) | null {
  const { sequence } = entry.record;
  if (entry.kind === "prediction") {
    const transaction = transactionOf(entry.record);
    const { receivedAt } = entry.record;
    return { kind: "transaction", key: transactionKey(transaction.id), transaction, receivedAt, sequence };
  }
  if (entry.about === null) return null;
  const { transactionId, fraud, knownAt, receivedAt } = entry.record;
  const key = labelKey({ transactionId, knownAt, receivedAt });
  return { kind: "label", key, transaction: transactionOf(entry.about), fraud, knownAt, sequence };
}

export function transactionOf(record: LoggedTransaction): Transaction {
  return { id: record.transactionId, time: record.time, fields: record.fields };
}

export function transactionKey(id: string): string {
  return `t ${id}`;
}

export function labelKey(label: {
  readonly transactionId: string;
  readonly knownAt: number;
  readonly receivedAt: number;
}): string {
  return `l ${label.receivedAt} ${label.knownAt} ${label.transactionId}`;
}
