// Names of an archive's files: which log and which of its positions each holds, so that what is archived, and what counts, follows from the names alone.
import { DAY_MS } from "./duration.ts";

/** One file of an archive, by its name. */
export interface ArchiveName {
  /** Which log: 12 hexadecimal digits. */
  readonly log: string;
  /** Positions (sequence numbers) of the log, both included. */
  readonly from: number;
  readonly to: number;
  /** Labels up to this position are in the file; 0: none. */
  readonly labels: number;
  /** Whole, and about to take the place of others: its name has an ending that no pattern of Parquet files matches. */
  readonly next: boolean;
}

/** Positions beyond are no log's: 300 years at 100,000 transactions per second. */
const DIGITS = 15;
const NAME = /^(_?)([0-9a-f]{12})-(\d{15})-(\d{15})(?:-(\d{15}))?\.parquet(\.next)?$/;
const DAY = /^date=(\d{4}-\d{2}-\d{2}|__HIVE_DEFAULT_PARTITION__)$/;
/** Hive's own word for a partition without a value: an event time that has no date. */
const NO_DAY = "__HIVE_DEFAULT_PARTITION__";
/** Instants of the years 0 to 9999, as ISO 8601 writes them with ten characters. */
const DAY_TIMES = [-62_167_219_200_000, Date.UTC(10_000, 0, 1)] as const;

/** Days that were spelled recently, by their number since 1970: an archive asks for each of millions of rows. */
const spelled = new Map<number, string>();
const SPELLED_MAX = 1_000;

/** The UTC day of an instant, as in `date=2024-03-01`. */
export function archiveDay(time: number): string {
  if (!(time >= DAY_TIMES[0] && time < DAY_TIMES[1])) return NO_DAY;
  const number = Math.floor(time / DAY_MS);
  let day = spelled.get(number);
  if (day === undefined) {
    day = new Date(number * DAY_MS).toISOString().slice(0, 10);
    if (spelled.size === SPELLED_MAX) spelled.clear();
    spelled.set(number, day);
  }
  return day;
}

/** The folder of a day, and back; null for any other folder. */
export function dayFolder(day: string): string {
  return `date=${day}`;
}

export function dayOfFolder(folder: string): string | null {
  return DAY.exec(folder)?.[1] ?? null;
}

/** Fifteen digits, so that names sort as positions do. */
export function archivePosition(position: number): string {
  return String(position).padStart(DIGITS, "0");
}

/** `log-from-to.parquet`, with `-labels` where labels are in it; `_….next` before it takes its place. */
export function archiveFile({ log, from, to, labels, next }: ArchiveName): string {
  const range = `${log}-${archivePosition(from)}-${archivePosition(to)}`;
  const name = `${range}${labels === 0 ? "" : `-${archivePosition(labels)}`}.parquet`;
  return next ? `_${name}.next` : name;
}

/** Null for a file that is none of an archive's. */
export function parseArchiveFile(file: string): ArchiveName | null {
  const match = NAME.exec(file);
  if (match === null) return null;
  const [, hidden, log, from, to, labels = "0", ending = ""] = match;
  // Hidden and ending go together: a file with one of them alone is somebody else's.
  if ((hidden === "_") !== (ending === ".next") || Number(from) > Number(to)) return null;
  return { log, from: Number(from), to: Number(to), labels: Number(labels), next: ending === ".next" };
}

/**
 * Those of an archive's files that count: a file whose positions another of the same folder holds too is superseded by it. Of two with the same
 * positions the one with more labels counts, and of two with equal names the one that has taken its place. Files of other names all count.
 */
export function currentFiles<T>(files: readonly T[], pathOf: (file: T) => string): readonly T[] {
  const named = files.map((file) => {
    const path = pathOf(file);
    const cut = path.lastIndexOf("/") + 1;
    return { file, folder: path.slice(0, cut), name: parseArchiveFile(path.slice(cut)) };
  });
  const groups = new Map<string, ArchiveName[]>();
  for (const { folder, name } of named) {
    if (name === null) continue;
    const group = groups.get(`${folder}${name.log}`);
    if (group === undefined) groups.set(`${folder}${name.log}`, [name]);
    else group.push(name);
  }
  const counting = new Set<ArchiveName>();
  for (const names of groups.values()) {
    // By where they begin, the widest first: a file is inside an earlier one exactly when it ends no later than the furthest of them.
    names.sort((a, b) => a.from - b.from || b.to - a.to || rank(b) - rank(a));
    let reached = 0;
    for (const name of names) {
      if (name.to <= reached) continue;
      counting.add(name);
      reached = name.to;
    }
  }
  return named.filter(({ name }) => name === null || counting.has(name)).map(({ file }) => file);
}

/** More labels first, then what has taken its place. */
function rank({ labels, next }: ArchiveName): number {
  return 2 * labels + (next ? 0 : 1);
}
