// Explain: what every feature added to a score, as POST /explain answers it.
import { explanationOf } from "../online/explanation.ts";
import { type Door, engineOf, messageOfJson, type UnaryMethod, within } from "./calls.ts";
import type { Message } from "./contract.ts";
import type { GrpcEngine } from "./parts.ts";
import { transactionIn } from "./transaction.ts";

export function explainMethod(door: Door): UnaryMethod {
  return {
    terms: { need: "predict", shed: true, streams: false },
    async run(call) {
      const engine = engineOf(door, call);
      const { against } = call.request as { readonly against?: string };
      const what = { transaction: whatIn(engine, call.request), against: against || null };
      return messageOfJson(await explanationOf(engine, what, (looking) => within(door, { engine, answer: looking })));
    },
  };
}

/** A transaction, or the id of one alone. */
function whatIn({ pipeline }: GrpcEngine, request: Message): unknown {
  const { transaction_id: id } = request as { readonly transaction_id?: string };
  return id === undefined ? transactionIn(request) : { [pipeline.columns.id]: id };
}
