// SQL scalar expressions: parsed, type-checked and compiled to steps over registers, one expression at a time.
import { assert } from "../core/errors.ts";
import type { ExpressionType, PartType } from "./check.ts";
import { typesOf } from "./check.ts";
import { fault } from "./fault.ts";
import { FUNCTIONS, typeTaken } from "./functions.ts";
import { parseExpression } from "./parse.ts";
import { compileRegex } from "./regex.ts";
import type { Bank, Step, Text } from "./steps.ts";
import {
  ARITHMETIC,
  and,
  COMPARE_NUMBERS,
  choose,
  compareTextsStep,
  concat,
  finite,
  isIn,
  isNull,
  like,
  minus,
  not,
  or,
  testText,
} from "./steps.ts";
import type { Node } from "./syntax.ts";
import { childrenOf } from "./syntax.ts";

export type { ExpressionType } from "./check.ts";

/** A column's value, or the expression's; NULL is null. */
export type ExpressionValue = number | string | boolean | null;

export interface CompiledExpression {
  readonly type: ExpressionType;
  /** Columns the expression reads, in order of first mention; an index into them is a column's index. */
  readonly columns: readonly string[];
  /** The value for one row. A number that is not finite counts as NULL; a column of another type than declared is a bug. */
  evaluate(get: (column: number) => ExpressionValue | undefined): ExpressionValue;
  /**
   * The same for hot loops, without allocation: put number column i (finite or NaN) into `numbers[i]`, text column i into `texts[i]`,
   * call `run`, and read a number or a truth (1, 0; NaN for NULL) from `numbers[result]`, a text from `texts[result]`.
   */
  readonly numbers: Float64Array;
  readonly texts: (string | null)[];
  readonly result: number;
  run(): void;
}

/**
 * Compiles an expression over columns of known types. Throws `expression.invalid`, naming line and column, for everything that is not in
 * docs/expressions.md, that mixes types, or that passes a limit on length, depth or parts.
 */
export function compileExpression(
  text: string,
  options: { readonly columns: Readonly<Record<string, ExpressionType>> },
): CompiledExpression {
  const root = parseExpression(text);
  const declared = new Map(Object.entries(options.columns));
  const types = typesOf(root, { text, columns: declared });
  const type = types.get(root)!;
  if (type === "null") {
    const hint = "give it a type, as in CASE WHEN … THEN 1 END";
    throw fault(text, root.at, { message: "the expression is always NULL", hint });
  }
  const columns = columnsOf(root);
  const assembly = new Assembly(columns, types);
  const result = assembly.emit(root, bankOf(type));
  const numbers = Float64Array.from(assembly.numbers);
  const { texts, steps } = assembly;
  const run = (): void => {
    for (let i = 0; i < steps.length; i++) steps[i](numbers, texts);
  };
  const columnTypes = columns.map((name) => declared.get(name)!);
  const evaluate: CompiledExpression["evaluate"] = (get) => {
    for (let i = 0; i < columns.length; i++) {
      const value = get(i) ?? null;
      const wanted = WANTED[columnTypes[i]];
      // The message is made only where it is needed: this is a loop over rows.
      if (value !== null && typeof value !== wanted) assert(false, `column ${columns[i]} is a ${columnTypes[i]}`);
      if (columnTypes[i] === "text") texts[i] = value as Text;
      else numbers[i] = value === null ? Number.NaN : finite(Number(value));
    }
    run();
    if (type === "text") return texts[result];
    const value = numbers[result];
    if (Number.isNaN(value)) return null;
    return type === "boolean" ? value === 1 : value;
  };
  return { type, columns, evaluate, numbers, texts, result, run };
}

const WANTED = { text: "string", number: "number", boolean: "boolean", time: "number" } as const;

/** The columns an expression names, in order of first mention. Throws `expression.invalid` when it does not parse. */
export function namesIn(text: string): string[] {
  return columnsOf(parseExpression(text));
}

/** The columns that a tree names, in order of first mention, behind those in `names`. */
export function columnsOf(root: Node, names: Set<string> = new Set()): string[] {
  const seen = new Set<Node>();
  const visit = (node: Node): void => {
    if (seen.has(node)) return;
    seen.add(node);
    if (node.kind === "column") names.add(node.name);
    for (const child of childrenOf(node)) visit(child);
  };
  visit(root);
  return [...names];
}

/** Where values of a type live. */
export function bankOf(type: PartType): Bank {
  return type === "text" ? "texts" : "numbers";
}

/** Takes some operations over, so that they need no step of their own. */
export interface Shortcut {
  /** The register of a part that it computes itself; null for one that takes a step. */
  emit(node: Node): number | null;
  /** A step was added, and is to run in this place. */
  stepped(index: number): void;
}

/**
 * Gives every part a register and every operation a step, children first. All parts are computed, also those that CASE does not choose:
 * no operation can fail, and straight code is faster than branches.
 */
export class Assembly {
  readonly numbers: number[];
  readonly texts: Text[];
  readonly steps: Step[] = [];
  private readonly types: ReadonlyMap<Node, PartType>;
  private readonly done = new Map<Node, number>();
  private readonly places: ReadonlyMap<string, number>;
  private readonly shortcut: Shortcut | null;

  constructor(columns: readonly string[], types: ReadonlyMap<Node, PartType>, shortcut: Shortcut | null = null) {
    this.places = new Map(columns.map((name, at) => [name, at]));
    this.types = types;
    this.shortcut = shortcut;
    this.numbers = columns.map(() => Number.NaN);
    this.texts = columns.map(() => null);
  }

  /** The register that will hold the part's value; a NULL without a type goes where it is wanted. */
  emit(node: Node, bank: Bank): number {
    if (this.types.get(node) === "null") return this.register(bank);
    const known = this.done.get(node);
    if (known !== undefined) return known;
    const to = this.shortcut?.emit(node) ?? this.place(node, bank);
    this.done.set(node, to);
    return to;
  }

  /** A new register, missing until written. */
  register(bank: Bank): number {
    return (bank === "texts" ? this.texts.push(null) : this.numbers.push(Number.NaN)) - 1;
  }

  private place(node: Node, bank: Bank): number {
    if (node.kind === "column") return this.places.get(node.name)!;
    if (node.kind === "literal") {
      const { value } = node;
      return (typeof value === "string" ? this.texts.push(value) : this.numbers.push(Number(value))) - 1;
    }
    const step = this.step(node);
    const to = this.register(bank);
    this.steps.push(step(to));
    this.shortcut?.stepped(this.steps.length - 1);
    return to;
  }

  isText(node: Node): boolean {
    return this.types.get(node) === "text";
  }

  /** The step of an operation, its operands emitted, as a function of where its result goes. */
  private step(node: Exclude<Node, { kind: "column" | "literal" }>): (to: number) => Step {
    switch (node.kind) {
      case "minus":
      case "not": {
        const a = this.emit(node.of, "numbers");
        return (to) => (node.kind === "minus" ? minus(to, a) : not(to, a));
      }
      case "is null": {
        const bank = bankOf(this.types.get(node.of)!);
        const a = this.emit(node.of, bank);
        return (to) => isNull(bank, { to, a });
      }
      case "in": {
        const bank = this.bankOfAll([node.of, ...node.list]);
        const a = this.emit(node.of, bank);
        const list = node.list.map((one) => this.emit(one, bank));
        return (to) => isIn(bank, { to, a, list });
      }
      case "like": {
        const a = this.emit(node.of, "texts");
        const b = this.emit(node.pattern, "texts");
        return (to) => like(node, { to, a, b });
      }
      case "rlike": {
        const a = this.emit(node.of, "texts");
        const pattern = compileRegex(node.pattern);
        assert(typeof pattern !== "string", "the type check compiled the pattern");
        return (to) => testText(pattern.test, { to, a });
      }
      case "made": {
        const from = node.args.map(({ node: arg, type }) => this.emit(arg, bankOf(type)));
        return (to) => node.step(to, from);
      }
      case "in list":
        throw new Error("the type check refuses lists that nobody knows");
      case "case": {
        const bank = bankOf(this.types.get(node)!);
        const whens = node.whens.map(({ when }) => this.emit(when, "numbers"));
        const values = node.whens.map(({ value }) => this.emit(value, bank));
        values.push(node.otherwise === null ? this.register(bank) : this.emit(node.otherwise, bank));
        return (to) => choose(bank, { to, whens, values });
      }
      case "call": {
        const rule = FUNCTIONS.get(node.name.toLowerCase())!;
        const { takes } = rule;
        if (typeof takes === "object") {
          const each = node.args.map((one, at) => this.emit(one, bankOf(typeTaken(takes, at))));
          return (to) => rule.step(to, each, rule.gives === "text" ? "texts" : "numbers");
        }
        const bank = takes === "text" ? "texts" : this.bankOfAll(node.args);
        const from = node.args.map((one) => this.emit(one, bank));
        return (to) => rule.step(to, from, bank);
      }
      case "binary":
        return this.binary(node);
    }
  }

  private binary({ op, left, right }: Extract<Node, { kind: "binary" }>): (to: number) => Step {
    const bank = op === "||" ? "texts" : this.bankOfAll([left, right]);
    const a = this.emit(left, bank);
    const b = this.emit(right, bank);
    switch (op) {
      case "and":
        return (to) => and({ to, a, b });
      case "or":
        return (to) => or({ to, a, b });
      case "||":
        return (to) => concat({ to, a, b });
      case "+":
      case "-":
      case "*":
      case "/":
      case "%":
        return (to) => ARITHMETIC[op]({ to, a, b });
      default:
        return (to) => (bank === "texts" ? compareTextsStep(op, { to, a, b }) : COMPARE_NUMBERS[op]({ to, a, b }));
    }
  }

  private bankOfAll(nodes: readonly Node[]): Bank {
    return nodes.some((node) => this.types.get(node) === "text") ? "texts" : "numbers";
  }
}
