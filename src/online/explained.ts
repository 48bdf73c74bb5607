// Answers with reasons: computed after the answer stands; the code for reasons is loaded only when a client asks for them.
import { messageOf, SentinelError } from "../core/errors.ts";
import { type AnswerOptions, answer } from "./answer.ts";
import type { Engine } from "./engine.ts";
import type { Reason } from "./explain.ts";
import { judgedBy } from "./judged-by.ts";
import type { Parsed } from "./parse.ts";
import type { Reply } from "./reply.ts";
import type { Scorer } from "./score.ts";

/** `reasons` null: there are none to give, and `reasons_absent` says why. An empty list: nothing raised the score. */
export type ExplainedBody = Reply &
  (
    | { readonly reasons: readonly Reason[] }
    | { readonly reasons: null; readonly reasons_absent: { readonly code: AbsenceCode; readonly text: string } }
  );

/** Why an answer has no reasons. */
type AbsenceCode = "degraded" | "not-explainable" | "not-logged" | "failed";

/** {@link answer}, with reasons or with what keeps them away, which takes nothing else from the answer. */
export async function explainedAnswer(
  engine: Engine,
  parsed: Parsed,
  options: Pick<AnswerOptions, "live" | "hold"> = {},
): Promise<ExplainedBody> {
  let seen: { readonly vector: Float32Array; readonly scorer: Scorer } | null = null;
  const body = await answer(engine, parsed, {
    ...options,
    judged: (vector, scorer) => {
      seen = { vector, scorer };
    },
  });
  const without = (code: AbsenceCode, text: string): ExplainedBody => ({
    ...body,
    reasons: null,
    reasons_absent: { code, text },
  });
  if (body.model === null) return without("not-explainable", "this pipeline has no model; `rules` says what fired");
  if (body.degraded) return without("degraded", "scoring failed, and the pipeline's policy answered");
  try {
    const judged = seen ?? (await earlier(engine, parsed.transaction.id));
    if (judged === null) return without("not-logged", "the log has lost what this earlier answer was judged by");
    const { explainVector, reasonsOf } = await import("./explain.ts");
    return { ...body, reasons: reasonsOf(judged.scorer, explainVector(judged.scorer, judged.vector)) };
  } catch (error) {
    if (error instanceof SentinelError && error.code === "ml.not-explainable") {
      return without("not-explainable", error.message);
    }
    engine.logger.warn({ version: body.model?.version, error: messageOf(error) }, "an answer has no reasons");
    return without("failed", "a fault kept the reasons away; the server's log tells it");
  }
}

/** What an earlier answer was judged by; null where the log has lost it. */
async function earlier(
  engine: Engine,
  transactionId: string,
): Promise<{ readonly vector: Float32Array; readonly scorer: Scorer } | null> {
  const record = await engine.log.find(transactionId);
  return record === null ? null : { vector: record.vector, scorer: await judgedBy(engine, record) };
}
