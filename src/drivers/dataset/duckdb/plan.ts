// How a file is read: what each column becomes, and the SQL that yields doubles and texts only.
import { SentinelError } from "../../../core/errors.ts";
import type { ColumnType } from "../../../ports/dataset.ts";
import { type Connection, identifier } from "./connection.ts";
import { columnsMissing } from "./errors.ts";
import type { TableFiles } from "./files.ts";
import type { DatasetFormat } from "./format.ts";
import { type Layout, layoutOf, type NativeColumn } from "./layout.ts";

/** What a column becomes. */
interface Choice {
  readonly type: ColumnType;
  /** SQL that yields the column as DOUBLE (numbers, times as epoch ms, booleans as 0 or 1) or as VARCHAR. */
  readonly expression: string;
  /** From the file's own spelling instead of the type it seemed to have (CSV and NDJSON). */
  readonly asText: boolean;
  /** The column is read as JSON tokens, each of which stands for a key's text. */
  readonly tokens?: true;
  /** An empty text is a missing one. */
  readonly emptyMissing?: true;
  /** The column cannot be read: why not, and what to do. */
  readonly refused?: { readonly what: string; readonly hint: string };
}

export interface PlannedColumn extends NativeColumn, Choice {}

export interface Plan {
  readonly columns: readonly PlannedColumn[];
  readonly rows: number;
  /** SQL of the table to select the expressions from. */
  readonly source: string;
}

/** A column before its values are looked at: the first question that all of them answer with yes decides. */
interface Draft {
  readonly column: NativeColumn;
  readonly otherwise: Choice;
  readonly questions: readonly { readonly test: string; readonly choice: Choice }[];
  /** The questions are about the file's own spelling, or its own tokens. */
  readonly spelling: boolean;
  readonly tokens?: true;
}

/** From here on, doubles no longer tell neighbouring integers apart. */
const INTEGER_UNSAFE = 2 ** 53;
const WIDE_INTEGER = /^(U?BIGINT|U?HUGEINT|BIGNUM|DECIMAL\((1[6-9]|[23]\d),0\))$/;
const INTEGER = /^U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/;
const NUMBER = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|BIGNUM|FLOAT|DOUBLE|DECIMAL\(.*\))$/;
const TIME = /^(DATE|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE)$/;
const NESTED = /^(STRUCT|MAP|UNION)\(|\]$/;
const TEXT = /^(VARCHAR|UUID$|ENUM\()/;
/** Types that a CSV or JSON text may seem to have. */
const SEEMING = /^(VARCHAR|DATE|TIME|TIMESTAMP.*)$/;

/** A part of what core/time.ts reads, on which DuckDB gives the same instants: no hour 24, no offset of a day, no more than microseconds. */
const ISO_TIME_TEXT =
  "^\\d{4}-\\d\\d-\\d\\d([T ]([01]\\d|2[0-3]):\\d\\d:\\d\\d(\\.\\d{1,6})?(Z|[-+]([01]\\d|2[0-3])(:[0-5]\\d)?)?)?$";
/** No leading zeros: 007 is an id. */
const NUMBER_TEXT = "(?i)^[-+]?(((0|[1-9]\\d*)(\\.\\d*)?|\\.\\d+)(e[-+]?\\d+)?|inf|infinity|nan)$";
/** A whole number whose digits are its only spelling, below 2^53. */
const DIGITS_TEXT = "^(0|-?[1-9]\\d{0,14})$";
const LONG_INTEGER_TEXT = "^[-+]?\\d{16,}$";

/** Plans the named columns (all when absent), in file order. */
export async function planColumns(
  connection: Connection,
  from: {
    readonly table: TableFiles;
    readonly columns?: readonly string[];
    readonly spelled?: readonly string[];
  },
): Promise<Plan> {
  const { asked, format, partitions } = from.table;
  const layout = await layoutOf(connection, from.table);
  requireColumns(asked, layout.columns, from.columns ?? []);
  const wanted = from.columns === undefined ? null : new Set(from.columns);
  const spelled = new Set(from.spelled);
  const drafts = layout.columns
    .filter((column) => wanted === null || wanted.has(column.name))
    // What stands in the name of a folder is a text, as in CSV, whatever the files are.
    .map((column) =>
      (spelled.has(column.name) ? spelledDraft : draftOf)(column, partitions.includes(column.name) ? "csv" : format),
    );
  const { rows, columns } = await survey(connection, layout, drafts);
  for (const { name, refused } of columns) {
    // A column that is only described, or that nobody named, is in nobody's way.
    if (refused === undefined || wanted === null) continue;
    const { what, hint } = refused;
    throw new SentinelError("dataset.type-wrong", `${asked}: column ${name} ${what}`, { hint });
  }
  return { rows, columns, source: layout.source(typesOf(columns)) };
}

/** As which types the columns that are not read as what they seem to be are read. */
function typesOf(
  columns: readonly Pick<PlannedColumn, "name" | "asText" | "tokens">[],
): ReadonlyMap<string, "VARCHAR" | "JSON"> {
  const read = columns.filter(({ asText }) => asText);
  return new Map(read.map(({ name, tokens }) => [name, tokens === true ? "JSON" : "VARCHAR"]));
}

function requireColumns(file: string, found: readonly NativeColumn[], wanted: readonly string[]): void {
  const names = namesOf(found);
  const missing = wanted.filter((name) => !names.has(name));
  if (missing.length > 0) throw columnsMissing(file, missing, [...names]);
}

function namesOf(columns: readonly NativeColumn[]): ReadonlySet<string> {
  return new Set(columns.map(({ name }) => name));
}

/** One pass over the file: counts its rows and asks all questions. */
async function survey(
  connection: Connection,
  layout: Layout,
  drafts: readonly Draft[],
): Promise<{ readonly rows: number; readonly columns: readonly PlannedColumn[] }> {
  const tests = drafts.flatMap(({ questions }) => questions.map(({ test }) => test));
  const spelled = typesOf(drafts.map(({ column: { name }, spelling, tokens }) => ({ name, asText: spelling, tokens })));
  const reader = await connection.runAndReadAll(
    `SELECT ${["count(*)", ...tests].join(", ")} FROM ${layout.source(spelled)}`,
  );
  const [rows, ...answers] = reader.getRowsJson()[0];
  const columns = drafts.map(({ column, questions, otherwise }) => {
    const yes = answers.splice(0, questions.length).indexOf(true);
    return { ...column, ...(yes < 0 ? otherwise : questions[yes].choice) };
  });
  return { rows: Number(rows), columns };
}

/** A column of ids or keys: numbers only where digits are the whole of its spelling, since that takes less memory; else texts. */
function spelledDraft(column: NativeColumn, format: DatasetFormat): Draft {
  const name = identifier(column.name);
  if (format === "parquet") return spelledParquet(column);
  const tokens = format === "ndjson" ? ({ tokens: true } as const) : {};
  const text: Choice = { type: "text", expression: `${name}::VARCHAR`, asText: true, emptyMissing: true, ...tokens };
  const number: Choice = { type: "number", expression: `${name}::VARCHAR::DOUBLE`, asText: true, ...tokens };
  const isDigits = allPresent(name, `regexp_matches(${name}::VARCHAR, '${DIGITS_TEXT}')`);
  const questions = [{ test: isDigits, choice: number }];
  if (format === "ndjson") {
    const nested = `coalesce(bool_or(regexp_matches(${name}::VARCHAR, '^[\\[{]')), false)`;
    const long = `coalesce(bool_or(regexp_matches(${name}::VARCHAR, '^-?[0-9]+[.eE]') AND abs(try_cast(${name}::VARCHAR AS DOUBLE)) >= ${INTEGER_UNSAFE}), false)`;
    questions.unshift({ test: nested, choice: { ...text, refused: NESTED_KEY } });
    questions.unshift({ test: long, choice: { ...text, refused: LONG_KEY } });
  }
  return { column, otherwise: text, questions, spelling: true, ...tokens };
}

function spelledParquet(column: NativeColumn): Draft {
  const { nativeType } = column;
  const name = identifier(column.name);
  if (isTooWide(column)) return tooWideDraft(column);
  const text: Choice = { type: "text", expression: `${name}::VARCHAR`, asText: false, emptyMissing: true };
  const decided = (otherwise: Choice): Draft => ({ column, otherwise, questions: [], spelling: false });
  if (nativeType === "BLOB") {
    const bytes: Choice = { ...text, refused: NO_TEXT };
    const choice: Choice = { ...text, expression: `decode(${name})` };
    const { test } = utf8Question(name);
    return { ...decided(bytes), questions: [{ test, choice }] };
  }
  // The shortest digits that give the same 32-bit float are how others write it.
  if (nativeType === "FLOAT") return decided({ type: "number", expression: `${name}::VARCHAR::DOUBLE`, asText: false });
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(nativeType);
  // Without the zeros that its type adds: 5 and 5.0000000000 are one customer, as they are in a request.
  if (decimal !== null && Number(decimal[2]) > 0 && Number(decimal[1]) > DOUBLE_DIGITS)
    return decided({ ...text, expression: `rtrim(rtrim(${name}::VARCHAR, '0'), '.')` });
  if (NESTED.test(nativeType)) return decided({ ...text, refused: NESTED_KEY });
  if (NUMBER.test(nativeType) || nativeType === "BOOLEAN") return draftOf(column, "parquet");
  return decided(text);
}

/** Of the widest decimal of DuckDB's, and of most writers'. */
const DECIMAL_DIGITS_MAX = 38;
/** Decimal digits that a double keeps, whichever they are. */
const DOUBLE_DIGITS = 15;
const NO_TEXT = {
  what: "holds bytes that are no UTF-8 text",
  hint: "write the column as a Parquet string (logical type String), or as hexadecimal text",
};

const LONG_KEY = {
  what: "holds whole numbers beyond 2^53 written as floats, whose last digits are lost",
  hint: "write ids and keys as whole numbers of at most 19 digits, or as texts",
};
const NESTED_KEY = {
  what: "holds lists or objects, which no request can send as an id or key",
  hint: "write the one value that counts into a column of its own",
};

/** Decimals of more digits than any type of DuckDB's has; it reads them as other numbers without a word. */
function isTooWide({ nativeType }: NativeColumn): boolean {
  return Number(/^DECIMAL\((\d+),/.exec(nativeType)?.[1] ?? 0) > DECIMAL_DIGITS_MAX;
}

function tooWideDraft(column: NativeColumn): Draft {
  const refused = {
    what: `holds ${column.nativeType}, decimals of more than ${DECIMAL_DIGITS_MAX} digits, which cannot be read`,
    hint: `write it as DECIMAL(${DECIMAL_DIGITS_MAX}, …), as a double or as text (BigQuery: CAST(${column.name} AS NUMERIC)), or leave the column out`,
  };
  const otherwise: Choice = { type: "other", expression: "NULL::VARCHAR", asText: false, refused };
  return { column, otherwise, questions: [], spelling: false };
}

/** Whether all bytes of a column without the annotation of texts are UTF-8 all the same, as old writers leave them. */
function utf8Question(name: string): { readonly test: string } {
  return { test: `coalesce(${allPresent(name, `try(decode(${name})) IS NOT NULL`)}, true)` };
}

function draftOf(column: NativeColumn, format: DatasetFormat): Draft {
  const { nativeType } = column;
  const name = identifier(column.name);
  if (isTooWide(column)) return tooWideDraft(column);
  const number: Choice = { type: "number", expression: `${name}::DOUBLE`, asText: false };
  const text: Choice = { type: "text", expression: `${name}::VARCHAR`, asText: format !== "parquet" };
  const decided = (otherwise: Choice): Draft => ({ column, otherwise, questions: [], spelling: false });
  if (format === "csv" && INTEGER.test(nativeType)) {
    // What stands for a number in a programming language, such as 0x10, is a text here, as it is in a request.
    const coded = `coalesce(bool_or(regexp_matches(${name}, '[A-Za-z_]')), false)`;
    const questions = [coded, anyUnsafe(`abs(try_cast(${name} AS DOUBLE))`)].map((test) => ({ test, choice: text }));
    return { ...decided(number), questions, spelling: true };
  }
  if (WIDE_INTEGER.test(nativeType)) {
    return { ...decided(number), questions: [{ test: outsideSafe(name), choice: text }] };
  }
  if (nativeType === "DOUBLE" && format !== "parquet") {
    // Integers too long for any integer type seem to be doubles; so does 0x10 beside numbers, and is none when it is read.
    const odd = format === "csv" ? `[xXbBoO_]|${LONG_INTEGER_TEXT}` : LONG_INTEGER_TEXT;
    const isLong = `regexp_matches(${name}, '${LONG_INTEGER_TEXT}')`;
    const isText = `CASE WHEN ${isLong} THEN abs(try_cast(${name} AS DOUBLE)) >= ${INTEGER_UNSAFE} ELSE true END`;
    // One look at each cell, and more at the few that are odd.
    const test = `coalesce(bool_or(CASE WHEN regexp_matches(${name}, '${odd}') THEN ${isText} ELSE false END), false)`;
    return { ...decided(number), questions: [{ test, choice: text }], spelling: true };
  }
  if (NUMBER.test(nativeType)) return decided(number);
  if (nativeType === "BLOB") {
    const choice: Choice = { ...text, expression: `decode(${name})` };
    return { ...decided({ ...text, type: "other" }), questions: [{ ...utf8Question(name), choice }] };
  }
  if (nativeType === "BOOLEAN") return booleanDraft(decided(text), format);
  if (format !== "parquet" && SEEMING.test(nativeType)) return seemingDraft(decided(text), format);
  if (TIME.test(nativeType)) {
    const expression = `CASE WHEN isfinite(${name}) THEN epoch_ms(${name})::DOUBLE END`;
    return decided({ type: "time", expression, asText: false });
  }
  // A JSON field of several types; its texts come without their quotes.
  if (nativeType === "JSON") return decided({ type: "text", expression: `${name} ->> '$'`, asText: false });
  if (NESTED.test(nativeType))
    return decided({ type: "other", expression: `to_json(${name})::VARCHAR`, asText: false });
  return decided(TEXT.test(nativeType) ? text : { ...text, type: "other" });
}

/** Asked of the column itself: its ends stand in the statistics of a Parquet file, which then need not be read for it. */
function outsideSafe(name: string): string {
  return `coalesce(max(${name}) >= ${INTEGER_UNSAFE} OR min(${name}) <= -${INTEGER_UNSAFE}, false)`;
}

function anyUnsafe(value: string): string {
  return `coalesce(max(${value}), 0) >= ${INTEGER_UNSAFE}`;
}

/** True when no value but missing ones fails; null when all are missing. */
function allPresent(name: string, test: string): string {
  return `bool_and(${test}) FILTER (WHERE ${name} IS NOT NULL)`;
}

/** In CSV, words like `f`, `no` and `n` seem to be booleans too; only true and false surely are. */
function booleanDraft(text: Draft, format: DatasetFormat): Draft {
  const name = identifier(text.column.name);
  const choice: Choice = { type: "boolean", expression: `${name}::INTEGER::DOUBLE`, asText: false };
  if (format !== "csv") return { ...text, otherwise: choice };
  return {
    ...text,
    questions: [{ test: allPresent(name, `lower(${name}) IN ('true', 'false')`), choice }],
    spelling: true,
  };
}

/**
 * Texts are times only in ISO 8601, because 01/02 has two readings and "infinity" is no time. A CSV column that holds
 * `inf` or `nan` among numbers seems to be text and is numbers.
 */
function seemingDraft(text: Draft, format: DatasetFormat): Draft {
  const name = identifier(text.column.name);
  const time: Choice = { type: "time", expression: `epoch_ms(${name}::TIMESTAMPTZ)::DOUBLE`, asText: true };
  const isTime = `regexp_matches(${name}, '${ISO_TIME_TEXT}') AND try_cast(${name} AS TIMESTAMPTZ) IS NOT NULL`;
  const number: Choice = { type: "number", expression: `${name}::DOUBLE`, asText: true };
  const isNumber = `regexp_matches(${name}, '${NUMBER_TEXT}') AND NOT regexp_matches(${name}, '${LONG_INTEGER_TEXT}')`;
  const questions = [{ test: allPresent(name, isTime), choice: time }];
  if (format === "csv") questions.push({ test: allPresent(name, isNumber), choice: number });
  return { ...text, questions, spelling: true };
}
