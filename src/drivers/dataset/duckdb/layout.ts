// What columns a file has, of which types, and the SQL that reads them; one way a format.
import path from "node:path";
import type { DatasetFile } from "../../../ports/dataset.ts";
import { type Connection, identifier, literal } from "./connection.ts";
import { type CsvHeader, csvHeader, nameTwice } from "./csv.ts";
import { columnTwice, differ, fieldTwice, notText } from "./errors.ts";
import type { TableFiles } from "./files.ts";
import { isCompressed } from "./format.ts";

export interface NativeColumn {
  readonly name: string;
  /** DuckDB's name of the type. */
  readonly nativeType: string;
}

export interface Layout {
  readonly columns: readonly NativeColumn[];
  /** SQL of the table; a format of text can read columns as the types of `as`: VARCHAR is the file's own spelling, JSON its own token. */
  source(as: ReadonlyMap<string, "VARCHAR" | "JSON">): string;
}

interface Target {
  readonly table: TableFiles;
  /** The absolute paths as an SQL list; each matches its file only. */
  readonly paths: string;
  /** More arguments of the reader: what stands in the names of folders is read as texts. */
  readonly partitioning: string;
}

/** CSV and NDJSON are looked at whole, so that a type holds for every row and not only for the first ones. */
export async function layoutOf(connection: Connection, table: TableFiles): Promise<Layout> {
  const { format, files, partitions } = table;
  const paths = `[${files.map(({ path: file }) => sqlPath(file)).join(", ")}]`;
  const partitioning =
    partitions.length === 0 ? "hive_partitioning=false" : "hive_partitioning=true, hive_types_autocast=false";
  const target = { table, paths, partitioning };
  if (format === "csv") return await csvLayout(connection, target);
  if (format === "ndjson") return await ndjsonLayout(connection, target);
  const tops: (readonly TopColumn[])[] = [];
  for (const file of files) tops.push(await topColumns(connection, file.path));
  checkNames(
    target,
    tops.map((columns) => columns.map(({ name }) => name)),
    "set",
  );
  // Files of one table may hold a column as integers here and as doubles there.
  const source = `read_parquet(${paths}, ${partitioning}, union_by_name=${files.length > 1})`;
  const wide = new Map(tops.flat().flatMap(({ name, wide }) => (wide === null ? [] : [[name, wide] as const])));
  const columns = (await describeSource(connection, source)).map(({ name, nativeType }) => ({
    name,
    nativeType: wide.get(name) ?? nativeType,
  }));
  return { columns, source: () => source };
}

/** Rows per file, in order. */
export async function rowsByFile(
  connection: Connection,
  table: TableFiles,
  { source, rows }: { readonly source: string; readonly rows: number },
): Promise<readonly DatasetFile[]> {
  const { files } = table;
  if (files.length === 1) return [{ name: files[0].name, place: files[0].place, rows }];
  const named = source.replace(/\)$/, ", filename='sentinel file')");
  const reader = await connection.runAndReadAll(`SELECT "sentinel file", count(*) FROM ${named} GROUP BY 1`);
  const counts = new Map(reader.getRowsJson().map(([file, count]) => [String(file), Number(count)]));
  return files.map(({ path: file, name, place }) => ({ name, place, rows: counts.get(path.resolve(file)) ?? 0 }));
}

/** Names and values that a Parquet file has beside its columns. */
export async function metadataOf(
  connection: Connection,
  { format, files }: TableFiles,
): Promise<Readonly<Record<string, string>>> {
  if (format !== "parquet" || files.length > 1) return {};
  const reader = await connection.runAndReadAll(
    `SELECT try(decode(key)), try(decode(value)) FROM parquet_kv_metadata(${sqlPath(files[0].path)})`,
  );
  const pairs = reader.getRowsJson().filter((pair) => pair.every((one) => typeof one === "string"));
  return Object.fromEntries(pairs as [string, string][]);
}

/** Refuses names that stand twice, in a file or in it and its folders, and files whose names differ; those of CSV also by their order. */
function checkNames(
  { table: { asked, files, partitions, archives } }: Target,
  names: readonly (readonly string[])[],
  by: "set" | "order",
): void {
  const form = (list: readonly string[]): string => JSON.stringify(by === "set" ? [...list].sort() : list);
  for (const [i, own] of names.entries()) {
    const twice = nameTwice([...own, ...partitions]);
    if (twice !== null) throw columnTwice(files[i].path, twice);
    if (archives.length > 0 || form(own) === form(names[0])) continue;
    const odd = own.find((name) => !names[0].includes(name)) ?? names[0].find((name) => !own.includes(name));
    const what = odd === undefined ? "their columns stand in another order" : `only one of them has a column ${odd}`;
    throw differ(asked, `${files[0].path} and ${files[i].path} are not of one table: ${what}`);
  }
}

function sqlPath(file: string): string {
  return literal(exactly(path.resolve(file)));
}

/** DuckDB reads `*`, `?` and `[` in a path as patterns; each alone in brackets stands for itself. */
function exactly(file: string): string {
  return file.replace(/[*?[]/g, "[$&]");
}

async function describeSource(connection: Connection, source: string): Promise<readonly NativeColumn[]> {
  const reader = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`);
  return reader.getRowsJson().map((row) => ({ name: String(row[0]), nativeType: String(row[1]) }));
}

interface TopColumn {
  readonly name: string;
  /** The type of a decimal that is wider than DuckDB's, which shows it as a double; else null. */
  readonly wide: string | null;
}

/** Bytes of the widest decimal that DuckDB reads. */
const DECIMAL_BYTES_MAX = 16;

/** The file's own names of its columns: DuckDB gives a second column of one name another. */
async function topColumns(connection: Connection, file: string): Promise<readonly TopColumn[]> {
  const reader = await connection.runAndReadAll(
    `SELECT name, num_children, converted_type = 'DECIMAL' AND type_length::BIGINT > ${DECIMAL_BYTES_MAX}, precision, scale FROM parquet_schema(${sqlPath(file)})`,
  );
  const nodes = reader.getRowsJson().map(([name, children, isWide, precision, scale]) => ({
    name: String(name),
    children: Number(children ?? 0),
    wide: isWide === true ? `DECIMAL(${String(precision)},${String(scale)})` : null,
  }));
  const columns: TopColumn[] = [];
  // The first node is the file; each node stands before its children.
  for (let at = 1; at < nodes.length; ) {
    columns.push(nodes[at]);
    for (let open = 1; open > 0 && at < nodes.length; at++) open += nodes[at].children - 1;
  }
  return columns;
}

async function ndjsonLayout(connection: Connection, { table, paths, partitioning }: Target): Promise<Layout> {
  const { files, partitions } = table;
  const compression = files.some((file) => isCompressed(file.path)) ? "auto_detect" : "uncompressed";
  const reading = `read_json(${paths}, format='newline_delimited', records=true, ${partitioning}, compression='${compression}'`;
  const columns = await describeSource(
    connection,
    `${reading}, sample_size=-1, maximum_sample_files=${files.length}, maximum_depth=2, map_inference_threshold=-1)`,
  );
  const names = columns.map(({ name }) => name);
  const twice = renamedField(names);
  if (twice !== null) throw columnTwice(table.asked, twice);
  await checkFields(connection, files, { paths, compression });
  return { columns, source: (as) => `${reading}, ${columnsArgument(columns, { as, partitions })})` };
}

/** Refuses an object that has one key twice. All lines are asked at once; which one it is, is looked for only then. */
async function checkFields(
  connection: Connection,
  files: TableFiles["files"],
  { paths, compression }: { readonly paths: string; readonly compression: string },
): Promise<void> {
  const objects = `read_ndjson_objects(${paths}, hive_partitioning=false, compression='${compression}')`;
  const reader = await connection.runAndReadAll(
    `SELECT coalesce(bool_or(len(json_keys(json)) <> len(list_distinct(json_keys(json)))), false) FROM ${objects}`,
  );
  if (reader.getRowsJson()[0][0] !== true) return;
  for (const { path: file } of files) {
    const fault = await fieldTwice(file);
    if (fault !== null) throw fault;
  }
}

/** DuckDB tells `a` and `A` apart by renaming the second to `A_1`, and then finds no values for it. */
function renamedField(names: readonly string[]): readonly [string, string] | null {
  const known = new Map(names.map((name) => [name.toLowerCase(), name]));
  for (const name of names) {
    const stem = /^(.+)_\d+$/s.exec(name)?.[1];
    const other = stem === undefined ? undefined : known.get(stem.toLowerCase());
    if (stem !== undefined && other !== undefined && other !== stem) return [stem, other];
  }
  return null;
}

async function csvLayout(connection: Connection, target: Target): Promise<Layout> {
  const { table, paths, partitioning } = target;
  const { files, partitions } = table;
  const headers: CsvHeader[] = [];
  for (const { path: file } of files) {
    const header = await csvHeader(file);
    if (header.names.some((name) => /[\0\ufffd]/.test(name))) throw notText(file);
    headers.push(header);
  }
  const { separator } = headers[0];
  checkNames(
    target,
    headers.map(({ names }) => names),
    "order",
  );
  const other = headers.findIndex((header) => header.separator !== separator);
  if (other > 0) throw differ(table.asked, `${files[other].path} separates its fields by another sign`);
  const dialect = `delim=${literal(separator)}, quote='"', escape='"', comment='', header=true, skip=0, strict_mode=true`;
  const reading = `read_csv(${paths}, ${dialect}, auto_detect=false, ${partitioning}`;
  let columns: readonly NativeColumn[] | null = null;
  for (const { path: file } of files) {
    const sniffed = await connection
      .runAndReadAll(
        `SELECT unnest(Columns, recursive := true) FROM sniff_csv(${sqlPath(file)}, ${dialect}, sample_size=-1)`,
      )
      .catch(async (cause: unknown) => {
        // The sniffer does not say where it failed; reading everything as text does.
        const texts = headers[0].names.map((name, i) => ({
          name: name === "" ? `column${i}` : name,
          nativeType: "VARCHAR",
        }));
        const own = `read_csv(${sqlPath(file)}, ${dialect}, auto_detect=false, hive_partitioning=false`;
        await connection.run(`SELECT count(*) FROM ${own}, ${columnsArgument(texts)})`);
        throw cause;
      });
    const found = sniffed.getRowsJson().map((row) => ({ name: String(row[0]), nativeType: String(row[1]) }));
    columns = columns === null ? found : columns.map((column, i) => commonType(column, found[i]));
  }
  const own = columns ?? [];
  const all = [...own, ...partitions.map((name) => ({ name, nativeType: "VARCHAR" }))];
  return { columns: all, source: (as) => `${reading}, ${columnsArgument(own, { as })})` };
}

const NUMBER = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL\(.*\))$/;

/** A column that seems of one type in one file and of another in the next: a double where both are numbers, else looked at as texts. */
function commonType(one: NativeColumn, other: NativeColumn): NativeColumn {
  if (one.nativeType === other.nativeType) return one;
  const numbers = NUMBER.test(one.nativeType) && NUMBER.test(other.nativeType);
  return { ...one, nativeType: numbers ? "DOUBLE" : "VARCHAR" };
}

/** Columns from the names of folders are none of the files': their types are not given. */
function columnsArgument(
  columns: readonly NativeColumn[],
  {
    as = new Map(),
    partitions = [],
  }: { readonly as?: ReadonlyMap<string, string>; readonly partitions?: readonly string[] } = {},
): string {
  const list = columns
    .filter(({ name }) => !partitions.includes(name))
    .map(({ name, nativeType }) => `${identifier(name)}: ${literal(as.get(name) ?? nativeType)}`);
  return `columns={${list.join(", ")}}`;
}
