// An entity as an analyst looks at it: its transactions, alerts, cases and labels by time, and whom it is linked to.
import { type LinkRow, neighbourhood } from "../../cases/graph.ts";
import { SentinelError } from "../../core/errors.ts";
import type { FieldValue } from "../../core/transaction.ts";
import type { Engine } from "../../online/engine.ts";
import { schemaFields } from "../../online/fields.ts";
import type { PredictionLog } from "../../ports/log.ts";

/** Newest entries of the log that are looked at: a month of a small shop, an hour of a large one. */
export const ENTITY_ENTRIES_MAX = 20_000;
/** Transactions of one entity that are shown, the newest. */
export const ENTITY_TRANSACTIONS_MAX = 100;
/** Characters of a value that links. */
const VALUE_LENGTH_MAX = 200;
/** Columns that link where the pipeline names none. */
const COLUMNS_MAX = 12;
/** Names of columns whose values people share: the last word, or the whole name. */
const LINKING =
  /(^|_)(id|ip|device|fingerprint|email|mail|phone|mobile|address|terminal|merchant|beneficiary|iban|account|wallet|card|user|customer|session)$/i;

/** What is known of one entity. Times in milliseconds. */
export interface EntityView {
  readonly transactions: readonly {
    readonly id: string;
    readonly time: number;
    readonly amount: number | null;
    readonly decision: string;
    readonly score: number | null;
    readonly labels: readonly { readonly fraud: boolean; readonly source: string; readonly knownAt: number }[];
  }[];
  readonly graph: ReturnType<typeof neighbourhood>;
  /** How much of the log was looked at. */
  readonly seen: { readonly transactions: number; readonly from: number | null };
}

type Looked = Pick<Engine, "log" | "pipeline" | "schema">;

/** Columns over which entities of a pipeline are linked, its own first. */
export function linkColumns({ pipeline, schema }: Pick<Engine, "pipeline" | "schema">): readonly string[] {
  const { columns, cases } = pipeline;
  const own = [cases.entity ?? columns.card].filter((name) => name !== null);
  const named = cases.links.map((name) => pipeline.canonical.get(name) ?? name);
  const guessed = [...schemaFields(schema).keys()].filter(
    (name) => LINKING.test(name) && ![columns.id, columns.time, columns.amount, columns.label].includes(name),
  );
  return [...new Set([...own, ...(named.length > 0 ? named : guessed)])].slice(0, COLUMNS_MAX);
}

/**
 * `forgotten` changes whenever a person was erased from the log: what was kept of it in memory is read again then. Errors: request.not-found (a column
 * that links nothing), log.*.
 */
export async function lookAtEntity(
  engine: Looked,
  of: { readonly column: string; readonly value: string; readonly forgotten: string | null },
): Promise<EntityView> {
  const columns = linkColumns(engine);
  const name = engine.pipeline.canonical.get(of.column) ?? of.column;
  const column = columns.indexOf(name);
  if (column < 0) {
    throw new SentinelError("request.not-found", `${JSON.stringify(of.column.slice(0, 100))} links no entities here`, {
      hint: `name one of ${columns.join(", ") || "(none)"}, or add it to cases.links of the pipeline`,
    });
  }
  const window = await windowOf(engine.log, { columns, forgotten: of.forgotten });
  const value = of.value.slice(0, VALUE_LENGTH_MAX);
  const ids = window.rows
    .flatMap(({ id, values }) => (values[column] === value ? [id] : []))
    .slice(-ENTITY_TRANSACTIONS_MAX);
  const transactions: EntityView["transactions"][number][] = [];
  for (const id of ids.reverse()) {
    const record = await engine.log.find(id);
    if (record === null) continue;
    const amount = engine.pipeline.columns.amount === null ? null : record.fields[engine.pipeline.columns.amount];
    const labels = (await engine.log.labelsOf(id)).map(({ fraud, source, knownAt }) => ({ fraud, source, knownAt }));
    transactions.push({
      id,
      time: record.time,
      amount: typeof amount === "number" ? amount : null,
      decision: record.decision,
      score: Number.isNaN(record.score) ? null : record.score,
      labels,
    });
  }
  const isFraud = (id: string): boolean => window.frauds.get(id) === true;
  return {
    transactions,
    graph: neighbourhood(window.rows, { columns, column, value, isFraud }),
    seen: { transactions: window.rows.length, from: window.rows[0]?.time ?? null },
  };
}

/** The newest transactions of a log, kept so that the next look reads only what came since. */
interface Window {
  /** Of the columns, and of the last erasure before it was begun. */
  readonly about: string;
  rows: (LinkRow & { readonly time: number })[];
  frauds: Map<string, boolean>;
  /** Of the log: read up to it. */
  sequence: number;
  reading: Promise<void>;
}

const windows = new WeakMap<PredictionLog, Window>();

async function windowOf(
  log: PredictionLog,
  { columns, forgotten }: { readonly columns: readonly string[]; readonly forgotten: string | null },
): Promise<Window> {
  const about = JSON.stringify([columns, forgotten]);
  let window = windows.get(log);
  if (window === undefined || window.about !== about) {
    window = { about, rows: [], frauds: new Map(), sequence: 0, reading: Promise.resolve() };
    windows.set(log, window);
  }
  const mine = window;
  // One reader at a time; whoever waits reads only what is new then.
  mine.reading = mine.reading.catch(() => {}).then(() => read(log, mine, columns));
  await mine.reading;
  return mine;
}

async function read(log: PredictionLog, window: Window, columns: readonly string[]): Promise<void> {
  const { sequence } = await log.last();
  const from = Math.max(window.sequence + 1, sequence - ENTITY_ENTRIES_MAX + 1);
  if (from > sequence) return;
  for await (const entry of log.arrivals(from)) {
    if (entry.kind === "label") window.frauds.set(entry.record.transactionId, entry.record.fraud);
    else {
      const { transactionId: id, time, fields } = entry.record;
      window.rows.push({ id, time, values: columns.map((column) => linkValue(fields[column])) });
    }
    window.sequence = Math.max(window.sequence, entry.record.sequence);
  }
  if (window.rows.length > ENTITY_ENTRIES_MAX) window.rows = window.rows.slice(-ENTITY_ENTRIES_MAX);
  if (window.frauds.size > 2 * ENTITY_ENTRIES_MAX)
    window.frauds = new Map([...window.frauds].slice(-ENTITY_ENTRIES_MAX));
}

function linkValue(value: FieldValue | undefined): string | null {
  return value === null || value === undefined || value === "" ? null : String(value).slice(0, VALUE_LENGTH_MAX);
}
