// Sentences: a feature and its value as an analyst would say it aloud, from the feature's definition.
import { DAY_MS, HOUR_MS, parseDuration } from "../../core/duration.ts";
import type { ElapsedFeature, FeatureDef, FeatureSpec, TimeFeature, WindowFeature } from "../../features/definition.ts";
import { ANOMALY_INPUT } from "./attribution.ts";

/** Says a feature's value; `usual` is its value for most transactions (NaN: mostly missing), undefined when not known. */
export type Speaker = (feature: string, said: { readonly value: number; readonly usual?: number }) => string;

export function speakerOf(spec: FeatureSpec): Speaker {
  const defs = new Map(spec.features.map((def) => [def.name, def]));
  return (feature, { value, usual }) => {
    const def = defs.get(feature);
    const phrase = def === undefined ? unknownPhrase(feature) : phraseOf(def, defs);
    const said = Number.isNaN(value) ? phrase.missing : phrase.say(value);
    return usual === undefined || Number.isNaN(value) ? said : `${said}${comparison(phrase, value, usual)}`;
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
  /** True where a comparison with the usual says nothing: there are only two values, or none is more usual. */
  readonly plain?: boolean;
}

type Defs = ReadonlyMap<string, FeatureDef>;

/** Nothing where the usual looks the same; an analyst needs no "1 (usually 1)". */
function comparison(phrase: Phrase, value: number, usual: number): string {
  if (phrase.plain) return "";
  if (Number.isNaN(usual)) return " (usually none)";
  return phrase.amount(usual) === phrase.amount(value) ? "" : ` (usually ${phrase.amount(usual)})`;
}

function phraseOf(def: FeatureDef, defs: Defs): Phrase {
  switch (def.kind) {
    case "column":
      return thing(`the ${words(def.column)}`);
    case "time":
      return timePhrase(def);
    case "window":
      return windowPhrase(def);
    case "elapsed":
      return elapsedPhrase(def);
    case "since-fraud": {
      const { who, at } = keyWords(def.key);
      const what = `since the last fraud known ${at}`;
      return counted("transaction", what, `no fraud known ${at} in the last ${period(def.within)}`, who);
    }
    case "multiple": {
      const { at, who } = keyWords(def.key);
      const what = `${at} ${within(def.window)} over ${number(def.times)} times the usual ${words(def.over)}`;
      return counted("transaction", what, `no usual ${words(def.over)} known of ${who}`, who);
    }
    case "ratio":
    case "difference":
      return composedPhrase(def, defs);
    case "expression":
      return thing(words(def.name));
  }
}

/** The anomaly score, and what a spec has no definition of. */
function unknownPhrase(feature: string): Phrase {
  if (feature !== ANOMALY_INPUT) return thing(words(feature));
  const phrase = thing("the transaction as a whole");
  return { ...phrase, say: (value) => `the transaction as a whole is unusual: anomaly score ${number(value)} of 1` };
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

const AGGREGATE_WORDS: Readonly<Record<string, string>> = {
  sum: "total",
  mean: "mean",
  std: "standard deviation of the",
  min: "smallest",
  max: "largest",
};

function windowPhrase(def: WindowFeature): Phrase {
  const { who, at } = keyWords(def.key);
  const when = within(def.window, def.delay);
  const { over, aggregate = "count", current = true } = def;
  const earlier = current || def.delay !== undefined ? "" : "earlier ";
  const nothing = `no transactions ${at} ${when}`;
  if (over === "transactions") return counted(`${earlier}transaction`, `${at} ${when}`, nothing, who);
  if (over === "frauds") return counted("fraud", `reported ${at} ${when}`, nothing, who);
  if (over === "genuine") return counted("transaction", `known as genuine ${at} ${when}`, nothing, who);
  if (over === "fraud-rate") {
    const share = (value: number): string => `${number(100 * value)} %`;
    return {
      thing: `the share of frauds ${at} ${when}`,
      say: (value) => `${share(value)} of the transactions ${at} ${when} were reported as fraud`,
      amount: share,
      missing: nothing,
    };
  }
  if (aggregate === "distinct") return counted(`different ${words(bare(over))}`, `${at} ${when}`, nothing, who);
  if (aggregate === "count") return counted(`${earlier}transaction`, `with ${words(over)} ${at} ${when}`, nothing, who);
  return { ...thing(`${who}'s ${earlier}${AGGREGATE_WORDS[aggregate]} ${words(over)} ${when}`), missing: nothing };
}

function elapsedPhrase({ key, since, within: reach, unit }: ElapsedFeature): Phrase {
  const { at } = keyWords(key);
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
    return { thing: a.thing, say: (value) => `${of} is ${amount(value)} ${minus}`, amount, missing };
  }
  const amount = (value: number): string => `${number(value)} times`;
  return {
    thing: `${a.thing} ÷ ${b.thing}`,
    say: (value) => `${a.thing} is ${amount(value)} ${b.thing}`,
    amount,
    missing,
  };
}

function apart(value: number): string {
  return `${number(Math.abs(value))} ${value < 0 ? "below" : "over"}`;
}

/** "3 frauds reported at this terminal in the last 7 days". */
function counted(noun: string, rest: string, missing: string, who: string): Phrase {
  return {
    thing: `the number of ${noun}s ${rest}`,
    say: (value) => `${value === 0 ? "no" : number(value)} ${noun}${value === 1 ? "" : "s"} ${rest}`,
    amount: number,
    missing: missing === "" ? `nothing known of ${who}` : missing,
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

/** "in the last 7 days", or with a delay "7 to 14 days ago". */
function within(window: string, delay = "0s"): string {
  const until = parseDuration(delay);
  if (until === 0) return `in the last ${period(window)}`;
  const from = parseDuration(window) + until;
  const unit = unitOf(until, from);
  const [a, b] = [until / unit.ms, from / unit.ms];
  return `${number(a)} to ${number(b)} ${unit.name}s ago`;
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

/** Three digits that matter; more only before the point. */
function number(value: number): string {
  const rounded = Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3));
  return rounded.toLocaleString("en", { maximumFractionDigits: 6 });
}
