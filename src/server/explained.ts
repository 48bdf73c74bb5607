// Answers with reasons: what `?explain=true` adds, computed after the answer stands and without which nothing more is loaded.
import { messageOf } from "../core/errors.ts";
import type { Reason } from "../lifecycle/explain/reasons.ts";
import type { Scorer } from "../lifecycle/score.ts";
import { answer } from "./answer.ts";
import type { AnswerBody } from "./answer-body.ts";
import { invalidRequest } from "./faults.ts";
import { judgeOf } from "./judge.ts";
import type { LiveSet } from "./live.ts";
import type { Parsed } from "./parse.ts";
import type { RequestContext, ServerParts } from "./parts.ts";

/** Reasons are missing where there are none to give: the policy answered, or what judged is gone. */
export interface ExplainedBody extends AnswerBody {
  readonly reasons?: readonly Reason[];
}

/** Whether the request asks for reasons. Throws `request.invalid` for anything but true or false. */
export function wantsReasons(context: RequestContext): boolean {
  const given = context.req.query("explain");
  if (given === undefined || given === "false") return false;
  if (given === "true") return true;
  throw invalidRequest([{ field: "explain", message: "must be true or false" }], "the query");
}

/** {@link answer}, with reasons. That they cannot be given is logged and takes nothing from the answer. */
export async function explainedAnswer(parts: ServerParts, parsed: Parsed, live?: LiveSet): Promise<ExplainedBody> {
  let seen: { readonly vector: Float32Array; readonly scorer: Scorer } | null = null;
  const body = await answer(parts, parsed, {
    ...(live === undefined ? {} : { live }),
    judged: (vector, scorer) => {
      seen = { vector, scorer };
    },
  });
  if (body.degraded) return body;
  try {
    const judged = seen ?? (await earlier(parts, parsed.transaction.id));
    if (judged === null) return body;
    const { explainVector } = await import("../lifecycle/explain/attribution.ts");
    const { reasonsOf } = await import("../lifecycle/explain/reasons.ts");
    return { ...body, reasons: reasonsOf(judged.scorer, explainVector(judged.scorer, judged.vector)) };
  } catch (error) {
    parts.logger.warn({ version: body.model.version, error: messageOf(error) }, "an answer has no reasons");
    return body;
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
