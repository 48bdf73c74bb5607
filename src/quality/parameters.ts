// Suite parameters: names, and sums over them such as "1.5 * mean_value", as Great Expectations writes them into kwargs.

export type ParameterValue =
  | { readonly kind: "value"; readonly value: unknown }
  /** A name that nobody gave. */
  | { readonly kind: "unknown"; readonly name: string }
  /** More than this gate reads: a function, a comparison, a text among numbers. */
  | { readonly kind: "unsupported"; readonly why: string };

const NAME = /^[A-Za-z_][\w.]*$/;
const TOKEN = /\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_][\w.]*)|([-+*/()]))/y;
const LENGTH_MAX = 1000;
const DEPTH_MAX = 50;

/** The value of a parameter by its name, or of an expression in + - * / and parentheses over numbers and parameters. */
export function evaluateParameter(text: string, lookUp: (name: string) => unknown): ParameterValue {
  const own = lookUp(text);
  if (own !== undefined) return { kind: "value", value: own };
  if (NAME.test(text)) return { kind: "unknown", name: text };
  const tokens = tokensOf(text);
  if (tokens === null) return notRead(text);
  const reader: Reader = { tokens, at: 0, lookUp, unknown: null };
  const value = sum(reader, 0);
  if (reader.unknown !== null) return { kind: "unknown", name: reader.unknown };
  if (reader.at < tokens.length || !Number.isFinite(value)) return notRead(text);
  return { kind: "value", value };
}

interface Reader {
  readonly tokens: readonly string[];
  at: number;
  readonly lookUp: (name: string) => unknown;
  /** The first name that nobody gave. */
  unknown: string | null;
}

function notRead(text: string): ParameterValue {
  const why = `the $PARAMETER expression ${JSON.stringify(text.slice(0, 80))} is not supported: write the number, or + - * / over numbers and parameters`;
  return { kind: "unsupported", why };
}

function tokensOf(text: string): readonly string[] | null {
  if (text.length > LENGTH_MAX) return null;
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (;;) {
    const from = TOKEN.lastIndex;
    if (text.slice(from).trim() === "") return tokens;
    const match = TOKEN.exec(text);
    if (match === null) return null;
    tokens.push(match[1] ?? match[2] ?? match[3]);
  }
}

function sum(reader: Reader, depth: number): number {
  let value = product(reader, depth);
  for (let sign = reader.tokens[reader.at]; sign === "+" || sign === "-"; sign = reader.tokens[reader.at]) {
    reader.at++;
    const next = product(reader, depth);
    value = sign === "+" ? value + next : value - next;
  }
  return value;
}

function product(reader: Reader, depth: number): number {
  let value = factor(reader, depth);
  for (let sign = reader.tokens[reader.at]; sign === "*" || sign === "/"; sign = reader.tokens[reader.at]) {
    reader.at++;
    const next = factor(reader, depth);
    value = sign === "*" ? value * next : value / next;
  }
  return value;
}

/** NaN for what is not read, and so is all that is made of it. */
function factor(reader: Reader, depth: number): number {
  const token = reader.tokens[reader.at++];
  if (token === undefined || depth > DEPTH_MAX) return Number.NaN;
  if (token === "-") return -factor(reader, depth + 1);
  if (token === "+") return factor(reader, depth + 1);
  if (token === "(") {
    const value = sum(reader, depth + 1);
    return reader.tokens[reader.at++] === ")" ? value : Number.NaN;
  }
  if (/^[\d.]/.test(token)) return Number(token);
  // A name before a parenthesis is a function.
  if (!NAME.test(token) || reader.tokens[reader.at] === "(") return Number.NaN;
  const value = reader.lookUp(token);
  if (value === undefined) reader.unknown ??= token;
  return typeof value === "number" ? value : Number.NaN;
}
