// Answers with reasons: what `?explain=true` adds, computed after the answer stands and without which nothing more is loaded.
import { messageOf, SentinelError } from "../core/errors.ts";
import type { Reason } from "../lifecycle/explain/reasons.ts";
import type { Scorer } from "../lifecycle/score.ts";
import { answer } from "./answer.ts";
import type { AnswerBody } from "./answer-body.ts";
import { invalidRequest } from "./faults.ts";
import { judgeOf } from "./judge.ts";
import type { LiveSet } from "./live.ts";
import type { Parsed } from "./parse.ts";
import type { RequestContext, ServerParts } from "./parts.ts";

/** `reasons` null: there are none to give, and `reasons_absent` says why. An empty list: nothing raised the score. */
export type ExplainedBody = AnswerBody &
  (
    | { readonly reasons: readonly Reason[] }
    | { readonly reasons: null; readonly reasons_absent: { readonly code: AbsenceCode; readonly text: string } }
  );

/** Why an answer has no reasons. */
type AbsenceCode = "degraded" | "not-explainable" | "not-logged" | "failed";

/** Whether the request asks for reasons. Throws `request.invalid` for anything but true or false. */
export function wantsReasons(context: RequestContext): boolean {
  const given = context.req.query("explain");
  if (given === undefined || given === "false") return false;
  if (given === "true") return true;
  throw invalidRequest([{ field: "explain", message: "must be true or false" }], "the query");
}

/** {@link answer}, with reasons or with what keeps them away, which takes nothing else from the answer. */
export async function explainedAnswer(parts: ServerParts, parsed: Parsed, live?: LiveSet): Promise<ExplainedBody> {
  let seen: { readonly vector: Float32Array; readonly scorer: Scorer } | null = null;
  const body = await answer(parts, parsed, {
    ...(live === undefined ? {} : { live }),
    judged: (vector, scorer) => {
      seen = { vector, scorer };
    },
  });
  const without = (code: AbsenceCode, text: string): ExplainedBody => ({
    ...body,
    reasons: null,
    reasons_absent: { code, text },
  });
  if (body.degraded) return without("degraded", "scoring failed, and the pipeline's policy answered");
  try {
    const judged = seen ?? (await earlier(parts, parsed.transaction.id));
    if (judged === null) return without("not-logged", "the log has lost what this earlier answer was judged by");
    const { explainVector } = await import("../lifecycle/explain/attribution.ts");
    const { reasonsOf } = await import("../lifecycle/explain/reasons.ts");
    return { ...body, reasons: reasonsOf(judged.scorer, explainVector(judged.scorer, judged.vector)) };
  } catch (error) {
    if (error instanceof SentinelError && error.code === "ml.not-explainable") {
      return without("not-explainable", error.message);
    }
    parts.logger.warn({ version: body.model.version, error: messageOf(error) }, "an answer has no reasons");
    return without("failed", "a fault kept the reasons away; the server's log tells it");
  }
}

/** What an earlier answer was judged by; null where the log has lost it. */
async function earlier(
  parts: ServerParts,
  transactionId: string,
): Promise<{ readonly vector: Float32Array; readonly scorer: Scorer } | null> {
  const record = await parts.log.find(transactionId);
  return record === null ? null : { vector: record.vector, scorer: await judgeOf(parts, record) };
}
