// The English words that dateutil knows.

const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const WEEKDAYS_LONG = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTHS_LONG = [
  "january",
  "february",
  "march",
  "april",
  "may",
  "june",
  "july",
  "august",
  "september",
  "october",
  "november",
  "december",
];
const UNITS = [
  ["h", "hour", "hours"],
  ["m", "minute", "minutes"],
  ["s", "second", "seconds"],
];
const JUMPS = " |.|,|;|-|/|'|at|on|and|ad|m|t|of|st|nd|rd|th".split("|");

export const DateWords = {
  weekday: (token: string): boolean => [...WEEKDAYS, ...WEEKDAYS_LONG].includes(token.toLowerCase()),
  /** 1 to 12. */
  month(token: string): number | null {
    const word = token.toLowerCase();
    if (word === "sept") return 9;
    const at = Math.max(MONTHS.indexOf(word), MONTHS_LONG.indexOf(word));
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
