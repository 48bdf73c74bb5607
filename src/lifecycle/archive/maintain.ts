// Upkeep of an archive: many small files of a day become one, and old days go.
import path from "node:path";
import { archiveDay, archiveFile, dayFolder } from "../../core/archive-names.ts";
import { DAY_MS } from "../../core/duration.ts";
import type { Archive } from "../../ports/archive.ts";
import type { ObjectStore } from "../../ports/objects.ts";
import type { Ports } from "../../ports/ports.ts";
import { archiveTable } from "./columns.ts";
import { type Day, type DayFile, daysIn, settleDay } from "./days.ts";
import { collapseLabels, type KnownLabels, readLabels } from "./labels.ts";
import { collapseMarks, expiredBefore, markExpired } from "./marks.ts";
import { type ArchiveInput, archiveLock, archiveOf, metadataOf } from "./write.ts";

export interface Compaction {
  /** Days that got a new file. */
  readonly days: number;
  /** Files that became others, and the others. */
  readonly filesBefore: number;
  readonly filesAfter: number;
  readonly rows: number;
}

/** A day of more bytes keeps several files: one upload of an object store takes five times as much, and a scan reads files side by side. */
const MERGED_BYTES_MAX = 1_073_741_824;

/**
 * Makes one file per day (and log, and gigabyte) of several, with the labels that are known now. Safe beside a server that archives, and after a
 * crash at any place: the next call goes on. Errors: archive.*, lifecycle.locked.
 */
export async function compactArchive(ports: Ports, input: ArchiveInput): Promise<Compaction> {
  const { pipeline } = input;
  const archive = await archiveOf(ports, pipeline);
  const lock = await (await ports.lock()).acquire(archiveLock("compact", pipeline), { everywhere: true });
  try {
    const labels = await readLabels([archive.objects]);
    const sums = { days: 0, filesBefore: 0, filesAfter: 0, rows: 0 };
    const days = await daysIn(archive.objects);
    for (const [at, day] of days.entries()) {
      ports.report.progress("days", at, days.length);
      await settleDay(archive.objects, day);
      const groups = groupsOf(day, labels);
      if (groups.length === 0) continue;
      let merged = 0;
      for (const group of groups) {
        const rows = await mergeGroup(archive, input, { day: day.day, group, labels });
        if (rows === null) continue;
        merged++;
        sums.rows += rows;
        sums.filesBefore += group.length;
        sums.filesAfter++;
      }
      if (merged > 0) sums.days++;
    }
    ports.report.progress("days", days.length, days.length);
    await collapseLabels(archive.objects, { expired: await expiredBefore(archive.objects) });
    await collapseMarks(archive.objects);
    return sums;
  } finally {
    await lock.release();
  }
}

/** Files that are to become one: several of one log, or one whose labels are older than the newest of its day. */
function groupsOf({ day, files }: Day, labels: KnownLabels): readonly (readonly DayFile[])[] {
  const groups: DayFile[][] = [];
  let bytes = 0;
  for (const file of files) {
    const open = groups[groups.length - 1];
    if (open !== undefined && open[0].name.log === file.name.log && bytes + file.bytes <= MERGED_BYTES_MAX) {
      open.push(file);
      bytes += file.bytes;
      continue;
    }
    groups.push([file]);
    bytes = file.bytes;
  }
  return groups.filter(([first, ...more]) => more.length > 0 || labels.newest(day, first.name.log) > first.name.labels);
}

async function mergeGroup(
  { objects, files }: Archive,
  { pipeline, schema }: ArchiveInput,
  of: { readonly day: string; readonly group: readonly DayFile[]; readonly labels: KnownLabels },
): Promise<number | null> {
  const { day, group, labels } = of;
  const { id, time, sequence, labels: columns } = archiveTable(pipeline, schema);
  const [{ name: first }, { name: last }] = [group[0], group[group.length - 1]];
  const known = Math.max(labels.newest(day, first.log), ...group.map(({ name }) => name.labels));
  const whole = { log: first.log, from: first.from, to: last.to, labels: known, next: true };
  return await objects.scratch(async (folder) => {
    const sources: string[] = [];
    for (const { key } of group) sources.push(await currentFile(objects, key, folder));
    const file = path.join(folder, "merged");
    const merged = await files.merge(sources, {
      file,
      order: [time, sequence],
      rowGroupRows: pipeline.archive.rowGroup,
      metadata: metadataOf(pipeline, whole),
      labels: { id, known: labels.of(day), columns },
    });
    // The schema gave a column another type meanwhile: these files stay side by side.
    if (merged === null) return null;
    const key = `${dayFolder(day)}/${archiveFile(whole)}`;
    await objects.create(key, { file });
    const superseded = group.map((one) => publishedKey(one));
    await settleDay(objects, { day, files: [{ key, bytes: 0, name: whole }], superseded });
    return merged.rows;
  });
}

/** A file that was about to take its place when the day was listed has it by now. */
function publishedKey({ key, name }: DayFile): string {
  return name.next ? `${key.slice(0, key.lastIndexOf("/") + 1)}${archiveFile({ ...name, next: false })}` : key;
}

async function currentFile(objects: ObjectStore, key: string, folder: string): Promise<string> {
  const [file, day] = [key.slice(key.lastIndexOf("/") + 1), key.slice(0, key.lastIndexOf("/") + 1)];
  return await objects.file(file.startsWith("_") ? `${day}${file.slice(1).replace(/\.next$/, "")}` : key, folder);
}

export interface Expiry {
  /** Days before this one are gone. */
  readonly before: string;
  readonly days: number;
  readonly files: number;
}

/**
 * Removes the days whose transactions happened more than so many days ago. What is gone on purpose is written down first, so that a check does
 * not miss it. Errors: archive.*.
 */
export async function expireArchive(ports: Ports, input: ArchiveInput & { readonly days: number }): Promise<Expiry> {
  const { objects } = await archiveOf(ports, input.pipeline);
  const before = archiveDay(ports.clock.now() - input.days * DAY_MS);
  await markExpired(objects, before);
  let [days, files] = [0, 0];
  for (const day of await daysIn(objects)) {
    // Transactions without a date sort after all others, and have no age.
    if (!(day.day < before)) continue;
    const keys = [...day.superseded, ...day.files.map(({ key }) => key)];
    await objects.remove(keys);
    days++;
    files += keys.length;
  }
  return { before, days, files };
}
