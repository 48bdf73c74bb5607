// Hourly summaries of the log: brought up to date from where they end, kept beside the log by day, made again where they are missing.
import { HOUR_MS } from "../../core/duration.ts";
import { SentinelError } from "../../core/errors.ts";
import { Hours, type HoursOf, type Position } from "../../drift/hours.ts";
import type { PredictionLog } from "../../ports/log.ts";
import type { Ports, SnapshotStore } from "../../ports/ports.ts";

/** Days that are kept, each in a slot by its number: older ones make room. A window before them is counted from the log. */
const DAYS_MAX = 64;
const DAY_HOURS = 24;
const FORMAT = 1;

/** What summaries are of. */
export interface TalliesOf extends HoursOf {
  readonly pipeline: string;
  readonly bundle: string;
}

export interface Summaries {
  readonly hours: Hours;
  /** Newest event time; null when the bundle has answered nothing. */
  readonly newest: number | null;
  /** Rows read from the log now. */
  readonly read: number;
}

interface Head extends Position {
  readonly format: typeof FORMAT;
  readonly bundle: string;
  readonly review: number;
  /** The last entry of the log that is counted, and whose it is: in another log it is another's. */
  readonly sequence: number;
  readonly last: string;
  readonly days: readonly number[];
}

interface Day {
  readonly format: typeof FORMAT;
  readonly bundle: string;
  readonly day: number;
  /** Entries of the log up to here are in it; after a run that was killed before it kept the head, more than the head says. */
  readonly sequence: number;
  /** Hour → its tally, base64. */
  readonly hours: Readonly<Record<string, string>>;
}

/**
 * Summaries up to the log's end: equal to what counting the whole log gives. Whoever finds another one at work counts without keeping.
 * Errors: log.*, workspace.unwritable.
 */
export async function bringUpToDate(ports: Ports, of: TalliesOf): Promise<Summaries> {
  const log = await ports.log();
  const snapshots = await ports.snapshots();
  const lock = await lockOf(ports, of);
  try {
    const kept = await loadKept(log, snapshots, of);
    const counted = await countFrom(log, of, kept);
    if (lock !== null && counted.changed.size > 0) await store(snapshots, of, counted);
    return { hours: counted.hours, newest: counted.hours.position().newest, read: counted.read };
  } finally {
    await lock?.release();
  }
}

/** Whether summaries reach back to an hour; where they do not, {@link countHours} does. */
export function reachesBack({ newest }: Summaries, hour: number): boolean {
  return newest === null || Math.floor(hour / DAY_HOURS) > Math.floor(newest / (DAY_HOURS * HOUR_MS)) - DAYS_MAX;
}

/** Some hours counted from the whole log; nothing is kept. */
export async function countHours(
  log: PredictionLog,
  of: TalliesOf,
  { first, last }: { readonly first: number; readonly last: number },
): Promise<Hours> {
  const hours = new Hours(of);
  for await (const page of log.answered({ bundle: of.bundle, from: 1 })) {
    for (const row of page) {
      const hour = Math.floor(row.time / HOUR_MS);
      hours.add({ ...row, id: row.transactionId }, { counted: hour >= first && hour <= last });
    }
  }
  return hours;
}

async function lockOf(ports: Ports, { pipeline }: TalliesOf): Promise<{ release(): Promise<void> } | null> {
  try {
    return await (await ports.lock()).acquire(`${pipeline}-monitor`);
  } catch (error) {
    if (error instanceof SentinelError && error.code === "lifecycle.locked") return null;
    throw error;
  }
}

interface Kept {
  readonly head: Head;
  readonly days: readonly Day[];
}

interface Counted {
  readonly hours: Hours;
  readonly read: number;
  readonly sequence: number;
  readonly last: string;
  /** Days with new rows. */
  readonly changed: ReadonlySet<number>;
}

async function countFrom(log: PredictionLog, of: TalliesOf, kept: Kept | null): Promise<Counted> {
  const hours = new Hours(of, kept?.head);
  const through = new Map<number, number>();
  for (const day of kept?.days ?? []) {
    through.set(day.day, day.sequence);
    for (const [hour, text] of Object.entries(day.hours)) hours.restore(Number(hour), Buffer.from(text, "base64"));
  }
  let { sequence, last } = kept?.head ?? { sequence: 0, last: "" };
  let newestDay = Math.max(Number.NEGATIVE_INFINITY, ...(kept?.head.days ?? []));
  let read = 0;
  const changed = new Set<number>();
  for await (const page of log.answered({ bundle: of.bundle, from: sequence + 1 })) {
    for (const row of page) {
      const day = Math.floor(row.time / (DAY_HOURS * HOUR_MS));
      if (day > newestDay) {
        newestDay = day;
        forgetBefore(hours, newestDay - DAYS_MAX + 1);
      }
      // A day that has left stays out, or it would come back with its late rows alone.
      const counted = day > newestDay - DAYS_MAX && row.sequence > (through.get(day) ?? 0);
      hours.add({ id: row.transactionId, time: row.time, score: row.score, vector: row.vector }, { counted });
      if (counted) changed.add(day);
      read++;
      sequence = row.sequence;
      last = row.transactionId;
    }
  }
  return { hours, read, sequence, last, changed };
}

function forgetBefore(hours: Hours, day: number): void {
  for (const hour of hours.hours()) {
    if (hour >= day * DAY_HOURS) return;
    hours.forget(hour);
  }
}

/** Null when there is nothing, or it is of another bundle, another log or another format, or damaged: then all is counted again. */
async function loadKept(log: PredictionLog, snapshots: SnapshotStore, of: TalliesOf): Promise<Kept | null> {
  const head = await loadJson<Head>(snapshots, headName(of));
  if (head?.format !== FORMAT || head.bundle !== of.bundle || head.review !== of.review) return null;
  if (!(await isSameLog(log, head))) return null;
  const days: Day[] = [];
  for (const number of head.days) {
    const day = await loadJson<Day>(snapshots, dayName(of, number));
    if (day?.format !== FORMAT || day.bundle !== of.bundle || day.day < number) return null;
    // A run that was killed gave the slot to a newer day, whose rows all come after the head: they are counted again.
    if (day.day === number) days.push(day);
  }
  return { head, days };
}

async function isSameLog(log: PredictionLog, head: Head): Promise<boolean> {
  const found = await log.find(head.last);
  if (found !== null) return found.sequence === head.sequence;
  return (await log.begin()).through >= head.sequence;
}

/** Days first: should this process die before the head is there, they say themselves how far they reach. */
async function store(snapshots: SnapshotStore, of: TalliesOf, counted: Counted): Promise<void> {
  const { hours, sequence, last, changed } = counted;
  const byDay = new Map<number, number[]>();
  for (const hour of hours.hours()) {
    const day = Math.floor(hour / DAY_HOURS);
    byDay.set(day, [...(byDay.get(day) ?? []), hour]);
  }
  for (const [day, itsHours] of byDay) {
    if (!changed.has(day)) continue;
    const packed = itsHours.map((hour) => [hour, Buffer.from(hours.pack(hour)!).toString("base64")]);
    const written: Day = { format: FORMAT, bundle: of.bundle, day, sequence, hours: Object.fromEntries(packed) };
    await snapshots.save(dayName(of, day), Buffer.from(JSON.stringify(written)));
  }
  const { bundle, review } = of;
  const head: Head = { format: FORMAT, bundle, review, sequence, last, days: [...byDay.keys()], ...hours.position() };
  await snapshots.save(headName(of), Buffer.from(JSON.stringify(head)));
}

async function loadJson<T>(snapshots: SnapshotStore, name: string): Promise<T | null> {
  try {
    const bytes = await snapshots.load(name);
    return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString()) as T);
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof SentinelError && error.code === "state.corrupt")) return null;
    throw error;
  }
}

function headName({ pipeline }: TalliesOf): string {
  return `${pipeline}-monitor`;
}

function dayName({ pipeline }: TalliesOf, day: number): string {
  return `${pipeline}-monitor-${((day % DAYS_MAX) + DAYS_MAX) % DAYS_MAX}`;
}
