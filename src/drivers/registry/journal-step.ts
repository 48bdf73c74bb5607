// A step of the journal before it has its place in the chain: what every driver writes of a move, and nothing else that callers may hold.
import type { JournalEntry, Registry } from "../../ports/registry.ts";

export type JournalStep = Omit<JournalEntry, "index" | "previous" | "hash">;

/** In the entry's own order of fields. `also` is left out where no other alias moves, as in entries from before there was such a field. */
export function stepOf(input: Parameters<Registry["moveAlias"]>[0]): JournalStep {
  const { model, alias, from, to, entry } = input;
  const also = (input.also ?? []).map((move) => ({ alias: move.alias, from: move.from, to: move.to }));
  const { at, actor, verb, verdict, evidence, reason } = entry;
  const words = { at, actor, verb, verdict, evidence, reason };
  return { model, alias, from, to, ...(also.length === 0 ? {} : { also }), ...words };
}
