// Event times as tables, labels and requests write them, read in one place: ISO 8601, a count of a unit from an origin, a declared format.
import { compileFormat, type TimeFormat } from "./time-format.ts";
import { civil, offsetMs, UTC, type Zone } from "./zone.ts";

export const TIME_UNITS = ["ns", "us", "ms", "s", "min", "h", "d", "w", "month"] as const;
export type TimeUnit = (typeof TIME_UNITS)[number];

/** How a pipeline's times are written. */
export interface TimeRule {
  /** What a number counts. */
  readonly unit: TimeUnit;
  /** So many units make one of what a number counts; absent: 1. */
  readonly count?: number;
  /** Where a number counts from, epoch milliseconds. */
  readonly origin: number;
  /** How a text is written; absent: ISO 8601. */
  readonly format?: TimeFormat;
  /** The zone of texts that name none. */
  readonly zone: Zone;
}

/** ISO 8601 texts, and milliseconds since 1970 UTC. */
export const PLAIN_TIME: TimeRule = { unit: "ms", origin: 0, zone: UTC };

/**
 * Before and after these instants a time is a mistake of unit, origin or format: card payments of the oldest public table are of 1991, and
 * counts since 1970 in another unit than milliseconds, days written as numbers, and spreadsheet days fall outside.
 */
export const TIME_MIN = Date.UTC(1990, 0, 1);
export const TIME_MAX = Date.UTC(2100, 0, 1);

const MICROS: Readonly<Record<Exclude<TimeUnit, "month">, number>> = {
  ns: 1e-3,
  us: 1,
  ms: 1e3,
  s: 1e6,
  min: 6e7,
  h: 3.6e9,
  d: 8.64e10,
  w: 6.048e11,
};
const UNIT_NAMES: Readonly<Record<TimeUnit, string>> = {
  ns: "nanoseconds",
  us: "microseconds",
  ms: "milliseconds",
  s: "seconds",
  min: "minutes",
  h: "hours",
  d: "days",
  w: "weeks",
  month: "months",
};
const TEXT_LENGTH_MAX = 64;
const MS_OF_DAY = 86_400_000;
/** From the year 10000 on a text has a sign and six digits. */
const ISO_END = Date.UTC(10_000, 0, 1);
/** A count of months beyond is no time of any plausible year. */
const MONTHS_MAX = 12_000;
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(?: ?(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?$/;
const NUMBER = /^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$/;
/** Days of a spreadsheet begin here. */
const SHEET_ORIGIN = Date.UTC(1899, 11, 30);

/**
 * Whether texts are read by this rule otherwise than any reader of tables would read them: by a format, or in a zone. A table's reader then
 * leaves them as they are written.
 */
export function countsBySpelling({ format, zone }: TimeRule): boolean {
  return format !== undefined || zone !== UTC;
}

let isoDay = Number.NaN;
let isoDate = "";

/** As `Date.prototype.toISOString`; the date of the day that was asked for last is known. Throws a RangeError for no time. */
export function isoTime(time: number): string {
  if (!(time >= 0 && time < ISO_END)) return new Date(time).toISOString();
  const day = Math.floor(time / MS_OF_DAY);
  if (day !== isoDay) {
    isoDate = new Date(day * MS_OF_DAY).toISOString().slice(0, 11);
    isoDay = day;
  }
  const ms = Math.floor(time - day * MS_OF_DAY);
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const rest = ms - 1000 * seconds;
  const fraction = rest < 10 ? `00${rest}` : rest < 100 ? `0${rest}` : rest;
  return `${isoDate}${twoDigits(hours)}:${twoDigits(minutes - 60 * hours)}:${twoDigits(seconds - 60 * minutes)}.${fraction}Z`;
}

function twoDigits(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** Whole milliseconds since 1970 UTC; NaN when it is no time by this rule, or none between {@link TIME_MIN} and {@link TIME_MAX}. */
export function readTime(value: unknown, rule: TimeRule = PLAIN_TIME): number {
  const ms = instantOf(value, rule);
  return ms >= TIME_MIN && ms <= TIME_MAX ? ms : Number.NaN;
}

/** The same for a number, for long loops. */
export function readCount(value: number, rule: TimeRule): number {
  const ms = counted(value, rule);
  return ms >= TIME_MIN && ms <= TIME_MAX ? ms : Number.NaN;
}

/** A count from the origin, plausible or not; NaN for a part of a month, whose length is not said. */
function counted(value: number, { unit, count = 1, origin }: TimeRule): number {
  const units = value * count;
  // A count in seconds as a double is up to a tenth of a microsecond off: whole microseconds first, so that .123 s stays 123 ms.
  if (unit !== "month") return origin + Math.floor(Math.round(units * MICROS[unit]) / 1e3);
  if (!Number.isInteger(units) || Math.abs(units) > MONTHS_MAX) return Number.NaN;
  const date = new Date(origin);
  const day = date.getUTCDate();
  date.setUTCMonth(date.getUTCMonth() + units);
  // A day that the month does not have: its last one instead.
  if (date.getUTCDate() !== day) date.setUTCDate(0);
  return date.getTime();
}

/** One text of several cells, for a format to read; null where one of them is missing. */
export function composeTime(parts: readonly (string | null)[]): string | null {
  const texts = parts.map((part) => part?.trim() ?? "");
  return texts.includes("") ? null : texts.join(" ");
}

/** Whether a text counts a unit, as a number does. */
export function isCount(text: string): boolean {
  return NUMBER.test(text.trim());
}

/** Milliseconds since 1970 UTC of an ISO 8601 text; NaN when it is none. A text without a zone is in `zone`. */
export function parseIso(text: string, zone: Zone = UTC): number {
  if (text.length > TEXT_LENGTH_MAX) return Number.NaN;
  const match = ISO.exec(text);
  if (match === null) return Number.NaN;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const local = civil({ year, month, day, hour, minute, second, ms: Math.floor(Number(`0.${match[7] ?? 0}`) * 1000) });
  return match[8] === undefined ? zone.instantOf(local) : local - offsetMs(match[8]);
}

/**
 * An instant as people give it to a command or a route: ISO 8601, or milliseconds since 1970; NaN when it is neither. Of counts only 0, "ever since",
 * and those between {@link TIME_MIN} and {@link TIME_MAX} are taken: any other counts seconds, or what else there is.
 */
export function readInstant(given: string | number): number {
  const isCount = typeof given === "number" || /^\d{10,15}$/.test(given);
  const ms = isCount ? Number(given) : parseIso(given);
  const isMeant = isCount ? ms === 0 || (ms >= TIME_MIN && ms <= TIME_MAX) : ms >= 0 && ms < 8.64e15;
  return Number.isSafeInteger(ms) && isMeant ? ms : Number.NaN;
}

/** Why {@link readTime} does not take a value, and what to write; `column` is the name to give in the hint. */
export function timeFault(
  value: unknown,
  { column, rule = PLAIN_TIME }: { readonly column: string; readonly rule?: TimeRule },
): { readonly what: string; readonly hint: string } {
  const shown = typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
  const number = typeof value === "number" ? value : typeof value === "string" && isCount(value) ? Number(value) : null;
  const ms = instantOf(value, rule);
  if (number !== null && rule.format === undefined) {
    const meant = Number.isNaN(ms) || Math.abs(ms) > 8.64e15 ? "no time" : new Date(ms).toISOString();
    const what = `${shown}, which as ${counts(rule)} since ${day(rule.origin)} is ${meant}, not a time between ${day(TIME_MIN)} and ${day(TIME_MAX)}`;
    return { what, hint: unitHint(number, column) };
  }
  if (!Number.isNaN(ms)) {
    return {
      what: `${shown}, not a time between ${day(TIME_MIN)} and ${day(TIME_MAX)}`,
      hint: "correct the time: a placeholder such as 0001-01-01 or 9999-12-31 is no time of a transaction",
    };
  }
  if (rule.format !== undefined) {
    return {
      what: `${shown}, which is not written as ${rule.format.text}`,
      hint: `columns.time.format says ${rule.format.text}: correct the value or the format`,
    };
  }
  const slashed = typeof value === "string" && /^\s*\d{1,2}[./-]\d{1,2}[./-]\d{2,4}/.test(value);
  const hint = slashed
    ? `is the day or the month first? say which under columns: time: {column: ${column}, format: "%d/%m/%Y %H:%M"} or "%m/%d/%Y %H:%M"`
    : "write times as 2018-04-01 00:00:31 (UTC), with an offset such as +02:00, or as epoch milliseconds; another way of writing is declared with columns.time.format";
  return { what: `${shown}, which is no time`, hint };
}

/** The instant, plausible or not; NaN when it is no time. */
function instantOf(value: unknown, rule: TimeRule): number {
  if (typeof value === "number") {
    if (rule.format !== undefined) return rule.format.parse(String(value), rule.zone);
    return Number.isFinite(value) ? counted(value, rule) : Number.NaN;
  }
  if (typeof value !== "string" || value.length > TEXT_LENGTH_MAX) return Number.NaN;
  if (rule.format !== undefined) {
    const ms = rule.format.parse(value, rule.zone);
    // A whole ISO date and time with its zone is no other format's text.
    return Number.isNaN(ms) && /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(value) ? parseIso(value) : ms;
  }
  const text = value.trim();
  return isCount(text) ? instantOf(Number(text), rule) : parseIso(text, rule.zone);
}

/** What a number may count instead, and how to say so. */
function unitHint(value: number, column: string): string {
  const say = (rest: string): string => `columns: time: {column: ${column}, ${rest}}`;
  const found: string[] = [];
  const digits = String(value);
  for (const pattern of ["%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S"]) {
    const ms = compileFormat(pattern)!.parse(digits, UTC);
    if (ms >= TIME_MIN && ms <= TIME_MAX) found.push(`it reads as ${isoOf(ms)}: ${say(`format: "${pattern}"`)}`);
  }
  for (const unit of ["s", "ms", "us", "ns"] as const) {
    const ms = readCount(value, { ...PLAIN_TIME, unit });
    if (!Number.isNaN(ms)) found.push(`as ${UNIT_NAMES[unit]} it is ${isoOf(ms)}: ${say(`unit: ${unit}`)}`);
  }
  const sheet = readCount(value, { ...PLAIN_TIME, unit: "d", origin: SHEET_ORIGIN });
  if (!Number.isNaN(sheet))
    found.push(`as a spreadsheet's days it is ${isoOf(sheet)}: ${say("unit: d, origin: 1899-12-30")}`);
  if (found.length > 0) return found.join("; or ");
  return `no unit since 1970 fits; a count from another start says both: ${say("unit: h, origin: 2024-01-01")}`;
}

/** What a number counts: "hours", "counts of 14 days". */
function counts({ unit, count }: TimeRule): string {
  return count === undefined ? UNIT_NAMES[unit] : `counts of ${count} ${UNIT_NAMES[unit]}`;
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString().replace(".000Z", "Z");
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
