// Compact: the log's old predictions are in the archive, or become one Parquet file where there is none, and the log forgets them.
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../core/errors.ts";
import { PRIVATE_FOLDER_MODE } from "../core/private.ts";
import { outcomeText } from "../core/rule-text.ts";
import type { Column, Table } from "../core/table.ts";
import type { OldRecord } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import { type ArchiveInput, archiveNow } from "./archive/write.ts";

export interface CompactResult {
  /** The file, or the archive that has them; null: nothing is as old as that. */
  readonly file: string | null;
  readonly predictions: number;
  /** Those among them that had a label. */
  readonly labelled: number;
}

export interface CompactInput extends ArchiveInput {
  readonly before: number;
  /** Where a file is to go; null: into the archive of the pipeline, and `otherwise` where it has none. */
  readonly folder: string | null;
  readonly otherwise: string;
}

/** Rows in memory at a time. */
const BATCH_ROWS = 10_000;
const INTEGERS = ["sequence", "fraud", "degraded", "applied"];

/**
 * Predictions received before an instant leave the log, with their labels and shadows, once they are kept elsewhere: in the archive, which gets what
 * it has not yet, or as one file with the label known last of each. Errors: log.*, dataset.unwritable, archive.*.
 */
export async function compact(ports: Ports, input: CompactInput): Promise<CompactResult> {
  const { pipeline, before } = input;
  const log = await ports.log();
  const archive = input.folder === null ? ((await ports.archive?.()) ?? null) : null;
  if (archive !== null) return await forgetArchived(ports, { ...input, where: archive.objects.where });
  const folder = input.folder ?? input.otherwise;
  let first: number | null = null;
  for await (const { record } of log.old(before)) {
    first = record.sequence;
    break;
  }
  if (first === null) return { file: null, predictions: 0, labelled: 0 };
  const day = new Date(before).toISOString().slice(0, 10);
  const file = path.join(folder, `${pipeline.name}-log-${String(first).padStart(12, "0")}-before-${day}.parquet`);
  if (existsSync(file)) {
    throw new SentinelError("dataset.unwritable", `${file} is there already`, {
      hint: "an earlier compaction wrote it and was stopped before the log forgot the records: move the file away and run the command again",
    });
  }
  mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
  let labelled = 0;
  const counted = (rows: readonly OldRecord[]): Table => {
    labelled += rows.filter(({ label }) => label !== null).length;
    return tableOf(rows);
  };
  const dataset = await ports.dataset();
  const { rows } = await dataset.write(file, batches(log.old(before), counted), { integers: INTEGERS });
  const predictions = await log.forget(before);
  if (predictions !== rows) {
    ports.report.line(
      `${rows} predictions are in ${file}, ${predictions} were removed: the log forgot some itself meanwhile`,
    );
  }
  return { file, predictions: rows, labelled };
}

/** The archive has every entry before the log forgets one: no second file says the same. */
async function forgetArchived(ports: Ports, input: CompactInput & { readonly where: string }): Promise<CompactResult> {
  const log = await ports.log();
  let [labelled, predictions] = [0, 0];
  for await (const { label } of log.old(input.before)) {
    predictions++;
    if (label !== null) labelled++;
  }
  if (predictions === 0) return { file: null, predictions: 0, labelled: 0 };
  await archiveNow(ports, input);
  return { file: input.where, predictions: await log.forget(input.before), labelled };
}

async function* batches(
  old: AsyncIterable<OldRecord>,
  tabled: (rows: readonly OldRecord[]) => Table,
): AsyncGenerator<Table> {
  let rows: OldRecord[] = [];
  for await (const row of old) {
    rows.push(row);
    if (rows.length < BATCH_ROWS) continue;
    yield tabled(rows);
    rows = [];
  }
  if (rows.length > 0) yield tabled(rows);
}

/** Fields, unknown fields and vector as JSON: DuckDB takes them apart with `fields->>'amount'` and `vector::FLOAT[]`. */
function tableOf(rows: readonly OldRecord[]): Table {
  const number = (of: (row: OldRecord) => number | undefined): Column => ({
    kind: "number",
    values: Float64Array.from(rows, (row) => of(row) ?? Number.NaN),
  });
  const time = (of: (row: OldRecord) => number | undefined): Column => ({
    kind: "time",
    values: Float64Array.from(rows, (row) => of(row) ?? Number.NaN),
  });
  const text = (of: (row: OldRecord) => string | undefined): Column => {
    const places = new Map<string, number>();
    const codes = Int32Array.from(rows, (row) => {
      const value = of(row);
      if (value === undefined) return -1;
      const place = places.get(value) ?? places.size;
      places.set(value, place);
      return place;
    });
    return { kind: "text", codes, dictionary: [...places.keys()] };
  };
  const columns = new Map<string, Column>([
    ["sequence", number(({ record }) => record.sequence)],
    ["transaction_id", text(({ record }) => record.transactionId)],
    ["time", time(({ record }) => record.time)],
    ["received_at", time(({ record }) => record.receivedAt)],
    ["fields", text(({ record }) => JSON.stringify(record.fields))],
    ["extra", text(({ record }) => JSON.stringify(record.extra))],
    [
      "vector",
      text(({ record }) => JSON.stringify([...record.vector].map((value) => (Number.isNaN(value) ? null : value)))),
    ],
    ["score", number(({ record }) => record.score)],
    ["anomaly_score", number(({ record }) => record.anomalyScore)],
    ["decision", text(({ record }) => record.decision)],
    ["version", text(({ record }) => record.version)],
    ["bundle", text(({ record }) => record.bundle)],
    ["latency_ms", number(({ record }) => record.latencyMs)],
    ["degraded", number(({ record }) => (record.degraded ? 1 : 0))],
    ["rules", text(({ record }) => (record.rules === undefined ? undefined : outcomeText(record.rules)))],
    ["applied", number(({ record }) => record.applied)],
    ["explored_propensity", number(({ record }) => record.explored?.propensity)],
    ["review_threshold", number(({ record }) => record.adapted?.review)],
    ["block_threshold", number(({ record }) => record.adapted?.block)],
    ["segment", text(({ record }) => record.adapted?.segment)],
    ["fraud", number(({ label }) => (label === null ? undefined : label.fraud ? 1 : 0))],
    ["label_known_at", time(({ label }) => label?.knownAt)],
    ["label_source", text(({ label }) => label?.source)],
  ]);
  return { rows: rows.length, columns };
}
