// Every fault of a journal: entries that are not what was written, links that do not hold, and what the copy says of both.
import { canonicalJson } from "../../core/hash.ts";
import { journalHash } from "../../core/journal.ts";
import type { JournalEntry } from "../../ports/registry.ts";
import type { Fault } from "./fault.ts";

/** The fields that an entry's hash covers, and the hash. */
const FIELDS = [
  "index",
  "model",
  "alias",
  "from",
  "to",
  "also",
  "at",
  "actor",
  "verb",
  "verdict",
  "evidence",
  "reason",
  "origin",
  "previous",
  "hash",
] as const satisfies readonly (keyof JournalEntry)[];

/** `known` has sound entries of the same model from the copy, by index. */
export function journalFaults(entries: readonly JournalEntry[], known: ReadonlyMap<number, JournalEntry>): Fault[] {
  const faults: Fault[] = [];
  let previous: { readonly entry: JournalEntry; readonly own: string } | null = null;
  for (const [place, entry] of entries.entries()) {
    const own = journalHash(entry);
    if (entry.index !== place) {
      const message = `entry ${entry.index} stands where ${place} belongs: one was removed, added or moved`;
      faults.push({ what: "journal", entry: place, field: "index", message });
    }
    if (own !== entry.hash) faults.push(changed(entry, { place, own, known, next: entries[place + 1] }));
    else if (!follows(entry, previous)) {
      const message = `entry ${place} does not follow the entry before it`;
      faults.push({ what: "journal", entry: place, field: "previous", message });
    } else if (known.get(place) !== undefined && known.get(place)?.hash !== entry.hash) {
      const field = differing(entry, known.get(place)!).join(", ");
      const message = `entry ${place} is sound in itself, but the copy on this machine has another: ${field} differ`;
      faults.push({ what: "journal", entry: place, field, message });
    }
    previous = { entry, own };
  }
  return faults;
}

/** A damaged entry does not make the next one a fault, too. */
function follows(
  entry: JournalEntry,
  previous: { readonly entry: JournalEntry; readonly own: string } | null,
): boolean {
  if (previous === null) return entry.previous === "";
  if (previous.own !== previous.entry.hash) return true;
  return entry.previous === previous.entry.hash;
}

/** Which field it was: by the copy, or by what the next entry says the hash was. */
function changed(
  entry: JournalEntry,
  given: {
    readonly place: number;
    readonly own: string;
    readonly known: ReadonlyMap<number, JournalEntry>;
    readonly next: JournalEntry | undefined;
  },
): Fault {
  const { place, own, known, next } = given;
  const sound = known.get(place);
  let field = "";
  if (sound !== undefined) field = differing(entry, sound).join(", ");
  else if (next?.previous === own) field = "hash";
  const which = field === "" ? "one of its fields" : field;
  const message = `entry ${place} was changed after it was written: ${which}`;
  return { what: "journal", entry: place, ...(field === "" ? {} : { field }), message };
}

function differing(entry: JournalEntry, sound: JournalEntry): string[] {
  return FIELDS.filter((field) => canonicalJson(entry[field]) !== canonicalJson(sound[field]));
}
