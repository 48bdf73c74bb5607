// Names of tables: what a pattern matches, which of a folder's names are tables that count, and what a table's file is called.
import path from "node:path";
import { archiveFile, currentFiles, dayOfFolder, parseArchiveFile } from "../../../core/archive-names.ts";
import { SentinelError } from "../../../core/errors.ts";
import { empty } from "./errors.ts";
import { isKnown } from "./format.ts";

/** One file of a table. */
export interface TableFile {
  readonly path: string;
  /** Where it comes from: a path of this machine, or s3://… */
  readonly place: string;
  /** Below the folder that was named, without its ending: "date=2024-01-01/part-0". */
  readonly name: string;
  /** The root of the archive that the file is in; null where it is in none. */
  readonly archive: string | null;
}

/** Names of tables below a place, and how each becomes a file of this machine. */
export interface FoundFiles {
  readonly files: readonly TableFile[];
  /** Whether a folder or a pattern was named. */
  readonly below: boolean;
}

export function isPattern(place: string): boolean {
  return /[*?]/.test(place);
}

/** The error of a folder without a table, or a pattern that matches none. */
export function noTables(place: string, lookedAt: string): SentinelError {
  if (!isPattern(place))
    return empty(
      place,
      "is a folder without a table in it",
      "name a folder with .parquet, .csv or .ndjson files in it",
    );
  return new SentinelError("dataset.missing", `no file matches ${place}`, {
    hint: `check the pattern; it was looked for below ${lookedAt}`,
  });
}

/**
 * Those names below a folder that are tables, and that the pattern (null: none) matches, in order. Names that begin with a dot or an underscore are
 * left out; of an archive's files those that another has taken the place of, and one that is about to take its place counts by the name it will have.
 */
export function tablesAmong(
  names: readonly string[],
  { pattern, root }: { readonly pattern: string | null; readonly root: string },
): readonly string[] {
  const matches = pattern === null ? isKnown : matcher(pattern);
  const visible = names.filter((name) => isNext(name) || !name.split("/").some((part) => /^[._]/.test(part)));
  // The last folder of the root is part of what makes a file an archive's.
  return currentFiles(visible, (name) => `${root}/${name}`)
    .filter((name) => matches(publicName(name)))
    .toSorted((a, b) => (publicName(a) < publicName(b) ? -1 : 1));
}

/** One file of a table: where it is, and its name below the place that was named; `at` is where it comes from. */
export function tableFile(file: string, name: string, at = path.resolve(file)): TableFile {
  const folder = at.slice(0, at.lastIndexOf("/"));
  const parts = folder.split("/");
  const isArchive =
    parseArchiveFile(at.slice(folder.length + 1)) !== null && dayOfFolder(parts[parts.length - 1]) !== null;
  return {
    path: file,
    place: at,
    name: withoutEnding(publicName(name)),
    archive: isArchive ? parts.slice(0, -1).join("/") : null,
  };
}

export function isNext(name: string): boolean {
  return parseArchiveFile(name.slice(name.lastIndexOf("/") + 1))?.next === true;
}

/** The name that a file has, or will have in a moment. */
export function publicName(name: string): string {
  const cut = name.lastIndexOf("/") + 1;
  const own = parseArchiveFile(name.slice(cut));
  return own?.next === true ? `${name.slice(0, cut)}${archiveFile({ ...own, next: false })}` : name;
}

/** The folders of a pattern before its first sign. */
export function fixedPart(pattern: string): string {
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
