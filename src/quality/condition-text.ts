// Row conditions written as text: pandas' DataFrame.query, and Great Expectations' own col("…") form, as far as they compare columns with values.
import type { Condition, Parameter } from "./row-condition.ts";

/** Longer texts are refused; nobody writes them by hand. */
const LENGTH_MAX = 10_000;
const DEPTH_MAX = 30;

type Token =
  | { readonly kind: "name"; readonly text: string }
  | { readonly kind: "value"; readonly value: Parameter }
  | { readonly kind: "sign"; readonly text: string };

/** The condition that a text means; null where it says more than a comparison of columns with values, joined by and, or, not. */
export function conditionOfText(text: string): Condition | null {
  const tokens = text.length > LENGTH_MAX ? null : tokensOf(text);
  if (tokens === null) return null;
  const reader = new Reader(tokens);
  const condition = reader.either(0);
  return condition !== null && reader.isDone ? condition : null;
}

const TOKEN =
  /\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|`([^`]*)`|([\p{L}_][\p{L}\p{N}_]*)|(==|!=|<=|>=|[-<>()[\],.&|~+]))/uy;

function tokensOf(text: string): readonly Token[] | null {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (text.slice(TOKEN.lastIndex).trim() !== "") {
    const match = TOKEN.exec(text);
    if (match === null) return null;
    const [, number, double, single, quoted, name, sign] = match;
    if (number !== undefined) tokens.push({ kind: "value", value: Number(number) });
    else if (double !== undefined || single !== undefined) {
      const written = double ?? single;
      // Beyond these two, an escape would have to be read as Python reads it.
      if (/\\[^\\"']/.test(written)) return null;
      tokens.push({ kind: "value", value: written.replace(/\\(.)/g, "$1") });
    } else if (quoted !== undefined) tokens.push({ kind: "name", text: quoted });
    else if (name === "True" || name === "False") tokens.push({ kind: "value", value: name === "True" ? 1 : 0 });
    else if (name !== undefined)
      tokens.push(WORDS.has(name) ? { kind: "sign", text: name } : { kind: "name", text: name });
    else tokens.push({ kind: "sign", text: sign });
  }
  return tokens;
}

const WORDS: ReadonlySet<string> = new Set(["and", "or", "not", "in"]);
const MIRRORED: Readonly<Record<string, string>> = {
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
  "==": "==",
  "!=": "!=",
};
type Order = "==" | "!=" | "<" | "<=" | ">" | ">=";

/** Reads a condition; every method answers null where the text says more. */
class Reader {
  private readonly tokens: readonly Token[];
  private at = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  get isDone(): boolean {
    return this.at === this.tokens.length;
  }

  either(depth: number): Condition | null {
    return this.joined("or", ["or", "|"], () => this.both(depth));
  }

  private both(depth: number): Condition | null {
    return this.joined("and", ["and", "&"], () => this.negated(depth));
  }

  private joined(kind: "and" | "or", signs: readonly string[], part: () => Condition | null): Condition | null {
    const first = part();
    const conditions = [first];
    while (signs.some((sign) => this.sign(sign))) conditions.push(part());
    const known = conditions.filter((condition) => condition !== null);
    if (known.length < conditions.length) return null;
    return known.length === 1 ? first : { kind, conditions: known };
  }

  private negated(depth: number): Condition | null {
    if (depth > DEPTH_MAX) return null;
    if (this.sign("not") || this.sign("~")) {
      const condition = this.negated(depth + 1);
      return condition === null ? null : { kind: "not", condition };
    }
    if (this.sign("(")) {
      const condition = this.either(depth + 1);
      return this.sign(")") ? condition : null;
    }
    return this.comparison();
  }

  private comparison(): Condition | null {
    const value = this.value();
    if (value !== null) {
      const operator = this.order();
      const column = operator === null ? null : this.column();
      if (operator === null || column === null) return null;
      const first = compared(column, MIRRORED[operator] as Order, value);
      // 0 < amount <= 10 is both comparisons.
      return this.chained(first, column);
    }
    const column = this.column();
    if (column === null) return null;
    if (this.sign(".")) return this.asked(column);
    if (this.sign("in")) return this.member(column, "IN");
    if (this.sign("not")) return this.sign("in") ? this.member(column, "NOT_IN") : null;
    const operator = this.order();
    if (operator === null) return null;
    const list = operator === "==" || operator === "!=" ? this.list() : null;
    // pandas reads `== [a, b]` as membership.
    if (list !== null)
      return { kind: "comparison", column: column.name, operator: operator === "==" ? "IN" : "NOT_IN", values: list };
    const right = this.value();
    return right === null ? null : compared(column, operator, right);
  }

  private chained(first: Condition, column: NamedColumn): Condition | null {
    const operator = this.order();
    if (operator === null) return first;
    const right = this.value();
    return right === null ? null : { kind: "and", conditions: [first, compared(column, operator, right)] };
  }

  /** `.isnull()`, `.notna()`, `.isin([…])`. */
  private asked({ name: column }: NamedColumn): Condition | null {
    const method = this.name()?.toLowerCase();
    if (method === undefined || !this.sign("(")) return null;
    if (method === "isin") {
      const values = this.list();
      return values !== null && this.sign(")") ? { kind: "comparison", column, operator: "IN", values } : null;
    }
    const isNull = ["isnull", "isna"].includes(method);
    if (!isNull && !["notnull", "notna"].includes(method)) return null;
    return this.sign(")") ? { kind: "nullity", column, isNull } : null;
  }

  private member({ name: column }: NamedColumn, operator: "IN" | "NOT_IN"): Condition | null {
    const values = this.list();
    return values === null ? null : { kind: "comparison", column, operator, values };
  }

  private order(): Order | null {
    const operator = (["==", "!=", "<=", ">=", "<", ">"] as const).find((sign) => this.sign(sign));
    return operator ?? null;
  }

  /** A name, or col("name"). */
  private column(): NamedColumn | null {
    const from = this.at;
    const name = this.name();
    if (name === null) return null;
    if (name !== "col" || !this.sign("(")) return { name, own: false };
    const inside = this.value();
    if (typeof inside === "string" && this.sign(")")) return { name: inside, own: true };
    this.at = from;
    return null;
  }

  /** A number, a text, or date("…"). */
  private value(): Parameter | null {
    const from = this.at;
    const minus = this.sign("-");
    if (!minus) this.sign("+");
    const token = this.tokens[this.at];
    if (token?.kind === "value" && (typeof token.value === "number" || this.at === from)) {
      this.at++;
      return minus ? -token.value : token.value;
    }
    if (token?.kind === "name" && token.text === "date" && this.at === from) {
      this.at++;
      const text = this.sign("(") ? this.value() : null;
      if (typeof text === "string" && this.sign(")")) return text;
    }
    this.at = from;
    return null;
  }

  private list(): Parameter[] | null {
    const from = this.at;
    const closing = this.sign("[") ? "]" : this.sign("(") ? ")" : null;
    const values: Parameter[] = [];
    while (closing !== null) {
      if (this.sign(closing)) return values;
      const value = this.value();
      if (value === null) break;
      values.push(value);
      if (!this.sign(",") && !this.peeks(closing)) break;
    }
    this.at = from;
    return null;
  }

  private name(): string | null {
    const token = this.tokens[this.at];
    if (token?.kind !== "name") return null;
    this.at++;
    return token.text;
  }

  private peeks(text: string): boolean {
    const token = this.tokens[this.at];
    return token?.kind === "sign" && token.text === text;
  }

  private sign(text: string): boolean {
    if (!this.peeks(text)) return false;
    this.at++;
    return true;
  }
}

interface NamedColumn {
  readonly name: string;
  /** Written as col("name"), for databases, where a missing cell is unequal to nothing. */
  readonly own: boolean;
}

function compared({ name: column, own }: NamedColumn, operator: Order, value: Parameter): Condition {
  const condition: Condition = { kind: "comparison", column, operator, values: [value] };
  if (!own || operator !== "!=") return condition;
  return { kind: "and", conditions: [condition, { kind: "nullity", column, isNull: false }] };
}
