// Labels of an archive: written beside its days as NDJSON, read back as the one that counts for each transaction.
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { archiveDay, archivePosition } from "../../core/archive-names.ts";
import { SentinelError } from "../../core/errors.ts";
import type { ArchivedLabel } from "../../ports/archive.ts";
import type { LogEntry } from "../../ports/log.ts";
import type { ObjectStore } from "../../ports/objects.ts";
import { archivedText } from "./columns.ts";

/** One label as it stands in the archive. */
export interface LabelLine {
  readonly transaction_id: string;
  readonly fraud: boolean;
  /** Milliseconds since 1970 UTC, as `received_at`. */
  readonly known_at: number;
  readonly source: string;
  readonly received_at: number;
  readonly sequence: number;
  /** The day of its transaction; null where the log had forgotten it. */
  readonly date: string | null;
}

interface LabelFile {
  readonly key: string;
  readonly log: string;
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

const FOLDER = "_labels/";
const NAME = /^_labels\/([0-9a-f]{12})-(\d{15})-(\d{15})\.ndjson\.gz$/;
/** Labels in memory at once: some gigabytes. */
const LABELS_MAX = 20_000_000;
/** Beyond so many files of one log they become one. */
const FILES_MAX = 16;

export function labelLine({ record, about }: Extract<LogEntry, { readonly kind: "label" }>): LabelLine {
  return {
    transaction_id: archivedText(record.transactionId),
    fraud: record.fraud,
    known_at: record.knownAt,
    source: record.source,
    received_at: record.receivedAt,
    sequence: record.sequence,
    date: about === null ? null : archiveDay(about.time),
  };
}

/** One file of the labels among some positions of a log; nothing is written where there are none. */
export async function writeLabels(
  objects: ObjectStore,
  of: { readonly log: string; readonly from: number; readonly to: number; readonly lines: readonly LabelLine[] },
): Promise<void> {
  if (of.lines.length === 0) return;
  const text = of.lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const bytes = await promisify(gzip)(text);
  await objects.create(keyOf(of), { bytes });
}

/** The label of each transaction that became known last, and of those known at the same time the one that came last. */
export class KnownLabels {
  private readonly byId = new Map<string, LabelLine>();

  add(line: LabelLine): void {
    const before = this.byId.get(line.transaction_id);
    if (before !== undefined && isLater(before, line)) return;
    this.byId.set(line.transaction_id, line);
    if (this.byId.size <= LABELS_MAX) return;
    throw new SentinelError("dataset.too-large", `the archive has labels of more than ${LABELS_MAX} transactions`, {
      hint: "remove old days with `sentinel archive expire --days N`",
    });
  }

  get(id: string): LabelLine | undefined {
    return this.byId.get(id);
  }

  /** Labels of one day's transactions, and those of which nobody knows the day. */
  of(day: string): readonly ArchivedLabel[] {
    const found: ArchivedLabel[] = [];
    for (const { transaction_id, fraud, known_at, source, date } of this.byId.values()) {
      if (date === null || date === day)
        found.push({ transactionId: transaction_id, fraud, knownAt: known_at, source });
    }
    return found;
  }

  /** The last position of a log that brought a label of that day; 0 without one. */
  newest(day: string, log: string): number {
    return this.newestByDay.get(`${log} ${day}`) ?? 0;
  }

  private readonly newestByDay = new Map<string, number>();

  note(log: string, { date, sequence }: LabelLine): void {
    const key = `${log} ${date ?? ""}`;
    this.newestByDay.set(key, Math.max(sequence, this.newestByDay.get(key) ?? 0));
  }
}

function isLater(one: LabelLine, other: LabelLine): boolean {
  if (one.known_at !== other.known_at) return one.known_at > other.known_at;
  return one.sequence > other.sequence;
}

/** All labels that archives have. */
export async function readLabels(archives: readonly ObjectStore[]): Promise<KnownLabels> {
  const known = new KnownLabels();
  for (const objects of archives) await addLabels(known, objects);
  return known;
}

async function addLabels(known: KnownLabels, objects: ObjectStore): Promise<void> {
  const seen = new Set<string>();
  for (;;) {
    const files = currentLabels(await labelFiles(objects));
    let isGone = false;
    for (const file of files) {
      if (seen.has(file.key)) continue;
      const lines = await linesOf(objects, file);
      if (lines === null) {
        isGone = true;
        break;
      }
      seen.add(file.key);
      for (const line of lines) {
        known.add(line);
        known.note(file.log, line);
      }
    }
    // One that was put into another meanwhile: labels that come twice are the same.
    if (!isGone) return;
  }
}

/** Many files of a log become one, without labels of days before `expired`. Crash-safe: the wide one first. Gives how many went. */
export async function collapseLabels(
  objects: ObjectStore,
  { expired, filesMax = FILES_MAX }: { readonly expired: string; readonly filesMax?: number },
): Promise<number> {
  const all = await labelFiles(objects);
  let removed = 0;
  for (const log of new Set(all.map((file) => file.log))) {
    const own = all.filter((file) => file.log === log);
    const current = currentLabels(own);
    if (current.length > filesMax) {
      const lines: LabelLine[] = [];
      for (const file of current) lines.push(...((await linesOf(objects, file)) ?? []));
      const kept = lines.filter(({ date }) => date === null || date >= expired);
      const wide = { log, from: current[0].from, to: current[current.length - 1].to };
      await writeLabels(objects, { ...wide, lines: kept });
      current.length = 0;
      current.push({ ...wide, key: keyOf(wide), bytes: 0 });
    }
    const superseded = own.filter((file) => !current.some(({ key }) => key === file.key));
    await objects.remove(superseded.map(({ key }) => key));
    removed += superseded.length;
  }
  return removed;
}

function keyOf({ log, from, to }: { readonly log: string; readonly from: number; readonly to: number }): string {
  return `${FOLDER}${log}-${archivePosition(from)}-${archivePosition(to)}.ndjson.gz`;
}

async function labelFiles(objects: ObjectStore): Promise<LabelFile[]> {
  return (await objects.list(FOLDER)).flatMap(({ key, bytes }) => {
    const match = NAME.exec(key);
    return match === null ? [] : [{ key, bytes, log: match[1], from: Number(match[2]), to: Number(match[3]) }];
  });
}

/** Those that no wider one of the same log holds, in order. */
function currentLabels(files: readonly LabelFile[]): LabelFile[] {
  const sorted = [...files].sort((a, b) => (a.log === b.log ? a.from - b.from || b.to - a.to : a.log < b.log ? -1 : 1));
  let [log, reached] = ["", 0];
  return sorted.filter((file) => {
    if (file.log !== log) [log, reached] = [file.log, 0];
    if (file.to <= reached) return false;
    reached = file.to;
    return true;
  });
}

async function linesOf(objects: ObjectStore, { key }: LabelFile): Promise<readonly LabelLine[] | null> {
  const bytes = await objects.read(key);
  if (bytes === null) return null;
  try {
    const text = (await promisify(gunzip)(bytes)).toString("utf8");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as LabelLine);
  } catch (cause) {
    throw new SentinelError("archive.unreadable", `${objects.where}/${key} holds no labels`, {
      hint: "the file is damaged: put it back from a copy, or take it out of the archive",
      cause,
    });
  }
}
