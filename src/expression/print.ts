// Prints a tree as SQL again, fully bracketed: for expressions that are kept under their own text.
import type { Node } from "./syntax.ts";

/** Text of a tree that the parser made. The same tree gives the same text. */
export function printNode(node: Node): string {
  switch (node.kind) {
    case "literal":
      return printLiteral(node);
    case "column":
      return `"${node.name.replaceAll('"', '""')}"`;
    case "minus":
      return `(- ${printNode(node.of)})`;
    case "not":
      return `(NOT ${printNode(node.of)})`;
    case "is null":
      return `(${printNode(node.of)} IS NULL)`;
    case "binary":
      return `(${printNode(node.left)} ${node.op.toUpperCase()} ${printNode(node.right)})`;
    case "in":
      return `(${printNode(node.of)} IN (${node.list.map(printNode).join(", ")}))`;
    case "in list":
      return `(${printNode(node.of)} IN (SELECT value FROM ${node.list}))`;
    case "like": {
      const quote = node.escape === "" ? "" : ` ESCAPE ${printText(node.escape)}`;
      return `(${printNode(node.of)} ${node.ignoreCase ? "ILIKE" : "LIKE"} ${printNode(node.pattern)}${quote})`;
    }
    case "rlike":
      return `(${printNode(node.of)} RLIKE ${printText(node.pattern)})`;
    case "case": {
      const whens = node.whens.map(({ when, value }) => ` WHEN ${printNode(when)} THEN ${printNode(value)}`);
      const otherwise = node.otherwise === null ? "" : ` ELSE ${printNode(node.otherwise)}`;
      return `(CASE${whens.join("")}${otherwise} END)`;
    }
    case "call":
      return `${node.name.toLowerCase()}(${node.args.map(printNode).join(", ")})`;
    case "made":
      return `${node.name}(${node.args.map(({ node: arg }) => printNode(arg)).join(", ")})`;
  }
}

function printLiteral({ value, time }: Extract<Node, { kind: "literal" }>): string {
  if (value === null) return "NULL";
  if (time) return `TIMESTAMP '${new Date(value as number).toISOString()}'`;
  if (typeof value === "string") return printText(value);
  // A sign of its own would be parsed as an operation.
  if (typeof value === "number" && (value < 0 || Object.is(value, -0))) return `(- ${String(-value)})`;
  return String(value).toUpperCase();
}

function printText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
