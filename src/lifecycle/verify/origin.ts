// Entries that `registry push` brought: the entry each was is put together again and its hash compared.
import { journalHash } from "../../core/journal.ts";
import type { JournalEntry, Registry } from "../../ports/registry.ts";
import type { Fault } from "./fault.ts";

/** The originals must have their hashes and be a chain of their own. */
export async function originFaults(registry: Registry, entries: readonly JournalEntry[]): Promise<Fault[]> {
  const faults: Fault[] = [];
  const hashes = new Set(entries.map(({ origin }) => origin?.hash));
  for (const entry of entries) {
    const { origin } = entry;
    if (origin === undefined) continue;
    const original = await originalOf(registry, entry);
    const wrong =
      original === null
        ? "the document with its whole text is gone"
        : journalHash(original) !== origin.hash
          ? "its original does not have the hash it names"
          : origin.previous !== "" && !hashes.has(origin.previous)
            ? "the original before it is missing"
            : "";
    if (wrong !== "") {
      const message = `entry ${entry.index}, pushed from entry ${origin.index} of another registry: ${wrong}`;
      faults.push({ what: "origin", entry: entry.index, field: "origin", message });
    }
  }
  return faults;
}

/** The entry as it was where it came from; null when it cannot be had. */
async function originalOf(registry: Registry, entry: JournalEntry): Promise<JournalEntry | null> {
  const { origin, ...rest } = entry;
  if (origin === undefined) return null;
  const { document, ...was } = origin;
  if (document === "") return { ...rest, ...was };
  try {
    return JSON.parse((await registry.evidence(entry.model, document)) ?? "") as JournalEntry;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
