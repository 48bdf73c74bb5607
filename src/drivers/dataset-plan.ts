// How a file is read: its columns, what each becomes, and the SQL that yields doubles and texts only.
import path from "node:path";
import type { ColumnType } from "../ports.ts";
import { type Connection, identifier, literal } from "./dataset-connection.ts";
import { csvHeader, nameTwice } from "./dataset-csv.ts";
import { columnsMissing, columnTwice } from "./dataset-faults.ts";
import type { DatasetFormat } from "./dataset-format.ts";

export interface PlannedColumn {
  readonly name: string;
  readonly type: ColumnType;
  /** DuckDB's name of the type the file has. */
  readonly nativeType: string;
  /** SQL that yields the column as DOUBLE (numbers, times as epoch ms, booleans as 0 or 1) or as VARCHAR. */
  readonly expression: string;
}

export interface Plan {
  readonly columns: readonly PlannedColumn[];
  readonly rows: number;
  /** SQL of the table to select the expressions from. */
  readonly source: string;
}

interface NativeColumn {
  readonly name: string;
  readonly nativeType: string;
}

/** Columns of a file with the SQL of the table that has them; `retype` reads some columns as text instead. */
interface Layout {
  readonly columns: readonly NativeColumn[];
  source(retype: ReadonlySet<string>): string;
}

/** From here on, doubles no longer tell neighbouring integers apart. */
const INTEGER_UNSAFE = 2 ** 53;
const WIDE_INTEGER = /^(BIGINT|UBIGINT|HUGEINT|UHUGEINT|BIGNUM|DECIMAL\((1[6-9]|[23]\d),0\))$/;
const NUMBER = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|BIGNUM|FLOAT|DOUBLE|DECIMAL\(.*\))$/;
const TIME = /^(DATE|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE)$/;

/** Looks at the whole file once or twice, so that a type holds for every row and not only for the first ones. */
export async function planColumns(
  connection: Connection,
  from: { readonly file: string; readonly format: DatasetFormat; readonly columns?: readonly string[] },
): Promise<Plan> {
  const layout = await layoutOf(connection, from);
  const wanted = from.columns === undefined ? null : new Set(from.columns);
  requireColumns(from.file, layout.columns, from.columns ?? []);
  const chosen = layout.columns.filter((column) => wanted === null || wanted.has(column.name));
  const { rows, unsafe } = await survey(connection, layout, { chosen, csv: from.format === "csv" });
  const columns = chosen.map((column) => planColumn(column, unsafe.has(column.name)));
  return { rows, columns, source: layout.source(unsafe) };
}

async function layoutOf(
  connection: Connection,
  { file, format }: { readonly file: string; readonly format: DatasetFormat },
): Promise<Layout> {
  const target = literal(exactly(path.resolve(file)));
  if (format === "csv") return await csvLayout(connection, { file, target });
  const source =
    format === "parquet"
      ? `read_parquet(${target}, hive_partitioning=false)`
      : `read_json(${target}, format='newline_delimited', records=true, sample_size=-1, maximum_depth=2, map_inference_threshold=-1, hive_partitioning=false, compression='uncompressed')`;
  const reader = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`);
  const columns = reader.getRowsJson().map((row) => ({ name: String(row[0]), nativeType: String(row[1]) }));
  return { columns, source: () => source };
}

async function csvLayout(
  connection: Connection,
  { file, target }: { readonly file: string; readonly target: string },
): Promise<Layout> {
  const { separator, names } = await csvHeader(file);
  const twice = nameTwice(names);
  if (twice !== null) throw columnTwice(file, twice);
  const dialect = `delim=${literal(separator)}, quote='"', escape='"', comment='', header=true, strict_mode=true`;
  const sniff = `SELECT unnest(Columns, recursive := true), DateFormat, TimestampFormat FROM sniff_csv(${target}, ${dialect}, sample_size=-1)`;
  const typed = (types: readonly NativeColumn[], formats = ""): string => {
    const list = types.map((column) => `${literal(column.name)}: ${literal(column.nativeType)}`).join(", ");
    return `read_csv(${target}, ${dialect}, auto_detect=false, hive_partitioning=false, columns={${list}}${formats})`;
  };
  const rows = await connection.runAndReadAll(sniff).catch(async (cause: unknown) => {
    // The sniffer does not say where it failed; reading everything as text does.
    await connection.run(`SELECT count(*) FROM ${typed(names.map((name) => ({ name, nativeType: "VARCHAR" })))}`);
    throw cause;
  });
  const found = rows.getRowsJson();
  const columns = found.map((row) => ({ name: String(row[0]), nativeType: String(row[1]) }));
  const formats = formatArgument("dateformat", found[0]?.[2]) + formatArgument("timestampformat", found[0]?.[3]);
  return {
    columns,
    source: (retype) =>
      typed(
        columns.map((column) => (retype.has(column.name) ? { name: column.name, nativeType: "VARCHAR" } : column)),
        formats,
      ),
  };
}

function requireColumns(file: string, found: readonly NativeColumn[], wanted: readonly string[]): void {
  const names = new Set(found.map((column) => column.name));
  const missing = wanted.filter((name) => !names.has(name));
  if (missing.length > 0) throw columnsMissing(file, missing, [...names]);
}

function formatArgument(name: string, value: unknown): string {
  return typeof value === "string" && value !== "" ? `, ${name}=${literal(value)}` : "";
}

/** DuckDB reads `*`, `?` and `[` in a path as patterns; each alone in brackets stands for itself. */
function exactly(file: string): string {
  return file.replace(/[*?[]/g, "[$&]");
}

/** Counts rows and finds the columns whose integers a double would falsify. */
async function survey(
  connection: Connection,
  layout: Layout,
  { chosen, csv }: { readonly chosen: readonly NativeColumn[]; readonly csv: boolean },
): Promise<{ readonly rows: number; readonly unsafe: ReadonlySet<string> }> {
  // In a CSV, integers too long for any integer type are sniffed as DOUBLE, so these are looked at as texts.
  const asText = new Set(csv ? chosen.filter((column) => column.nativeType === "DOUBLE").map(({ name }) => name) : []);
  const suspects = chosen.filter((column) => WIDE_INTEGER.test(column.nativeType) || asText.has(column.name));
  const tests = suspects.map(({ name }) => {
    const column = identifier(name);
    const value = asText.has(name)
      ? `CASE WHEN regexp_matches(${column}, '^[-+]?[0-9]{16,}$') THEN abs(${column}::DOUBLE) END`
      : `abs(${column}::DOUBLE)`;
    return `coalesce(max(${value}), 0) >= ${INTEGER_UNSAFE}`;
  });
  const reader = await connection.runAndReadAll(
    `SELECT ${["count(*)", ...tests].join(", ")} FROM ${layout.source(asText)}`,
  );
  const [rows, ...flags] = reader.getRowsJson()[0];
  const unsafe = suspects.filter((_, i) => flags[i] === true).map(({ name }) => name);
  return { rows: Number(rows), unsafe: new Set(unsafe) };
}

function planColumn({ name, nativeType }: NativeColumn, unsafe: boolean): PlannedColumn {
  const column = identifier(name);
  if (unsafe) return { name, nativeType, type: "text", expression: `${column}::VARCHAR` };
  if (NUMBER.test(nativeType)) return { name, nativeType, type: "number", expression: `${column}::DOUBLE` };
  if (nativeType === "BOOLEAN") return { name, nativeType, type: "boolean", expression: `${column}::INTEGER::DOUBLE` };
  if (TIME.test(nativeType)) {
    const expression = `CASE WHEN isfinite(${column}) THEN epoch_ms(${column})::DOUBLE END`;
    return { name, nativeType, type: "time", expression };
  }
  // A field of several JSON types; its texts come without their quotes.
  if (nativeType === "JSON") return { name, nativeType, type: "text", expression: `${column} ->> '$'` };
  if (/^STRUCT|^MAP|\]$/.test(nativeType))
    return { name, nativeType, type: "other", expression: `to_json(${column})::VARCHAR` };
  const type = /^(VARCHAR|UUID|ENUM\(.*)$/s.test(nativeType) ? "text" : "other";
  return { name, nativeType, type, expression: `${column}::VARCHAR` };
}
