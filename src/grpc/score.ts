// Score: one transaction in, one decision out, as POST /predict answers it.
import { answer } from "../online/answer.ts";
import { explainedAnswer } from "../online/explained.ts";
import type { Parsed } from "../online/parse.ts";
import type { Reply } from "../online/reply.ts";
import { type Door, engineOf, messageOfJson, type UnaryMethod, within } from "./calls.ts";
import type { GrpcEngine } from "./parts.ts";
import { transactionIn } from "./transaction.ts";

export function scoreMethod(door: Door): UnaryMethod {
  return {
    terms: { need: "predict", shed: true, streams: false },
    run(call) {
      const engine = engineOf(door, call);
      const parsed = engine.parser.parse(transactionIn(call.request), engine.ports.clock.now());
      const next = answerOf(engine, parsed, call.request.explain === true);
      return next instanceof Promise ? within(door, { engine, answer: next }).then(messageOfJson) : messageOfJson(next);
    },
  };
}

/** The answer to a transaction, with reasons where they are asked for. */
export function answerOf(engine: GrpcEngine, parsed: Parsed, explain: boolean): Reply | Promise<Reply> {
  return explain ? explainedAnswer(engine, parsed) : answer(engine, parsed);
}
