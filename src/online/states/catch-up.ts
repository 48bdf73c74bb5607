// Catching up: what the log holds is learned in order of arrival, in small portions so that the event loop stays free.
import type { Transaction } from "../../core/transaction.ts";
import type { FeatureArrival } from "../../features/encode.ts";
import type { LogEntry, PredictionLog, PredictionRecord } from "../../ports/log.ts";

/** One arrival as a feature state learns it; `key` tells arrivals apart. */
export type Arrival = FeatureArrival & { readonly key: string };

/** An arrival with its place in the log, and the record for a transaction. */
export type LogArrival = Arrival & { readonly sequence: number; readonly record: PredictionRecord | null };

/** Entries between two breaths. */
const PORTION = 256;

/** The log's entries from a sequence number on. A label whose transaction the log no longer has is left out. */
export async function* arrivals(log: PredictionLog, fromSequence: number): AsyncGenerator<LogArrival> {
  let since = 0;
  for await (const entry of log.scan(fromSequence)) {
    if (++since % PORTION === 0) await new Promise((resolve) => setImmediate(resolve));
    const arrival = await arrivalOf(log, entry);
    if (arrival !== null) yield arrival;
  }
}

/** One entry of the log as an arrival; null for a label whose transaction the log no longer has. */
export async function arrivalOf(log: PredictionLog, entry: LogEntry): Promise<LogArrival | null> {
  const { sequence } = entry.record;
  if (entry.kind === "prediction") {
    const { record } = entry;
    const transaction = transactionOf(record);
    const { receivedAt } = record;
    return {
      kind: "transaction",
      key: transactionKey(record.transactionId),
      transaction,
      receivedAt,
      sequence,
      record,
    };
  }
  const { transactionId, fraud, knownAt, receivedAt } = entry.record;
  const about = await log.find(transactionId);
  if (about === null) return null;
  const key = labelKey({ transactionId, knownAt, receivedAt });
  return { kind: "label", key, transaction: transactionOf(about), fraud, knownAt, sequence, record: null };
}

export function transactionOf(record: Omit<PredictionRecord, "sequence">): Transaction {
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
