// A pipeline's data: a file read once, its columns under their canonical names, checked before anything is computed.
import { Codes } from "../../core/codes.ts";
import { formatDuration } from "../../core/duration.ts";
import { assert, SentinelError } from "../../core/errors.ts";
import { spanOf } from "../../core/stats.ts";
import { allDifferent, type Column, type Table, type TextColumn, type TimeColumn, textAt } from "../../core/table.ts";
import { countsBySpelling, PLAIN_TIME } from "../../core/time.ts";
import { inputsOf } from "../../features/inputs.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import { type NameOf, nameFolder } from "../../pipeline/names.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Dataset, DatasetDescription } from "../../ports/dataset.ts";
import type { Ports } from "../../ports/ports.ts";
import { type KnownLabels, readLabels } from "../archive/labels.ts";
import { instants, type Place, rowNumber, typeWrong } from "./instants.ts";
import { LABEL_KNOWN_AT } from "./vectors.ts";
import { composed, labelColumn, moneyColumn, rowIds } from "./written.ts";

/** A table under canonical names, and where it came from. */
export interface Source {
  readonly path: string;
  readonly hash: string;
  readonly table: Table;
  /** Where `table` holds only some rows of the data: how many there are, and which of them each is. */
  readonly part?: { readonly of: number; readonly rows: Float64Array };
}

/** Transactions of the data, whether all of them are at hand or not. */
export function rowsOf({ table, part }: Pick<Source, "table" | "part">): number {
  return part?.of ?? table.rows;
}

export interface SourceOptions {
  readonly path: string;
  /** Whose columns are read, and by what their cells count: spelling or number. */
  readonly plans: readonly FeaturePlan[];
  /** Of these, the plans without whose keys the table is of no use (all, when absent); what another plan lacks is missing in every row. */
  readonly required?: readonly FeaturePlan[];
  /** The label must be there. */
  readonly labelled: boolean;
  /** Columns that nobody names are read too, for a gate that may ask about them. */
  readonly all?: boolean;
  /** SHA-256 of the table, where it is known already. */
  readonly hash?: string;
}

/**
 * Reads the columns that the pipeline or a plan names, under their canonical names: ids and keys as they are spelled, times as instants by
 * the pipeline's rule. Errors: dataset.columns-missing, dataset.type-wrong and the dataset port's own, each naming file, column, row, value
 * and what to do.
 */
export async function readSource(dataset: Dataset, pipeline: Pipeline, options: SourceOptions): Promise<Source> {
  const { path } = options;
  const reading = planSource(await asItIs(dataset, pipeline, path), options);
  const hash = await dataset.hash(path);
  const names = [...reading.read, ...reading.besides].map((name) => reading.fileName.get(name)!);
  const raw = await dataset.read(path, { columns: names, spelled: reading.spelled });
  return { path, hash, table: canonicalTable(raw, reading, 0) };
}

/** A source that is read in batches, as often as needed, and never held as a whole. */
export interface OpenSource {
  readonly path: string;
  readonly hash: string;
  readonly rows: number;
  /** The table without its rows: names and kinds of all columns. */
  readonly empty: Table;
  /** The named columns, in order, batch by batch; each stands until the next is asked for. Errors: those of {@link readSource}, at the batch at fault. */
  batches(columns: readonly string[]): AsyncIterable<Table>;
}

/** A part of a table: one of its files, read by the rules of the whole. */
export interface SourcePart {
  /** The file. */
  readonly path: string;
  /** Rows of the table before its first. */
  readonly before: number;
  /** What the table as a whole is. */
  readonly whole: DatasetDescription;
  /** Whether all its files are an archive's. */
  readonly isArchive: boolean;
  /** What {@link OpenSource.empty} of the whole is. */
  readonly empty: Table;
}

/** The same for a table that need not fit into memory. */
export async function openSource(dataset: Dataset, pipeline: Pipeline, options: SourceOptions): Promise<OpenSource> {
  const { path } = options;
  const reading = planSource(await asItIs(dataset, pipeline, path), options);
  const opened = await openReading(dataset, reading, { path, before: 0 });
  return { ...opened, path, hash: options.hash ?? (await dataset.hash(path)), rows: reading.description.rows };
}

/**
 * One file of such a table, alone, with the columns and kinds that the whole has: what the file lacks is missing in every row. Errors:
 * those of {@link readSource}, and dataset.type-wrong where the file, read alone, would say something else than as part of the whole.
 */
export async function openPart(
  dataset: Dataset,
  pipeline: Pipeline,
  options: SourceOptions & { readonly part: SourcePart },
): Promise<Pick<OpenSource, "batches">> {
  const { part } = options;
  // A file that alone would be read as Sentinel writes tables is read as the whole is.
  const reader = await asItIs(dataset, pipeline, part.path, { ...part.whole, isArchive: part.isArchive });
  const own = reader.description;
  const reading = planSource({ ...reader, description: part.whole }, options);
  checkAlike(own, part.whole, reading);
  const natives = new Set(own.columns.map(({ name }) => name));
  const opened = await openReading(dataset, reading, { path: part.path, before: part.before, natives });
  return {
    async *batches(columns) {
      for await (const batch of opened.batches(columns)) {
        yield fitted(batch, { columns, part, integers: integersOf(own, reading) });
      }
    },
  };
}

async function openReading(
  dataset: Dataset,
  reading: SourceReading,
  from: { readonly path: string; readonly before: number; readonly natives?: ReadonlySet<string> },
): Promise<Pick<OpenSource, "empty" | "batches">> {
  const { fileName, spelled } = reading;
  const { natives } = from;
  const isThere = (native: string): boolean => natives === undefined || natives.has(native);
  const all = [...reading.read, ...reading.besides].filter((name) => isThere(fileName.get(name)!));
  const scan = await dataset.scan(from.path, {
    columns: all.map((name) => fileName.get(name)!),
    spelled: spelled.filter(isThere),
  });
  const canonical = new Map(all.map((name) => [fileName.get(name)!, name]));
  return {
    empty: canonicalTable(scan.empty, reading, 0),
    async *batches(columns) {
      const own = new Set(columns.flatMap((name) => needs(name, reading)));
      const wanted = [...canonical].filter(([, name]) => own.has(name)).map(([native]) => native);
      let { before } = from;
      for await (const raw of scan.batches(wanted)) {
        yield canonicalTable(raw, reading, before);
        before += raw.rows;
      }
    },
  };
}

const INTEGER_TYPE = /^U?(TINYINT|SMALLINT|INTEGER|BIGINT)$/;

/** Refuses a file whose column is of another type than the table's: a float, a decimal or a date is spelled otherwise alone than among others. */
function checkAlike(own: DatasetDescription, whole: DatasetDescription, reading: SourceReading): void {
  const types = new Map(own.columns.map(({ name, nativeType }) => [name, nativeType]));
  const read = new Set(reading.read.map((name) => reading.fileName.get(name)));
  for (const { name, nativeType } of whole.columns) {
    const type = types.get(name);
    if (!read.has(name) || type === nativeType) continue;
    if (type === undefined) {
      // Columns that came later are missing in an archive's files before.
      if (reading.labels !== null) continue;
      throw new SentinelError("dataset.type-wrong", `${own.path}: column ${name} stands in the names of folders`, {
        hint: "files that are read apart must hold all columns that the features read: write the column into the files",
      });
    }
    if (INTEGER_TYPE.test(type) && INTEGER_TYPE.test(nativeType)) continue;
    throw new SentinelError(
      "dataset.type-wrong",
      `${own.path}: column ${name} is ${type}, and ${nativeType} in the table as a whole`,
      { hint: "files that are read apart must have columns of the same types: write the file again with the table's" },
    );
  }
}

/** Canonical names of the file's columns of whole numbers. */
function integersOf(own: DatasetDescription, { fileName }: SourceReading): ReadonlySet<string> {
  const natives = new Set(
    own.columns.filter(({ nativeType }) => INTEGER_TYPE.test(nativeType)).map(({ name }) => name),
  );
  return new Set([...fileName].filter(([, native]) => natives.has(native)).map(([name]) => name));
}

/** The named columns of a batch, each of the kind that it has in the whole. */
function fitted(
  batch: Table,
  to: { readonly columns: readonly string[]; readonly part: SourcePart; readonly integers: ReadonlySet<string> },
): Table {
  const { part } = to;
  const cells = to.columns.flatMap((name): (readonly [string, Column])[] => {
    const wanted = part.empty.columns.get(name);
    if (wanted === undefined) return [];
    const column = batch.columns.get(name);
    if (column === undefined) return [[name, missingOf(wanted, batch.rows)]];
    if (column.kind === wanted.kind) return [[name, column]];
    // Whole numbers that are too long in another file are texts in all of them.
    if (wanted.kind === "text" && column.kind === "number" && to.integers.has(name)) return [[name, digitsOf(column)]];
    throw new SentinelError(
      "dataset.type-wrong",
      `${part.path}: column ${name} holds ${column.kind}, and ${wanted.kind} in the table as a whole`,
      { hint: "files that are read apart must have columns of the same types: write the file again with the table's" },
    );
  });
  return { rows: batch.rows, columns: new Map(cells) };
}

function missingOf(like: Column, rows: number): Column {
  if (like.kind === "text") return { kind: "text", codes: new Int32Array(rows).fill(-1), dictionary: [] };
  return { ...like, values: new Float64Array(rows).fill(Number.NaN) };
}

function digitsOf({ values }: { readonly values: Float64Array }): TextColumn {
  const dictionary: string[] = [];
  const codes = Int32Array.from(values, (value) => (Number.isNaN(value) ? -1 : dictionary.push(String(value)) - 1));
  return { kind: "text", codes, dictionary };
}

/** How a table is to be read: as the pipeline says, or as Sentinel itself writes tables. */
interface Reader {
  readonly description: DatasetDescription;
  readonly pipeline: Pipeline;
  /** Labels that came after the rows; null for a table that is no archive. */
  readonly labels: KnownLabels | null;
}

/** Beside the columns of a table that was written as {@link readSource} gives it: canonical names, instants, plain numbers, labels 0 and 1. */
export const CANONICAL_TABLE: Readonly<Record<string, string>> = { "sentinel.table": "canonical" };

/** Archives and tables of our own have ids, instants, numbers and 0 or 1, however the pipeline's tables write them; labels stand beside an archive's rows. */
async function asItIs(
  dataset: Dataset,
  pipeline: Pipeline,
  path: string,
  whole?: Pick<DatasetDescription, "metadata"> & { readonly isArchive: boolean },
): Promise<Reader> {
  const archives = whole?.isArchive === false ? [] : await dataset.archives(path);
  const description = await dataset.describe(path);
  const { metadata } = whole ?? description;
  const isOurs = Object.entries(CANONICAL_TABLE).every(([key, value]) => metadata[key] === value);
  if (archives.length === 0 && !isOurs) return { description, pipeline, labels: null };
  const written = { rowIds: false, timeParts: null, money: null, labelWords: null };
  const labels = archives.length === 0 ? null : await readLabels(archives);
  return { description, pipeline: { ...pipeline, times: PLAIN_TIME, written }, labels };
}

/** The columns of the file that a canonical column is made from or checked against. */
function needs(name: string, { pipeline, parts, labels }: SourceReading): readonly string[] {
  const { id, time, label } = pipeline.columns;
  if (name === time) return parts;
  if (name === LABEL_KNOWN_AT) return [name, ...parts, label, ...(labels === null ? [] : [id])];
  return name === label && labels !== null ? [name, id] : [name];
}

/** How a file becomes a table under canonical names. */
interface SourceReading extends Reader {
  /** Canonical name → the file's own. */
  readonly fileName: ReadonlyMap<string, string>;
  /** What a pipeline or a plan names, and what stands in the file besides. */
  readonly read: readonly string[];
  readonly besides: readonly string[];
  /** The file's names of columns that count by their spelling. */
  readonly spelled: readonly string[];
  /** The columns that make the time. */
  readonly parts: readonly string[];
  /** Columns that must hold numbers. */
  readonly numeric: ReadonlySet<string>;
}

function planSource(reader: Reader, options: SourceOptions): SourceReading {
  const { plans, labelled } = options;
  const { pipeline, description } = reader;
  const { columns, written } = pipeline;
  const { id, time, amount, card, label } = columns;
  const parts = written.timeParts ?? [time];
  const wanted = [...new Set(plans.flatMap((plan) => inputsOf(plan).all))];
  const fileName = fileNames(description, nameFolder(pipeline.canonical, [...wanted, LABEL_KNOWN_AT]));
  if (written.rowIds && fileName.has(id)) throw ownIds(description, { id, native: fileName.get(id)! });
  const required = options.required ?? plans;
  const keys = required.flatMap((plan) => inputsOf(plan).keys);
  const needed = [
    ...new Set([
      ...(written.rowIds ? [] : [id]),
      ...parts,
      ...(amount === null ? [] : [amount]),
      ...(labelled ? [label] : []),
      ...keys,
    ]),
  ];
  const missing = needed.filter((name) => !fileName.has(name));
  if (missing.length > 0) throw columnsMissing(description, pipeline, missing);

  const named = [...new Set([...needed, ...(card === null ? [] : [card]), label, LABEL_KNOWN_AT, ...wanted])];
  const read = named.filter((name) => fileName.has(name));
  const besides = options.all === true ? [...fileName.keys()].filter((name) => !read.includes(name)) : [];
  const spelled = spelledColumns(pipeline, plans)
    .filter((name) => fileName.has(name))
    .map((name) => fileName.get(name)!);
  const numbers = required.flatMap((plan) => inputsOf(plan).numbers);
  const numeric = new Set([...(amount === null ? [] : [amount]), ...numbers, label]);
  return { ...reader, fileName, read, besides, spelled, parts, numeric };
}

/** A batch of the file, the first of whose rows has so many before it, as the pipeline reads it. What was not read is left out. */
function canonicalTable(raw: Table, reading: SourceReading, before: number): Table {
  const { pipeline, description, fileName, parts } = reading;
  const { columns, times: rule, written } = pipeline;
  const { id, time, amount, label } = columns;
  const cells = new Map<string, Column>();
  for (const name of [...reading.read, ...reading.besides]) {
    const column = raw.columns.get(fileName.get(name)!);
    if (column !== undefined) cells.set(name, column);
  }
  const placeOf = (name: string): Place => ({
    ...placeIn(description, { name: fileName.get(name)!, pipeline }),
    rowsBefore: before,
  });
  if (written.rowIds) cells.set(id, rowIds(description, { from: before, count: raw.rows }));
  else if (cells.has(id)) checkIds(cells.get(id)!, placeOf(id));
  if (parts.every((part) => cells.has(part))) {
    const timeCells =
      written.timeParts === null
        ? cells.get(time)!
        : composed(
            parts.map((part) => cells.get(part)!),
            raw.rows,
          );
    cells.set(time, instants(timeCells, { place: timePlace(parts, placeOf), rule, needed: true }));
  }
  if (written.money !== null && amount !== null && cells.has(amount))
    cells.set(amount, moneyColumn(cells.get(amount)!, written.money, placeOf(amount)));
  if (written.labelWords !== null && cells.has(label))
    cells.set(label, labelColumn(cells.get(label)!, written.labelWords, placeOf(label)));
  const times = cells.get(time);
  if (reading.labels !== null) knowLabels(cells, { pipeline, labels: reading.labels });
  if (cells.has(LABEL_KNOWN_AT) && times?.kind === "time") {
    const place = placeOf(LABEL_KNOWN_AT);
    const known = instants(cells.get(LABEL_KNOWN_AT)!, { place, rule, needed: false });
    checkKnownAt(known, { times, labels: cells.get(label), place });
    cells.set(LABEL_KNOWN_AT, known);
  }
  for (const name of reading.numeric) {
    const column = cells.get(name);
    if (column === undefined || name === time) continue;
    cells.set(name, isEmpty(column) ? noNumbers(raw.rows) : column);
    if (name === label) checkLabel(cells.get(name)!, placeOf(name));
    else checkNumber(cells.get(name)!, placeOf(name));
  }
  for (const [name, column] of cells) {
    if (!reading.spelled.includes(fileName.get(name)!)) continue;
    if (name !== time && name !== amount && name !== label) checkDigits(column, placeOf(name));
  }
  for (const name of reading.read) {
    if (!cells.has(name)) continue;
    checkFinite(cells.get(name)!, placeOf(name));
    cells.set(name, withoutMinusZero(cells.get(name)!));
  }
  return { rows: raw.rows, columns: cells };
}

/** The labels that are known now, in the place of those that were known when the rows were written. */
function knowLabels(
  cells: Map<string, Column>,
  { pipeline, labels }: { readonly pipeline: Pipeline; readonly labels: KnownLabels },
): void {
  const { id, time, label } = pipeline.columns;
  const [ids, times, truth, knownAt] = [cells.get(id), cells.get(time), cells.get(label), cells.get(LABEL_KNOWN_AT)];
  if (ids === undefined || truth === undefined || truth.kind === "text") return;
  const rows = truth.values.length;
  const values = Float64Array.from(truth.values);
  const known = knownAt === undefined || knownAt.kind === "text" ? null : Float64Array.from(knownAt.values);
  for (let row = 0; row < rows; row++) {
    const line = labels.get(textAt(ids, row) ?? "");
    if (line === undefined) continue;
    values[row] = line.fraud ? 1 : 0;
    if (known === null) continue;
    // Clocks differ: nobody knows a label before its transaction.
    const happened = times?.kind === "time" ? times.values[row] : Number.NEGATIVE_INFINITY;
    known[row] = Math.max(line.known_at, happened);
  }
  cells.set(label, { kind: "number", values });
  if (known !== null) cells.set(LABEL_KNOWN_AT, { kind: "time", values: known });
}

/** Where a time stands that may be composed of several columns. */
function timePlace(parts: readonly string[], placeOf: (name: string) => Place): Place {
  const places = parts.map(placeOf);
  return { ...places[0], native: places.map(({ native }) => native).join(" with ") };
}

/** Columns whose cells count by their spelling: ids, cards, what the pipeline reads as texts, and what the plans read as keys and texts and nowhere as a number. */
function spelledColumns({ columns, times, written }: Pipeline, plans: readonly FeaturePlan[]): readonly string[] {
  const { id, time, card, amount, label } = columns;
  const inputs = plans.map(inputsOf);
  const numbers = new Set<string | null>([amount, label, ...inputs.flatMap((one) => one.numbers)]);
  const worded = [...(card === null ? [] : [card]), ...inputs.flatMap(({ keys, texts }) => [...keys, ...texts])];
  const timed = countsBySpelling(times) ? [...(written.timeParts ?? [time]), LABEL_KNOWN_AT] : [];
  const signed = written.money === null || amount === null ? [] : [amount];
  const labelled = written.labelWords === null ? [] : [label];
  return [...new Set([id, ...signed, ...labelled, ...[...timed, ...worded].filter((name) => !numbers.has(name))])];
}

/** With the named columns and those that the pipeline names, and no others. */
export function keepColumns(source: Source, { columns }: Pipeline, wanted: readonly string[]): Source {
  const names = new Set<string | null>([...Object.values(columns), LABEL_KNOWN_AT, ...wanted]);
  const kept = [...source.table.columns].filter(([name]) => names.has(name));
  return { ...source, table: { ...source.table, columns: new Map(kept) } };
}

/** In {@link labelsOf}: a row whose truth nobody knows. */
export const UNLABELLED = 2;

/**
 * The labels of a table that {@link readSource} read with its labels, as 0 and 1. Where one is missing the pipeline says what that means (`labels.unreported`): genuine, or
 * {@link UNLABELLED}, which nothing may learn from or be judged by.
 */
export function labelsOf(table: Table, pipeline: Pipeline): Uint8Array {
  const absent = pipeline.labels.unreportedIsGenuine ? 0 : UNLABELLED;
  return Uint8Array.from(numbersOf(table, pipeline.columns.label), (label) => {
    if (Number.isNaN(label)) return absent;
    return label === 1 ? 1 : 0;
  });
}

/** One line on the rows without a label, and what they count as; null when every row has one. */
export function unlabelledText(table: Table, pipeline: Pipeline): string | null {
  const column = table.columns.get(pipeline.columns.label);
  if (column === undefined || column.kind === "text") return null;
  let count = 0;
  for (const value of column.values) if (Number.isNaN(value)) count++;
  return unlabelledLine({ count, of: table.rows }, pipeline);
}

/** The same where they are counted already. */
export function unlabelledLine(
  { count, of }: { readonly count: number; readonly of: number },
  pipeline: Pipeline,
): string | null {
  if (count === 0) return null;
  const rows = `${count.toLocaleString("en")} of ${of.toLocaleString("en")} transactions have no label`;
  return pipeline.labels.unreportedIsGenuine
    ? `  ${rows} and are taken for genuine (labels.unreported: genuine)`
    : `  ${rows} and are left out of learning and judging (labels.unreported: unknown)`;
}

/** The event times of a table that {@link readSource} read, epoch milliseconds. */
export function timesOf(table: Table, pipeline: Pipeline): Float64Array {
  return numbersOf(table, pipeline.columns.time);
}

/** The amounts of a table that {@link readSource} read; NaN where one is missing. */
export function amountsOf(table: Table, pipeline: Pipeline): Float64Array {
  const { amount } = pipeline.columns;
  if (amount === null) return new Float64Array(table.rows).fill(Number.NaN);
  return Float64Array.from(numbersOf(table, amount));
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
  const { card } = pipeline.columns;
  return codesOf(table, card === null ? undefined : table.columns.get(card));
}

/** Equal numbers for equal values of a column; a missing value is like no other. */
export function codesOf(table: Table, column: Column | undefined): Int32Array {
  const codes = new Int32Array(table.rows);
  if (column?.kind === "text") {
    let next = column.dictionary.length;
    for (let i = 0; i < codes.length; i++) codes[i] = column.codes[i] < 0 ? next++ : column.codes[i];
    return codes;
  }
  const seen = new Codes<number>();
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
  if (pipeline.written.rowIds) return;
  if (allDifferent(column)) return;
  const first = new Codes<number>();
  for (let row = 0; row < source.table.rows; row++) {
    const id = column.kind === "text" ? column.codes[row] : column.values[row];
    const before = first.get(id);
    if (before !== undefined) {
      throw repeatedId(source.path, { id: textAt(column, row) ?? "", rows: [before, row] });
    }
    first.set(id, row);
  }
}

/** The error of an id that stands in two rows, counted from 0. */
export function repeatedId(
  path: string,
  { id, rows }: { readonly id: string; readonly rows: readonly [number, number] },
): SentinelError {
  return new SentinelError(
    "dataset.type-wrong",
    `${path}: transaction id ${id} occurs twice, in data rows ${rows[0] + 1} and ${rows[1] + 1}`,
    { hint: "every transaction must have an id of its own: remove the repeated rows" },
  );
}

/** The span of a table's time as people read it. */
export function spanText(times: Float64Array): string {
  const { first, last } = spanOf(times);
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  return `${day(first)} … ${day(last)} (${formatDuration(Math.max(1, Math.round((last - first) / 86_400_000)) * 86_400_000)})`;
}

/** Where a column stands, for messages; `name` is the file's own. */
export function placeIn(
  { path, format, columns }: DatasetDescription,
  { name, pipeline }: { readonly name: string; readonly pipeline: Pipeline },
): Place {
  const type = columns.find((column) => column.name === name)?.nativeType;
  return { path, native: `${name} (${type})`, format, name, timeColumn: pipeline.columns.time, rowsBefore: 0 };
}

/** Canonical name → the file's own name. Errors: dataset.columns-missing, when two of the file's columns have one canonical name. */
export function fileNames(description: DatasetDescription, nameOf: NameOf): Map<string, string> {
  const names = new Map<string, string>();
  for (const { name } of description.columns) {
    const canonical = nameOf(name);
    const other = names.get(canonical);
    if (other !== undefined) throw namedTwice(description.path, { canonical, names: [other, name] });
    names.set(canonical, name);
  }
  return names;
}

/** The error of a table that has the ids which its pipeline says it has not. */
function ownIds(
  { path }: DatasetDescription,
  { id, native }: { readonly id: string; readonly native: string },
): SentinelError {
  return new SentinelError(
    "dataset.type-wrong",
    `${path} has a column ${native}, and columns.id makes ids from row numbers`,
    {
      hint: `write columns: id: ${id} to use the table's own, or give the made ones another name: id: {from: row, as: row_id}`,
    },
  );
}

/** The error of a file with two columns of one meaning: which of them counts is not for a reader to guess. */
function namedTwice(
  path: string,
  { canonical, names }: { readonly canonical: string; readonly names: readonly string[] },
): SentinelError {
  return new SentinelError(
    "dataset.type-wrong",
    `${path} has two columns that mean ${canonical}: ${names.join(" and ")}`,
    {
      hint: "keep one of them, or take the name of the other out of aliases: in the pipeline",
    },
  );
}

function columnsMissing(
  description: DatasetDescription,
  pipeline: Pipeline,
  missing: readonly string[],
): SentinelError {
  const roles = new Map(Object.entries(pipeline.columns).map(([role, name]) => [name, role]));
  const accepted = missing.map((name) => {
    const others = [...pipeline.canonical]
      .filter(([other, canonical]) => canonical === name && other !== name)
      .map(([other]) => other);
    const what = roles.has(name) ? "" : ", a key of the features";
    return others.length > 0
      ? `${name} (or ${others.join(", ")}${what})`
      : `${name}${what === "" ? "" : " (a key of the features)"}`;
  });
  return new SentinelError(
    "dataset.columns-missing",
    `${description.path} has no column ${accepted.join(" and no ")}; it has: ${columnList(description)}`,
    {
      hint: `rename the column in the file, or add its name under aliases: in ${pipeline.file}`,
    },
  );
}

/** So many names of a file are shown. */
const NAMES_SHOWN_MAX = 100;

/** The names of a file's columns; of a very wide file the first, and how many more. */
export function columnList({ columns }: DatasetDescription): string {
  const shown = columns.slice(0, NAMES_SHOWN_MAX).map(({ name }) => name);
  const more = columns.length - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function checkIds(column: Column, place: Place): void {
  const missing = column.kind === "text" ? column.codes.indexOf(-1) : column.values.findIndex(Number.isNaN);
  if (missing < 0) return;
  const hint = "every transaction needs an id of its own: fill it in or remove the row";
  throw typeWrong(place, `has no transaction id in data row ${rowNumber(place, missing)}`, hint);
}

/** Whole numbers from here on are not told from their neighbours, by type. */
const WHOLE_MAX = { double: 2 ** 53, float: 2 ** 24 } as const;

/** Ids and keys that were made floats on their way lost their last digits, so that two customers are one. Errors: dataset.type-wrong. */
export function checkDigits(column: Column, place: Place): void {
  if (column.kind !== "number") return;
  const most = place.native.endsWith("(FLOAT)") ? WHOLE_MAX.float : WHOLE_MAX.double;
  const row = column.values.findIndex((value) => Math.abs(value) >= most && Number.isInteger(value));
  if (row < 0) return;
  throw typeWrong(
    place,
    `in data row ${rowNumber(place, row)} is ${column.values[row]}, a whole number beyond what a float holds: its last digits are lost`,
    'write ids and keys as integers or texts before anything makes floats of them (pandas: dtype "Int64" or "string")',
  );
}

/** Errors: dataset.type-wrong, at the first label that is known before its transaction. */
export function checkKnownAt(
  known: TimeColumn,
  given: { readonly times: TimeColumn; readonly labels: Column | undefined; readonly place: Place },
): void {
  const { times, labels, place } = given;
  if (labels === undefined) return;
  for (let row = 0; row < known.values.length; row++) {
    if (!(known.values[row] < Math.floor(times.values[row])) || textAt(labels, row) === null) continue;
    const [at, happened] = [known.values[row], times.values[row]].map((time) => new Date(time).toISOString());
    throw typeWrong(
      place,
      `in data row ${rowNumber(place, row)} is ${at}, before the transaction itself at ${happened}`,
      "a label is known after its transaction: correct the time, or leave it empty for the usual delay (labels.delay)",
    );
  }
}

function checkNumber(column: Column, place: Place): void {
  if (column.kind === "number") return;
  if (column.kind === "time") {
    throw typeWrong(
      place,
      "holds times, not numbers",
      "name another column, or write numbers: a request cannot send a time as one",
    );
  }
  const odd = oddCell(column, (text) => Number.isFinite(Number(text)) && !/^[+-]?0[box]/i.test(text.trim()));
  if (odd === null) throw typedAsText(column, place, "numbers");
  throw typeWrong(
    place,
    `is no number in data row ${rowNumber(place, odd.row)}: ${odd.shown}`,
    "write plain numbers with a point, without currency signs or separators, and leave a missing one empty",
  );
}

/** The error of a column of texts that are numbers all the same; of CSV with the first cell that made texts of them. */
function typedAsText(column: TextColumn, place: Place, what: string): SentinelError {
  if (place.format === "parquet") {
    const hint = `typed as text: cast it, for example CAST(${place.name} AS DOUBLE), and write the file again`;
    return typeWrong(place, `is typed as text, and its cells are ${what}`, hint);
  }
  const odd = place.format === "csv" ? oddCell(column, (text) => PLAIN_NUMBER.test(text)) : null;
  const where = odd === null ? "" : `: data row ${rowNumber(place, odd.row)} holds ${odd.shown}`;
  return typeWrong(
    place,
    `is typed as text, and its cells are ${what}${where}`,
    "write the numbers without leading zeros, without quotes and without spaces that are no plain ones",
  );
}

/** How CSV writes a number that nobody takes for an id. */
const PLAIN_NUMBER = /^[-+]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?$/i;

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
        `is infinite in data row ${rowNumber(place, row)}`,
        "leave a missing value empty; infinity is no amount",
      );
    }
  }
}

/** Minus zero is zero, as it is in a request: a vector would differ by one bit. */
function withoutMinusZero(column: Column): Column {
  if (column.kind === "text" || !column.values.some((value) => Object.is(value, -0))) return column;
  return { ...column, values: column.values.map((value) => (value === 0 ? 0 : value)) };
}

/** What a label is, and what to do about another. */
const LABEL_HINT =
  "write 1 for fraud, 0 for genuine, nothing where not known; or declare the words: columns: label: {column: …, fraud: [Yes], genuine: [No]}";

function checkLabel(column: Column, place: Place): void {
  if (column.kind === "text") {
    const odd = oddCell(column, (text) => text === "0" || text === "1");
    if (odd === null) throw typedAsText(column, place, "0 and 1");
    throw typeWrong(place, `is ${odd.shown} in data row ${rowNumber(place, odd.row)}; a label is 0 or 1`, LABEL_HINT);
  }
  if (column.kind === "time") throw typeWrong(place, "holds times; a label is 0 or 1", LABEL_HINT);
  for (let row = 0; row < column.values.length; row++) {
    const value = column.values[row];
    if (value !== 0 && value !== 1 && !Number.isNaN(value)) {
      throw typeWrong(place, `is ${value} in data row ${rowNumber(place, row)}; a label is 0 or 1`, LABEL_HINT);
    }
  }
}

/** The first text that does not fit, and where it stands; null when all do. */
function oddCell(
  column: TextColumn,
  fits: (text: string) => boolean,
): { readonly row: number; readonly shown: string } | null {
  const odd = column.dictionary.map((text) => text.trim() === "" || !fits(text));
  const row = column.codes.findIndex((code) => code >= 0 && odd[code]);
  if (row < 0) return null;
  return { row, shown: JSON.stringify(column.dictionary[column.codes[row]].slice(0, 40)) };
}

/** One line on the rows without a label, where there are any. */
export function reportUnlabelled(
  ports: Pick<Ports, "report">,
  { table }: { readonly table: Table },
  pipeline: Pipeline,
): void {
  const text = unlabelledText(table, pipeline);
  if (text !== null) ports.report.line(text);
}
