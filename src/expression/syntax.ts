// The syntax tree of an expression, and the limits on its size.

/** Longest text of an expression, in UTF-16 units. */
export const EXPRESSION_LENGTH_MAX = 10_000;
/** Most brackets, calls, CASEs, NOTs and signs inside one another: bounds the parser's stack. */
export const EXPRESSION_DEPTH_MAX = 100;
/** Most nodes of the tree: bounds the cost of one evaluation and the depth of a chain such as a + b + c + … */
export const EXPRESSION_NODES_MAX = 1_000;

export type ArithmeticOperator = "+" | "-" | "*" | "/" | "%";
export type ComparisonOperator = "=" | "<>" | "<" | "<=" | ">" | ">=" | "is distinct from" | "is not distinct from";
export type BinaryOperator = ArithmeticOperator | ComparisonOperator | "||" | "and" | "or";

interface At {
  /** Index into the text. */
  readonly at: number;
}

/** BETWEEN, a simple CASE and the negated forms are made of the others; so a node may have several parents. */
export type Node = At &
  /** `time`: the number is an instant. */
  (
    | { readonly kind: "literal"; readonly value: number | string | boolean | null; readonly time?: true }
    | { readonly kind: "column"; readonly name: string }
    | { readonly kind: "minus" | "not" | "is null"; readonly of: Node }
    | { readonly kind: "binary"; readonly op: BinaryOperator; readonly left: Node; readonly right: Node }
    | { readonly kind: "in"; readonly of: Node; readonly list: readonly Node[] }
    | {
        readonly kind: "like";
        readonly of: Node;
        readonly pattern: Node;
        /** One character, or "" for none. */
        readonly escape: string;
        readonly ignoreCase: boolean;
      }
    | {
        readonly kind: "case";
        readonly whens: readonly { readonly when: Node; readonly value: Node }[];
        readonly otherwise: Node | null;
      }
    /** The pattern is a literal, so that it is compiled once. */
    | { readonly kind: "rlike"; readonly of: Node; readonly pattern: string }
    | { readonly kind: "call"; readonly name: string; readonly args: readonly Node[] }
    /** x IN (SELECT … FROM name): whoever knows lists puts a `made` part in its place. */
    | { readonly kind: "in list"; readonly of: Node; readonly list: string }
    | {
        /** An operation that no text says by itself: a list's look-up, a place within an area. The parser makes none. */
        readonly kind: "made";
        /** Two of one name and the same parts are one. */
        readonly name: string;
        readonly args: readonly { readonly node: Node; readonly type: "number" | "text" | "boolean" | "time" }[];
        readonly gives: "number" | "boolean";
        /** As a step of steps.ts: from registers to a register. */
        readonly step: (
          to: number,
          from: readonly number[],
        ) => (numbers: Float64Array, texts: (string | null)[]) => void;
      }
  );

/** The nodes directly under one. */
export function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case "literal":
    case "column":
      return [];
    case "binary":
      return [node.left, node.right];
    case "in":
      return [node.of, ...node.list];
    case "like":
      return [node.of, node.pattern];
    case "case":
      return [...node.whens.flatMap(({ when, value }) => [when, value]), ...(node.otherwise ? [node.otherwise] : [])];
    case "call":
      return node.args;
    case "made":
      return node.args.map(({ node: arg }) => arg);
    default:
      return [node.of];
  }
}

/** The same node over other children; children are asked for in the order of {@link childrenOf}. */
export function withChildren(node: Node, map: (child: Node) => Node): Node {
  switch (node.kind) {
    case "literal":
    case "column":
      return node;
    case "binary":
      return { ...node, left: map(node.left), right: map(node.right) };
    case "in":
      return { ...node, of: map(node.of), list: node.list.map(map) };
    case "like":
      return { ...node, of: map(node.of), pattern: map(node.pattern) };
    case "case":
      return {
        ...node,
        whens: node.whens.map(({ when, value }) => ({ when: map(when), value: map(value) })),
        otherwise: node.otherwise === null ? null : map(node.otherwise),
      };
    case "call":
      return { ...node, args: node.args.map(map) };
    case "made":
      return { ...node, args: node.args.map(({ node: arg, type }) => ({ node: map(arg), type })) };
    default:
      return { ...node, of: map(node.of) };
  }
}
