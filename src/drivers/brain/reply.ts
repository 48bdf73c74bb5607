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

/** The reply of a status and its JSON. Throws for a status that says nothing of the transaction, and for an answer that is none. */
export function replyOf(
  where: string,
  { status, text }: { readonly status: number; readonly text: string },
): BrainReply {
  if (status === OK) return { kind: "answer", answer: answerIn(where, text) };
  if (REFUSALS.has(status)) return { kind: "refusal", status, text };
  throw new Error(`${where} answered ${status}${codeIn(text)}`);
}

/** A page of a proxy, say, is no answer. */
function answerIn(where: string, text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (typeof value === "object" && value !== null && "decision" in value)
    return value as Readonly<Record<string, unknown>>;
  throw new Error(`${where} answered ${OK} with what is no decision`);
}

/** The code of a problem document, for whoever reads the log. */
function codeIn(text: string): string {
  const found = /"code":\s*"([\w.-]{1,60})"/.exec(text);
  return found === null ? "" : ` (${found[1]})`;
}
