// How figures, times and foreign texts are written: one way each, everywhere.

/** Characters of a foreign text that are drawn; the rest is a click away in the JSON. */
const TEXT_MAX = 400;
/** Marks that turn the order of letters around, and other signs that nobody sees: shown by their number. */
const UNSEEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** A text from outside, as it may be drawn: what cannot be seen is named, and what is too long is cut. Preact escapes the rest. */
export function seen(value: unknown, max = TEXT_MAX): string {
  const text = typeof value === "string" ? value : value === null || value === undefined ? "–" : JSON.stringify(value);
  const cut = text.length > max ? `${text.slice(0, max)}… (${count(text.length)} characters)` : text;
  return cut.replace(UNSEEN, (sign) => `⟨U+${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const TWO = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export function count(value: number): string {
  return WHOLE.format(value);
}

/** "1 case", "2 cases". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** 12,430 as it is, 1,234,567 as 1.2M. */
export function short(value: number): string {
  return Math.abs(value) < 100_000 ? WHOLE.format(value) : SHORT.format(value);
}

export function money(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? "–" : TWO.format(value);
}

/** A share as percent, with as many digits as say something. */
export function percent(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const of = value * 100;
  const digits = Math.abs(of) >= 10 || of === 0 ? 1 : Math.abs(of) >= 1 ? 2 : 3;
  return `${of.toFixed(digits)} %`;
}

/** A score between 0 and 1. */
export function score(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : value.toFixed(4);
}

/** A measured number of any size. */
export function figure(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Number.isInteger(value)) return WHOLE.format(value);
  const size = Math.abs(value);
  return size >= 1000
    ? WHOLE.format(value)
    : size >= 0.001
      ? String(Number(value.toPrecision(digits + 1)))
      : value.toExponential(2);
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short" });
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const FULL = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

type Instant = string | number | null | undefined;
const msOf = (at: Instant): number => (typeof at === "number" ? at : Date.parse(at ?? ""));

/** 14:03:22 today, 12 Nov 14:03 before; by the clock of who looks. */
export function moment(at: Instant, now = Date.now()): string {
  const ms = msOf(at);
  if (!Number.isFinite(ms)) return "–";
  const isToday = new Date(ms).toDateString() === new Date(now).toDateString();
  return isToday ? TIME.format(ms) : `${DAY.format(ms)} ${MINUTE.format(ms)}`;
}

export function clockTime(at: Instant): string {
  const ms = msOf(at);
  return Number.isFinite(ms) ? MINUTE.format(ms) : "–";
}

export function dayOf(at: Instant): string {
  const ms = msOf(at);
  return Number.isFinite(ms) ? DAY.format(ms) : "–";
}

/** All of a time, with UTC behind it: what stands in a title. */
export function fullTime(at: Instant): string {
  const ms = msOf(at);
  return Number.isFinite(ms) ? `${FULL.format(ms)} (${new Date(ms).toISOString()})` : "";
}

const UNITS: readonly (readonly [ms: number, unit: string])[] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1000, "s"],
];

/** A duration in its largest unit. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "–";
  const found = UNITS.find(([size]) => Math.abs(ms) >= size);
  if (found === undefined) return `${Math.round(ms)} ms`;
  const value = ms / found[0];
  return `${Math.abs(value) < 10 && found[1] !== "s" ? Number(value.toFixed(1)) : Math.round(value)} ${found[1]}`;
}

export function ago(at: Instant, now = Date.now()): string {
  const ms = now - msOf(at);
  return Number.isFinite(ms) ? `${duration(Math.max(0, ms))} ago` : "–";
}
