// Section `columns` and key `aliases`: the role of each canonical column, how times are written, and the other names a column comes under.
import { PLAIN_TIME, parseIso, TIME_UNITS, type TimeRule } from "../core/time.ts";
import { compileFormat, FORMAT_DIRECTIVES } from "../core/time-format.ts";
import { zoneOf } from "../core/zone.ts";
import { either, list, oneOf, type Place, record, text } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";

/** The time column with how it is written. */
const TIME = section({
  column: key(text, { required: true, means: "The name of the time column, where more is to be said of it." }),
  unit: key(oneOf(...TIME_UNITS), { means: "What a number counts; `ms` when nothing is said." }),
  origin: key(text, { means: "Where a number counts from; 1970-01-01 when nothing is said." }),
  format: key(text, { means: "How a text is written, such as `%d/%m/%Y %H:%M`; instead of unit and origin." }),
  zone: key(text, {
    means:
      "The zone of texts without an offset, and of the origin: `+02:00`, `Europe/Paris`; UTC when nothing is said.",
  }),
});

export const COLUMNS = section({
  id: key(text, { required: true, means: "Column with the transaction id. Scoring is idempotent by it." }),
  time: key(either(text, TIME), {
    required: true,
    means:
      "Column with the event time; keys of its own where times are neither ISO 8601 nor epoch milliseconds ([Tables](tables.md#times)).",
  }),
  amount: key(text, { required: true, means: "Column with the amount." }),
  card: key(text, {
    means:
      "Column that says whose card it is; may be left out. Evidence is resampled by it, because frauds of one card come together; without it each row stands alone, and nothing is measured by card.",
  }),
  label: key(text, { required: true, means: "Column with the label, 0 or 1." }),
});

export const ALIASES = key(record(list(text, { to: 50 })), {
  default: {},
  means:
    "Other names of a column, in tables and in requests: canonical name → list. Upper and lower case are one; one name cannot stand for two columns.",
});

/** The role each canonical column plays. */
export interface PipelineColumns {
  readonly id: string;
  readonly time: string;
  readonly amount: string;
  /** Whose transactions belong together, where the data says so. */
  readonly card: string | null;
  readonly label: string;
}

type WrittenColumns = ValueOf<typeof COLUMNS.fields>;

/** The names of the columns, by role. */
export function columnsOf({ id, time, amount, card, label }: WrittenColumns): PipelineColumns {
  return { id, time: typeof time === "string" ? time : time.column, amount, card: card ?? null, label };
}

/** How times are written, in tables, labels and requests. Refuses zones, origins and formats that mean nothing. */
export function timesOf({ time }: WrittenColumns, refuse: Place["refuse"]): TimeRule {
  if (typeof time === "string") return PLAIN_TIME;
  const { unit, origin, format, zone = "UTC" } = time;
  const wrong = (name: string, what: string, hint: string): never =>
    refuse(["columns", "time", name], { what: `columns.time.${name}: ${what}`, hint });
  const place = zoneOf(zone);
  if (place === null) {
    const hint = 'write UTC, an offset such as "+02:00", or a name such as Europe/Paris';
    return wrong("zone", `${JSON.stringify(zone)} is no time zone`, hint);
  }
  const from = origin === undefined ? 0 : parseIso(origin, place);
  if (Number.isNaN(from)) {
    const hint = "write the instant that numbers count from, such as 2024-01-01";
    return wrong("origin", `${JSON.stringify(origin)} is no time`, hint);
  }
  if (format === undefined) return { unit: unit ?? "ms", origin: from, zone: place };
  if (unit !== undefined || origin !== undefined) {
    const hint = "a column holds texts of a format, or counts of a unit from an origin: keep one of the two";
    return wrong("format", "is given beside unit or origin", hint);
  }
  const compiled = compileFormat(format);
  if (compiled !== null) return { unit: "ms", origin: 0, format: compiled, zone: place };
  const hint = `write it with ${FORMAT_DIRECTIVES}, such as "%d/%m/%Y %H:%M"; year, month and day must be there`;
  return wrong("format", `${JSON.stringify(format)} is no format of a date`, hint);
}

/** Any accepted name → canonical name; a canonical name leads to itself. Refuses a name that stands for two columns, in any case. */
export function canonicalNames(
  columns: PipelineColumns,
  aliases: Readonly<Record<string, readonly string[]>>,
  refuse: Place["refuse"],
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const folded = new Map<string, string>();
  const add = (name: string, column: string, at: readonly (string | number)[]): void => {
    const known = folded.get(name.toLowerCase());
    if (known !== undefined && known !== column) {
      refuse(at, { what: `aliases: ${name} stands for both ${known} and ${column}`, hint: "keep one of the two" });
    }
    folded.set(name.toLowerCase(), column);
    names.set(name, column);
  };
  for (const [role, column] of Object.entries(columns)) if (column !== null) add(column, column, ["columns", role]);
  for (const column of Object.keys(aliases)) add(column, column, ["aliases", column]);
  for (const [column, others] of Object.entries(aliases)) {
    for (const [place, other] of others.entries()) add(other, column, ["aliases", column, place]);
  }
  return names;
}
