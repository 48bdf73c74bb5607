// Event times as clients write them: ISO 8601 texts or milliseconds since 1970.

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?(Z|[+-]\d\d(?::?\d\d)?)?$/;
/** The last instant a Date can hold. */
const TIME_MAX = 8.64e15;

/** Milliseconds since 1970 UTC, whole; NaN when it is no time. A text without a zone is UTC. */
export function parseTime(value: unknown): number {
  if (typeof value === "number") return Number.isInteger(value) && Math.abs(value) <= TIME_MAX ? value + 0 : Number.NaN;
  if (typeof value !== "string" || value.length > 40) return Number.NaN;
  const match = ISO.exec(value);
  if (match === null) return Number.NaN;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const ms = Math.floor(Number(`0.${match[7] ?? 0}`) * 1000);
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return Number.NaN;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCDate() !== day) return Number.NaN;
  date.setUTCHours(hour, minute, second, ms);
  return date.getTime() - zoneMs(match[8]);
}

function zoneMs(zone: string | undefined): number {
  if (zone === undefined || zone === "Z") return 0;
  const sign = zone[0] === "-" ? -1 : 1;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(":", "") || 0);
  return hours < 24 && minutes < 60 ? sign * (hours * 60 + minutes) * 60_000 : Number.NaN;
}
