// The parser: the text of an expression to its tree, by operator precedence (Pratt 1973), within limits.
import type { SentinelError } from "../core/errors.ts";
import { parseIso } from "../core/time.ts";
import { fault } from "./fault.ts";
import { subqueryHint } from "./subquery.ts";
import type { BinaryOperator, Node } from "./syntax.ts";
import { EXPRESSION_DEPTH_MAX, EXPRESSION_LENGTH_MAX, EXPRESSION_NODES_MAX } from "./syntax.ts";
import type { Token } from "./tokens.ts";
import { tokensOf } from "./tokens.ts";

/** The tree of an expression. Throws `expression.invalid` with line and column. */
export function parseExpression(text: string): Node {
  if (text.length > EXPRESSION_LENGTH_MAX) {
    const message = `the expression has ${text.length} characters`;
    throw fault(text, 0, { message, hint: `at most ${EXPRESSION_LENGTH_MAX}; split it into several features` });
  }
  return new Parser(text).whole();
}

/** How tightly operators bind, loosest first; the same as in PostgreSQL and DuckDB. */
const OR = 1;
const AND = 2;
const NOT = 3;
const IS = 4;
const COMPARE = 5;
/** BETWEEN, IN, LIKE and their negations. */
const MATCH = 6;
const CONCAT = 7;
const ADD = 8;
const MULTIPLY = 9;
const SIGNED = 10;

const OPERATORS = new Map<string, { readonly power: number; readonly op: BinaryOperator }>([
  ["OR", { power: OR, op: "or" }],
  ["AND", { power: AND, op: "and" }],
  ["=", { power: COMPARE, op: "=" }],
  ["<>", { power: COMPARE, op: "<>" }],
  ["!=", { power: COMPARE, op: "<>" }],
  ["<", { power: COMPARE, op: "<" }],
  ["<=", { power: COMPARE, op: "<=" }],
  [">", { power: COMPARE, op: ">" }],
  [">=", { power: COMPARE, op: ">=" }],
  ["<=>", { power: COMPARE, op: "is not distinct from" }],
  ["||", { power: CONCAT, op: "||" }],
  ["+", { power: ADD, op: "+" }],
  ["-", { power: ADD, op: "-" }],
  ["*", { power: MULTIPLY, op: "*" }],
  ["/", { power: MULTIPLY, op: "/" }],
  ["%", { power: MULTIPLY, op: "%" }],
]);
const MATCHES = new Set(["BETWEEN", "IN", "LIKE", "ILIKE", "RLIKE", "REGEXP"]);

/** Words that are no column unless quoted. The second line belongs to SQL that is refused. */
const RESERVED = new Set(
  "AND OR NOT IS NULL TRUE FALSE DISTINCT FROM BETWEEN IN LIKE ILIKE RLIKE REGEXP ESCAPE CASE WHEN THEN ELSE END"
    .concat(
      " SELECT EXISTS ANY ALL SOME OVER FILTER WITH CAST TRY_CAST INTERVAL SIMILAR GLOB COLLATE WHERE HAVING UNION",
    )
    .split(" "),
);
const REFUSED_WORDS = new Map([
  ["WITH", "an expression has no subquery; refer to columns and earlier features by name"],
  ["EXISTS", "an expression has no subquery; refer to columns and earlier features by name"],
  ["OVER", "an expression sees one transaction; use a window feature for what came before"],
  ["FILTER", "an expression sees one transaction; use a window feature for what came before"],
  ["INTERVAL", "a span of time stands in quotes: count_last('5m', user_id)"],
  ["CAST", "values are never converted; write CASE WHEN … THEN … END"],
  ["TRY_CAST", "values are never converted; write CASE WHEN … THEN … END"],
]);

/** Functions under the names that Spark SQL, or another SQL, has for them. */
const OTHER_NAMES = new Map([
  ["nvl", "coalesce"],
  ["ifnull", "coalesce"],
  ["pow", "power"],
  ["lcase", "lower"],
  ["ucase", "upper"],
  ["substr", "substring"],
  ["char_length", "length"],
  ["character_length", "length"],
  ["len", "length"],
  ["startswith", "starts_with"],
  ["endswith", "ends_with"],
  ["signum", "sign"],
  ["day", "dayofmonth"],
]);
const MATCH_NAMES = new Set(["rlike", "regexp", "regexp_like"]);
/** What date_part and EXTRACT take, and the function that gives it. */
const TIME_PARTS = new Map([
  ["year", "year"],
  ["quarter", "quarter"],
  ["month", "month"],
  ["day", "dayofmonth"],
  ["hour", "hour"],
  ["minute", "minute"],
  ["second", "second"],
  ["dow", "dayofweek"],
  ["dayofweek", "dayofweek"],
  ["doy", "dayofyear"],
]);
const EMPTY_TEXT: Node = { kind: "literal", value: "", at: 0 };

class Parser {
  private readonly text: string;
  private readonly tokens: readonly Token[];
  private next = 0;
  private depth = 0;
  private nodes = 0;

  constructor(text: string) {
    this.text = text;
    this.tokens = tokensOf(text);
  }

  whole(): Node {
    const node = this.expression(0);
    if (this.peek().kind !== "end") throw this.unexpected(this.peek(), "an operator or the end");
    return node;
  }

  /** An operand and all operators after it that bind tighter than `power`. */
  private expression(power: number): Node {
    this.depth++;
    if (this.depth > EXPRESSION_DEPTH_MAX) {
      const hint = `at most ${EXPRESSION_DEPTH_MAX} deep; make an earlier feature of an inner part`;
      throw fault(this.text, this.peek().at, { message: "the expression is nested too deeply", hint });
    }
    let left = this.operand();
    let last = Number.POSITIVE_INFINITY;
    while (true) {
      const found = this.operatorPower();
      if (found <= power) break;
      // Comparisons do not chain: a < b < c means nothing of use.
      if (found === last && found >= IS && found <= MATCH) {
        const message = `${this.peek().text} after another operator of its kind`;
        throw fault(this.text, this.peek().at, { message, hint: "put brackets around the part that comes first" });
      }
      left = this.operation(left);
      last = found;
    }
    this.depth--;
    return left;
  }

  /** How tightly the operator that comes next binds; 0 when none does. */
  private operatorPower(): number {
    const word = this.word();
    if (word === "IS") return IS;
    if (word === "NOT" || MATCHES.has(word)) return MATCH;
    return OPERATORS.get(word)?.power ?? 0;
  }

  private operation(left: Node): Node {
    const { at } = this.peek();
    const operator = OPERATORS.get(this.word());
    if (operator !== undefined) {
      this.next++;
      return this.node({ kind: "binary", op: operator.op, left, right: this.expression(operator.power), at });
    }
    if (this.accept("IS")) return this.is(left, at);
    const negated = this.accept("NOT");
    const matched = this.match(left, at);
    return negated ? this.node({ kind: "not", of: matched, at }) : matched;
  }

  private is(of: Node, at: number): Node {
    const negated = this.accept("NOT");
    if (this.accept("DISTINCT")) {
      this.expect("FROM");
      const op = negated ? "is not distinct from" : "is distinct from";
      return this.node({ kind: "binary", op, left: of, right: this.expression(IS), at });
    }
    const truth = this.word();
    if (truth === "TRUE" || truth === "FALSE") {
      this.next++;
      const right = this.node({ kind: "literal", value: truth === "TRUE", at });
      const op = negated ? "is distinct from" : "is not distinct from";
      return this.node({ kind: "binary", op, left: of, right, at });
    }
    this.expect("NULL", "NULL, TRUE, FALSE or DISTINCT FROM");
    const node = this.node({ kind: "is null", of, at });
    return negated ? this.node({ kind: "not", of: node, at }) : node;
  }

  private match(of: Node, at: number): Node {
    if (this.accept("BETWEEN")) {
      const low = this.expression(MATCH);
      this.expect("AND");
      const high = this.expression(MATCH);
      const left = this.node({ kind: "binary", op: ">=", left: of, right: low, at });
      const right = this.node({ kind: "binary", op: "<=", left: of, right: high, at });
      return this.node({ kind: "binary", op: "and", left, right, at });
    }
    if (this.accept("IN")) {
      this.expect("(");
      if (this.word() === "SELECT") return this.node({ kind: "in list", of, list: this.listName(), at });
      const list = this.list();
      return this.node({ kind: "in", of, list, at });
    }
    if (this.accept("RLIKE") || this.accept("REGEXP")) return this.rlike(of, at);
    const ignoreCase = this.accept("ILIKE");
    if (!ignoreCase) this.expect("LIKE", "IN, LIKE, ILIKE or BETWEEN");
    const pattern = this.expression(MATCH);
    const quote = this.accept("ESCAPE") ? this.escape() : "";
    return this.node({ kind: "like", of, pattern, escape: quote, ignoreCase, at });
  }

  /** After x IN (: SELECT any_name FROM list ). */
  private listName(): string {
    const { at } = this.peek();
    const start = this.next;
    this.next++;
    const column = this.peek();
    this.next++;
    if ((column.kind === "name" || column.kind === "quoted") && this.accept("FROM")) {
      const list = this.peek();
      this.next++;
      if ((list.kind === "name" || list.kind === "quoted") && this.accept(")")) return list.text;
    }
    this.next = start;
    const hint = "the only subquery is x [NOT] IN (SELECT value FROM list_name), over a list, without WHERE or joins";
    throw fault(this.text, at, { message: "SELECT is not allowed here", hint });
  }

  private rlike(of: Node, at: number): Node {
    const token = this.peek();
    this.next++;
    if (token.kind === "text") return this.node({ kind: "rlike", of, pattern: token.text, at });
    const hint = "write the pattern itself in quotes, as in email RLIKE '^[a-z]+[0-9]{4}@'";
    throw fault(this.text, token.at, { message: "RLIKE takes a text in quotes", hint });
  }

  private escape(): string {
    const token = this.peek();
    this.next++;
    if (token.kind === "text" && [...token.text].length === 1) return token.text;
    const hint = "write one character in quotes, such as ESCAPE '\\'";
    throw fault(this.text, token.at, { message: "ESCAPE takes one character", hint });
  }

  private operand(): Node {
    const token = this.peek();
    const { at } = token;
    const word = this.word();
    this.next++;
    if (token.kind === "number") return this.number(token);
    if (token.kind === "text") return this.node({ kind: "literal", value: token.text, at });
    if (word === "(") {
      const inner = this.expression(0);
      this.expect(")");
      return inner;
    }
    if (word === "-") return this.node({ kind: "minus", of: this.expression(SIGNED), at });
    // A plus sign changes nothing but still asks for a number.
    if (word === "+")
      return this.node({ kind: "binary", op: "+", left: this.zero(at), right: this.expression(SIGNED), at });
    if (word === "NOT") return this.node({ kind: "not", of: this.expression(NOT), at });
    if (word === "!") return this.node({ kind: "not", of: this.expression(SIGNED), at });
    if (word === "SELECT") {
      const hint = subqueryHint(this.text.slice(at));
      throw fault(this.text, at, { message: `${token.text} is not allowed`, hint });
    }
    if ((word === "TIMESTAMP" || word === "DATE") && this.peek().kind === "text") return this.instant(at);
    if (word === "NULL") return this.node({ kind: "literal", value: null, at });
    if (word === "TRUE" || word === "FALSE") return this.node({ kind: "literal", value: word === "TRUE", at });
    if (word === "CASE") return this.case(at);
    const refused = REFUSED_WORDS.get(word);
    if (refused !== undefined) throw fault(this.text, at, { message: `${token.text} is not allowed`, hint: refused });
    if (token.kind === "quoted") return this.node({ kind: "column", name: token.text, at });
    if (token.kind !== "name" || RESERVED.has(word)) throw this.unexpected(token, "a value");
    if (this.accept("(")) return this.call(token);
    return this.node({ kind: "column", name: token.text, at });
  }

  private number(token: Token): Node {
    const value = Number(token.text);
    if (Number.isFinite(value)) return this.node({ kind: "literal", value, at: token.at });
    const hint = "the largest number is about 1.8e308";
    throw fault(this.text, token.at, { message: `${token.text} is too large`, hint });
  }

  /** Minus zero, so that +x is x to the last bit: −0 + −0 = −0. */
  private zero(at: number): Node {
    return this.node({ kind: "literal", value: -0, at });
  }

  private call(token: Token): Node {
    const name = token.text.toLowerCase();
    if (name === "extract") return this.extract(token.at);
    const args = this.peek().text === ")" && this.accept(")") ? [] : this.list();
    if (this.word() === "OVER" || this.word() === "FILTER") {
      const hint = REFUSED_WORDS.get("OVER")!;
      throw fault(this.text, this.peek().at, { message: `${this.peek().text} is not allowed`, hint });
    }
    return this.node(this.spoken(token, args) ?? { kind: "call", name: token.text, args, at: token.at });
  }

  /** Calls that say what an operator or another function says; null for all others. */
  private spoken({ text, at }: Token, args: readonly Node[]): Node | null {
    const name = text.toLowerCase();
    const [first, second, third] = args;
    const other = OTHER_NAMES.get(name);
    if (other !== undefined) return { kind: "call", name: other, args, at };
    if (name === "mod" && args.length === 2) return { kind: "binary", op: "%", left: first, right: second, at };
    if (name === "isnull" && args.length === 1) return { kind: "is null", of: first, at };
    if (name === "isnotnull" && args.length === 1) {
      return { kind: "not", of: this.node({ kind: "is null", of: first, at }), at };
    }
    if ((name === "if" || name === "iff") && args.length === 3) {
      return { kind: "case", whens: [{ when: first, value: second }], otherwise: third, at };
    }
    if (name === "concat" && args.length > 0) {
      const joined = args.reduce((left, right) => this.node({ kind: "binary", op: "||", left, right, at }));
      return args.length === 1 ? this.node({ kind: "binary", op: "||", left: joined, right: EMPTY_TEXT, at }) : joined;
    }
    if (MATCH_NAMES.has(name) && args.length === 2) {
      if (second.kind === "literal" && typeof second.value === "string") {
        return { kind: "rlike", of: first, pattern: second.value, at };
      }
      const hint = "write the pattern itself in quotes, as in regexp_like(email, '^[a-z]+[0-9]{4}@')";
      throw fault(this.text, second.at, { message: `${text} takes its pattern in quotes`, hint });
    }
    if (name === "date_part" && args.length === 2) return this.datePart(first, second, at);
    return null;
  }

  private datePart(part: Node, of: Node, at: number): Node {
    const word = part.kind === "literal" && typeof part.value === "string" ? part.value.toLowerCase() : "";
    const name = TIME_PARTS.get(word);
    if (name !== undefined) return { kind: "call", name, args: [of], at };
    const hint = `write one of ${[...TIME_PARTS.keys()].join(", ")}`;
    throw fault(this.text, part.at, { message: "that is no part of a time", hint });
  }

  /** After EXTRACT(: part FROM x ). */
  private extract(at: number): Node {
    const token = this.peek();
    this.next++;
    this.expect("FROM");
    const of = this.expression(0);
    this.expect(")");
    const part: Node = { kind: "literal", value: token.text, at: token.at };
    return this.node(this.datePart(part, of, at));
  }

  /** TIMESTAMP '2024-01-01 12:00:00' or DATE '2024-01-01', in UTC where it names no zone. */
  private instant(at: number): Node {
    const token = this.peek();
    this.next++;
    const value = parseIso(token.text);
    if (Number.isFinite(value)) return this.node({ kind: "literal", value, time: true, at });
    const hint = "write it as TIMESTAMP '2024-01-31 12:00:00', in UTC where no zone is given";
    throw fault(this.text, token.at, { message: `'${token.text}' is no time`, hint });
  }

  /** One expression or more and the closing bracket. */
  private list(): Node[] {
    const list = [this.expression(0)];
    while (this.accept(",")) list.push(this.expression(0));
    this.expect(")", ", or )");
    return list;
  }

  private case(at: number): Node {
    const subject = this.word() === "WHEN" ? null : this.expression(0);
    const whens: { when: Node; value: Node }[] = [];
    do {
      this.expect("WHEN");
      const place = this.peek().at;
      const test = this.expression(0);
      const when =
        subject === null ? test : this.node({ kind: "binary", op: "=", left: subject, right: test, at: place });
      this.expect("THEN");
      whens.push({ when, value: this.expression(0) });
    } while (this.word() === "WHEN");
    const otherwise = this.accept("ELSE") ? this.expression(0) : null;
    this.expect("END", "WHEN, ELSE or END");
    return this.node({ kind: "case", whens, otherwise, at });
  }

  private node(node: Node): Node {
    this.nodes++;
    if (this.nodes <= EXPRESSION_NODES_MAX) return node;
    const message = `the expression has more than ${EXPRESSION_NODES_MAX} parts`;
    throw fault(this.text, node.at, { message, hint: "split it into several features" });
  }

  private peek(): Token {
    return this.tokens[this.next];
  }

  /** The next token as a sign or keyword; "" when it is a value or a quoted name. */
  private word(): string {
    const { kind, text } = this.peek();
    if (kind === "sign") return text;
    return kind === "name" ? text.toUpperCase() : "";
  }

  private accept(word: string): boolean {
    if (this.word() !== word) return false;
    this.next++;
    return true;
  }

  private expect(word: string, said = word): void {
    if (!this.accept(word)) throw this.unexpected(this.peek(), said);
  }

  private unexpected(token: Token, wanted: string): SentinelError {
    const found = token.kind === "end" ? "the expression ends" : `${token.text} stands`;
    const reserved = token.kind === "name" && RESERVED.has(token.text.toUpperCase());
    const hint = reserved
      ? `${token.text} is a word of the language; a column of that name is written "${token.text}"`
      : "an expression is built of columns, numbers, 'texts', operators, CASE and the functions of docs/expressions.md";
    return fault(this.text, token.at, { message: `${found} where ${wanted} should be`, hint });
  }
}
