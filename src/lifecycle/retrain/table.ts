// The table that a retraining learns: the pipeline's, with what the log has learned since below it, in a file of its own; few of these are kept.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { isRemote } from "../../core/remote.ts";
import { largest } from "../../core/stats.ts";
import { type Column, isBoolean, type Table, textAt } from "../../core/table.ts";
import type { FieldValue } from "../../core/transaction.ts";
import { inputsOf } from "../../features/inputs.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import { readEras } from "../../online/states.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { LoggedTransaction } from "../../ports/log.ts";
import type { Ports } from "../../ports/ports.ts";
import { CANONICAL_TABLE, readSource, type Source, timesOf } from "../data/source.ts";
import { readingPlan } from "../data/spec-table.ts";
import { LABEL_KNOWN_AT } from "../data/vectors.ts";
import type { TrainInput } from "../train.ts";

/** Transactions taken from the log, at most; the newest. */
const LOG_ROWS_MAX = 5_000_000;

/** Tables kept for their own sake, the newest: one may look at what the last retrainings learned, and a killed one finds its own again. */
const TABLES_MAX = 3;

/** A part of a hash; a pipeline whose name only begins alike has another. */
const TABLE_END = /^[0-9a-f]{12}\.parquet$/;

export interface TableInput {
  readonly pipeline: Pipeline;
  /** The table that the log's transactions are added to. */
  readonly path: string;
  readonly workspace: string;
}

/**
 * The table with the log's later transactions below it, as a file of its own, so that the training can be repeated. Taken
 * are transactions later than the table's last and old enough for a final label; what an old one without a label counts as,
 * the pipeline says (`labels.unreported`). The table's own path when the log has nothing to add.
 */
export async function gather(ports: Ports, input: TableInput): Promise<Pick<TrainInput, "path" | "grownFrom">> {
  const { pipeline } = input;
  const dataset = await ports.dataset();
  const plan = await readingPlan(ports, pipeline, input.path);
  const source = await readSource(dataset, pipeline, {
    path: input.path,
    plans: [plan],
    labelled: true,
    // The data gate before the training may ask about any of them.
    all: true,
  });
  const last = largest(timesOf(source.table, pipeline));
  const added = await loggedSince(ports, pipeline, last);
  if (added.length === 0) return { path: input.path };
  const table = append(source, added, { pipeline, plan });
  const name = `${pipeline.name}-${hashOf(source, added).slice(0, 12)}.parquet`;
  const folder = folderOf(input.workspace);
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, name);
  await dataset.write(file, [table], { metadata: CANONICAL_TABLE });
  ports.report.line(
    `  ${source.table.rows.toLocaleString("en")} transactions of ${input.path} and ${added.length.toLocaleString("en")} of the log → ${file}`,
  );
  return { path: file, grownFrom: { path: input.path, hash: source.hash, logged: added.length } };
}

/** Of all that makes the table: a label that was corrected makes another one, and the file of a version that is there stays what it was. */
function hashOf(source: Source, added: readonly Logged[]): string {
  const hash = createHash("sha256").update(source.hash);
  for (const { record, fraud, knownAt } of added) hash.update(`\n${record.transactionId} ${fraud} ${knownAt}`);
  return hash.digest("hex");
}

function folderOf(workspace: string): string {
  return path.join(workspace, "data", "retrain");
}

/**
 * Removes the pipeline's tables but the newest {@link TABLES_MAX} and those that something still needs: a version with an alias was made from it,
 * or a feature state began with it, so that `replay` reads it. The others can be made again from the source and the log.
 */
export async function pruneTables(ports: Ports, { pipeline, workspace }: Omit<TableInput, "path">): Promise<void> {
  const folder = folderOf(workspace);
  if (!existsSync(folder)) return;
  const start = `${pipeline.name}-`;
  const files = readdirSync(folder)
    .filter((name) => name.startsWith(start) && TABLE_END.test(name.slice(start.length)))
    .map((name) => path.join(folder, name))
    .map((file) => ({ file, at: statSync(file).mtimeMs }))
    .sort((a, b) => b.at - a.at);
  if (files.length <= TABLES_MAX) return;
  const needed = await neededTables(ports, pipeline);
  for (const { file } of files.slice(TABLES_MAX)) if (!needed.has(path.resolve(file))) rmSync(file);
}

async function neededTables(ports: Ports, { name, model }: Pipeline): Promise<ReadonlySet<string>> {
  const registry = await ports.registry();
  const versions = Object.values(await registry.aliases(model));
  const made = await Promise.all(versions.map((version) => registry.version(model, version)));
  const eras = await readEras(await ports.snapshots(), name);
  const paths = [
    ...made.map(({ tags }) => tags["sentinel.data_path"] ?? ""),
    ...eras.map(({ origin }) => origin.dataPath),
  ];
  return new Set(paths.filter((one) => one !== "" && !isRemote(one)).map((one) => path.resolve(one)));
}

interface Logged {
  readonly record: LoggedTransaction;
  readonly fraud: boolean;
  readonly knownAt: number;
}

async function loggedSince(ports: Ports, pipeline: Pipeline, last: number): Promise<readonly Logged[]> {
  const log = await ports.log();
  const records: LoggedTransaction[] = [];
  const labels = new Map<string, { readonly fraud: boolean; readonly knownAt: number }>();
  let newest = Number.NEGATIVE_INFINITY;
  for await (const entry of log.arrivals(0)) {
    if (entry.kind === "label") {
      const { transactionId, fraud, knownAt } = entry.record;
      // Of transactions that are in the table already nothing is asked.
      if (entry.about !== null && entry.about.time > last) labels.set(transactionId, { fraud, knownAt });
    }
    if (entry.kind === "prediction") {
      newest = Math.max(newest, entry.record.time);
      if (entry.record.time > last) records.push(entry.record);
      if (records.length === 2 * LOG_ROWS_MAX) records.splice(0, LOG_ROWS_MAX);
    }
  }
  const final = newest - pipeline.labels.maturityMs;
  return records
    .slice(-LOG_ROWS_MAX)
    .filter(
      ({ time, transactionId }) => time <= final && (pipeline.labels.unreportedIsGenuine || labels.has(transactionId)),
    )
    .map((record) => {
      const label = labels.get(record.transactionId);
      const knownAt = Math.max(label?.knownAt ?? record.time + pipeline.labels.delayMs, record.time);
      return { record, fraud: label?.fraud ?? false, knownAt };
    });
}

/** Columns one below the other; numbers stay numbers only when both sides are. */
function append(
  source: Source,
  added: readonly Logged[],
  given: { readonly pipeline: Pipeline; readonly plan: FeaturePlan },
): Table {
  const { pipeline, plan } = given;
  const { table } = source;
  const numbers = new Set<string | null>([pipeline.columns.amount, ...inputsOf(plan).numbers]);
  const rows = table.rows + added.length;
  const { id, time, label } = pipeline.columns;
  const columns = new Map<string, Column>();
  for (const [name, column] of table.columns) {
    if (name === LABEL_KNOWN_AT) continue;
    const value = ({ record, fraud }: Logged): FieldValue =>
      name === id
        ? record.transactionId
        : name === time
          ? record.time
          : name === label
            ? fraud
              ? 1
              : 0
            : (record.fields[name] ?? null);
    // What the features read as a number is missing where the server got a text; keys and the rest keep their spelling.
    columns.set(name, appendColumn(column, added.map(numbers.has(name) ? numberOnly(value) : value), rows));
  }
  columns.set(
    LABEL_KNOWN_AT,
    appendColumn(
      knownColumn(source, pipeline),
      added.map(({ knownAt }) => knownAt),
      rows,
    ),
  );
  return { rows, columns };
}

/** A value as the features read it: a text is no number. */
function numberOnly(value: (logged: Logged) => FieldValue): (logged: Logged) => FieldValue {
  return (logged) => {
    const given = value(logged);
    return typeof given === "boolean" ? Number(given) : typeof given === "string" ? null : given;
  };
}

function knownColumn({ table }: Source, pipeline: Pipeline): Column {
  const there = table.columns.get(LABEL_KNOWN_AT);
  if (there !== undefined) return there;
  return { kind: "time", values: timesOf(table, pipeline).map((time) => time + pipeline.labels.delayMs) };
}

function appendColumn(column: Column, added: readonly FieldValue[], rows: number): Column {
  const before = rows - added.length;
  // A text goes among numbers only where it spells one as the number itself would.
  const fits = (value: FieldValue): boolean => {
    if (value === null || typeof value === "number") return true;
    if (typeof value === "boolean") return isBoolean(column);
    return Number.isFinite(Number(value)) && String(Number(value)) === value;
  };
  if (column.kind !== "text" && added.every(fits)) {
    const values = new Float64Array(rows);
    values.set(column.values);
    added.forEach((value, i) => {
      values[before + i] = value === null ? Number.NaN : Number(value);
    });
    return { ...column, values };
  }
  const dictionary: string[] = [];
  const codeOf = new Map<string, number>();
  const code = (text: string | null): number => {
    if (text === null) return -1;
    const known = codeOf.get(text);
    if (known !== undefined) return known;
    codeOf.set(text, dictionary.length);
    return dictionary.push(text) - 1;
  };
  const codes = new Int32Array(rows);
  for (let row = 0; row < before; row++) codes[row] = code(textAt(column, row));
  added.forEach((value, i) => {
    codes[before + i] = code(value === null ? null : String(value));
  });
  return { kind: "text", codes, dictionary };
}
