// Python's strptime as a test: can a text be read by a format, to a date that exists (documentation of datetime, "Format Codes"; locale C).
import { abbreviated, MONTHS, WEEKDAYS } from "./english-dates.ts";

const short = (names: readonly string[]): string => abbreviated(names).join("|");
/** Longer names first, so that none is cut short by another. */
const long = (names: readonly string[]): string => [...names].sort((a, b) => b.length - a.length).join("|");

/** What each directive takes; a match takes the first way that fits, and what is left over is a fault. */
const DIRECTIVES: Readonly<Record<string, string>> = {
  a: short(WEEKDAYS),
  A: long(WEEKDAYS),
  b: short(MONTHS),
  B: long(MONTHS),
  d: "3[01]|[12]\\d|0[1-9]|[1-9]| [1-9]",
  f: "\\d{1,6}",
  G: "\\d{4}",
  H: "2[0-3]|[01]\\d|\\d",
  I: "1[0-2]|0[1-9]|[1-9]",
  j: "36[0-6]|3[0-5]\\d|[12]\\d\\d|0[1-9]\\d|00[1-9]|[1-9]\\d|0[1-9]|[1-9]",
  m: "1[0-2]|0[1-9]|[1-9]",
  M: "[0-5]\\d|\\d",
  p: "am|pm",
  S: "6[01]|[0-5]\\d|\\d",
  u: "[1-7]",
  U: "5[0-3]|[0-4]\\d|\\d",
  V: "5[0-3]|0[1-9]|[1-4]\\d|\\d",
  w: "[0-6]",
  W: "5[0-3]|[0-4]\\d|\\d",
  y: "\\d\\d",
  Y: "\\d{4}",
  z: "[+-](?:[01]\\d|2[0-3]):?[0-5]\\d(?::?[0-5]\\d(?:\\.\\d{1,6})?)?|z",
  Z: "utc|gmt",
  "%": "%",
};
/** Directives that stand for others, in the locale C. */
const COMPOSED: Readonly<Record<string, string>> = { c: "%a %b %d %H:%M:%S %Y", x: "%m/%d/%y", X: "%H:%M:%S" };

/** null for a format that Python refuses: an unknown directive, one that stands twice, an ISO year without its week. */
export function strptimeTest(format: string): ((text: string) => boolean) | null {
  const whole = format.replace(/%([cxX])/g, (_, name: string) => COMPOSED[name]);
  const names: string[] = [];
  let pattern = "";
  for (let i = 0; i < whole.length; i++) {
    if (whole[i] !== "%") {
      pattern += /\s/.test(whole[i]) ? "\\s" : whole[i].replace(/[\\^$.|?*+()[\]{}/-]/g, "\\$&");
      continue;
    }
    const name = whole[++i];
    if (name === undefined || !Object.hasOwn(DIRECTIVES, name) || (name !== "%" && names.includes(name))) return null;
    if (name !== "%") names.push(name);
    pattern += name === "%" ? "%" : `(?<${name}>${DIRECTIVES[name]})`;
  }
  if (!isoYearIsWhole(names)) return null;
  const regex = new RegExp(pattern.replace(/(\\s)+/g, "\\s+"), "iy");
  return (text) => {
    regex.lastIndex = 0;
    const match = regex.exec(text);
    return match !== null && match[0].length === text.length && exists(match.groups ?? {});
  };
}

/** `%G` counts with `%V` and a weekday, and `%V` with `%G`. */
function isoYearIsWhole(names: readonly string[]): boolean {
  const weekday = ["a", "A", "w", "u"].some((name) => names.includes(name));
  if (names.includes("G")) return names.includes("V") && weekday && !names.includes("j");
  return !names.includes("V");
}

const DAYS_OF_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/** Two-digit years from here on are of the last century (POSIX). */
const CENTURY_TURN = 69;

function exists(found: Readonly<Record<string, string | undefined>>): boolean {
  // The one letter whose case counts.
  if (found.z === "z" || (found.S !== undefined && Number(found.S) > 59)) return false;
  const year = yearOf(found);
  if (year === 0) return false;
  const month = monthOf(found);
  const day = found.d === undefined ? 1 : Number(found.d);
  if (day > DAYS_OF_MONTH[month - 1]) return false;
  // Without a year 29 February is taken for a leap year's.
  return month !== 2 || day < 29 || year === null || (year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0));
}

function yearOf(found: Readonly<Record<string, string | undefined>>): number | null {
  if (found.Y !== undefined) return Number(found.Y);
  if (found.y === undefined) return null;
  return Number(found.y) + (Number(found.y) < CENTURY_TURN ? 2000 : 1900);
}

function monthOf({ m, b, B }: Readonly<Record<string, string | undefined>>): number {
  if (m !== undefined) return Number(m);
  const name = (b ?? B)?.toLowerCase();
  return name === undefined ? 1 : MONTHS.findIndex((month) => month.startsWith(name)) + 1;
}
