// What is wrong with an expression, and where: line and column as an editor counts them.
import { SentinelError } from "../core/errors.ts";

/** A refusal that names the place; lines and columns count from 1, columns in characters. */
export function fault(
  text: string,
  at: number,
  what: { readonly message: string; readonly hint: string },
): SentinelError {
  const lines = text.slice(0, at).split("\n");
  const column = [...lines[lines.length - 1]].length + 1;
  return new SentinelError("expression.invalid", `line ${lines.length}, column ${column}: ${what.message}`, {
    hint: what.hint,
  });
}
