// The days of an archive: which files each has, which of them count, and how a swap that was begun is brought to its end.
import {
  type ArchiveName,
  archiveFile,
  currentFiles,
  dayOfFolder,
  parseArchiveFile,
} from "../../core/archive-names.ts";
import type { ObjectStore } from "../../ports/objects.ts";

/** One file that counts. */
export interface DayFile {
  readonly key: string;
  readonly bytes: number;
  readonly name: ArchiveName;
}

export interface Day {
  readonly day: string;
  /** In the order of logs and positions. */
  readonly files: readonly DayFile[];
  /** Files that others have taken the place of. */
  readonly superseded: readonly string[];
}

/** All days, in order. Files of other names are nobody's business. */
export async function daysIn(objects: ObjectStore): Promise<readonly Day[]> {
  const all = (await objects.list("date=")).flatMap(({ key, bytes }): (DayFile & { readonly day: string })[] => {
    const [folder, file, ...more] = key.split("/");
    const [day, name] = [dayOfFolder(folder), parseArchiveFile(file ?? "")];
    return day === null || name === null || more.length > 0 ? [] : [{ key, bytes, name, day }];
  });
  const current = new Set(currentFiles(all, ({ key }) => key));
  const days = new Map<string, { files: DayFile[]; superseded: string[] }>();
  for (const file of all) {
    const day = days.get(file.day) ?? { files: [], superseded: [] };
    days.set(file.day, day);
    if (current.has(file)) day.files.push(file);
    else day.superseded.push(file.key);
  }
  const order = (a: DayFile, b: DayFile): number =>
    a.name.log === b.name.log ? a.name.from - b.name.from : a.name.log < b.name.log ? -1 : 1;
  return [...days]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([day, { files, superseded }]) => ({ day, files: files.sort(order), superseded }));
}

/**
 * Ends every swap of a day that was begun: the superseded files go first, then the new one gets a name that others see. So that who reads by a
 * pattern sees the new file only when the old ones are gone. What a crash left of it is in the names, and this is what goes on with it.
 */
export async function settleDay(objects: ObjectStore, { files, superseded }: Day): Promise<void> {
  if (superseded.length > 0) await objects.remove(superseded);
  for (const { key, name } of files) {
    if (name.next)
      await objects.move(key, `${key.slice(0, key.lastIndexOf("/") + 1)}${archiveFile({ ...name, next: false })}`);
  }
}
