// Formats of times: a pattern such as %d/%m/%Y %H:%M, compiled to what reads texts so written.
import { civil, offsetMs, type Zone } from "./zone.ts";

export interface TimeFormat {
  /** As it was declared. */
  readonly text: string;
  /** Milliseconds since 1970 UTC, NaN when the text is not written so; a text that names no zone is in `zone`. */
  parse(text: string, zone: Zone): number;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTH_NAMES = "january|february|march|april|may|june|july|august|september|october|november|december";

/** Directives as C's strptime names them: what each matches, and whether it is digits. */
const DIRECTIVES: Readonly<Record<string, { readonly pattern: string; readonly packed?: string }>> = {
  Y: { pattern: "(\\d{4})" },
  y: { pattern: "(\\d{2})" },
  m: { pattern: "(\\d{1,2})", packed: "(\\d{2})" },
  d: { pattern: "(\\d{1,2})", packed: "(\\d{2})" },
  H: { pattern: "(\\d{1,2})", packed: "(\\d{2})" },
  I: { pattern: "(\\d{1,2})", packed: "(\\d{2})" },
  M: { pattern: "(\\d{1,2})", packed: "(\\d{2})" },
  S: { pattern: "(\\d{1,2})", packed: "(\\d{2})" },
  f: { pattern: "(\\d{1,9})" },
  p: { pattern: "([AaPp][Mm])" },
  b: { pattern: `(${MONTHS.join("|")})` },
  B: { pattern: `(${MONTH_NAMES})` },
  z: { pattern: "(Z|UTC|GMT|[+-]\\d\\d(?::?\\d\\d)?)" },
};
/** What a format may hold at most. */
const FORMAT_LENGTH_MAX = 60;

/** What a format may be made of, for messages. */
export const FORMAT_DIRECTIVES = `${Object.keys(DIRECTIVES)
  .map((name) => `%${name}`)
  .join(" ")} %%`;

/** A compiled format; null when it holds an unknown directive, one twice, or no year, month and day. */
export function compileFormat(text: string): TimeFormat | null {
  if (text.length > FORMAT_LENGTH_MAX) return null;
  const names: string[] = [];
  let pattern = "";
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== "%") {
      pattern += text[i].replace(/[.*+?^${}()|[\]\\/]/, "\\$&");
      continue;
    }
    const name = text[++i];
    if (name === "%") {
      pattern += "%";
      continue;
    }
    if (name === undefined || !Object.hasOwn(DIRECTIVES, name) || names.includes(name)) return null;
    const { pattern: loose, packed = loose } = DIRECTIVES[name];
    // Without anything between them only the number of digits tells two numbers apart.
    const tight = /%[YymdHIMSf]$/.test(text.slice(0, i - 1)) || /^%[YymdHIMSf]/.test(text.slice(i + 1));
    pattern += tight ? packed : loose;
    names.push(name);
  }
  const dated = (names.includes("Y") || names.includes("y")) && names.some((name) => "mbB".includes(name));
  if (!dated || !names.includes("d")) return null;
  const whole = new RegExp(`^\\s*${pattern}\\s*$`, "i");
  return {
    text,
    parse(value, zone) {
      const match = whole.exec(value);
      return match === null ? Number.NaN : instantOf((name) => match[names.indexOf(name) + 1], { names, zone });
    },
  };
}

function instantOf(
  part: (name: string) => string,
  { names, zone }: { readonly names: readonly string[]; readonly zone: Zone },
): number {
  const number = (name: string): number => (names.includes(name) ? Number(part(name)) : 0);
  const local = civil({
    year: names.includes("Y") ? number("Y") : century(number("y")),
    month: monthOf(part, names),
    day: number("d"),
    hour: hourOf(part, names),
    minute: number("M"),
    second: number("S"),
    ms: names.includes("f") ? Math.floor(Number(`0.${part("f")}`) * 1000) : 0,
  });
  return names.includes("z") ? local - offsetMs(part("z").toUpperCase()) : zone.instantOf(local);
}

/** As POSIX has it: 69 … 99 are of the last century. */
function century(year: number): number {
  return year >= 69 ? 1900 + year : 2000 + year;
}

function monthOf(part: (name: string) => string, names: readonly string[]): number {
  if (names.includes("m")) return Number(part("m"));
  const name = part(names.includes("b") ? "b" : "B").toLowerCase();
  return MONTHS.indexOf(name.slice(0, 3)) + 1;
}

function hourOf(part: (name: string) => string, names: readonly string[]): number {
  if (names.includes("H")) return Number(part("H"));
  if (!names.includes("I")) return 0;
  const hour = Number(part("I"));
  if (hour < 1 || hour > 12) return Number.NaN;
  const late = names.includes("p") && part("p").toLowerCase() === "pm";
  return (hour % 12) + (late ? 12 : 0);
}
