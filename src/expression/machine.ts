// The machine: the operations that conditions are mostly made of, as numbers that one loop goes through; all others are steps.
import type { Assembly, Shortcut } from "./compile.ts";
import { isMissing, type Step, type Text } from "./steps.ts";
import type { Node } from "./syntax.ts";

/** Four numbers an operation: which, where to, and two operands. */
const FIELDS = 4;
const STEP = 0;
const LESS = 1;
const LESS_EQUAL = 2;
const EQUAL = 3;
const UNEQUAL = 4;
const AND = 5;
const OR = 6;
const NOT = 7;
const CODE = 8;
const AMONG = 9;

/** Constants of a list beyond which it is a step with a set of its own. */
const AMONG_MAX = 10_000;

/**
 * A call of a closure that is another one each time costs as much as ten comparisons, so a number distinguishes the frequent operations. A text that is compared with constants is
 * looked up once, by its code among all constants of the program; from then on it is a number.
 */
export class Machine implements Shortcut {
  assembly!: Assembly;
  private readonly ops: number[] = [];
  /** Texts that are compared with, and the code of each. */
  private readonly codes = new Map<string, number>();
  /** The register of a text part's code. */
  private readonly codeOf = new Map<number, number>();
  private readonly constants = new Map<number, number>();
  private readonly sets: (readonly string[])[] = [];

  get count(): number {
    return this.ops.length / FIELDS;
  }

  stepped(index: number): void {
    this.ops.push(STEP, index, 0, 0);
  }

  emit(node: Node): number | null {
    if (node.kind === "not") {
      const a = this.assembly.emit(node.of, "numbers");
      return this.op(NOT, a, 0);
    }
    if (node.kind === "in") return this.among(node);
    if (node.kind !== "binary") return null;
    const { op, left, right } = node;
    if (op === "and" || op === "or") {
      const a = this.assembly.emit(left, "numbers");
      return this.op(op === "and" ? AND : OR, a, this.assembly.emit(right, "numbers"));
    }
    const isText = this.assembly.isText(left) || this.assembly.isText(right);
    if (isText) return op === "=" || op === "<>" ? this.equalTexts(op, left, right) : null;
    switch (op) {
      case "=":
      case "<>": {
        const a = this.assembly.emit(left, "numbers");
        return this.op(op === "=" ? EQUAL : UNEQUAL, a, this.assembly.emit(right, "numbers"));
      }
      case "<":
      case "<=": {
        const a = this.assembly.emit(left, "numbers");
        return this.op(op === "<" ? LESS : LESS_EQUAL, a, this.assembly.emit(right, "numbers"));
      }
      case ">":
      case ">=": {
        const a = this.assembly.emit(left, "numbers");
        return this.op(op === ">" ? LESS : LESS_EQUAL, this.assembly.emit(right, "numbers"), a);
      }
      default:
        return null;
    }
  }

  /** A text against a constant. */
  private equalTexts(op: "=" | "<>", left: Node, right: Node): number | null {
    const [part, constant] = textOf(right) !== null ? [left, textOf(right)] : [right, textOf(left)];
    if (constant === null || textOf(part) !== null) return null;
    const code = this.coded(part);
    return this.op(op === "=" ? EQUAL : UNEQUAL, code, this.constant(this.codeFor(constant)));
  }

  /** A text among constants. */
  private among({ of, list }: Extract<Node, { kind: "in" }>): number | null {
    const words = list.map(textOf);
    if (list.length > AMONG_MAX || words.some((word) => word === null)) return null;
    const all = words as string[];
    for (const word of all) this.codeFor(word);
    const code = this.coded(of);
    return this.op(AMONG, code, this.sets.push(all) - 1);
  }

  private coded(part: Node): number {
    const text = this.assembly.emit(part, "texts");
    let code = this.codeOf.get(text);
    if (code === undefined) {
      code = this.op(CODE, text, 0);
      this.codeOf.set(text, code);
    }
    return code;
  }

  private codeFor(text: string): number {
    let code = this.codes.get(text);
    if (code === undefined) {
      code = this.codes.size;
      this.codes.set(text, code);
    }
    return code;
  }

  private constant(value: number): number {
    let at = this.constants.get(value);
    if (at === undefined) {
      at = this.assembly.register("numbers");
      this.assembly.numbers[at] = value;
      this.constants.set(value, at);
    }
    return at;
  }

  private op(which: number, a: number, b: number): number {
    const to = this.assembly.register("numbers");
    this.ops.push(which, to, a, b);
    return to;
  }

  /** The loop over the registers given. Nothing may be emitted afterwards. */
  runner(on: { readonly numbers: Float64Array; readonly texts: Text[]; readonly steps: readonly Step[] }): () => void {
    const { numbers: n, texts, steps } = on;
    const ops = Int32Array.from(this.ops);
    const { codes } = this;
    // One byte per code that any text may have; the first is that of a text that is no constant.
    const sets = this.sets.map((words) => {
      const among = new Uint8Array(codes.size + 1);
      for (const word of words) among[codes.get(word)! + 1] = 1;
      return among;
    });
    return () => {
      for (let i = 0; i < ops.length; i += FIELDS) {
        const to = ops[i + 1];
        const a = ops[i + 2];
        const b = ops[i + 3];
        switch (ops[i]) {
          case LESS:
            n[to] = n[a] < n[b] ? 1 : n[a] >= n[b] ? 0 : Number.NaN;
            break;
          case LESS_EQUAL:
            n[to] = n[a] <= n[b] ? 1 : n[a] > n[b] ? 0 : Number.NaN;
            break;
          case AND:
            n[to] = n[a] === 0 || n[b] === 0 ? 0 : n[a] * n[b];
            break;
          case OR:
            n[to] = n[a] === 1 || n[b] === 1 ? 1 : n[a] + n[b];
            break;
          case EQUAL:
            n[to] = n[a] === n[b] ? 1 : isMissing(n[a]) || isMissing(n[b]) ? Number.NaN : 0;
            break;
          case UNEQUAL:
            n[to] = n[a] === n[b] ? 0 : isMissing(n[a]) || isMissing(n[b]) ? Number.NaN : 1;
            break;
          case NOT:
            n[to] = 1 - n[a];
            break;
          case AMONG:
            n[to] = isMissing(n[a]) ? Number.NaN : sets[b][n[a] + 1];
            break;
          case CODE: {
            const text = texts[a];
            n[to] = text === null ? Number.NaN : (codes.get(text) ?? -1);
            break;
          }
          default:
            steps[to](n, texts);
        }
      }
    };
  }
}

function textOf(node: Node): string | null {
  return node.kind === "literal" && typeof node.value === "string" ? node.value : null;
}
