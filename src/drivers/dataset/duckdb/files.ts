// Which files a path means: one file, a folder, a pattern, or several of these; in one stated order.
import { type Dirent, existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../../../core/errors.ts";
import { empty, unreadable } from "./errors.ts";
import { type DatasetFormat, isKnown, readFormatOf } from "./format.ts";

/** One file of a table. */
export interface TableFile {
  readonly path: string;
  /** Below the folder that was named, without its ending: "date=2024-01-01/part-0". */
  readonly name: string;
}

/** All files of a table, in order. */
export interface TableFiles {
  /** As it was asked for. */
  readonly asked: string;
  readonly format: DatasetFormat;
  readonly files: readonly TableFile[];
  /** Names of columns that stand in folders, as in date=2024-01-01/; only where a folder or a pattern was named. */
  readonly partitions: readonly string[];
}

/** A table of more files is a mistake of the pattern. */
const FILES_MAX = 10_000;
const DEPTH_MAX = 16;
const PARTITION = /^([^=/]+)=[^/]*$/;

/**
 * A file that is there is itself, whatever its name. A folder means all tables below it, in the order of their paths; names that begin with a
 * dot or an underscore are left out, as Spark does. In a pattern `*` and `?` stand for characters of a name, `**` for folders. Several are
 * separated by commas and read in the order written. Errors: dataset.missing, .empty, .format-unknown, .unreadable, .too-large.
 */
export async function filesOf(asked: string): Promise<TableFiles> {
  const { files, partitioned } = await listFiles(asked);
  const format = readFormatOf(files[0].path);
  const other = files.find((file) => readFormatOf(file.path) !== format);
  if (other !== undefined) throw differ(asked, `${files[0].path} and ${other.path} are of two formats`);
  for (const file of files) {
    if (statSync(file.path).size > 0) continue;
    throw empty(file.path, "has no bytes", "write the file again; its export may have been interrupted");
  }
  return { asked, format, files, partitions: partitioned ? partitionsOf(asked, files) : [] };
}

/** The files only, whatever they hold. Errors as {@link filesOf}. */
export async function listFiles(
  asked: string,
): Promise<{ readonly files: readonly TableFile[]; readonly partitioned: boolean }> {
  const places = existsSync(asked) || !asked.includes(",") ? [asked] : asked.split(",").map((part) => part.trim());
  const files: TableFile[] = [];
  let partitioned = false;
  for (const place of places) {
    const { found, below } = await filesIn(place);
    partitioned ||= below;
    files.push(...found);
    if (files.length > FILES_MAX) {
      throw new SentinelError("dataset.too-large", `${asked} means more than ${FILES_MAX} files`, {
        hint: "name a folder or a pattern that means fewer, or write fewer, larger files",
      });
    }
  }
  checkOnce(asked, files);
  return { files, partitioned };
}

/** The error of files that are no one table. */
export function differ(asked: string, what: string): SentinelError {
  return new SentinelError("dataset.unreadable", `${asked}: ${what}`, {
    hint: "the files of one table have one format and the same columns: name those that belong together",
  });
}

async function filesIn(place: string): Promise<{ readonly found: readonly TableFile[]; readonly below: boolean }> {
  const kind = await kindOf(place);
  if (kind === "file") return { found: [{ path: place, name: withoutEnding(path.basename(place)) }], below: false };
  if (kind === null && !/[*?]/.test(place)) {
    throw new SentinelError("dataset.missing", `there is no file ${place}`, {
      hint: `check the path; it was looked for at ${path.resolve(place)}`,
    });
  }
  const root = kind === "folder" ? place : fixedPart(place);
  const matches = kind === "folder" ? isKnown : matcher(path.relative(root, place));
  const found = (existsSync(root) ? filesBelow(root) : [])
    .filter(matches)
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => ({ path: path.join(root, name), name: withoutEnding(name) }));
  if (found.length > 0) return { found, below: true };
  if (kind === "folder")
    throw empty(place, "is a folder without a table in it", "name a folder with .parquet, .csv or .ndjson files in it");
  throw new SentinelError("dataset.missing", `no file matches ${place}`, {
    hint: `check the pattern; it was looked for below ${path.resolve(root)}`,
  });
}

async function kindOf(place: string): Promise<"file" | "folder" | null> {
  try {
    return statSync(place).isDirectory() ? "folder" : "file";
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : "";
    if (code !== "ENOENT" && code !== "ENOTDIR") throw await unreadable(place, null, cause);
    return null;
  }
}

/** Paths below a folder, with forward slashes. */
function filesBelow(root: string): string[] {
  const names: string[] = [];
  const look = (folder: string, depth: number): void => {
    if (depth > DEPTH_MAX || names.length > FILES_MAX) return;
    for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
      if (/^[._]/.test(entry.name)) continue;
      const name = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (isFolder(root, name, entry)) look(name, depth + 1);
      else names.push(name);
    }
  };
  look("", 0);
  return names;
}

function isFolder(root: string, name: string, entry: Dirent): boolean {
  return entry.isDirectory() || (entry.isSymbolicLink() && statSync(path.join(root, name)).isDirectory());
}

/** The folders of a pattern before its first sign. */
function fixedPart(pattern: string): string {
  const parts = pattern.split("/");
  const first = parts.findIndex((part) => /[*?]/.test(part));
  return parts.slice(0, first).join("/") || (pattern.startsWith("/") ? "/" : ".");
}

function matcher(pattern: string): (name: string) => boolean {
  const signs = pattern.replace(/\*\*\/|\*\*|\*|\?|[.+^${}()|[\]\\]/g, (sign) => {
    if (sign === "**/") return "(?:[^/]+/)*";
    if (sign === "**") return ".*";
    if (sign === "*") return "[^/]*";
    return sign === "?" ? "[^/]" : `\\${sign}`;
  });
  const whole = new RegExp(`^${signs}$`);
  return (name) => whole.test(name);
}

function withoutEnding(name: string): string {
  return name.replace(/(\.[^./\\]+?)(\.gz)?$/i, "");
}

function checkOnce(asked: string, files: readonly TableFile[]): void {
  const seen = new Set<string>();
  for (const file of files) {
    const place = path.resolve(file.path);
    if (seen.has(place)) throw differ(asked, `${file.path} is named twice`);
    seen.add(place);
  }
}

function partitionsOf(asked: string, files: readonly TableFile[]): readonly string[] {
  const keysOf = (file: TableFile): string[] =>
    file.name
      .split("/")
      .slice(0, -1)
      .flatMap((folder) => PARTITION.exec(folder)?.[1] ?? []);
  const keys = keysOf(files[0]);
  const odd = files.find((file) => keysOf(file).join("/") !== keys.join("/"));
  if (odd !== undefined)
    throw differ(
      asked,
      `${odd.path} does not stand in folders ${keys.map((key) => `${key}=…`).join("/")} as others do`,
    );
  return keys;
}
