// Kinds of values in a pipeline file: what may be written, how the documents say it, and what it becomes.
import { formatDuration, parseDuration } from "../core/duration.ts";

export type JsonSchema = Readonly<Record<string, unknown>>;

/** Where a value stands, and how to refuse it there: the error names file, line and key. */
export interface Place {
  readonly path: readonly (string | number)[];
  refuse(path: readonly (string | number)[], fault: { readonly what: string; readonly hint: string }): never;
}

/** `Suffix` is what the name of the value gets beside the key's: a duration `delay` becomes `delayMs`. */
export interface Kind<Written = unknown, Value = unknown, Suffix extends string = string> {
  readonly schema: JsonSchema;
  /** As the documents say it: "share", "whole number, 1 to 16". */
  readonly words: string;
  readonly suffix: Suffix;
  /** Keys that are written inside such a value, each group with what its names follow: "" or, in a list, "[]". */
  readonly inside?: readonly (readonly [string, Fields])[];
  /** Of numbers: what is allowed. The capability that takes the number reads its limits here. */
  readonly range?: Range;
  /** What the schema has accepted → the value. */
  read(written: Written, at: Place): Value;
}

/**
 * Everything about one key. With a `default` the value is always there; a `required` key must be written; otherwise the value is
 * absent where nothing is written. `as` names the value where the key's own name, in camel case, does not.
 */
export interface About<Written> {
  /** What the key means, in a sentence or two of Markdown. */
  readonly means: string;
  /** As it would be written. */
  readonly default?: Written;
  readonly required?: true;
  readonly as?: string;
}

export type Key<K extends Kind = Kind> = About<unknown> & { readonly kind: K };

/** Keys that belong together. */
export interface Group extends Kind {
  readonly fields: Fields;
}

export type Field = Key | Group;
export type Fields = Readonly<Record<string, Field>>;

export type WrittenOf<K> = K extends Kind<infer Written, unknown> ? Written : never;
export type ValueOfKind<K> = K extends Kind<never, infer Value> ? Value : never;

export interface Range {
  readonly from?: number;
  /** As `from`, but not this number itself. */
  readonly above?: number;
  readonly to: number;
  readonly whole?: boolean;
  readonly unit?: string;
}

export interface NumberKind extends Kind<number, number, ""> {
  readonly range: Range;
}

/** Any number of the range. */
export function number(range: Range): NumberKind {
  const { from, above, to, whole, unit } = range;
  const low = above === undefined ? { minimum: from } : { exclusiveMinimum: above };
  const bounds =
    above === undefined ? `${spelled(from ?? 0)} to ${spelled(to)}` : `above ${spelled(above)}, up to ${spelled(to)}`;
  return {
    schema: { type: whole ? "integer" : "number", ...low, maximum: to },
    words: `${whole ? "whole number" : "number"}, ${bounds}${unit === undefined ? "" : ` ${unit}`}`,
    suffix: "",
    range,
    read: same,
  };
}

/** 1000000 → "1,000,000". */
function spelled(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString("en") : String(value);
}

export function whole(range: Range): NumberKind {
  return number({ ...range, whole: true });
}

/** Of something whole: 0 to 1. */
export const share: NumberKind = { ...number({ from: 0, to: 1 }), words: "share" };

export const flag: Kind<boolean, boolean, ""> = {
  schema: { type: "boolean" },
  words: "`true` or `false`",
  suffix: "",
  read: same,
};

export const text: Kind<string, string, ""> = {
  schema: { type: "string", minLength: 1, maxLength: 200 },
  words: "text",
  suffix: "",
  read: same,
};

/** A text of a form, which `words` describe. */
export function textLike(pattern: string, words: string): Kind<string, string, ""> {
  return { schema: { type: "string", pattern }, words, suffix: "", read: same };
}

/** One of a few words. */
export function oneOf<const Word extends string>(...options: readonly Word[]): Kind<Word, Word, ""> {
  return {
    schema: { enum: options },
    words: alternatives(options.map((word) => `\`${word}\``)),
    suffix: "",
    read: same,
  };
}

export const DURATION_PATTERN = "^\\d+(\\.\\d+)?(ms|s|m|h|d)$";
/** A century: a time that far from an event is still a date. */
const DURATION_MAX = "36500d";

/** A duration within two others, both included; milliseconds after. */
export function duration({ from = "0ms", to = DURATION_MAX } = {}): Kind<string, number, "Ms"> {
  const [low, high] = [parseDuration(from), parseDuration(to)];
  const bounds = [low > 0 ? `from ${from}` : "", to === DURATION_MAX ? "" : `up to ${to}`].filter(
    (bound) => bound !== "",
  );
  return {
    schema: { type: "string", pattern: DURATION_PATTERN },
    words: ["duration", ...bounds].join(" "),
    suffix: "Ms",
    read(written, at) {
      const ms = parseDuration(written);
      if (ms >= low && ms <= high) return ms;
      const what = `${at.path.join(".")}: ${written} is ${ms < low ? `under ${from}` : `over ${to}`}`;
      return at.refuse(at.path, { what, hint: `write a duration from ${formatDuration(low)} to ${to}` });
    },
  };
}

export const SIZE_PATTERN = "^\\d+(\\.\\d+)?(B|kB|MB|GB|KiB|MiB|GiB)$";
const SIZE_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** A size within two others, both included; bytes after. */
export function size({ from, to }: { readonly from: string; readonly to: string }): Kind<string, number, "Bytes"> {
  const [low, high] = [bytesOf(from), bytesOf(to)];
  return {
    schema: { type: "string", pattern: SIZE_PATTERN },
    words: `size, ${from} to ${to}`,
    suffix: "Bytes",
    read(written, at) {
      const bytes = bytesOf(written);
      if (Number.isInteger(bytes) && bytes >= low && bytes <= high) return bytes;
      const what = `${at.path.join(".")}: ${written} is no whole number of bytes from ${from} to ${to}`;
      return at.refuse(at.path, { what, hint: "write a size such as 64KiB or 1MB" });
    },
  };
}

function bytesOf(written: string): number {
  const unit = /[A-Za-z]+$/.exec(written)?.[0] ?? "B";
  return Number.parseFloat(written) * SIZE_BYTES[unit];
}

/** A kind whose value is made from what was written. */
export function becomes<Written, Value, Made>(
  kind: Kind<Written, Value>,
  make: (value: Value) => Made,
): Kind<Written, Made, ""> {
  return { ...kind, suffix: "", read: (written, at) => make(kind.read(written, at)) };
}

/** As many of a kind as the limits say. */
export function list<Written, Value>(
  inner: Kind<Written, Value>,
  { from = 0, to }: { readonly from?: number; readonly to: number },
): Kind<readonly Written[], readonly Value[], ""> {
  return {
    schema: { type: "array", items: inner.schema, ...(from > 0 ? { minItems: from } : {}), maxItems: to },
    words: `list of ${inner.words}`,
    suffix: "",
    inside: insideOf(inner, "[]"),
    read: (written, at) => written.map((item, place) => inner.read(item, below(at, place))),
  };
}

/** Two of a kind: the ends of a range. */
export function pair<Written, Value>(
  inner: Kind<Written, Value>,
): Kind<readonly [Written, Written], readonly [Value, Value], ""> {
  return {
    schema: { type: "array", items: inner.schema, minItems: 2, maxItems: 2 },
    words: `[${inner.words}, ${inner.words}]`,
    suffix: "",
    read: ([first, second], at) => [inner.read(first, below(at, 0)), inner.read(second, below(at, 1))],
  };
}

/** Names of the writer's choice, each with a value of a kind. */
export function record<Written, Value>(
  inner: Kind<Written, Value>,
): Kind<Readonly<Record<string, Written>>, Readonly<Record<string, Value>>, ""> {
  return {
    schema: { type: "object", additionalProperties: inner.schema },
    words: `name: ${inner.words}`,
    suffix: "",
    inside: insideOf(inner, ".*"),
    read: (written, at) =>
      Object.fromEntries(Object.entries(written).map(([name, item]) => [name, inner.read(item, below(at, name))])),
  };
}

/** One of several kinds that look different: a number or a word, a text or an object. The first that fits is taken. */
export function either<const Kinds extends readonly Kind[]>(
  ...kinds: Kinds
): Kind<WrittenOf<Kinds[number]>, ValueOfKind<Kinds[number]>, ""> {
  const words = alternatives(kinds.map((kind) => kind.words));
  return {
    schema: { title: words, anyOf: kinds.map((kind) => kind.schema) },
    words,
    suffix: "",
    inside: kinds.flatMap((kind) => insideOf(kind, "")),
    range: kinds.find((kind) => kind.range !== undefined)?.range,
    read(written, at) {
      const kind = kinds.find((one) => looksLike(one, written)) ?? kinds[0];
      return kind.read(written, at) as ValueOfKind<Kinds[number]>;
    },
  };
}

/** The same place, one key or one item further in. */
export function below(at: Place, name: string | number): Place {
  return { ...at, path: [...at.path, name] };
}

/** The keys of a section within, and of what is within that. */
export function insideOf(kind: Kind, suffix: string): (readonly [string, Fields])[] {
  const own = "fields" in kind ? [["", (kind as Group).fields] as const] : [];
  return [...own, ...(kind.inside ?? [])].map(([further, fields]) => [`${suffix}${further}`, fields]);
}

function looksLike({ schema }: Kind, written: unknown): boolean {
  if (Array.isArray(schema.enum)) return schema.enum.includes(written);
  const type = Array.isArray(written) ? "array" : typeof written;
  return schema.type === type || (schema.type === "integer" && type === "number");
}

function alternatives(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words[words.length - 1]}`;
}

function same<T>(written: T): T {
  return written;
}
