// Registry: what a model's journal tells, checked while it is read, and who was champion when.
import { SentinelError } from "../core/errors.ts";
import { type JournalCheck, movesOfAlias, verifyJournal } from "../core/journal.ts";
import type { Ports } from "../ports/ports.ts";
import type { JournalEntry, Registry } from "../ports/registry.ts";

export interface History {
  readonly model: string;
  /** Oldest first. */
  readonly entries: readonly JournalEntry[];
  readonly chain: JournalCheck;
  /** In words: what was at hand and not believed. */
  readonly notes: readonly string[];
}

export interface Reign {
  readonly model: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** null: there was no champion. */
  readonly version: string | null;
  /** The entry that began the reign, or ended the one before. */
  readonly entry: JournalEntry | null;
  readonly chain: JournalCheck;
  readonly notes: readonly string[];
}

/**
 * The registry, with what a killed process left of a step completed. Who may only read, or finds the server away, gets it as it is: the
 * next call tells what is wrong.
 */
export async function openRegistry(
  ports: Pick<Ports, "registry">,
  model: string,
): Promise<{ readonly registry: Registry; readonly completed: JournalEntry | null }> {
  const registry = await ports.registry();
  return { registry, completed: await recovered(registry, model) };
}

/** As {@link openRegistry}, of a registry that is open. */
export async function recovered(registry: Registry, model: string): Promise<JournalEntry | null> {
  try {
    return await registry.recover(model);
  } catch (error) {
    if (!(error instanceof SentinelError)) throw error;
    return null;
  }
}

/** The journal of a model. Errors: those of the registry; a broken chain is an answer. */
export async function history(ports: Pick<Ports, "registry">, model: string): Promise<History> {
  const notes: string[] = [];
  const { registry } = await openRegistry(ports, model);
  const entries = await registry.journal(model, { doubt: (what) => notes.push(what) });
  return { model, entries, chain: verifyJournal(entries), notes };
}

/** Who was champion at a time, by the journal. Errors: as of {@link history}. */
export async function championAt(
  ports: Pick<Ports, "registry">,
  asked: { readonly model: string; readonly at: number },
): Promise<Reign> {
  const { entries, chain, notes } = await history(ports, asked.model);
  // The newest by its time, the later of equal ones: pushed entries are older than those before them.
  let reign: { readonly to: string | null; readonly entry: JournalEntry } | null = null;
  for (const move of movesOfAlias(entries, "champion")) {
    const { at } = move.entry;
    if (at <= asked.at && (reign === null || at >= reign.entry.at)) reign = move;
  }
  return { ...asked, version: reign?.to ?? null, entry: reign?.entry ?? null, chain, notes };
}
