// Marks of an archive: which positions of a log somebody set out to write, and which are there, with what each day got.
import { archivePosition } from "../../core/archive-names.ts";
import { SentinelError } from "../../core/errors.ts";
import type { ObjectStore } from "../../ports/objects.ts";
import { addTallies, type Tally } from "./columns.ts";

/** Positions of a log that are archived, all of them. */
export interface DoneMark {
  readonly log: string;
  readonly from: number;
  readonly to: number;
  /** Labels among them. */
  readonly labels: number;
  /** Rows per day. */
  readonly days: Readonly<Record<string, Tally>>;
}

const FOLDER = "_log/";
const FORMAT = "sentinel-archive/1";
const DONE = /^_log\/([0-9a-f]{12})-(\d{15})-(\d{15})\.done\.json$/;
const CLAIM = /^_log\/([0-9a-f]{12})-(\d{15})\.json$/;
/** Everything before this day was removed on purpose. */
const EXPIRED = "_expired.json";
/** Marks that are read at a time. */
const AT_ONCE = 16;

export interface MarkName {
  readonly key: string;
  readonly log: string;
  readonly from: number;
  /** null: a claim, which says in its content how far it goes. */
  readonly to: number | null;
}

/** Marks of all logs, by their names, in order. */
export async function marksIn(objects: ObjectStore, log = ""): Promise<readonly MarkName[]> {
  const found = await objects.list(`${FOLDER}${log}`);
  return found.flatMap(({ key }): MarkName[] => {
    const done = DONE.exec(key);
    if (done !== null) return [{ key, log: done[1], from: Number(done[2]), to: Number(done[3]) }];
    const claim = CLAIM.exec(key);
    return claim === null ? [] : [{ key, log: claim[1], from: Number(claim[2]), to: null }];
  });
}

/** How far each log is archived. */
export function positionsOf(marks: readonly MarkName[]): ReadonlyMap<string, number> {
  const positions = new Map<string, number>();
  for (const { log, to } of marks) if (to !== null) positions.set(log, Math.max(to, positions.get(log) ?? 0));
  return positions;
}

/** Marks of what is done that no wider one holds, with their content, in order. */
export async function doneMarks(objects: ObjectStore): Promise<readonly DoneMark[]> {
  for (;;) {
    const wide = widest(await marksIn(objects));
    const read: DoneMark[] = [];
    for (let i = 0; i < wide.length; i += AT_ONCE) {
      const some = await Promise.all(wide.slice(i, i + AT_ONCE).map((mark) => doneMark(objects, mark)));
      read.push(...some.filter((mark) => mark !== null));
    }
    if (read.length === wide.length) return read;
    // One was put into another since the list was made.
  }
}

async function doneMark(objects: ObjectStore, { key, log, from, to }: MarkName): Promise<DoneMark | null> {
  const content = await readJson(objects, key);
  if (content === null) return null;
  return { log, from, to: to!, labels: Number(content.labels), days: content.days as DoneMark["days"] };
}

function widest(marks: readonly MarkName[]): readonly MarkName[] {
  const done = marks.filter(({ to }) => to !== null);
  done.sort((a, b) => (a.log === b.log ? a.from - b.from || b.to! - a.to! : a.log < b.log ? -1 : 1));
  let [log, reached] = ["", 0];
  return done.filter((mark) => {
    if (mark.log !== log) [log, reached] = [mark.log, 0];
    if (mark.to! <= reached) return false;
    reached = mark.to!;
    return true;
  });
}

/**
 * How far the batch that begins at a position goes: as far as whoever began it said. Whoever comes to it later, after a crash or at the same time,
 * writes the same rows under the same names.
 */
export async function claim(
  objects: ObjectStore,
  batch: { readonly log: string; readonly from: number; readonly to: number },
): Promise<number> {
  const key = `${FOLDER}${batch.log}-${archivePosition(batch.from)}.json`;
  if (await objects.create(key, { bytes: jsonBytes({ format: FORMAT, to: batch.to }) })) return batch.to;
  const before = await readJson(objects, key);
  const to = before === null ? batch.to : Number(before.to);
  if (Number.isSafeInteger(to) && to >= batch.from) return to;
  throw unreadable(objects, key);
}

/** Says that a batch is there whole. */
export async function markDone(objects: ObjectStore, mark: DoneMark): Promise<void> {
  const { log, from, to, labels, days } = mark;
  const key = `${FOLDER}${log}-${archivePosition(from)}-${archivePosition(to)}.done.json`;
  await objects.create(key, { bytes: jsonBytes({ format: FORMAT, labels, days }) });
}

/** Many marks of a log become one that holds them. Crash-safe: the wide one first. Gives how many objects went. */
export async function collapseMarks(objects: ObjectStore): Promise<number> {
  const names = await marksIn(objects);
  const done = await doneMarks(objects);
  let removed = 0;
  for (const log of new Set(done.map((mark) => mark.log))) {
    const own = done.filter((mark) => mark.log === log);
    const [first, last] = [own[0], own[own.length - 1]];
    const labels = own.reduce((sum, mark) => sum + mark.labels, 0);
    if (own.length > 1) await markDone(objects, { log, from: first.from, to: last.to, labels, days: daysOf(own) });
    const inside = names.filter(
      (name) =>
        name.log === log &&
        name.from >= first.from &&
        (name.to ?? name.from) <= last.to &&
        !(name.from === first.from && name.to === last.to),
    );
    await objects.remove(inside.map(({ key }) => key));
    removed += inside.length;
  }
  return removed;
}

/** Rows per day over several marks. */
export function daysOf(marks: readonly DoneMark[]): Record<string, Tally> {
  const days: Record<string, Tally> = {};
  for (const mark of marks)
    for (const [day, tally] of Object.entries(mark.days)) days[day] = addTallies(days[day], tally);
  return days;
}

/** Days before this one were removed on purpose; "" where none were. */
export async function expiredBefore(objects: ObjectStore): Promise<string> {
  const content = await readJson(objects, EXPIRED);
  return content === null ? "" : String(content.before);
}

export async function markExpired(objects: ObjectStore, before: string): Promise<void> {
  const known = await expiredBefore(objects);
  if (known >= before) return;
  await objects.remove([EXPIRED]);
  await objects.create(EXPIRED, { bytes: jsonBytes({ format: FORMAT, before }) });
}

const ERASED_FOLDER = "_erased/";
const SUM_DIGITS = 16;

/**
 * Notes by how much the sum of a day's rows changes when a file takes the place of one from which a person was erased. The same change has the same
 * name, so that a killed run that goes on counts it once.
 */
export async function noteErased(
  objects: ObjectStore,
  {
    day,
    file,
    before,
    after,
  }: { readonly day: string; readonly file: string; readonly before: bigint; readonly after: bigint },
): Promise<void> {
  const sum = BigInt.asUintN(64, after - before)
    .toString(16)
    .padStart(SUM_DIGITS, "0");
  const was = BigInt.asUintN(64, before).toString(16).padStart(SUM_DIGITS, "0");
  const name = file.slice(file.lastIndexOf("/") + 1);
  await objects.create(`${ERASED_FOLDER}${day}/${was}-${sum}-${name}.json`, {
    bytes: jsonBytes({ format: FORMAT, day, sum }),
  });
}

/** What was erased on purpose, by day: to be added to what the marks say. */
export async function erasedTallies(objects: ObjectStore): Promise<ReadonlyMap<string, Tally>> {
  const tallies = new Map<string, Tally>();
  for (const { key } of await objects.list(ERASED_FOLDER)) {
    const content = await readJson(objects, key);
    if (content === null) continue;
    const day = String(content.day);
    tallies.set(day, addTallies(tallies.get(day), { rows: 0, sum: String(content.sum) }));
  }
  return tallies;
}

function jsonBytes(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}

async function readJson(objects: ObjectStore, key: string): Promise<Readonly<Record<string, unknown>> | null> {
  const bytes = await objects.read(key);
  if (bytes === null) return null;
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as Readonly<Record<string, unknown>>;
    if (value?.format === FORMAT) return value;
  } catch {
    // Said below.
  }
  throw unreadable(objects, key);
}

function unreadable(objects: ObjectStore, key: string): SentinelError {
  return new SentinelError("archive.unreadable", `${objects.where}/${key} is no mark of the format ${FORMAT}`, {
    hint: "put it back from a copy, or use the version of Sentinel that wrote this archive",
  });
}
