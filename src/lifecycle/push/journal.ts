// A journal on its way to a server: each entry with the versions' new numbers, and with what is needed to prove the original.

import { SentinelError } from "../../core/errors.ts";
import { verifyJournal } from "../../core/journal.ts";
import type { AdoptedEntry, JournalEntry } from "../../ports/registry.ts";
import type { Moved, PushPorts } from "./ends.ts";

/** Appends what the server lacks, then lets the aliases follow. A broken chain is not carried on. */
export async function pushJournal(
  { source, target, report }: PushPorts,
  given: {
    readonly model: string;
    readonly actor: string;
    readonly now: number;
    readonly numbers: Readonly<Record<string, string>>;
  },
): Promise<Moved & { readonly kept: readonly string[] }> {
  const { model, numbers } = given;
  const journal = await source.journal(model);
  const chain = verifyJournal(journal);
  if (!chain.ok) {
    throw new SentinelError("registry.corrupt", `the journal of ${model} is not what was written: ${chain.why}`, {
      hint: "see `sentinel registry verify`; a broken chain is not carried to a server",
    });
  }
  const documents = new Map<string, string>();
  for (const { evidence } of journal) {
    const text = evidence === "" || documents.has(evidence) ? null : await source.evidence(model, evidence);
    if (text !== null) documents.set(evidence, text);
  }
  const { added, kept } = await target.adopt({
    model,
    entries: journal.map((entry) => adopted(entry, numbers)),
    documents,
    actor: given.actor,
    at: given.now,
    progress: (done) => report.progress(`journal of ${model}`, done, journal.length),
  });
  return { moved: added, there: journal.length - added, kept };
}

/** A version that did not come along is no version there; its old number stays in the origin. */
function adopted(entry: JournalEntry, numbers: Readonly<Record<string, string>>): AdoptedEntry {
  const { index, previous, hash, from, to, also, origin: _none, ...fields } = entry;
  const number = (version: string | null): string | null => (version === null ? null : (numbers[version] ?? null));
  const here = { index, from, to, previous, hash, document: "" };
  if (also === undefined) return { ...fields, from: number(from), to: number(to), origin: here };
  return {
    ...fields,
    from: number(from),
    to: number(to),
    also: also.map((move) => ({ alias: move.alias, from: number(move.from), to: number(move.to) })),
    origin: { ...here, also },
  };
}
