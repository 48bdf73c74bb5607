// A program: many expressions compiled into one pass, in which a part that several of them have is computed once.
import { type ExpressionType, type PartType, typesOf } from "./check.ts";
import { Assembly } from "./compile.ts";
import { Machine } from "./machine.ts";
import { type Node, withChildren } from "./syntax.ts";

export interface Program {
  /** Columns in the order of their registers: number i goes into `numbers[i]` (finite or NaN), text i into `texts[i]`. */
  readonly columns: readonly string[];
  readonly numbers: Float64Array;
  readonly texts: (string | null)[];
  /** The register of each expression's number or truth (1, 0; NaN for unknown), in the order given. */
  readonly results: Int32Array;
  /** Operations of a pass. */
  readonly steps: number;
  run(): void;
}

/** Compiles checked trees whose values are numbers or truths. Throws `expression.invalid` where one was not checked. */
export function compileProgram(roots: readonly Node[], columns: ReadonlyMap<string, ExpressionType>): Program {
  const builder = new ProgramBuilder(columns);
  for (const root of roots) builder.add(root);
  return builder.done();
}

/** The same, tree by tree, for those who have something else to do in between. */
export class ProgramBuilder {
  private readonly columns: ReadonlyMap<string, ExpressionType>;
  private readonly names: readonly string[];
  private readonly shared = new Shared();
  private readonly types = new Map<Node, PartType>();
  private readonly machine = new Machine();
  private readonly assembly: Assembly;
  private readonly results: number[] = [];

  constructor(columns: ReadonlyMap<string, ExpressionType>) {
    this.columns = columns;
    this.names = [...columns.keys()];
    this.assembly = new Assembly(this.names, this.types, this.machine);
    this.machine.assembly = this.assembly;
  }

  add(root: Node): void {
    const tree = this.shared.of(root);
    typesOf(tree, { text: "", columns: this.columns, known: this.types });
    this.results.push(this.assembly.emit(tree, "numbers"));
  }

  done(): Program {
    const { assembly, machine } = this;
    const numbers = Float64Array.from(assembly.numbers);
    const { texts, steps } = assembly;
    const run = machine.runner({ numbers, texts, steps });
    const count = machine.count;
    return { columns: this.names, numbers, texts, results: Int32Array.from(this.results), steps: count, run };
  }
}

/** Operators whose sides may change places. */
const EITHER_WAY = new Set(["and", "or", "=", "<>", "+", "*", "is distinct from", "is not distinct from"]);

/** Equal parts become one object, whatever expression they stand in. */
class Shared {
  private readonly byKey = new Map<string, Node>();
  private readonly ids = new Map<Node, number>();
  private readonly known = new Map<Node, Node>();

  of(node: Node): Node {
    const seen = this.known.get(node);
    if (seen !== undefined) return seen;
    const own = withChildren(node, (one) => this.of(one));
    const key = this.keyOf(own);
    let one = this.byKey.get(key);
    if (one === undefined) {
      one = own;
      this.byKey.set(key, one);
      this.ids.set(one, this.ids.size);
    }
    this.known.set(node, one);
    return one;
  }

  /** Equal for parts that compute the same: their kind, what is theirs alone, and the parts within. */
  private keyOf(node: Node): string {
    const id = (part: Node): number => this.ids.get(part)!;
    switch (node.kind) {
      case "literal":
        // −0 and 0 are two numbers to a division.
        return `l${Object.is(node.value, -0) ? "-0" : JSON.stringify(node.value)}${node.time ? "t" : ""}`;
      case "column":
        return `n${node.name}`;
      case "binary": {
        const sides = [id(node.left), id(node.right)];
        if (EITHER_WAY.has(node.op)) sides.sort((a, b) => a - b);
        return `b${node.op} ${sides.join(" ")}`;
      }
      case "in":
        return `i${id(node.of)} ${node.list.map(id).join(" ")}`;
      case "in list":
        return `s${id(node.of)} ${node.list}`;
      case "like":
        return `k${id(node.of)} ${id(node.pattern)} ${node.ignoreCase} ${node.escape}`;
      case "rlike":
        return `r${id(node.of)} ${node.pattern}`;
      case "case": {
        const whens = node.whens.map(({ when, value }) => `${id(when)}:${id(value)}`).join(" ");
        return `c${whens} ${node.otherwise === null ? "" : id(node.otherwise)}`;
      }
      case "call":
        return `f${node.name.toLowerCase()} ${node.args.map(id).join(" ")}`;
      case "made":
        return `m${node.args.map(({ node: arg }) => id(arg)).join(" ")} ${node.name}`;
      default:
        return `${node.kind} ${id(node.of)}`;
    }
  }
}
