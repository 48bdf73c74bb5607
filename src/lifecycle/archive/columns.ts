// The columns of an archive: the transaction's by the types that its schema declares, what was answered and by whom, and the label.
import { sha256 } from "../../core/hash.ts";
import { outcomeText } from "../../core/rule-text.ts";
import type { FieldValue } from "../../core/transaction.ts";
import { schemaFields } from "../../online/fields.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { ArchiveCell, ArchiveColumn, ArchiveRows, ArchiveType } from "../../ports/archive.ts";
import type { PredictionRecord } from "../../ports/log.ts";
import { LABEL_KNOWN_AT } from "../data/vectors.ts";

/** How records become rows. */
export interface ArchiveTable {
  readonly columns: readonly ArchiveColumn[];
  /** Names of the columns that the archive itself reads. */
  readonly id: string;
  readonly time: string;
  readonly sequence: string;
  /** The label as 0 or 1, when it became known, who said so. */
  readonly labels: readonly [label: string, knownAt: string, source: string];
  cellsOf(record: PredictionRecord): readonly ArchiveCell[];
}

/** What Sentinel itself knows of a transaction. */
const OWN: readonly (readonly [name: string, type: ArchiveType, of: (record: PredictionRecord) => ArchiveCell])[] = [
  ["sequence", "integer", ({ sequence }) => sequence],
  ["received_at", "time", ({ receivedAt }) => finite(receivedAt)],
  ["score", "number", ({ score }) => finite(score)],
  ["anomaly_score", "number", ({ anomalyScore }) => finite(anomalyScore)],
  ["decision", "text", ({ decision }) => decision],
  [
    "decided_by",
    "text",
    ({ rules, degraded, score }) => rules?.by ?? (degraded || Number.isNaN(score) ? "policy" : "model"),
  ],
  ["decided_rule", "text", ({ rules }) => rules?.rule ?? null],
  ["rules_fired", "texts", ({ rules }) => rules?.fired ?? null],
  ["rules_shadow", "texts", ({ rules }) => rules?.shadow ?? null],
  ["rule_set", "text", ({ rules }) => rules?.set ?? null],
  ["rules", "text", ({ rules }) => (rules === undefined ? null : outcomeText(rules))],
  ["version", "text", ({ version }) => (version === "" ? null : version)],
  ["bundle", "text", ({ bundle }) => (bundle === "" ? null : bundle)],
  ["degraded", "boolean", ({ degraded }) => degraded],
  ["latency_ms", "number", ({ latencyMs }) => finite(latencyMs)],
  ["applied", "integer", ({ applied }) => applied ?? null],
  ["explored", "text", ({ explored }) => (explored === undefined ? null : JSON.stringify(explored))],
  ["vector", "floats", ({ vector }) => (vector.length === 0 ? null : vector)],
  ["extra", "text", ({ extra }) => jsonOrNull(extra)],
];
/** Fields that their column cannot hold as they came, as JSON. */
const MISFITS = "misfits";
const LABEL_SOURCE = "label_source";
/** Stands before a name of ours that the pipeline's transactions have too. */
const PREFIX = "sentinel_";

/**
 * The columns of a pipeline's archive. A column of the transaction has its canonical name; one of ours that would have the same name begins with
 * `sentinel_`.
 */
export function archiveTable(pipeline: Pipeline, schema: object | null): ArchiveTable {
  const { id, time, label } = pipeline.columns;
  const fields = fieldColumns(pipeline, schema);
  const others = [id, time, label, LABEL_KNOWN_AT, ...fields.map(({ name }) => name), ...pipeline.canonical.keys()];
  // Readers of Parquet tell columns apart without regard to case.
  const reserved = new Set(others.map((name) => name.toLowerCase()));
  const named = (name: string): string => (reserved.has(name) ? `${PREFIX}${name}` : name);
  const own = OWN.filter(([name]) => name !== "vector" || pipeline.archive.vectors);
  const labels = [label, LABEL_KNOWN_AT, named(LABEL_SOURCE)] as const;
  const columns: ArchiveColumn[] = [
    { name: id, type: "text" },
    { name: time, type: "time" },
    ...fields,
    ...own.map(([name, type]) => ({ name: named(name), type })),
    { name: named(MISFITS), type: "text" },
    { name: labels[0], type: "integer" },
    { name: labels[1], type: "time" },
    { name: labels[2], type: "text" },
  ];
  const known = new Map(fields.map(({ name, type }) => [name, type]));
  return {
    columns,
    id,
    time,
    sequence: named("sequence"),
    labels,
    cellsOf(record) {
      const misfits: Record<string, FieldValue> = Object.create(null) as Record<string, FieldValue>;
      if (!fitsText(record.transactionId)) misfits[id] = record.transactionId;
      for (const name in record.fields) if (!known.has(name)) misfits[name] = record.fields[name];
      const cells: ArchiveCell[] = [archivedText(record.transactionId), finite(record.time)];
      for (const { name, type } of fields) {
        const value = record.fields[name] ?? null;
        const cell = cellOf(value, type);
        if (cell === undefined) misfits[name] = value;
        cells.push(cell ?? null);
      }
      for (const [, , of] of own) cells.push(of(record));
      cells.push(jsonOrNull(misfits), null, null, null);
      return cells;
    },
  };
}

/** The fields that the pipeline knows, by its schema and its aliases, with the type that the schema gives each. */
function fieldColumns({ columns, canonical }: Pipeline, schema: object | null): readonly ArchiveColumn[] {
  const declared = schema === null ? new Map<string, unknown>() : schemaFields(schema);
  const roles = [columns.amount, columns.card].filter((name) => name !== null);
  const names = new Set([...declared.keys(), ...canonical.values(), ...roles]);
  const seen = new Set([columns.id, columns.time, columns.label, LABEL_KNOWN_AT].map((name) => name.toLowerCase()));
  return [...names].flatMap((name): ArchiveColumn[] => {
    // Of two names that differ by case alone the second has no column.
    if (seen.has(name.toLowerCase())) return [];
    seen.add(name.toLowerCase());
    return [{ name, type: name === columns.amount ? "number" : declaredType(declared.get(name)) }];
  });
}

/** Whatever may be a text is one: `7` and `"7"` are the same key, as they are to the features. */
function declaredType(field: unknown): ArchiveType {
  const { type, enum: values } = (field ?? {}) as { readonly type?: unknown; readonly enum?: unknown };
  const types = new Set([type].flat().filter((one) => one !== "null"));
  if (types.size === 0 && Array.isArray(values)) {
    const kinds = new Set(values.filter((value) => value !== null).map((value) => typeof value));
    if (kinds.size === 1 && kinds.has("number")) return "number";
    if (kinds.size === 1 && kinds.has("boolean")) return "boolean";
  }
  if (types.size === 1 && types.has("boolean")) return "boolean";
  if (types.size === 1 && types.has("integer")) return "integer";
  if (types.size > 0 && [...types].every((one) => one === "number" || one === "integer")) return "number";
  return "text";
}

/** Undefined for a value that the column does not hold as it is. */
function cellOf(value: FieldValue, type: ArchiveType): ArchiveCell | undefined {
  if (value === null) return null;
  if (type === "text") {
    const text = String(value);
    return fitsText(text) ? text : undefined;
  }
  if (type === "boolean") return typeof value === "boolean" ? value : undefined;
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  return type === "number" || Number.isSafeInteger(value) ? value : undefined;
}

/** Half of a surrogate pair is no UTF-8, and U+0000 ends texts in many readers. */
const UNFIT = /\0|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

function fitsText(text: string): boolean {
  return !UNFIT.test(text);
}

/** An id as the archive has it: one that is no text for everybody with \uXXXX in it. */
export function archivedText(text: string): string {
  return fitsText(text) ? text : JSON.stringify(text).slice(1, -1);
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function jsonOrNull(value: Readonly<Record<string, unknown>>): string | null {
  for (const _ in value) return JSON.stringify(value);
  return null;
}

/** Rows and the sum of their hashes: equal sums of equally many rows are the same rows, in whatever order. */
export interface Tally {
  readonly rows: number;
  /** 16 hexadecimal digits: the sum of the rows' hashes modulo 2^64. */
  readonly sum: string;
}

const NO_ROWS: Tally = { rows: 0, sum: "0".repeat(16) };
const HASH_DIGITS = 16;

export function addTallies(one: Tally = NO_ROWS, other: Tally = NO_ROWS): Tally {
  const sum = BigInt.asUintN(64, BigInt(`0x${one.sum}`) + BigInt(`0x${other.sum}`));
  return { rows: one.rows + other.rows, sum: sum.toString(16).padStart(HASH_DIGITS, "0") };
}

/**
 * The tally of rows: of everything in them but the label, which comes later, and the place in a shared state, which may. A column that is null
 * counts as one that is not there.
 */
export function tallyOf(
  columns: readonly ArchiveColumn[],
  { rows, cells }: ArchiveRows,
  without: ReadonlySet<string>,
): Tally {
  const counted = columns
    .map(({ name }, place) => ({ key: `${name.length}:${name}`, place, name, last: null as ArchiveCell, piece: "" }))
    .filter(({ name }) => !without.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  // In halves, which stay whole numbers below 2^53 for two million rows.
  let [high, low] = [0, 0];
  for (let row = 0; row < rows; row++) {
    let text = "";
    for (const one of counted) {
      const cell = cells[one.place][row];
      if (cell === null) continue;
      // Most columns say again what they said in the row before.
      if (cell !== one.last) {
        one.last = cell;
        one.piece = `${one.key}${cellText(cell)}`;
      }
      text += one.piece;
    }
    const hash = sha256(text);
    high += Number.parseInt(hash.slice(0, HASH_DIGITS / 2), 16);
    low += Number.parseInt(hash.slice(HASH_DIGITS / 2, HASH_DIGITS), 16);
  }
  const sum = BigInt.asUintN(64, (BigInt(high) << 32n) + BigInt(low));
  return { rows, sum: sum.toString(16).padStart(HASH_DIGITS, "0") };
}

/** Columns that {@link tallyOf} leaves out. */
export function uncounted({ labels, columns }: ArchiveTable): ReadonlySet<string> {
  return new Set([
    ...labels,
    ...columns.map(({ name }) => name).filter((name) => name === "applied" || name === `${PREFIX}applied`),
  ]);
}

/** With its length before a text, so that no content passes for another; bits of floats, because NaN has no spelling. */
function cellText(cell: Exclude<ArchiveCell, null>): string {
  if (typeof cell === "string") return `t${cell.length}:${cell}`;
  if (typeof cell === "number") return `n${cell};`;
  if (typeof cell === "boolean") return cell ? "y" : "f";
  if (!(cell instanceof Float32Array)) return `l${JSON.stringify(cell)}`;
  return `v${cell.length}:${Buffer.from(cell.buffer, cell.byteOffset, cell.byteLength).toString("latin1")}`;
}
