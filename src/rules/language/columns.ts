// Columns of a transaction as a rule names them.
import { fault } from "../../expression/fault.ts";
import type { Node } from "../../expression/syntax.ts";
import type { RuleScope } from "../scope.ts";

/**
 * The canonical name of the column that a node of the rule's text names; null where no column has that name. Throws `expression.invalid`, like every
 * fault of a rule's text, where the log does not hold the column as it came: a replay or a restarted window would find another value.
 */
export function readableColumn(
  { name, at }: Extract<Node, { kind: "column" }>,
  { scope, text }: { readonly scope: RuleScope; readonly text: string },
): string | null {
  const column = scope.nameOf(name);
  if (scope.redacted.has(column)) {
    const hint = `take ${column} out of log.redact.fields, or out of the rule; clients may send pseudonyms instead`;
    throw fault(text, at, { message: `log.redact hides ${column}, which a replay and a restart need`, hint });
  }
  return scope.columns.has(column) ? column : null;
}
