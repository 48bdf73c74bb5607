// The English words that dateutil knows.
import { abbreviated, MONTHS, WEEKDAYS } from "../english-dates.ts";

const WEEKDAY_WORDS = [...abbreviated(WEEKDAYS), ...WEEKDAYS];
const MONTHS_SHORT = abbreviated(MONTHS);
const UNITS = [
  ["h", "hour", "hours"],
  ["m", "minute", "minutes"],
  ["s", "second", "seconds"],
];
const JUMPS = " |.|,|;|-|/|'|at|on|and|ad|m|t|of|st|nd|rd|th".split("|");

export const DateWords = {
  weekday: (token: string): boolean => WEEKDAY_WORDS.includes(token.toLowerCase()),
  /** 1 to 12. */
  month(token: string): number | null {
    const word = token.toLowerCase();
    if (word === "sept") return 9;
    const at = Math.max(MONTHS_SHORT.indexOf(word), MONTHS.indexOf(word));
    return at < 0 ? null : at + 1;
  },
  half(token: string): "am" | "pm" | null {
    const word = token.toLowerCase();
    if (word === "am" || word === "a") return "am";
    return word === "pm" || word === "p" ? "pm" : null;
  },
  /** 0 for hours, 1 for minutes, 2 for seconds. */
  unit(token: string): number | null {
    const at = UNITS.findIndex((words) => words.includes(token.toLowerCase()));
    return at < 0 ? null : at;
  },
  utc: (token: string): boolean => ["utc", "gmt", "z"].includes(token.toLowerCase()),
  /** Words and signs that say nothing. */
  jump: (token: string): boolean => JUMPS.includes(token.toLowerCase()),
} as const;
