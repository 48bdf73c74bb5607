// The PostgreSQL log's insert: one batch in one transaction of three round trips, its columns as arrays.
import type pg from "pg";
import type { Batch, BatchOutcome } from "../sql/log-end.ts";
import type { LogRecord } from "../sql/records.ts";
import {
  LABEL_COLUMNS,
  labelRow,
  type Parameter,
  PREDICTION_COLUMNS,
  predictionRow,
  SHADOW_COLUMNS,
  shadowRow,
} from "../sql/rows.ts";

export interface InsertOptions {
  readonly schema: string;
  readonly log: number;
  readonly writer: string;
}

const TYPES: Readonly<Record<string, string>> = {
  place: "int",
  time: "float8",
  received_at: "float8",
  vector: "bytea",
  score: "float8",
  anomaly_score: "float8",
  latency_ms: "float8",
  degraded: "smallint",
  applied: "bigint",
  settled: "bigint",
  fraud: "smallint",
  known_at: "float8",
  champion_score: "float8",
  candidate_score: "float8",
  champion_latency_ms: "float8",
  count: "bigint",
};

const columnsOf = (names: string): string[] => names.split(", ");
const PREDICTIONS = ["place", ...columnsOf(PREDICTION_COLUMNS).slice(1), "settled"];
const LABELS = ["place", ...columnsOf(LABEL_COLUMNS).slice(1)];
const SHADOWS = ["place", ...columnsOf(SHADOW_COLUMNS)];
const COVERAGE = ["version", "outcome", "count"];
/** The log, the last sequence number, the writer, and the writer's items after this batch. */
const SINGLES = 4;
const APPLIED = PREDICTIONS.indexOf("applied");

/**
 * Writes batches on one connection. The row of the counter `sequence` is locked first, so that servers write in turn: whoever reads a sequence
 * number later sees all before it. The place up to which this writer's items are written is kept in the same transaction: a commit whose answer
 * was lost is found there, and its batch is not written a second time. A commit is on the server's disk before it is answered, also where the server
 * is set to less: nobody but the thread waits for it.
 */
export function inserter({
  schema,
  log,
  writer,
}: InsertOptions): (client: pg.ClientBase, batch: Batch) => Promise<BatchOutcome & { readonly predictions: number }> {
  const text = statementOf(schema);
  const begin = `BEGIN; SET LOCAL synchronous_commit = on;
    SELECT value FROM ${schema}.log_counters WHERE log = ${log} AND name = 'sequence' FOR UPDATE;
    SELECT items FROM ${schema}.log_writers WHERE log = ${log} AND writer = '${writer}'`;
  return async (client, batch) => {
    const answers = (await client.query(begin)) as unknown as readonly pg.QueryResult[];
    const [, , sequence, written] = answers.map(({ rows }) => (rows[0] ?? {}) as Readonly<Record<string, number>>);
    const already = Math.max(0, (written.items ?? 0) - batch.before);
    if (already > 0) {
      await client.query("ROLLBACK");
      return { duplicates: 0, already, predictions: 0 };
    }
    const { columns, records } = arraysOf(batch);
    const values = [log, sequence.value, writer, batch.before + batch.items, ...columns];
    const { rows } = await client.query({ name: "sentinel-log", text, values, rowMode: "array" });
    const [added, predictions] = (rows as unknown as readonly (readonly number[])[])[0];
    await client.query("COMMIT");
    return { duplicates: records - added, already: 0, predictions };
  };
}

/** Of several records of one id the first is kept, and what it says of the shared state's order may come from a later one. */
function arraysOf({ records, coverage }: Batch): { readonly columns: unknown[][]; readonly records: number } {
  const predictions = new Map<string, Parameter[]>();
  const labels: Parameter[][] = [];
  const appliedLabels = new Set<number>();
  const shadows = new Map<string, Parameter[]>();
  for (const [place, one] of records.entries()) add(one, place);

  function add(one: LogRecord, place: number): void {
    if (one.kind === "prediction") {
      const row = [place, ...predictionRow(one.record), null];
      const id = String(row[1]);
      const first = predictions.get(id) ?? row;
      predictions.set(id, first);
      const applied = one.record.applied ?? 0;
      if (applied <= 0) return;
      first[first.length - 1] ??= applied;
      if (first[APPLIED] === 0) first[APPLIED] = applied;
    } else if (one.kind === "label") {
      const applied = one.record.applied ?? 0;
      if (applied > 0 && appliedLabels.has(applied)) return;
      appliedLabels.add(applied);
      labels.push([place, ...labelRow(one.record)]);
    } else {
      const row = [place, ...shadowRow(one.record)];
      const { transactionId, candidate } = one.record;
      const key = `${transactionId.length} ${transactionId} ${candidate.version}`;
      if (!shadows.has(key)) shadows.set(key, row);
    }
  }

  const counts = new Map<string, Parameter[]>();
  for (const { version, outcome, count } of coverage) {
    const known = counts.get(`${outcome} ${version}`);
    if (known === undefined) counts.set(`${outcome} ${version}`, [version, outcome, count]);
    else known[2] = Number(known[2]) + count;
  }
  return {
    columns: [
      ...transposed([...predictions.values()], PREDICTIONS.length),
      ...transposed(labels, LABELS.length),
      ...transposed([...shadows.values()], SHADOWS.length),
      ...transposed([...counts.values()], COVERAGE.length),
    ],
    records: records.length,
  };
}

function transposed(rows: readonly (readonly Parameter[])[], width: number): unknown[][] {
  return Array.from({ length: width }, (_, column) => rows.map((row) => cellOf(row[column])));
}

/** As SQLite keeps numbers: no NaN, and the sign of zero, which a number's own text leaves out. */
function cellOf(value: Parameter): unknown {
  if (typeof value !== "number") return value;
  if (Number.isNaN(value)) return null;
  return Object.is(value, -0) ? "-0" : value;
}

/**
 * Arrays unnested into rows. A COPY can leave out no record that is there already, so it would need a table in between, to write all of it twice
 * and to clean it up; and it answers nothing, so the counts would take more round trips under the lock.
 */
function statementOf(schema: string): string {
  let place = SINGLES;
  const given = (alias: string, columns: readonly string[]): string => {
    const arrays = columns.map((column) => `$${++place}::${TYPES[column] ?? "text"}[]`);
    return `SELECT * FROM unnest(${arrays.join(", ")}) AS ${alias} (${columns.join(", ")})`;
  };
  const into = (columns: readonly string[]): string => columns.filter((name) => name !== "settled").join(", ");
  const of = (alias: string, columns: readonly string[]): string =>
    columns
      .filter((name) => name !== "settled")
      .map((name) => `${alias}.${name}`)
      .join(", ");
  const predictions = PREDICTIONS.slice(1);
  const labels = LABELS.slice(1);
  const shadows = SHADOWS.slice(1);
  return `WITH
    given AS (${given("g", PREDICTIONS)}),
    given_labels AS (${given("g", LABELS)}),
    given_shadows AS (${given("g", SHADOWS)}),
    given_coverage AS (${given("g", COVERAGE)}),
    fresh AS (SELECT * FROM given g WHERE NOT EXISTS (
      SELECT 1 FROM ${schema}.log_predictions p WHERE p.log = $1::bigint AND p.transaction_id = g.transaction_id)),
    fresh_labels AS (SELECT * FROM given_labels g WHERE NOT EXISTS (
      SELECT 1 FROM ${schema}.log_labels l WHERE l.log = $1::bigint AND l.applied > 0 AND l.applied = g.applied)),
    numbered AS (
      SELECT place, $2::bigint + row_number() OVER (ORDER BY place) AS sequence
      FROM (SELECT place FROM fresh UNION ALL SELECT place FROM fresh_labels) AS every),
    kept AS (
      INSERT INTO ${schema}.log_predictions (log, sequence, ${into(predictions)})
      SELECT $1::bigint, n.sequence, ${of("f", predictions)} FROM fresh f JOIN numbered n ON n.place = f.place RETURNING 1),
    kept_labels AS (
      INSERT INTO ${schema}.log_labels (log, sequence, ${into(labels)})
      SELECT $1::bigint, n.sequence, ${of("f", labels)} FROM fresh_labels f JOIN numbered n ON n.place = f.place RETURNING 1),
    kept_shadows AS (
      INSERT INTO ${schema}.log_shadows (log, ${into(shadows)})
      SELECT $1::bigint, ${of("g", shadows)} FROM given_shadows g ORDER BY g.place ON CONFLICT DO NOTHING RETURNING 1),
    settled AS (
      UPDATE ${schema}.log_predictions p SET applied = g.settled FROM given g
      WHERE p.log = $1::bigint AND p.transaction_id = g.transaction_id AND p.applied = 0 AND g.settled > 0 RETURNING 1),
    covered AS (
      INSERT INTO ${schema}.log_coverage AS c (log, version, outcome, count)
      SELECT $1::bigint, g.version, g.outcome, g.count FROM given_coverage g
      ON CONFLICT (log, version, outcome) DO UPDATE SET count = c.count + excluded.count RETURNING 1),
    added AS (
      SELECT (SELECT count(*) FROM kept) AS predictions, (SELECT count(*) FROM kept_labels) AS labels,
        (SELECT count(*) FROM kept_shadows) AS shadows),
    counted AS (
      UPDATE ${schema}.log_counters c SET value = c.value + CASE c.name
        WHEN 'sequence' THEN a.predictions + a.labels WHEN 'predictions' THEN a.predictions
        WHEN 'labels' THEN a.labels ELSE a.shadows END
      FROM added a WHERE c.log = $1::bigint AND c.name IN ('sequence', 'predictions', 'labels', 'shadows')
      RETURNING c.name, c.value),
    noted AS (
      INSERT INTO ${schema}.log_writers AS w (log, writer, items, written_at) VALUES ($1::bigint, $3::text, $4::bigint, now())
      ON CONFLICT (log, writer) DO UPDATE SET items = excluded.items, written_at = excluded.written_at RETURNING 1)
    SELECT a.predictions + a.labels + a.shadows, (SELECT value FROM counted WHERE name = 'predictions') FROM added a`;
}
