// The calendar: dates and times of day as instants, offsets from UTC, zones whose offset follows their calendar.

export interface Zone {
  readonly name: string;
  /** The instant of a local date and time, given as if it were UTC; epoch milliseconds. */
  instantOf(local: number): number;
}

export const UTC: Zone = { name: "UTC", instantOf: (local) => local };

const HOUR_MS = 3_600_000;
/** Hours whose offset is remembered: half a century. */
const HOURS_MAX = 450_000;

/** A zone from "UTC", an offset such as "+02:00", or a name of the IANA database such as "Europe/Paris"; null for any other. */
export function zoneOf(name: string): Zone | null {
  if (/^(Z|UTC|GMT)$/i.test(name)) return UTC;
  const fixed = /^([+-])(\d\d):?(\d\d)$/.exec(name);
  if (fixed !== null) {
    const ms = (Number(fixed[2]) * 60 + Number(fixed[3])) * 60_000;
    if (Number(fixed[2]) > 23 || Number(fixed[3]) > 59) return null;
    return { name, instantOf: (local) => (fixed[1] === "-" ? local + ms : local - ms) };
  }
  return placeOf(name);
}

/** Where clocks are set back an hour comes twice: the first is meant. Where they are set forward the missing hour is read as if they were not. */
function placeOf(name: string): Zone | null {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch {
    return null;
  }
  const offsets = new Map<number, number>();
  // Asking Intl takes microseconds, and the offset is the same for all of an hour of UTC.
  const offsetAt = (instant: number): number => {
    const hour = Math.floor(instant / HOUR_MS);
    const known = offsets.get(hour);
    if (known !== undefined) return known;
    const parts = Object.fromEntries(
      format.formatToParts(hour * HOUR_MS).map(({ type, value }) => [type, Number(value)]),
    );
    const local = Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second);
    const offset = local - hour * HOUR_MS;
    if (offsets.size < HOURS_MAX) offsets.set(hour, offset);
    return offset;
  };
  return {
    name,
    instantOf(local) {
      if (!Number.isFinite(local)) return Number.NaN;
      const before = offsetAt(local - 24 * HOUR_MS);
      const after = offsetAt(local + 24 * HOUR_MS);
      const early = local - Math.max(before, after);
      const late = local - Math.min(before, after);
      if (early + offsetAt(early) === local) return early;
      return late + offsetAt(late) === local ? late : local - before;
    },
  };
}

interface Civil {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly ms: number;
}

/** A date and time of the calendar as if in UTC; NaN when the calendar has none such. */
export function civil({ year, month, day, hour, minute, second, ms }: Civil): number {
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return Number.NaN;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCDate() !== day) return Number.NaN;
  date.setUTCHours(hour, minute, second, ms);
  return date.getTime();
}

/** Milliseconds that a zone such as Z, UTC, +02:00 or -0500 is ahead of UTC; NaN beyond a day. */
export function offsetMs(zone: string): number {
  if (/^(Z|UTC|GMT)$/i.test(zone)) return 0;
  const sign = zone[0] === "-" ? -1 : 1;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(":", "") || 0);
  return hours < 24 && minutes < 60 ? sign * (hours * 60 + minutes) * 60_000 : Number.NaN;
}
