// Guesses about a stranger's table: which column plays which role and how it is written; every doubt in words.
import { DAY_MS } from "../../core/duration.ts";
import { moneyRule } from "../../core/money.ts";
import { allDifferent, textAt } from "../../core/table.ts";
import { PLAIN_TIME, readCount, readTime, type TimeRule, type TimeUnit } from "../../core/time.ts";
import { compileFormat } from "../../core/time-format.ts";
import type { Profile } from "./profile.ts";

/** What stands under `columns:` for a role: a name, or keys. */
export type WrittenRole = string | Readonly<Record<string, string | readonly string[]>>;

/** A role with the columns that it takes. */
export interface Guess {
  readonly role: WrittenRole;
  readonly columns: readonly string[];
}

export interface Guesses {
  readonly id: Guess;
  readonly time: Guess & { readonly rule: TimeRule; readonly coarse: boolean };
  readonly amount: Guess | null;
  readonly label: Guess;
  readonly card: string | null;
  readonly keys: readonly string[];
  readonly categories: readonly string[];
  readonly numbers: readonly string[];
  readonly unused: readonly string[];
  readonly doubts: readonly string[];
}

/** Roles that the caller names instead of having them guessed. */
export interface Named {
  readonly label?: string;
  readonly time?: string;
}

const LABEL = /^(is|tx|has)?(fraud(ulent|bool|label|flag|ind)?|class|label|target|anomaly|outlier)$/;
const TIME =
  /^(transaction|trans|tx|event|payment)*(datetime|date|timestamp|time|ts|dt|step|timestep|unixtime|month|day)$/;
const ID = /^(transaction|trans|tx|payment|event)?(id|num|number|ref|reference|uuid)$/;
/** Names that end like an id's; a column so called must be different in every row. */
const ID_END = /(id|nr|no|num|number|key|ref|reference|uuid|guid|hash)$/;
const AMOUNT = /^(transaction|trans|tx|payment)?(amount|amt|value|sum|price|total)(usd|eur|gbp)?$/;
const CARD =
  /^(cust|client|user|card|acc(oun)?t|cc|nameorig|payer|sender|member|iban|wallet|msisdn|pan(hash|token|id)?$)/;
const KEY =
  /^(cust|client|user|card|acc(oun)?t|cc|nameorig|namedest|payer|payee|sender|receiver|member|iban|wallet|msisdn|pan(hash|token|id)?$|merch|terminal|device|email|ip|beneficiary)/;
/** Figures and kinds that are called after a customer or a card, and are none. */
const NO_KEY = /(age|count|counts|months|days|score|type|kind|limit|balance|income|year|date|4w|6h|8w|24h)$/;
/** Values up to which words are categories, and from which names are keys of a history. */
const CATEGORY_VALUES_MAX = 50;
const KEYS_MAX = 4;
const ORIGIN = "2024-01-01";
/** Digits alone, which a reader of tables takes for numbers. */
const DIGIT_FORMATS = ["%Y%m%d%H%M%S", "%Y%m%d%H%M", "%Y%m%d"];
const FORMATS = [
  "%d/%m/%Y %H:%M:%S",
  "%m/%d/%Y %H:%M:%S",
  "%d/%m/%Y %H:%M",
  "%m/%d/%Y %H:%M",
  "%d/%m/%Y",
  "%m/%d/%Y",
  "%d.%m.%Y %H:%M:%S",
  "%d.%m.%Y %H:%M",
  "%d.%m.%Y",
  "%d-%m-%Y %H:%M:%S",
  "%d-%m-%Y %H:%M",
  "%d-%m-%Y",
  "%m/%d/%Y %I:%M:%S %p",
  "%d/%m/%Y %I:%M:%S %p",
  "%m/%d/%Y %I:%M %p",
  "%d/%m/%Y %I:%M %p",
  "%Y/%m/%d %H:%M:%S",
  "%Y%m%d %H:%M:%S",
  ...DIGIT_FORMATS,
];
const WORDS = {
  fraud:
    /^(1|y|yes|ja|oui|s[ií]|sim|t|true|(confirmed|proven)[ _-]?fraud|fraud|fraudulent|illicit|bad|positive|chargeback)$/i,
  genuine:
    /^(0|n|non?|nein|nee|n[aã]o|f|false|genuine|legit|legitimate|normal|licit|good|negative|(no|non|not)[ _-]?fraud(ulent)?)$/i,
  unknown: /^(unknown|unlabell?ed|\?|na|none)$/i,
};

/** Null where no column can be the label or the time, with what was looked for. */
export function guessRoles(
  profiles: readonly Profile[],
  named: Named,
): Guesses | { readonly lacking: "label" | "time" } {
  const doubts: string[] = [];
  const label = guessLabel(profiles, named.label, doubts);
  if (label === null) return { lacking: "label" };
  const rest = without(profiles, label.columns);
  const time = guessTime(rest, named.time, doubts);
  if (time === null) return { lacking: "time" };
  const id = guessId(without(rest, time.columns));
  if (typeof id.role !== "string")
    doubts.push("no column is called an id and different in every row: ids are made of row numbers");
  const afterId = without(without(rest, time.columns), id.columns);
  const amount = guessAmount(afterId);
  if (amount === null) doubts.push("no column is called an amount: nothing is measured in money");
  const others = without(afterId, amount?.columns ?? []);
  const keys = others.filter(isKey).slice(0, KEYS_MAX);
  const card = keys.find(({ folded }) => CARD.test(folded))?.name ?? null;
  if (card === null) doubts.push("no column says whose card or account it is: each row stands alone");
  const plain = without(
    others,
    keys.map(({ name }) => name),
  );
  const words = plain.filter(({ type }) => type === "text" || type === "boolean");
  const categories = words.filter(({ distinct }) => distinct > 1 && distinct <= CATEGORY_VALUES_MAX);
  const counter = plain.find(isCounter);
  if (counter !== undefined)
    doubts.push(`${counter.name} counts the rows, which says nothing of a payment: no feature reads it`);
  const numbers = plain.filter((profile) => profile.type === "number" && profile.distinct > 1 && !isCounter(profile));
  const used = new Set([...categories, ...numbers].map(({ name }) => name));
  const unused = plain.filter(({ name }) => !used.has(name)).map(({ name }) => name);
  if (unused.length > 0)
    doubts.push(`no feature reads ${unused.slice(0, 10).join(", ")}${unused.length > 10 ? " …" : ""}`);
  if (numbers.length > 0)
    doubts.push(
      "a number that is only known after the transaction, such as a balance afterwards, must leave the features",
    );
  return {
    id,
    time,
    amount,
    label,
    card,
    keys: keys.map(({ name }) => name),
    categories: categories.map(({ name }) => name),
    numbers: numbers.map(({ name }) => name),
    unused,
    doubts,
  };
}

/** The different texts of a column, sorted. */
export function valuesOf({ column }: Profile): readonly string[] {
  const rows = column.kind === "text" ? column.codes.length : column.values.length;
  const found = new Set<string>();
  for (let row = 0; row < rows && found.size <= CATEGORY_VALUES_MAX; row++) {
    const text = textAt(column, row);
    if (text !== null) found.add(text);
  }
  return [...found].sort();
}

function without(profiles: readonly Profile[], names: readonly string[]): readonly Profile[] {
  return profiles.filter(({ name }) => !names.includes(name));
}

function guessLabel(profiles: readonly Profile[], named: string | undefined, doubts: string[]): Guess | null {
  const candidates = profiles
    .filter(({ name, folded }) => (named === undefined ? LABEL.test(folded) : name === named))
    .sort((a, b) => Number(b.folded.includes("fraud")) - Number(a.folded.includes("fraud")));
  for (const profile of candidates) {
    if (profile.distinct < 2 || profile.distinct > 5) continue;
    const values = valuesOf(profile);
    const { name } = profile;
    if (profile.column.kind !== "text" && values.every((value) => ["0", "1", "true", "false"].includes(value)))
      return { role: name, columns: [name] };
    const of = (pattern: RegExp): string[] => values.filter((value) => pattern.test(value));
    // 1 and 2 beside nothing that is 0: as Elliptic numbers its classes.
    const numbered = values.includes("1") && values.includes("2") && !values.includes("0");
    const fraud = numbered ? ["1"] : of(WORDS.fraud);
    const genuine = numbered ? ["2"] : of(WORDS.genuine);
    const unknown = numbered ? values.filter((value) => value !== "1" && value !== "2") : of(WORDS.unknown);
    if (fraud.length === 0 || genuine.length === 0 || fraud.length + genuine.length + unknown.length < values.length)
      continue;
    doubts.push(`${name}: ${fraud.join(", ")} is taken for fraud, ${genuine.join(", ")} for genuine`);
    return { role: { column: name, fraud, genuine, ...(unknown.length > 0 ? { unknown } : {}) }, columns: [name] };
  }
  return null;
}

function guessTime(profiles: readonly Profile[], named: string | undefined, doubts: string[]): Guesses["time"] | null {
  if (named === undefined) {
    const composed = guessParts(profiles);
    if (composed !== null) return composed;
  }
  const candidates = profiles
    .filter(({ name, folded, type }) =>
      named === undefined ? TIME.test(folded) || (type === "time" && !/birth|dob/.test(folded)) : name === named,
    )
    .sort((a, b) => Number(b.type === "time") - Number(a.type === "time"));
  for (const profile of candidates) {
    const guess = profile.column.kind === "text" ? textTime(profile, doubts) : countTime(profile, doubts);
    if (guess === null) continue;
    const clock = guess.coarse ? profiles.find((other) => other !== profile && isTimeOfDay(other)) : undefined;
    if (clock !== undefined)
      doubts.push(
        `${profile.name} holds days and ${clock.name} times of day: to have both, write time: {columns: [${profile.name}, ${clock.name}], format: "%Y-%m-%d %H:%M:%S"} as the two are written`,
      );
    return guess;
  }
  return null;
}

function isTimeOfDay({ column }: Profile): boolean {
  return (
    column.kind === "text" &&
    column.dictionary.length > 1 &&
    column.dictionary.every((text) => /^\d{1,2}:\d\d(:\d\d)?$/.test(text))
  );
}

/** Year, month, day and perhaps a time of day in columns of their own. */
function guessParts(profiles: readonly Profile[]): Guesses["time"] | null {
  const find = (folded: string): Profile | undefined => profiles.find((profile) => profile.folded === folded);
  const [year, month, day] = ["year", "month", "day"].map(find);
  if (year === undefined || month === undefined || day === undefined) return null;
  const clock = profiles.find(
    ({ folded, examples }) => folded === "time" && examples.every((text) => /^\d{1,2}:\d\d$/.test(text)),
  );
  const columns = [year, month, day, ...(clock === undefined ? [] : [clock])].map(({ name }) => name);
  const format = `%Y %m %d${clock === undefined ? "" : " %H:%M"}`;
  const rule = { ...PLAIN_TIME, format: compileFormat(format)! };
  return { role: { columns, format }, columns, rule, coarse: clock === undefined };
}

function textTime({ name, column }: Profile, doubts: string[]): Guesses["time"] | null {
  if (column.kind !== "text") return null;
  const texts = column.dictionary.filter((text) => text.trim() !== "");
  const fits = (rule: TimeRule): boolean =>
    texts.length > 0 && texts.every((text) => !Number.isNaN(readTime(text, rule)));
  if (fits(PLAIN_TIME)) return { role: name, columns: [name], rule: PLAIN_TIME, coarse: false };
  const formats = FORMATS.filter((format) => fits({ ...PLAIN_TIME, format: compileFormat(format)! }));
  if (formats.length === 0) return null;
  const [format] = formats;
  if (formats.length > 1)
    doubts.push(
      `${name}: the day may stand before the month or after it; ${format} is taken, say so if ${formats[1]} is meant`,
    );
  const rule = { ...PLAIN_TIME, format: compileFormat(format)! };
  return { role: { column: name, format }, columns: [name], rule, coarse: !format.includes("%H") };
}

function countTime(
  { name, folded, type, column, low, high, whole, distinct }: Profile,
  doubts: string[],
): Guesses["time"] | null {
  const values = column.kind === "text" ? [] : column.values;
  if (type === "time")
    return { role: name, columns: [name], rule: PLAIN_TIME, coarse: values.every((value) => !(value % DAY_MS > 0)) };
  for (const unit of ["ms", "s", "us", "ns"] as const) {
    const rule = { ...PLAIN_TIME, unit };
    if (Number.isNaN(readCount(low, rule)) || Number.isNaN(readCount(high, rule))) continue;
    return { role: unit === "ms" ? name : { column: name, unit }, columns: [name], rule, coarse: false };
  }
  for (const format of whole ? DIGIT_FORMATS : []) {
    const rule = { ...PLAIN_TIME, format: compileFormat(format)! };
    if (!values.every((value) => Number.isNaN(value) || !Number.isNaN(readTime(value, rule)))) continue;
    return { role: { column: name, format }, columns: [name], rule, coarse: !format.includes("%H") };
  }
  const unit: TimeUnit = folded.includes("month")
    ? "month"
    : folded.includes("day")
      ? "d"
      : folded.includes("step")
        ? high > 400
          ? "h"
          : "d"
        : "s";
  const rule = { ...PLAIN_TIME, unit, origin: Date.parse(ORIGIN) };
  if (Number.isNaN(readCount(low, rule)) || Number.isNaN(readCount(high, rule))) return null;
  doubts.push(
    `${name} counts from ${low} to ${high}: taken for unit ${unit} from ${ORIGIN}; windows depend on it, so correct both if they are others`,
  );
  return { role: { column: name, unit, origin: ORIGIN }, columns: [name], rule, coarse: distinct < 100 };
}

/** Called an id, or like one, and different in every row; a number with a fraction is none. */
function guessId(profiles: readonly Profile[]): Guess {
  const ids = profiles.filter(
    ({ missing, column, whole }) => missing === 0 && (column.kind === "text" || whole) && allDifferent(column),
  );
  const id = ids.find(({ folded }) => ID.test(folded)) ?? ids.find(({ folded }) => ID_END.test(folded));
  return id === undefined ? { role: { from: "row" }, columns: [] } : { role: id.name, columns: [id.name] };
}

/** Fewer rows may rise one by one by chance. */
const COUNTER_ROWS_MIN = 20;

/** Counts the rows, as an index that was written along does. */
function isCounter({ column, whole, low, high, missing }: Profile): boolean {
  if (column.kind !== "number" || !whole || missing > 0) return false;
  const { values } = column;
  return (
    values.length >= COUNTER_ROWS_MIN &&
    high - low === values.length - 1 &&
    values.every((value, row) => value === values[0] + row)
  );
}

function guessAmount(profiles: readonly Profile[]): Guess | null {
  const ranked = [
    ...profiles.filter(({ folded }) => AMOUNT.test(folded)),
    ...profiles.filter(({ folded }) => /amount|amt/.test(folded)),
  ];
  for (const { name, type, column } of ranked) {
    if (type === "number") return { role: name, columns: [name] };
    if (column.kind !== "text") continue;
    const texts = column.dictionary.filter((text) => text.trim() !== "");
    const prefix = /^\(?-?\s*([^\d\s.,()-]{1,4})/.exec(texts[0] ?? "")?.[1];
    for (const signs of [
      { decimal: ".", thousands: "," },
      { decimal: ",", thousands: "." },
    ]) {
      const rule = moneyRule({ prefix, ...signs })!;
      if (texts.length === 0 || texts.some((text) => rule.read(text) === null)) continue;
      return { role: { column: name, ...(prefix === undefined ? {} : { prefix }), ...signs }, columns: [name] };
    }
  }
  return null;
}

/** Something that comes again and again, by its name and its values. */
function isKey({ folded, type, whole, distinct, column }: Profile): boolean {
  if (!KEY.test(folded) || NO_KEY.test(folded) || distinct < 10) return false;
  if (type !== "text" && !(type === "number" && whole)) return false;
  const rows = column.kind === "text" ? column.codes.length : column.values.length;
  return rows / distinct >= 1.5;
}
