// Sentences: a feature and its value as an analyst would say it aloud, from the feature's definition.
import { DAY_MS, HOUR_MS, parseDuration } from "../../core/duration.ts";
import type {
  CategoryFeature,
  ElapsedFeature,
  FeatureDef,
  FeatureSpec,
  FraudRunFeature,
  NeighboursFeature,
  TimeFeature,
  TwoHopsFeature,
  WindowFeature,
} from "../../features/definition.ts";
import { ANOMALY_INPUT } from "./attribution.ts";

/** Says a feature's value; `usual` is its value for most transactions (NaN: mostly missing), undefined when not known. */
export type Speaker = (feature: string, facts: { readonly value: number; readonly usual?: number }) => string;

export function speakerOf(spec: FeatureSpec): Speaker {
  const defs = new Map(spec.features.map((def) => [def.name, def]));
  const phrases = new Map(spec.features.map((def) => [def.name, phraseOf(def, defs)]));
  return (feature, { value, usual }) => {
    const phrase = phrases.get(feature) ?? unknownPhrase(feature);
    const text = Number.isNaN(value) ? phrase.missing : phrase.say(value);
    return usual === undefined || Number.isNaN(value) ? text : `${text}${comparison(phrase, value, usual)}`;
  };
}

/** How a feature is spoken of. */
interface Phrase {
  /** As a thing: "this customer's mean amount in the last 7 days". */
  readonly thing: string;
  /** The whole sentence with a value in it. */
  say(value: number): string;
  /** The value alone, with its unit. */
  amount(value: number): string;
  /** The sentence when there is no value. */
  readonly missing: string;
  /** What is usual where it usually has no value. */
  readonly usuallyMissing?: string;
  /** True where a comparison with the usual says nothing: there are only two values, or none is more usual. */
  readonly plain?: boolean;
}

type Defs = ReadonlyMap<string, FeatureDef>;

/** Nothing where the usual looks the same; an analyst needs no "1 (usually 1)". */
function comparison(phrase: Phrase, value: number, usual: number): string {
  if (phrase.plain) return "";
  if (Number.isNaN(usual)) return ` (usually ${phrase.usuallyMissing ?? "none"})`;
  return phrase.amount(usual) === phrase.amount(value) ? "" : ` (usually ${phrase.amount(usual)})`;
}

function phraseOf(def: FeatureDef, defs: Defs): Phrase {
  switch (def.kind) {
    case "column":
      return thing(`the ${words(def.column)}`);
    case "category":
      return categoryPhrase(def);
    case "time":
      return timePhrase(def);
    case "window":
      return windowPhrase(def);
    case "elapsed":
      return elapsedPhrase(def);
    case "since-fraud": {
      const { at } = roleWords(def);
      const missing = `no fraud known ${at} in the last ${period(def.within)}`;
      const phrase = counted("transaction", { rest: `since the last fraud known ${at}`, missing });
      return { ...phrase, usuallyMissing: "no fraud known" };
    }
    case "multiple": {
      const { at, who } = keyWords(def.key);
      const rest = `${at} ${within(def)} over ${number(def.times)} times the usual ${words(def.over)}`;
      return counted("transaction", { rest, missing: `no usual ${words(def.over)} known of ${who}` });
    }
    case "percentile": {
      const { who, at } = keyWords(def.key);
      const when = within(def);
      return {
        say: (value) => `${number(def.percent)} % of ${who}'s ${words(def.over)} ${when} was at most ${number(value)}`,
        thing: `the ${words(def.over)} that ${number(def.percent)} % of ${who}'s transactions ${when} did not exceed`,
        amount: number,
        missing: `no transactions ${at} ${when}`,
      };
    }
    case "first-seen": {
      const { who } = keyWords(def.key);
      const what = words(bare(def.column));
      const say = (value: number): string =>
        `the ${what} is ${value === 1 ? "new" : "known"} to ${who} (last ${period(def.within)})`;
      return { ...thing(`the ${what}`), say, plain: true };
    }
    case "new-values": {
      const { at } = keyWords(def.key);
      const rest = `${at} ${within(def)}, none of which it had in the last ${period(def.within)} before`;
      return counted(`new ${words(bare(def.column))}`, { rest, missing: `no transactions ${at}` });
    }
    case "neighbours":
      return neighboursPhrase(def);
    case "two-hops":
      return twoHopsPhrase(def);
    case "fraud-value": {
      const { at } = keyWords(def.key);
      const which = def.aggregate === "min" ? "smallest" : "largest";
      const rest = `known ${at} in the last ${period(def.within)}`;
      const missing = `no fraud ${rest}`;
      return {
        ...thing(`the ${which} ${words(def.over)} of frauds ${rest}`),
        missing,
        usuallyMissing: "no fraud known",
      };
    }
    case "fraud-run":
      return fraudRunPhrase(def);
    case "movement": {
      const { who, at } = keyWords(def.key);
      const unit = def.measure === "speed" ? "km/h" : "km";
      const amount = (value: number): string => `${number(value)} ${unit}`;
      const last = `since the last transaction ${at}`;
      return {
        thing: def.measure === "speed" ? `the speed of ${who} ${last}` : `the way of ${who} ${last}`,
        say: (value) => `${amount(value)} ${last}`,
        amount,
        missing: `no place known of ${who} in the last ${period(def.within)}`,
      };
    }
    case "ratio":
    case "difference":
      return composedPhrase(def, defs);
    case "expression":
      return thing(`"${words(def.name)}"`);
  }
}

/** The anomaly score, and what a spec has no definition of. */
function unknownPhrase(feature: string): Phrase {
  if (feature !== ANOMALY_INPUT) return thing(words(feature));
  const say = (value: number): string =>
    `the transaction as a whole is ${value > ORDINARY_MAX ? "unusual" : "ordinary"}: anomaly score ${number(value)} of 1`;
  return { ...thing("the transaction as a whole"), say };
}

/** Anomaly scores up to this are of transactions like most others (Liu, Ting & Zhou 2008, section 2). */
const ORDINARY_MAX = 0.5;

/** The value's own name; a code beyond the list is any other value. */
function categoryPhrase({ column, values }: CategoryFeature): Phrase {
  const named = thing(`the ${words(column)}`);
  const name = (code: number): string => (values[code] === undefined ? "another" : JSON.stringify(values[code]));
  return { ...named, say: (code) => `${named.thing} is ${name(code)}`, amount: name };
}

function timePhrase({ part }: TimeFeature): Phrase {
  const say: Readonly<Record<string, (value: number) => string>> = {
    hour: (value) => `made between ${number(value)}:00 and ${number(value)}:59 UTC`,
    night: (value) => (value === 1 ? "made at night (0:00 to 6:59 UTC)" : "made in the daytime (7:00 to 23:59 UTC)"),
    weekend: (value) => (value === 1 ? "made on a weekend" : "made on a weekday"),
    dayOfWeek: (value) => `made on a ${WEEKDAYS[value - 1]}`,
  };
  return { ...thing(`the ${words(part)}`), say: say[part], plain: true };
}

const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/** "this customer's mean amount" by aggregate. */
const AGGREGATE_WORDS: Readonly<Record<string, (who: string, what: string) => string>> = {
  sum: (who, what) => `${who}'s total ${what}`,
  mean: (who, what) => `${who}'s mean ${what}`,
  std: (who, what) => `the standard deviation of ${who}'s ${what}`,
  min: (who, what) => `${who}'s smallest ${what}`,
  max: (who, what) => `${who}'s largest ${what}`,
};

function windowPhrase(def: WindowFeature): Phrase {
  const { who, at } = roleWords(def);
  const { over, aggregate = "count" } = def;
  const when = within(def.history === undefined ? def : { ...def, current: false });
  const missing = `no transactions ${at} ${when}`;
  if (over === "transactions") return counted("transaction", { rest: `${at} ${when}`, missing });
  if (over === "frauds") return counted("fraud", { rest: `reported ${at} ${when}`, missing });
  if (over === "genuine") return counted("transaction", { rest: `known as genuine ${at} ${when}`, missing });
  if (over === "fraud-rate") {
    const share = (value: number): string => `${number(100 * value)} %`;
    return {
      thing: `the share of frauds ${at} ${when}`,
      say: (value) => `${share(value)} of the transactions ${at} ${when} were reported as fraud`,
      amount: share,
      missing,
    };
  }
  if (aggregate === "distinct") return counted(`different ${words(bare(over))}`, { rest: `${at} ${when}`, missing });
  if (aggregate === "count") return counted("transaction", { rest: `with ${words(over)} ${at} ${when}`, missing });
  const few = aggregate === "std" ? `fewer than two transactions ${at} ${when}` : missing;
  return { ...thing(`${AGGREGATE_WORDS[aggregate](who, words(over))} ${when}`), missing: few };
}

function neighboursPhrase(def: NeighboursFeature): Phrase {
  const { at } = keyWords(def.key);
  const noun = `other ${words(bare(def.column))}`;
  const when = within(def);
  const missing = `no ${noun} ${at} ${when}`;
  if (def.measure === "count") return counted(noun, { rest: `${at} ${when}`, missing });
  const rest = `with a fraud reported ${at} ${when}`;
  if (def.measure === "frauds") return counted(noun, { rest, missing });
  const share = (value: number): string => `${number(100 * value)} %`;
  const say = (value: number): string => `${share(value)} of the ${noun}s ${at} ${when} had a fraud reported there`;
  return { thing: `the share of ${noun}s ${rest}`, say, amount: share, missing };
}

function twoHopsPhrase(def: TwoHopsFeature): Phrase {
  const { at } = keyWords(def.key);
  const other = def.through.map((column) => words(bare(column))).join(" and ");
  const when = within({ ...def, current: false });
  const of = { mean: "the mean number", sum: "the number", max: "the largest number" }[def.aggregate];
  const known = `known of the ${other} of a transaction ${at} ${when}, as of then`;
  return { ...thing(`${of} of frauds ${known}`), missing: `no transactions ${at} ${when}` };
}

function fraudRunPhrase({ key, measure, delay = "0s" }: FraudRunFeature): Phrase {
  const { at } = keyWords(key);
  const until = parseDuration(delay) === 0 ? "" : `, up to ${period(delay)} ago`;
  const rest = `in a row ${at}${until}`;
  const missing = `no frauds known ${rest}`;
  if (measure === "count") return counted("known fraud", { rest, missing });
  const amount = (value: number): string => span(value * (measure === "days" ? DAY_MS : 1000));
  return {
    thing: `the time since the first of the known frauds ${rest}`,
    say: (value) => `the known frauds ${rest} began ${amount(value)} ago`,
    amount,
    missing,
    usuallyMissing: "none",
  };
}

function elapsedPhrase(def: ElapsedFeature): Phrase {
  const { since, within: reach, unit } = def;
  const { at } = roleWords(def);
  const amount = (value: number): string => span(value * (unit === "days" ? DAY_MS : 1000));
  const [first, what] = since.split("-");
  const fraud = what === "fraud";
  return {
    thing: `the time since the ${first} ${fraud ? "fraud known" : "transaction"} ${at}`,
    say: (value) =>
      fraud
        ? `the ${first} fraud known ${at} was ${amount(value)} ago`
        : `${amount(value)} since the ${first} transaction ${at}`,
    amount,
    missing: `no ${fraud ? "fraud known" : "earlier transaction"} ${at} in the last ${period(reach)}`,
  };
}

/** A ratio or difference of earlier features, in the words of its parts. */
function composedPhrase(def: FeatureDef & { readonly kind: "ratio" | "difference" }, defs: Defs): Phrase {
  const names = def.kind === "ratio" ? [def.numerator, def.denominator] : [def.of, def.minus];
  const [one, other] = names.map((name) => defs.get(name)!);
  const [a, b] = [phraseOf(one, defs), phraseOf(other, defs)];
  const missing = `nothing to compare ${a.thing} with`;
  if (def.kind === "difference") {
    const say = (value: number): string => `${a.thing} is ${apart(value)} ${b.thing}`;
    return { thing: `the distance of ${a.thing} from ${b.thing}`, say, amount: apart, missing };
  }
  // So many standard deviations from the mean: the customary distance.
  if (one.kind === "difference" && other.kind === "window" && other.aggregate === "std") {
    const [of, minus] = [one.of, one.minus].map((name) => phraseOf(defs.get(name)!, defs).thing);
    const amount = (value: number): string => {
      const many = number(Math.abs(value));
      return `${many} standard deviation${many === "1" ? "" : "s"} ${value < 0 ? "below" : "over"}`;
    };
    const say = (value: number): string => `${of} is ${amount(value)} ${minus}`;
    return { thing: a.thing, say, amount, missing: `nothing to compare ${of} with` };
  }
  const say = (value: number): string => `${a.thing} is ${number(value)} times ${b.thing}`;
  return { thing: `${a.thing} ÷ ${b.thing}`, say, amount: number, missing };
}

function apart(value: number): string {
  return `${number(Math.abs(value))} ${value < 0 ? "below" : "over"}`;
}

/** "3 frauds reported at this terminal in the last 7 days". */
function counted(noun: string, { rest, missing }: { readonly rest: string; readonly missing: string }): Phrase {
  return {
    thing: `the number of ${noun}s ${rest}`,
    say: (value) => `${value === 0 ? "no" : number(value)} ${noun}${value === 1 ? "" : "s"} ${rest}`,
    amount: (value) => number(Math.round(value)),
    missing,
  };
}

function thing(what: string): Phrase {
  return { thing: what, say: (value) => `${what} is ${number(value)}`, amount: number, missing: `${what} is missing` };
}

/** Keys that are places; transactions happen at them. */
const PLACES = /^(terminal|merchant|store|shop|branch|atm|location|city|country|website|site)$/;

function keyWords(key: readonly string[]): { readonly who: string; readonly at: string } {
  const nouns = key.map((column) => words(bare(column)));
  const who = `this ${nouns.join(" and ")}`;
  return { who, at: `${PLACES.test(nouns[0]) ? "at" : "of"} ${who}` };
}

/** A key whose history is looked for in another role: "this name dest as name orig". */
function roleWords({ key, history }: { readonly key: readonly string[]; readonly history?: readonly string[] }) {
  const { who, at } = keyWords(key);
  if (history === undefined) return { who, at };
  const as = ` as ${history.map((column) => words(bare(column))).join(" and ")}`;
  return { who: `${who}${as}`, at: `${at}${as}` };
}

function bare(column: string): string {
  return column.replace(/_id$/i, "");
}

function words(name: string): string {
  return name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replace(/[_.-]+/g, " ")
    .trim()
    .toLowerCase();
}

/** "in the last 7 days"; without the transaction itself "in the 7 days before"; with a delay "7 to 14 days ago". */
function within(def: { readonly window: string; readonly delay?: string; readonly current?: boolean }): string {
  const until = parseDuration(def.delay ?? "0s");
  if (until === 0)
    return def.current === false ? `in the ${period(def.window)} before` : `in the last ${period(def.window)}`;
  const from = parseDuration(def.window) + until;
  const unit = unitOf(until, from);
  return `${number(until / unit.ms)} to ${number(from / unit.ms)} ${unit.name}s ago`;
}

/** "7 days", "day". */
function period(duration: string): string {
  const ms = parseDuration(duration);
  const unit = unitOf(ms);
  const count = ms / unit.ms;
  return count === 1 ? unit.name : `${number(count)} ${unit.name}s`;
}

const UNITS = [
  { name: "day", ms: DAY_MS },
  { name: "hour", ms: HOUR_MS },
  { name: "minute", ms: 60_000 },
  { name: "second", ms: 1000 },
  { name: "millisecond", ms: 1 },
] as const;

/** The largest unit that gives whole numbers of all of them. */
function unitOf(...all: readonly number[]): (typeof UNITS)[number] {
  return UNITS.find((unit) => all.every((ms) => ms % unit.ms === 0)) ?? UNITS[UNITS.length - 1];
}

/** A measured time in its natural unit, to one decimal place. */
function span(ms: number): string {
  const unit = UNITS.find((one) => ms >= one.ms) ?? UNITS[3];
  const count = Math.round((10 * ms) / unit.ms) / 10;
  return `${number(count)} ${unit.name}${count === 1 ? "" : "s"}`;
}

/** Making one takes some fifty times as long as using it. */
const NUMBERS = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });

/** Three digits that matter; more only before the point. */
function number(value: number): string {
  return NUMBERS.format(Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3)));
}
