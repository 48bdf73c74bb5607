// A pipeline's data: a file read once, its columns under their canonical names, checked before anything is computed.
import { formatDuration } from "../../core/duration.ts";
import { assert, SentinelError } from "../../core/errors.ts";
import { type Column, type Table, textAt } from "../../core/table.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Dataset, DatasetDescription } from "../../ports/dataset.ts";
import { LABEL_KNOWN_AT } from "./vectors.ts";

/** A table under canonical names, and where it came from. */
export interface Source {
  readonly path: string;
  readonly hash: string;
  readonly table: Table;
}

/**
 * Reads the columns that the pipeline or `wanted` names, renamed by the pipeline's aliases. With `labelled`, the label
 * must be there. Errors: dataset.columns-missing, dataset.type-wrong and the dataset port's own, each naming file,
 * column, row and what to do.
 */
export async function readSource(
  dataset: Dataset,
  pipeline: Pipeline,
  options: {
    readonly path: string;
    readonly wanted: readonly string[];
    readonly labelled: boolean;
    /** Columns that nobody names are read too, for a gate that may ask about them. */
    readonly all?: boolean;
  },
): Promise<Source> {
  const description = await dataset.describe(options.path);
  const fileName = fileNames(description, pipeline);
  const { id, time, amount, label } = pipeline.columns;
  const required = options.labelled ? [id, time, amount, label] : [id, time, amount];
  const missing = required.filter((name) => !fileName.has(name));
  if (missing.length > 0) throw columnsMissing(description, pipeline, missing);
  const columns = [...new Set([...required, pipeline.columns.card, label, LABEL_KNOWN_AT, ...options.wanted])].filter(
    (name) => fileName.has(name),
  );
  const besides = options.all === true ? [...fileName.keys()].filter((name) => !columns.includes(name)) : [];
  const hash = await dataset.hash(options.path);
  const raw = await dataset.read(options.path, {
    columns: [...columns, ...besides].map((name) => fileName.get(name)!),
  });
  const renamed = new Map<string, Column>(
    [...columns, ...besides].map((name) => [name, raw.columns.get(fileName.get(name)!)!]),
  );
  const table: Table = { rows: raw.rows, columns: renamed };
  const types = new Map(description.columns.map(({ name, nativeType }) => [name, nativeType]));
  const native = (name: string): string => `${fileName.get(name)} (${types.get(fileName.get(name)!)})`;
  checkTime(table, { path: options.path, name: time, native: native(time) });
  const numeric = [amount, ...(renamed.has(label) ? [label] : [])];
  for (const name of numeric) {
    if (isEmpty(renamed.get(name)!)) renamed.set(name, noNumbers(raw.rows));
  }
  const known = renamed.get(LABEL_KNOWN_AT);
  if (known !== undefined && isEmpty(known)) renamed.set(LABEL_KNOWN_AT, noNumbers(raw.rows));
  else if (known?.kind === "text") throw notTimes(known, { path: options.path, native: native(LABEL_KNOWN_AT) });
  for (const name of numeric) checkNumber(renamed.get(name)!, { path: options.path, native: native(name) });
  for (const name of columns) checkFinite(renamed.get(name)!, { path: options.path, native: native(name) });
  if (renamed.has(label)) checkLabel(renamed.get(label)!, { path: options.path, native: native(label) });
  return { path: options.path, hash, table };
}

/** With the named columns and those that the pipeline names, and no others. */
export function keepColumns(source: Source, { columns }: Pipeline, wanted: readonly string[]): Source {
  const names = new Set([...Object.values(columns), LABEL_KNOWN_AT, ...wanted]);
  const kept = [...source.table.columns].filter(([name]) => names.has(name));
  return { ...source, table: { ...source.table, columns: new Map(kept) } };
}

/** The labels of a table that {@link readSource} read with its labels, as 0 and 1; a missing label counts as 0. */
export function labelsOf(table: Table, pipeline: Pipeline): Uint8Array {
  return Uint8Array.from(numbersOf(table, pipeline.columns.label), (label) => (label === 1 ? 1 : 0));
}

/** The event times of a table that {@link readSource} read, epoch milliseconds. */
export function timesOf(table: Table, pipeline: Pipeline): Float64Array {
  return numbersOf(table, pipeline.columns.time);
}

/** The amounts of a table that {@link readSource} read; NaN where one is missing. */
export function amountsOf(table: Table, pipeline: Pipeline): Float64Array {
  return Float64Array.from(numbersOf(table, pipeline.columns.amount));
}

/** Zeros for a column of another shape would be labels and times that nobody wrote, so that it stops here. */
function numbersOf(table: Table, name: string): Float64Array {
  const column = table.columns.get(name);
  assert(column !== undefined, `column ${name} was read`);
  assert(column.kind !== "text", `column ${name} was checked to hold no text`);
  return column.values;
}

/** Cards as dense codes for evidence by card; every row its own card where the column is absent or empty. */
export function cardsOf(table: Table, pipeline: Pipeline): Int32Array {
  const codes = new Int32Array(table.rows);
  const column = table.columns.get(pipeline.columns.card);
  if (column?.kind === "text") {
    let next = column.dictionary.length;
    for (let i = 0; i < codes.length; i++) codes[i] = column.codes[i] < 0 ? next++ : column.codes[i];
    return codes;
  }
  const seen = new Map<number, number>();
  let next = 0;
  for (let i = 0; i < codes.length; i++) {
    const value = column === undefined ? Number.NaN : column.values[i];
    const known = Number.isNaN(value) ? undefined : seen.get(value);
    codes[i] = known ?? next++;
    if (known === undefined && !Number.isNaN(value)) seen.set(value, codes[i]);
  }
  return codes;
}

/** Stops at the first transaction id that occurs twice, naming both rows. */
export function checkUniqueIds(source: Source, pipeline: Pipeline): void {
  const column = source.table.columns.get(pipeline.columns.id)!;
  const first = new Map<number | string, number>();
  const increasing = column.kind !== "text" && isIncreasing(column.values);
  if (increasing) return;
  for (let row = 0; row < source.table.rows; row++) {
    const id = column.kind === "text" ? column.codes[row] : column.values[row];
    const before = first.get(id);
    if (before !== undefined) {
      throw new SentinelError(
        "dataset.type-wrong",
        `${source.path}: transaction id ${textAt(column, row)} occurs twice, in data rows ${before + 1} and ${row + 1}`,
        { hint: "every transaction must have an id of its own: remove the repeated rows" },
      );
    }
    first.set(id, row);
  }
}

/** The span of a table's time as people read it. */
export function spanText(times: Float64Array): string {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const time of times) {
    if (time < low) low = time;
    if (time > high) high = time;
  }
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  return `${day(low)} … ${day(high)} (${formatDuration(Math.max(1, Math.round((high - low) / 86_400_000)) * 86_400_000)})`;
}

interface Place {
  readonly path: string;
  readonly native: string;
}

/** Canonical name → the file's own name; a file that has two names for one column keeps the canonical one. */
function fileNames(description: DatasetDescription, pipeline: Pipeline): Map<string, string> {
  const names = new Map<string, string>();
  for (const { name } of description.columns) {
    const canonical = pipeline.canonical.get(name) ?? name;
    if (!names.has(canonical) || canonical === name) names.set(canonical, name);
  }
  return names;
}

function columnsMissing(
  description: DatasetDescription,
  pipeline: Pipeline,
  missing: readonly string[],
): SentinelError {
  const accepted = missing.map((name) => {
    const others = [...pipeline.canonical]
      .filter(([other, canonical]) => canonical === name && other !== name)
      .map(([other]) => other);
    return others.length > 0 ? `${name} (or ${others.join(", ")})` : name;
  });
  const has = description.columns.map(({ name }) => name).slice(0, 30);
  return new SentinelError(
    "dataset.columns-missing",
    `${description.path} has no column ${accepted.join(" and no ")}; it has: ${has.join(", ")}`,
    {
      hint: `rename the column in the file, or add its name under aliases: in ${pipeline.file}`,
    },
  );
}

function checkTime(table: Table, place: Place & { readonly name: string }): void {
  const column = table.columns.get(place.name)!;
  if (column.kind !== "time" && column.kind !== "number") {
    throw notTimes(column, place);
  }
  for (let row = 0; row < table.rows; row++) {
    if (!Number.isFinite(column.values[row])) {
      throw typeWrong(
        place,
        `has no time in data row ${row + 1}`,
        "every transaction needs its time: fill it in or remove the row",
      );
    }
  }
}

function notTimes(column: Column, place: Place): SentinelError {
  return typeWrong(
    place,
    `holds ${oddText(column, (text) => !Number.isNaN(Date.parse(text)))}, not times`,
    "write times as 2018-04-01 00:00:31 (UTC) or epoch milliseconds",
  );
}

function checkNumber(column: Column, place: Place): void {
  if (column.kind === "number") return;
  const seen = column.kind === "text" ? oddText(column, (text) => Number.isFinite(Number(text))) : "times";
  throw typeWrong(
    place,
    `holds ${seen}, not numbers`,
    "fix the column: plain numbers with a point, empty where missing",
  );
}

/** Without one value a column says nothing of its type, and a text file's reader takes it for texts. */
function isEmpty(column: Column): boolean {
  return column.kind === "text" && column.codes.every((code) => code < 0);
}

function noNumbers(rows: number): Column {
  return { kind: "number", values: new Float64Array(rows).fill(Number.NaN) };
}

function checkFinite(column: Column, place: Place): void {
  if (column.kind === "text") return;
  for (let row = 0; row < column.values.length; row++) {
    if (Math.abs(column.values[row]) === Number.POSITIVE_INFINITY) {
      throw typeWrong(
        place,
        `is infinite in data row ${row + 1}`,
        "leave a missing value empty; infinity is no amount",
      );
    }
  }
}

function checkLabel(column: Column, place: Place): void {
  if (column.kind === "text") return;
  for (let row = 0; row < column.values.length; row++) {
    const value = column.values[row];
    if (value !== 0 && value !== 1 && !Number.isNaN(value)) {
      throw typeWrong(
        place,
        `is ${value} in data row ${row + 1}; a label is 0 or 1`,
        "write 1 for fraud, 0 for genuine, nothing where not known",
      );
    }
  }
}

function typeWrong(place: Place, what: string, hint: string): SentinelError {
  return new SentinelError("dataset.type-wrong", `${place.path}: column ${place.native} ${what}`, { hint });
}

/** The first text that made the whole column text, and where it stands. */
function oddText(column: Column, fits: (text: string) => boolean): string {
  if (column.kind !== "text") return "other values";
  const odd = column.dictionary.map((text) => text.trim() === "" || !fits(text));
  const row = column.codes.findIndex((code) => code >= 0 && odd[code]);
  if (row < 0) return "text";
  return `text such as ${JSON.stringify(column.dictionary[column.codes[row]].slice(0, 40))} in data row ${row + 1}`;
}

function isIncreasing(values: Float64Array): boolean {
  for (let i = 1; i < values.length; i++) if (!(values[i] > values[i - 1])) return false;
  return true;
}
