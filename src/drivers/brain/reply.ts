// Replies of brains: which of them say something of the transaction, whatever protocol brought them.
import type { BrainReply } from "../../ports/brain.ts";

/** Bytes of an answer; a longer one is no decision. */
export const REPLY_BYTES_MAX = 1_048_576;
const OK = 200;
/**
 * What is said of the transaction itself. Any other status says that this brain cannot answer, or that it may not be asked like this (a key, a
 * path), and nobody who sends a transaction can do anything about either.
 */
const REFUSALS: ReadonlySet<number> = new Set([400, 409, 413, 422]);

/** The reply of a status and its text. Throws for a status that says nothing of the transaction. */
export function replyOf(where: string, { status, text }: BrainReply): BrainReply {
  if (status === OK || REFUSALS.has(status)) return { status, text };
  throw new Error(`${where} answered ${status}${codeIn(text)}`);
}

/** The code of a problem document, for whoever reads the log. */
function codeIn(text: string): string {
  const found = /"code":\s*"([\w.-]{1,60})"/.exec(text);
  return found === null ? "" : ` (${found[1]})`;
}
