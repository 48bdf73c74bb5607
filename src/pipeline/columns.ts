// Section `columns` and key `aliases`: the role of each canonical column, how its cells are written, and the other names it comes under.
import type { LabelWords } from "../core/label-words.ts";
import { type MoneyRule, moneyRule } from "../core/money.ts";
import { PLAIN_TIME, parseIso, TIME_UNITS, type TimeRule, type TimeUnit } from "../core/time.ts";
import { compileFormat, FORMAT_DIRECTIVES } from "../core/time-format.ts";
import { zoneOf } from "../core/zone.ts";
import { either, list, oneOf, type Place, record, text, textLike } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";

/** Columns that a time may be composed of. */
const TIME_PARTS_MAX = 10;
/** Words that one label may have. */
const LABEL_WORDS_MAX = 50;
const UNIT = new RegExp(`^([1-9]\\d{0,3})?(${TIME_UNITS.join("|")})$`);

const ID = section({
  from: key(oneOf("row"), {
    required: true,
    means:
      "`row`: the table has no id; each row gets one from its file's name and its number, such as `creditcard-17`.",
  }),
  as: key(text, {
    means:
      "What the id is called where there is one: in requests, which bring their own, in label files and results; `transaction_id` when nothing is said.",
  }),
});

const TIME = section(
  {
    column: key(text, { means: "The column that holds the time." }),
    columns: key(list(text, { from: 2, to: TIME_PARTS_MAX }), {
      means:
        "Several columns that hold it together; their cells, joined by one space each, are read by `format`. Requests send the same fields.",
    }),
    unit: key(textLike(UNIT.source, `a unit (${TIME_UNITS.join(", ")}), or so many of one: \`14d\``), {
      means: "What a number counts; `month` counts months of the calendar.",
    }),
    origin: key(text, { means: "The instant that numbers count from, such as `2024-01-01`; 1970 without it." }),
    format: key(text, { means: `How a text is written: ${FORMAT_DIRECTIVES}.` }),
    zone: key(text, {
      means: "The zone of what names none, and of `origin`: `+02:00`, `Europe/Paris`; UTC when nothing is said.",
    }),
  },
  {
    settle(time, { isWritten, refuse }) {
      if (isWritten("column") === isWritten("columns"))
        return refuse("columns", "one of column and columns must be written", "name the column, or list several");
      if (isWritten("columns") && !isWritten("format")) {
        const hint = 'say how the cells read when joined by spaces, such as "%Y %m %d %H:%M"';
        return refuse("columns", "several columns are given without a format", hint);
      }
      if (isWritten("format") && (isWritten("unit") || isWritten("origin"))) {
        const hint = "a column holds texts of a format, or counts of a unit from an origin: keep one of the two";
        return refuse("format", "a format is given beside unit or origin", hint);
      }
      return time;
    },
  },
);

const AMOUNT = section({
  column: key(text, { required: true, means: "The column that holds the amount." }),
  prefix: key(text, { means: "The sign before the number, such as `$`." }),
  suffix: key(text, { means: "The sign behind the number, such as ` kr`." }),
  decimal: key(oneOf(".", ","), { means: "What stands before the cents; a point when nothing is said." }),
  thousands: key(oneOf(",", ".", " ", "'"), { means: "What stands between thousands." }),
});

const words = list(text, { from: 1, to: LABEL_WORDS_MAX });
const LABEL = section(
  {
    column: key(text, { required: true, means: "The column that holds the label." }),
    fraud: key(words, { required: true, means: "What a fraud's cell holds, letter by letter: `[Yes]`." }),
    genuine: key(words, { required: true, means: "What a genuine transaction's cell holds: `[No]`." }),
    unknown: key(words, { means: "What the cell holds where nobody knows, beside nothing at all." }),
  },
  {
    settle(label, { refuse }) {
      const all = [...label.fraud, ...label.genuine, ...(label.unknown ?? [])];
      const twice = all.find((word, i) => all.indexOf(word) !== i);
      if (twice === undefined) return label;
      return refuse("fraud", `the word ${JSON.stringify(twice)} stands twice`, "a word means one thing: keep one");
    },
  },
);

export const COLUMNS = section({
  id: key(either(text, ID), {
    required: true,
    means: "Column with the transaction id; `{from: row}` where the table has none. Scoring is idempotent by it.",
  }),
  time: key(either(text, TIME), {
    required: true,
    means:
      "Column with the event time; or keys, where times are not ISO 8601 or epoch milliseconds ([Tables](tables.md#times)).",
  }),
  amount: key(either(text, AMOUNT), {
    means:
      "Column with the amount; or keys, where it has a currency's sign or separators ([Tables](tables.md#amounts)). May be left out; then nothing is measured in money.",
  }),
  card: key(text, {
    means:
      "Column that says whose card it is; may be left out. Evidence is resampled by it, because frauds of one card come together; without it each row stands alone, and nothing is measured by card.",
  }),
  label: key(either(text, LABEL), {
    required: true,
    means: "Column with the label, 0 or 1; or keys, where it holds other words ([Tables](tables.md#labels)).",
  }),
});

export const ALIASES = key(record(list(text, { to: 50 })), {
  default: {},
  means:
    "Other names of a column, in tables and in requests: canonical name → list. Upper and lower case are one; one name cannot stand for two columns.",
});

/** The role each canonical column plays. */
export interface PipelineColumns {
  readonly id: string;
  /** Where the time is composed of several columns, a name that no column has. */
  readonly time: string;
  /** Null where transactions have none. */
  readonly amount: string | null;
  /** Whose transactions belong together, where the data says so. */
  readonly card: string | null;
  readonly label: string;
}

/** How the cells of columns with a role are written, beside the times', in tables, label files and requests alike. */
export interface Written {
  /** Tables have no id; rows get theirs from file and number. */
  readonly rowIds: boolean;
  /** The columns whose cells, joined by spaces, are the time; null where one column holds it. */
  readonly timeParts: readonly string[] | null;
  /** Null: plain numbers. */
  readonly money: MoneyRule | null;
  /** Null: 0 and 1. */
  readonly labelWords: LabelWords | null;
}

type WrittenColumns = ValueOf<typeof COLUMNS.fields>;
type WrittenTime = Exclude<WrittenColumns["time"], string>;

/** Roles and forms of a section's value. Errors by `refuse`. */
export function rolesOf(
  columns: WrittenColumns,
  refuse: Place["refuse"],
): { readonly columns: PipelineColumns; readonly times: TimeRule; readonly written: Written } {
  const { id, time, amount, card, label } = columns;
  const timeParts = typeof time === "string" ? null : (time.columns ?? null);
  return {
    columns: {
      id: typeof id === "string" ? id : (id.as ?? "transaction_id"),
      time: typeof time === "string" ? time : (time.column ?? timeParts!.join(" ")),
      amount: amount === undefined ? null : typeof amount === "string" ? amount : amount.column,
      card: card ?? null,
      label: typeof label === "string" ? label : label.column,
    },
    times: typeof time === "string" ? PLAIN_TIME : timeRule(time, refuse),
    written: {
      rowIds: typeof id !== "string",
      timeParts,
      money: amount === undefined || typeof amount === "string" ? null : moneyOf(amount, refuse),
      labelWords: typeof label === "string" ? null : { ...label, unknown: label.unknown ?? [] },
    },
  };
}

function moneyOf(amount: Exclude<WrittenColumns["amount"], string | undefined>, refuse: Place["refuse"]): MoneyRule {
  const rule = moneyRule({ ...amount, decimal: amount.decimal ?? "." });
  if (rule !== null) return rule;
  const what = "columns.amount: thousands are separated by the sign that stands before the cents";
  return refuse(["columns", "amount", "thousands"], { what, hint: "give decimal another sign than thousands" });
}

function timeRule(time: WrittenTime, refuse: Place["refuse"]): TimeRule {
  const wrong = (name: keyof WrittenTime, what: string, hint: string): never =>
    refuse(["columns", "time", name], { what: `columns.time.${name}: ${JSON.stringify(time[name])} ${what}`, hint });
  const zone = zoneOf(time.zone ?? "UTC");
  if (zone === null)
    return wrong("zone", "is no time zone", 'write UTC, an offset such as "+02:00", or a name such as Europe/Paris');
  const origin = time.origin === undefined ? 0 : parseIso(time.origin, zone);
  if (Number.isNaN(origin))
    return wrong("origin", "is no time", "write the instant that numbers count from, such as 2024-01-01");
  if (time.format !== undefined) {
    const format = compileFormat(time.format);
    if (format !== null) return { unit: "ms", origin: 0, format, zone };
    const hint = `write it with ${FORMAT_DIRECTIVES}, such as "%d/%m/%Y %H:%M"; year, month and day must be there`;
    return wrong("format", "is no format of a date", hint);
  }
  const [, count = "1", unit = "ms"] = UNIT.exec(time.unit ?? "ms") ?? [];
  return { unit: unit as TimeUnit, ...(count === "1" ? {} : { count: Number(count) }), origin, zone };
}

/**
 * Any accepted name → canonical name; a canonical name leads to itself. Upper and lower case are one, as in tables and requests. Refuses a
 * name that stands for two columns.
 */
export function canonicalNames(
  { columns, written: { timeParts } }: { readonly columns: PipelineColumns; readonly written: Written },
  aliases: Readonly<Record<string, readonly string[]>>,
  refuse: Place["refuse"],
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const folded = new Map<string, string>();
  const add = (name: string, column: string, at: Place["path"]): void => {
    const known = folded.get(name.toLowerCase());
    if (known !== undefined && known !== column)
      refuse(at, { what: `aliases: ${name} stands for both ${known} and ${column}`, hint: "keep one of the two" });
    folded.set(name.toLowerCase(), column);
    names.set(name, column);
  };
  const { time, ...others } = columns;
  const roles = [...Object.values(others), ...(timeParts ?? [time])].filter((name) => name !== null);
  for (const column of roles) add(column, column, ["columns"]);
  for (const column of Object.keys(aliases)) add(column, column, ["aliases", column]);
  for (const [column, more] of Object.entries(aliases))
    for (const [place, other] of more.entries()) add(other, column, ["aliases", column, place]);
  return names;
}
