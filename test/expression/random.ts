// Random expressions, each written twice: for Sentinel and for DuckDB, whose numbers must be told to be DOUBLE.
import fc from "fast-check";

export type Type = "number" | "text" | "boolean";

/** One expression in both languages; `power` is how tightly its outermost operator binds by the SQL standard. */
export interface Piece {
  readonly ours: string;
  readonly duck: string;
  readonly power: number;
}

export type Row = Readonly<Record<string, number | string | boolean | null>>;

export const COLUMNS: Readonly<Record<string, Type>> = {
  x: "number",
  y: "number",
  z: "number",
  s: "text",
  t: "text",
  f: "boolean",
  g: "boolean",
};

const ATOM = 11;
const SIGNED = 10;
const MULTIPLY = 9;
const ADD = 8;
const CONCAT = 7;
const MATCH = 6;
const COMPARE = 5;
const IS = 4;
const NOT = 3;
const AND = 2;
const OR = 1;

const WORDS = [
  "",
  "a",
  "ab",
  "aab",
  "B",
  "É",
  "é",
  "ß",
  "straße",
  "İi",
  "ΑΣ",
  "😀",
  "a😀b",
  "\ufffd",
  " a ",
  "\u00a0a\t",
];
const ODD = ["%", "_", "a%", "_b", "it's", '"', "\\", "--", "ab\ncd", "é%"];
const word = fc.oneof(
  fc.constantFrom(...WORDS, ...ODD),
  fc.string({ unit: fc.constantFrom(..."abA%_"), maxLength: 6 }),
);
const amount = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 0.5, 1.5, 2.5, 10, 100),
  fc.integer({ min: 0, max: 1_000_000 }).map((cents) => cents / 100),
  fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
);
const signed = fc.tuple(amount, fc.boolean()).map(([value, negative]) => (negative ? -value : value));
const orNull = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(of, { nil: null, freq: 4 });

export const rowArbitrary: fc.Arbitrary<Row> = fc.record({
  x: orNull(signed),
  y: orNull(signed),
  z: orNull(amount),
  s: orNull(word),
  t: orNull(word),
  f: orNull(fc.boolean()),
  g: orNull(fc.boolean()),
});

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function atom(ours: string, duck = ours): Piece {
  return { ours, duck, power: ATOM };
}

/** Text in both languages around pieces, which get brackets when they bind looser than `least`. */
function join(power: number, parts: readonly (string | readonly [Piece, least: number])[]): Piece {
  const write = (language: "ours" | "duck"): string =>
    parts
      .map((part) => {
        if (typeof part === "string") return part;
        const [piece, least] = part;
        return piece.power < least ? `(${piece[language]})` : piece[language];
      })
      .join(" ");
  return { ours: write("ours"), duck: write("duck"), power };
}

function call(name: string, args: readonly Piece[]): Piece {
  const write = (language: "ours" | "duck"): string => `${name}(${args.map((arg) => arg[language]).join(", ")})`;
  return atom(write("ours"), write("duck"));
}

const NULL_AS: Readonly<Record<Type, string>> = {
  number: "CAST(NULL AS DOUBLE)",
  text: "CAST(NULL AS VARCHAR)",
  boolean: "CAST(NULL AS BOOLEAN)",
};

function leaf(type: Type): fc.Arbitrary<Piece> {
  const names = Object.keys(COLUMNS).filter((name) => COLUMNS[name] === type);
  const column = fc.constantFrom(...names).map((name) => atom(name));
  const nothing = fc.constant(atom("NULL", NULL_AS[type]));
  const literal: Readonly<Record<Type, fc.Arbitrary<Piece>>> = {
    number: amount.map((value) => atom(String(value), value.toExponential())),
    text: word.map((text) => atom(quoteText(text))),
    boolean: fc.boolean().map((value) => atom(String(value))),
  };
  return fc.oneof(
    { weight: 5, arbitrary: column },
    { weight: 3, arbitrary: literal[type] },
    { weight: 1, arbitrary: nothing },
  );
}

/** What any type can be the value of. */
function choices(own: fc.Arbitrary<Piece>, any: Pieces): fc.Arbitrary<Piece>[] {
  const otherwise = fc.option(own, { nil: null });
  const searched = fc
    .tuple(fc.array(fc.tuple(any.boolean, own), { minLength: 1, maxLength: 3 }), otherwise)
    .map(([whens, last]) => caseOf(null, whens, last));
  const simple = fc
    .constantFrom("number" as const, "text" as const)
    .chain((type) =>
      fc
        .tuple(any[type], fc.array(fc.tuple(any[type], own), { minLength: 1, maxLength: 3 }), otherwise)
        .map(([subject, whens, last]) => caseOf(subject, whens, last)),
    );
  const several = fc.array(own, { minLength: 1, maxLength: 3 });
  return [
    searched,
    simple,
    several.map((args) => call("coalesce", args)),
    fc.tuple(own, own).map((args) => call("nullif", args)),
  ];
}

function caseOf(subject: Piece | null, whens: readonly (readonly [Piece, Piece])[], otherwise: Piece | null): Piece {
  const parts: (string | readonly [Piece, number])[] = ["CASE"];
  if (subject !== null) parts.push([subject, 0]);
  for (const [when, value] of whens) parts.push("WHEN", [when, 0], "THEN", [value, 0]);
  if (otherwise !== null) parts.push("ELSE", [otherwise, 0]);
  return join(ATOM, [...parts, "END"]);
}

type Pieces = Readonly<Record<Type, fc.Arbitrary<Piece>>>;

function numbers(any: Pieces): fc.Arbitrary<Piece>[] {
  const { number, text } = any;
  const two = fc.tuple(number, number);
  const additive = fc
    .tuple(fc.constantFrom("+", "-"), two)
    .map(([op, [a, b]]) => join(ADD, [[a, ADD], op, [b, ADD + 1]]));
  const multiplicative = fc
    .tuple(fc.constantFrom("*", "/", "%"), two)
    .map(([op, [a, b]]) => join(MULTIPLY, [[a, MULTIPLY], op, [b, MULTIPLY + 1]]));
  const few = fc.array(number, { minLength: 1, maxLength: 3 });
  return [
    additive,
    multiplicative,
    fc.tuple(fc.constantFrom("-", "+"), number).map(([sign, a]) => join(SIGNED, [sign, [a, SIGNED]])),
    fc.tuple(fc.constantFrom("abs", "ceil", "ceiling", "floor", "round"), number).map(([name, a]) => call(name, [a])),
    fc.tuple(fc.integer({ min: -4, max: 6 }), number).map(([digits, a]) => call("round", [a, atom(String(digits))])),
    number.map((a) => atom(`sqrt(${a.ours})`, `try(sqrt(${a.duck}))`)),
    number.map((a) => atom(`sign(${a.ours})`, `CAST(sign(${a.duck}) AS DOUBLE)`)),
    fc
      .tuple(text, text)
      .map(([a, b]) =>
        atom(`instr(${a.ours}, ${b.ours})`, `CAST(instr(${asText(a).duck}, ${asText(b).duck}) AS DOUBLE)`),
      ),
    text.map((a) => atom(`length(${a.ours})`, `CAST(length(${a.duck}) AS DOUBLE)`)),
    fc.tuple(fc.constantFrom("least", "greatest"), few).map(([name, args]) => call(name, args)),
    ...choices(number, any),
  ];
}

/** Patterns of both engines: those that JavaScript's reads alike, and those that RE2's alone does. */
const regex = fc
  .array(
    fc.constantFrom(
      "a",
      "b",
      ".",
      "é",
      "[ab]",
      "[^a]",
      "\\w",
      "\\s",
      "(a|b)+",
      "a*",
      "b?",
      "a{1,2}",
      "^",
      "$",
      "(?i)B",
      "\\x{61}",
    ),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((parts) => parts.join(""));

function asText(piece: Piece): Piece {
  return { ...piece, duck: `CAST(${piece.duck} AS VARCHAR)` };
}

function texts(any: Pieces): fc.Arbitrary<Piece>[] {
  const { text } = any;
  const few = fc.array(text, { minLength: 1, maxLength: 3 });
  return [
    fc.tuple(text, text).map(([a, b]) => join(CONCAT, [[a, CONCAT], "||", [b, CONCAT + 1]])),
    fc.tuple(fc.constantFrom("lower", "upper", "trim"), text).map(([name, a]) => call(name, [a])),
    fc.tuple(fc.constantFrom("least", "greatest"), few).map(([name, args]) => call(name, args)),
    fc.tuple(text, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 4 })).map(([a, from, length]) => {
      const write = (piece: string): string => `substring(${piece}, ${from}, ${length})`;
      return atom(write(a.ours), write(asText(a).duck));
    }),
    fc.tuple(fc.constantFrom("left", "right"), text, fc.integer({ min: 0, max: 4 })).map(([name, a, count]) => {
      return atom(`${name}(${a.ours}, ${count})`, `${name}(${asText(a).duck}, ${count})`);
    }),
    fc.tuple(text, word, word).map(([a, part, by]) => {
      // An empty part is in every text endlessly often; both leave the text as it is.
      const args = `${quoteText(part)}, ${quoteText(by)}`;
      return atom(`replace(${a.ours}, ${args})`, `replace(${asText(a).duck}, ${args})`);
    }),
    fc.tuple(text, fc.constantFrom("a", "b", "ab"), fc.integer({ min: 1, max: 3 })).map(([a, mark, n]) => {
      return atom(`split_part(${a.ours}, '${mark}', ${n})`, `split_part(${asText(a).duck}, '${mark}', ${n})`);
    }),
    fc
      .tuple(text, text)
      .map(([a, b]) => atom(`concat(${a.ours}, ${b.ours})`, `(${asText(a).duck} || ${asText(b).duck})`)),
    fc.tuple(fc.constantFrom("ltrim", "rtrim"), text).map(([name, a]) => call(name, [asText(a)])),
    ...choices(text, any),
  ];
}

function booleans(any: Pieces): fc.Arbitrary<Piece>[] {
  const { boolean, text } = any;
  const negation = fc.constantFrom("", "NOT");
  const ofOneType = (of: (type: Type) => fc.Arbitrary<Piece>): fc.Arbitrary<Piece> =>
    fc.oneof(of("number"), of("text"), of("boolean"));
  const compared = ofOneType((type) =>
    fc
      .tuple(fc.constantFrom("=", "<>", "!=", "<", "<=", ">", ">="), any[type], any[type])
      .map(([op, a, b]) => join(COMPARE, [[a, COMPARE + 1], op, [b, COMPARE + 1]])),
  );
  const distinct = ofOneType((type) =>
    fc
      .tuple(negation, any[type], any[type])
      .map(([not, a, b]) => join(IS, [[a, IS + 1], `IS ${not} DISTINCT FROM`, [b, IS + 1]])),
  );
  const between = ofOneType((type) =>
    fc
      .tuple(negation, fc.tuple(any[type], any[type], any[type]))
      .map(([not, [a, b, c]]) =>
        join(MATCH, [[a, MATCH + 1], `${not} BETWEEN`, [b, MATCH + 1], "AND", [c, MATCH + 1]]),
      ),
  );
  const within = ofOneType((type) =>
    fc.tuple(negation, any[type], fc.array(any[type], { minLength: 1, maxLength: 4 })).map(([not, a, list]) => {
      const items = list.flatMap((item, i): (string | readonly [Piece, number])[] =>
        i === 0 ? [[item, 0]] : [",", [item, 0]],
      );
      return join(MATCH, [[a, MATCH + 1], `${not} IN (`, ...items, ")"]);
    }),
  );
  const pattern = fc.tuple(
    fc.string({ unit: fc.constantFrom(..."ab%_$😀é"), maxLength: 6 }),
    fc.constantFrom("$", "a"),
  );
  return [
    compared,
    distinct,
    between,
    within,
    fc.tuple(fc.constantFrom(["AND", AND], ["OR", OR]), boolean, boolean).map(([[op, power], a, b]) => {
      const binds = Number(power);
      return join(binds, [[a, binds], String(op), [b, binds + 1]]);
    }),
    boolean.map((a) => join(NOT, ["NOT", [a, NOT]])),
    fc
      .tuple(negation, fc.constantFrom("TRUE", "FALSE"), boolean)
      .map(([not, truth, a]) => join(IS, [[a, IS + 1], `IS ${not} ${truth}`])),
    fc
      .tuple(any.number, any.number)
      .map(([a, b]) => atom(`(${a.ours} <=> ${b.ours})`, `(${a.duck} IS NOT DISTINCT FROM ${b.duck})`)),
    fc
      .tuple(boolean, boolean, boolean)
      .map(([a, b, c]) =>
        atom(`if(${a.ours}, ${b.ours}, ${c.ours})`, `CASE WHEN ${a.duck} THEN ${b.duck} ELSE ${c.duck} END`),
      ),
    fc.tuple(text, regex).map(([a, source]) => {
      return atom(`(${a.ours} RLIKE ${quoteText(source)})`, `regexp_matches(${asText(a).duck}, ${quoteText(source)})`);
    }),
    ofOneType((type) => fc.tuple(negation, any[type]).map(([not, a]) => join(IS, [[a, IS + 1], `IS ${not} NULL`]))),
    fc
      .tuple(negation, fc.constantFrom("LIKE", "ILIKE"), text, text)
      .map(([not, op, a, b]) => join(MATCH, [[a, MATCH + 1], `${not} ${op}`, [b, MATCH + 1]])),
    fc.tuple(fc.constantFrom("LIKE", "ILIKE"), text, pattern).map(([op, a, [raw, sign]]) => {
      // DuckDB refuses a pattern that ends in its escape character.
      const escaped = quoteText(raw.endsWith(sign) ? `${raw}b` : raw);
      return join(MATCH, [[a, MATCH + 1], `${op} ${escaped} ESCAPE '${sign}'`]);
    }),
    fc
      .tuple(fc.constantFrom("starts_with", "ends_with", "contains"), text, text)
      // DuckDB's contains also takes lists, and then cannot tell which a NULL is.
      .map(([name, a, b]) => call(name, [asText(a), asText(b)])),
    ...choices(boolean, any),
  ];
}

const tied = fc.letrec<Record<Type, Piece>>((tie) => {
  const any: Pieces = { number: tie("number"), text: tie("text"), boolean: tie("boolean") };
  const deep = (type: Type, operations: readonly fc.Arbitrary<Piece>[]) =>
    fc.oneof({ maxDepth: 3, depthIdentifier: "piece" }, leaf(type), ...operations);
  return {
    number: deep("number", numbers(any)),
    text: deep("text", texts(any)),
    boolean: deep("boolean", booleans(any)),
  };
});

/** Expressions whose value is the same to the last bit everywhere. */
export const exactArbitrary: fc.Arbitrary<Piece> = fc.oneof(tied.number, tied.text, tied.boolean);

/** Numbers through the C library's functions, which differ in the last bits; only at the top, so that no comparison flips. */
export const inexactArbitrary: fc.Arbitrary<Piece> = fc.oneof(
  fc
    .tuple(fc.constantFrom("ln", "log10"), tied.number)
    .map(([name, a]) => atom(`${name}(${a.ours})`, `try(${name}(${a.duck}))`)),
  tied.number.map((a) => call("exp", [a])),
  fc.tuple(fc.constantFrom("sin", "cos", "atan"), tied.number).map(([name, a]) => call(name, [a])),
  fc.tuple(tied.number, tied.number).map((args) => call("atan2", args)),
  fc.tuple(tied.number, tied.number).map((args) => call("power", args)),
);
