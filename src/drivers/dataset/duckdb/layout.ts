// What columns a file has, of which types, and the SQL that reads them; one way a format.
import path from "node:path";
import { type Connection, identifier, literal } from "./connection.ts";
import { csvHeader, nameTwice } from "./csv.ts";
import { columnTwice, notText } from "./errors.ts";
import type { DatasetFormat } from "./format.ts";

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
  readonly file: string;
  /** The absolute path as an SQL literal that matches this file only. */
  readonly path: string;
}

/** CSV and NDJSON are looked at whole, so that a type holds for every row and not only for the first ones. */
export async function layoutOf(
  connection: Connection,
  { file, format }: { readonly file: string; readonly format: DatasetFormat },
): Promise<Layout> {
  const target = { file, path: literal(exactly(path.resolve(file))) };
  if (format === "csv") return await csvLayout(connection, target);
  if (format === "ndjson") return await ndjsonLayout(connection, target);
  const source = `read_parquet(${target.path}, hive_partitioning=false)`;
  const twice = nameTwice(await topNames(connection, target));
  if (twice !== null) throw columnTwice(file, twice);
  return { columns: await describeSource(connection, source), source: () => source };
}

/** DuckDB reads `*`, `?` and `[` in a path as patterns; each alone in brackets stands for itself. */
function exactly(file: string): string {
  return file.replace(/[*?[]/g, "[$&]");
}

async function describeSource(connection: Connection, source: string): Promise<readonly NativeColumn[]> {
  const reader = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`);
  return reader.getRowsJson().map((row) => ({ name: String(row[0]), nativeType: String(row[1]) }));
}

/** The file's own names of its columns: DuckDB gives a second column of one name another. */
async function topNames(connection: Connection, target: Target): Promise<readonly string[]> {
  const reader = await connection.runAndReadAll(`SELECT name, num_children FROM parquet_schema(${target.path})`);
  const nodes = reader
    .getRowsJson()
    .map(([name, children]) => ({ name: String(name), children: Number(children ?? 0) }));
  const names: string[] = [];
  // The first node is the file; each node stands before its children.
  for (let at = 1; at < nodes.length; ) {
    names.push(nodes[at].name);
    for (let open = 1; open > 0 && at < nodes.length; at++) open += nodes[at].children - 1;
  }
  return names;
}

async function ndjsonLayout(connection: Connection, target: Target): Promise<Layout> {
  const reading = `read_json(${target.path}, format='newline_delimited', records=true, hive_partitioning=false, compression='uncompressed'`;
  const columns = await describeSource(
    connection,
    `${reading}, sample_size=-1, maximum_depth=2, map_inference_threshold=-1)`,
  );
  const twice = renamedField(columns.map(({ name }) => name));
  if (twice !== null) throw columnTwice(target.file, twice);
  return { columns, source: (as) => `${reading}, ${columnsArgument(columns, as)})` };
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
  const { separator, names } = await csvHeader(target.file);
  if (names.some((name) => /[\0\ufffd]/.test(name))) throw notText(target.file);
  const twice = nameTwice(names);
  if (twice !== null) throw columnTwice(target.file, twice);
  const dialect = `delim=${literal(separator)}, quote='"', escape='"', comment='', header=true, skip=0, strict_mode=true`;
  const reading = `read_csv(${target.path}, ${dialect}, auto_detect=false, hive_partitioning=false`;
  const sniffed = await connection
    .runAndReadAll(
      `SELECT unnest(Columns, recursive := true) FROM sniff_csv(${target.path}, ${dialect}, sample_size=-1)`,
    )
    .catch(async (cause: unknown) => {
      // The sniffer does not say where it failed; reading everything as text does.
      const texts = names.map((name, i) => ({ name: name === "" ? `column${i}` : name, nativeType: "VARCHAR" }));
      await connection.run(`SELECT count(*) FROM ${reading}, ${columnsArgument(texts, new Map())})`);
      throw cause;
    });
  const columns = sniffed.getRowsJson().map((row) => ({ name: String(row[0]), nativeType: String(row[1]) }));
  return { columns, source: (as) => `${reading}, ${columnsArgument(columns, as)})` };
}

function columnsArgument(columns: readonly NativeColumn[], as: ReadonlyMap<string, string>): string {
  const list = columns.map(({ name, nativeType }) => `${identifier(name)}: ${literal(as.get(name) ?? nativeType)}`);
  return `columns={${list.join(", ")}}`;
}
