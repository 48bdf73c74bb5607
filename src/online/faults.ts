// Faults of a request, one per field, carried by the error that refuses it.
import { SentinelError } from "../core/errors.ts";

/** One thing wrong with a request; `field` is spelled as the client spelled it, with its place in a list: "3/amount". */
export interface FieldFault {
  readonly field: string;
  readonly message: string;
}

/** At most this many are listed. */
const FAULTS_MAX = 20;

/** Of a number that a JSON reader has rounded already. */
export const DIGITS_LOST = "is a whole number beyond 2^53, whose last digits JSON does not keep: send it as a text";

/** The request is JSON, but not what the schema asks for. */
export function invalidRequest(faults: readonly FieldFault[], what = "the transaction"): SentinelError {
  const first = faults[0];
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : "";
  return new SentinelError("request.invalid", `${what}: ${first.field} ${first.message}${more}`, {
    hint: "fix the fields listed in errors; /openapi.json has the schema",
    cause: { faults: faults.slice(0, FAULTS_MAX) },
  });
}

/** The faults an error carries; none for most. */
export function faultsOf(error: unknown): readonly FieldFault[] {
  if (!(error instanceof SentinelError)) return [];
  const cause = error.cause as { readonly faults?: readonly FieldFault[] } | undefined;
  return Array.isArray(cause?.faults) ? cause.faults : [];
}
