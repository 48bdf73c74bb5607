// Which files a path means: one file, a folder, a pattern, or several of these; in one stated order.
import { type Dirent, existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../../../core/errors.ts";
import { isRemote } from "../../../core/remote.ts";
import { differ, empty, missing, unreadable } from "./errors.ts";
import { type DatasetFormat, readFormatOf } from "./format.ts";
import {
  type FoundFiles,
  fixedPart,
  isNext,
  isPattern,
  noTables,
  publicName,
  type TableFile,
  tableFile,
  tablesAmong,
} from "./names.ts";
import type { RemoteFiles } from "./remote.ts";

/** All files of a table, in order. */
export interface TableFiles {
  /** As it was asked for. */
  readonly asked: string;
  readonly format: DatasetFormat;
  readonly files: readonly TableFile[];
  /** Names of columns that stand in folders, as in date=2024-01-01/; only where a folder or a pattern was named. */
  readonly partitions: readonly string[];
  /** Roots of archives: empty where a file is in none. Columns that came later are null in files before. */
  readonly archives: readonly string[];
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
export async function filesOf(asked: string, remote: RemoteFiles): Promise<TableFiles> {
  const { files, partitioned } = await listFiles(asked, remote);
  const formatOf = (file: TableFile): DatasetFormat => readFormatOf(publicName(file.path));
  const format = formatOf(files[0]);
  const other = files.find((file) => formatOf(file) !== format);
  if (other !== undefined) throw differ(asked, `${files[0].path} and ${other.path} are of two formats`);
  for (const file of files) {
    if (statSync(file.path).size > 0) continue;
    throw empty(file.path, "has no bytes", "write the file again; its export may have been interrupted");
  }
  const roots = files.map(({ archive }) => archive);
  const archives = roots.some((root) => root === null) ? [] : [...new Set(roots.filter((root) => root !== null))];
  // The day in a folder's name says no more than the time does, and a transaction may have a field of that name.
  const partitions = partitioned && archives.length === 0 ? partitionsOf(asked, files) : [];
  return { asked, format, files, partitions, archives };
}

/** The files only, whatever they hold. Errors as {@link filesOf}. */
export async function listFiles(
  asked: string,
  remote: RemoteFiles,
): Promise<{ readonly files: readonly TableFile[]; readonly partitioned: boolean }> {
  const places = existsSync(asked) || !asked.includes(",") ? [asked] : asked.split(",").map((part) => part.trim());
  const files: TableFile[] = [];
  let partitioned = false;
  for (const place of places) {
    const { files: found, below } = isRemote(place) ? await remote.filesIn(place) : await filesIn(place);
    partitioned ||= below;
    files.push(...found);
    if (files.length > FILES_MAX) {
      throw new SentinelError("dataset.too-large", `${asked} means more than ${FILES_MAX} files`, {
        hint: "name a folder or a pattern that means fewer, or write fewer, larger files (of an archive: `sentinel archive compact`)",
      });
    }
  }
  checkOnce(asked, files);
  return { files, partitioned };
}

async function filesIn(place: string): Promise<FoundFiles> {
  const kind = await kindOf(place);
  if (kind === "file") return { files: [tableFile(place, path.basename(place))], below: false };
  if (kind === null && !isPattern(place)) throw missing(place, path.resolve(place));
  const root = kind === "folder" ? place : fixedPart(place);
  const names = existsSync(root) ? stableNames(root) : [];
  const matching = tablesAmong(names, { pattern: kind === "folder" ? null : path.relative(root, place), root });
  if (matching.length === 0) throw noTables(place, path.resolve(root));
  return { files: matching.map((name) => tableFile(path.join(root, name), name)), below: true };
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

/** Looks at a folder in which files come and go at every look. */
const LOOKS_MAX = 20;

/** Names below a folder that two looks in a row agree about: one look takes time, and a file may take another's place meanwhile. */
function stableNames(root: string): string[] {
  let names = filesBelow(root);
  for (let looks = 1; looks < LOOKS_MAX; looks++) {
    const again = filesBelow(root);
    if (again.length === names.length && again.every((name, i) => name === names[i])) break;
    names = again;
  }
  return names;
}

/** Paths below a folder, with forward slashes. */
function filesBelow(root: string): string[] {
  const names: string[] = [];
  const look = (folder: string, depth: number): void => {
    if (depth > DEPTH_MAX || names.length > FILES_MAX) return;
    for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
      if (/^[._]/.test(entry.name) && !isNext(entry.name)) continue;
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
