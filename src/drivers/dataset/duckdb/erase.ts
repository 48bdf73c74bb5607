// A person in the tables of files: cells are replaced, every other one stays as it was written; the file appears whole or not at all.
import { open, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { Eraser } from "../../../core/erasure.ts";
import { SentinelError } from "../../../core/errors.ts";
import type { TableErasure } from "../../../ports/dataset.ts";
import { replaceDurably, syncFolder } from "../../files/durable.ts";
import { type Connection, type DuckDbLimits, identifier, literal, withDuckDb } from "./connection.ts";

/** Texts are rewritten in memory. */
const TEXT_BYTES_MAX = 1_073_741_824;
/** Different texts of one column that a statement names. */
const REPLACED_MAX = 100_000;

/** Gives how many rows name the person. Errors: dataset.unreadable, dataset.too-large, dataset.unwritable. */
export async function eraseTable(file: string, of: TableErasure, limits: DuckDbLimits): Promise<number> {
  try {
    if (/\.parquet$/i.test(file)) return await withDuckDb(limits, (connection) => eraseParquet(connection, file, of));
    return await eraseText(file, of);
  } catch (cause) {
    if (cause instanceof SentinelError) throw cause;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new SentinelError("dataset.unreadable", `${file} cannot be searched: ${message}`, {
      hint: "is it a whole table? Move it out of data/ where it is none, then run the command again",
      cause,
    });
  }
}

async function eraseText(file: string, { eraser, names, personal, write }: TableErasure): Promise<number> {
  const { size } = await stat(file);
  if (size > TEXT_BYTES_MAX) {
    throw new SentinelError("dataset.too-large", `${file} has ${size} bytes, more than are rewritten`, {
      hint: "split it, or make it Parquet, then run the command again",
    });
  }
  const packed = /\.gz$/i.test(file);
  const bytes = await readFile(file);
  const text = (packed ? await promisify(gunzip)(bytes) : bytes).toString("utf8");
  const mayHold = (needle: string): boolean => text.includes(needle) || text.includes(needle.replaceAll('"', '""'));
  if (eraser.needles !== null && !eraser.needles.some(mayHold) && !text.includes("\\")) return 0;
  const after = /\.(csv|tsv)(\.gz)?$/i.test(file)
    ? erasedCsv(text, { eraser, names, personal })
    : erasedLines(text, eraser);
  if (after.rows > 0 && write) {
    const whole = packed ? await promisify(gzip)(after.text) : after.text;
    await replaceDurably(file, whole, (await stat(file)).mode);
  }
  return after.rows;
}

interface After {
  readonly text: string;
  readonly rows: number;
}

function erasedLines(text: string, eraser: Eraser): After {
  let rows = 0;
  const lines = text.split("\n").map((line) => {
    const next = line.trim() === "" ? null : eraser.json(line);
    if (next !== null) rows++;
    return next ?? line;
  });
  return { text: lines.join("\n"), rows };
}

/** A record ends at a line break outside of quotation marks. */
function erasedCsv(text: string, of: Pick<TableErasure, "eraser" | "names" | "personal">): After {
  const records = text.match(/(?:"(?:[^"]|"")*"|[^"\n])*(?:\n|$)/g) ?? [];
  const [head = ""] = records;
  const separator = ["\t", ";", "|", ","].find((one) => head.includes(one)) ?? ",";
  const columns = cellsOf(head, separator).map((cell) => plain(cell).trim());
  const [names, personal] = [lower(of.names), lower(of.personal)];
  let rows = 0;
  const after = records.map((record, i) => {
    if (i === 0 || record.trim() === "") return record;
    const end = /\r?\n?$/.exec(record)![0];
    const cells = cellsOf(record.slice(0, record.length - end.length), separator);
    const owned = cells.some(
      (cell, c) => isName(columns[c], names) && of.eraser.part(columns[c], plain(cell)) !== null,
    );
    let changed = false;
    const next = cells.map((cell, c) => {
      const value = plain(cell);
      const gone = owned && isName(columns[c], personal) && !isName(columns[c], names) && value !== "";
      const text = gone ? "" : of.eraser.part(columns[c] ?? "", value);
      if (text === null) return cell;
      changed = true;
      return cell.startsWith('"') ? `"${text.replaceAll('"', '""')}"` : text;
    });
    if (!changed) return record;
    rows++;
    return `${next.join(separator)}${end}`;
  });
  return { text: after.join(""), rows };
}

function cellsOf(record: string, separator: string): readonly string[] {
  const cells: string[] = [];
  let [from, quoted] = [0, false];
  for (let i = 0; i < record.length; i++) {
    if (record[i] === '"') quoted = !quoted;
    else if (record[i] === separator && !quoted) {
      cells.push(record.slice(from, i));
      from = i + 1;
    }
  }
  cells.push(record.slice(from).replace(/\r?\n$/, ""));
  return cells;
}

function plain(cell: string): string {
  return cell.startsWith('"') && cell.endsWith('"') && cell.length > 1 ? cell.slice(1, -1).replaceAll('""', '"') : cell;
}

function lower(names: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...names].map((name) => name.toLowerCase()));
}

function isName(column: string | undefined, names: ReadonlySet<string>): boolean {
  return column !== undefined && names.has(column.toLowerCase());
}

async function eraseParquet(
  connection: Connection,
  file: string,
  { eraser, names, personal, write }: TableErasure,
): Promise<number> {
  const source = `read_parquet(${literal(file.replace(/[*?[]/g, "[$&]"))}, hive_partitioning=false)`;
  const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`);
  const columns = described.getRowsJson().map(([name, type]) => ({ name: String(name), type: String(type) }));
  const [own, others] = [lower(names), lower(personal)];
  const replaced: string[] = [];
  const touched: string[] = [];
  const ownedBy: string[] = [];
  for (const { name, type } of columns) {
    const cell = identifier(name);
    const isText = type === "VARCHAR";
    const isOwn = isName(name, own);
    if (!isText && !isOwn) continue;
    const values = await textsOf(connection, { source, cell, needles: eraser.needles });
    const pairs = values.flatMap((value) => {
      const next = eraser.part(name, value);
      return next === null ? [] : [[value, next] as const];
    });
    if (pairs.length === 0) continue;
    if (pairs.length > REPLACED_MAX) {
      throw new SentinelError("dataset.too-large", `${file}: ${pairs.length} texts of ${name} name the person`, {
        hint: "split the table, then run the command again",
      });
    }
    const list = pairs.map(([value]) => literal(value)).join(", ");
    const isIt = `coalesce(${cell}::VARCHAR IN (${list}), false)`;
    touched.push(isIt);
    if (isOwn) ownedBy.push(isIt);
    const map = `MAP {${pairs.map(([value, next]) => `${literal(value)}: ${literal(next)}`).join(", ")}}`;
    // A column of numbers holds no pseudonym.
    replaced.push(`CASE WHEN ${isIt} THEN ${isText ? `(${map}[${cell}])` : "NULL"} ELSE ${cell} END AS ${cell}`);
  }
  if (touched.length === 0) return 0;
  const owned = ownedBy.length === 0 ? "false" : ownedBy.join(" OR ");
  for (const { name } of columns) {
    if (!isName(name, others) || isName(name, own)) continue;
    const at = replaced.findIndex((one) => one.endsWith(`AS ${identifier(name)}`));
    const before = at < 0 ? identifier(name) : replaced[at].slice(0, -` AS ${identifier(name)}`.length);
    const emptied = `CASE WHEN ${owned} THEN NULL ELSE ${before} END AS ${identifier(name)}`;
    if (at < 0) replaced.push(emptied);
    else replaced[at] = emptied;
  }
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${source} WHERE ${touched.join(" OR ")}`);
  const rows = Number(counted.getRowsJson()[0][0]);
  if (!write) return rows;
  const partial = `${file}.erased.tmp`;
  await rm(partial, { force: true });
  const select = `SELECT * REPLACE (${replaced.join(", ")}) FROM ${source}`;
  await connection.run(`COPY (${select}) TO ${literal(partial)} (FORMAT parquet, COMPRESSION zstd)`);
  await place(partial, file);
  return rows;
}

/** The different texts of a column that may name the person. */
async function textsOf(
  connection: Connection,
  { source, cell, needles }: { readonly source: string; readonly cell: string; readonly needles: Eraser["needles"] },
): Promise<readonly string[]> {
  const text = `${cell}::VARCHAR`;
  const where =
    needles === null ? `${text} IS NOT NULL` : needles.map((one) => `contains(${text}, ${literal(one)})`).join(" OR ");
  const reader = await connection.runAndReadAll(`SELECT DISTINCT ${text} FROM ${source} WHERE ${where}`);
  return reader.getRowsJson().map(([value]) => String(value));
}

async function place(partial: string, file: string): Promise<void> {
  const handle = await open(partial, "r+");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
  await syncFolder(path.dirname(file));
}
