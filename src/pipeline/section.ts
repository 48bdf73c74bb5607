// Sections of a pipeline file: keys, each written once; the schema, the parser and the value's type follow from them.
import {
  type About,
  below,
  type Field,
  type Fields,
  type JsonSchema,
  type Key,
  type Kind,
  type Place,
  type Range,
  type ValueOfKind,
  type WrittenOf,
} from "./kind.ts";

/** Keys that belong together; a section is itself a kind, so that lists and alternatives of sections can be written. */
export interface Section<F extends Fields> extends Kind<Readonly<Record<string, unknown>>, ValueOf<F>, ""> {
  readonly fields: F;
}

/** A key of a kind. */
export function key<K extends Kind, const A extends About<WrittenOf<K>>>(kind: K, about: A): A & { readonly kind: K } {
  return { kind, ...about };
}

/**
 * `settle` sees the whole section: it refuses what does not go together and may return another value. `isWritten` tells a default
 * from a key that the file names.
 */
export function section<const F extends Fields>(
  fields: F,
  options: { readonly settle?: (value: ValueOf<F>, given: Given<F>) => ValueOf<F> } = {},
): Section<F> {
  return {
    fields,
    schema: schemaOf(fields),
    words: "keys of its own",
    suffix: "",
    read(written, at) {
      const value = valuesOf(fields, written, at) as ValueOf<F>;
      return options.settle === undefined ? value : options.settle(value, givenAt(written, at));
    },
  };
}

export interface Given<F extends Fields> {
  isWritten(name: keyof F & string): boolean;
  /** Ends reading with an error at that key, or at the section where the key is not written. */
  refuse(name: keyof F & string, what: string, hint: string): never;
}

/** The value of a section of which nothing is written. */
export function defaultsOf<F extends Fields>(of: Section<F>): ValueOf<F> {
  return of.read({}, { path: [], refuse: (_, { what }) => bug(what) });
}

/** What is allowed of each number, by the value's name. */
export function rangesOf(of: Section<Fields>): Readonly<Record<string, Range>> {
  const entries = Object.entries(of.fields).flatMap(([name, field]) => {
    const range = isKey(field) ? field.kind.range : undefined;
    return range === undefined ? [] : [[nameOf(name, field), range] as const];
  });
  return Object.fromEntries(entries);
}

/** True for a key, false for a section. */
export function isKey(field: Field): field is Key {
  return "kind" in field;
}

function schemaOf(fields: Fields): JsonSchema {
  const entries = Object.entries(fields);
  return {
    type: "object",
    properties: Object.fromEntries(entries.map(([name, field]) => [name, fieldSchema(field)])),
    required: entries.filter(([, field]) => isRequired(field)).map(([name]) => name),
    additionalProperties: false,
  };
}

function fieldSchema(field: Field): JsonSchema {
  if (!isKey(field)) return field.schema;
  const written = field.default === undefined ? {} : { default: field.default };
  return { ...field.kind.schema, description: field.means, ...written };
}

/** A section must be written where one of its keys must. */
function isRequired(field: Field): boolean {
  return isKey(field) ? field.required === true : Object.values(field.fields).some(isRequired);
}

function valuesOf(fields: Fields, written: Readonly<Record<string, unknown>>, at: Place): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const given = Object.hasOwn(written, name) ? written[name] : isKey(field) ? field.default : {};
    if (given === undefined) continue;
    const kind: Kind = isKey(field) ? field.kind : field;
    value[nameOf(name, field)] = kind.read(given, below(at, name));
  }
  return value;
}

function givenAt<F extends Fields>(written: Readonly<Record<string, unknown>>, at: Place): Given<F> {
  const isWritten = (name: string): boolean => Object.hasOwn(written, name);
  return {
    isWritten,
    refuse: (name, what, hint) =>
      at.refuse(isWritten(name) ? [...at.path, name] : at.path, { what: `${at.path.join(".")}: ${what}`, hint }),
  };
}

function nameOf(name: string, field: Field): string {
  if (!isKey(field)) return camel(name);
  return field.as ?? `${camel(name)}${field.kind.suffix}`;
}

function camel(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function bug(what: string): never {
  throw new Error(`a default is refused: ${what}`);
}

/** The type of a section's value: "review_share" → reviewShare: number. */
export type ValueOf<F extends Fields> = Flat<
  {
    readonly [K in keyof F as IsOptional<F[K]> extends true ? never : NameOf<K, F[K]>]: FieldValue<F[K]>;
  } & { readonly [K in keyof F as IsOptional<F[K]> extends true ? NameOf<K, F[K]> : never]?: FieldValue<F[K]> }
>;

/** One object type of several, so that editors show the keys. */
type Flat<T> = { [K in keyof T]: T[K] };
type IsOptional<F> = F extends Key
  ? F extends { readonly default: unknown } | { readonly required: true }
    ? false
    : true
  : false;
type FieldValue<F> =
  F extends Key<infer K> ? ValueOfKind<K> : F extends { readonly fields: infer G extends Fields } ? ValueOf<G> : never;
type NameOf<K, F> = F extends { readonly as: infer As extends string }
  ? As
  : K extends string
    ? `${Camel<K>}${F extends Key<infer Of> ? Of["suffix"] : ""}`
    : never;
type Camel<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name;
