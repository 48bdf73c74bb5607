// The journal's copy on this machine: which of its lines are sound, and what it knows that the registry has lost.
import { journalHash } from "../../core/journal.ts";
import type { JournalCopy, JournalEntry } from "../../ports/registry.ts";
import type { Fault } from "./fault.ts";

export interface CopyReading {
  /** Sound entries of the model, by index. */
  readonly known: ReadonlyMap<number, JournalEntry>;
  readonly faults: readonly Fault[];
}

/** The end of an entry, its newline perhaps changed into something else. */
const WHOLE = /"hash":"[0-9a-f]{64}"\}.?$/;

const NOTHING: CopyReading = { known: new Map(), faults: [] };

/** Lines of other models are checked by their hash, too: a changed name must not hand a line to another model. */
export function readCopyLines(copy: JournalCopy | null, model: string): CopyReading {
  if (copy === null) return NOTHING;
  const known = new Map<number, JournalEntry>();
  const faults: Fault[] = [];
  for (const [at, line] of copy.lines.entries()) {
    if (line === "" || isTorn(copy.lines, at)) continue;
    const entry = parsed(line);
    if (entry === null || journalHash(entry) !== entry.hash) {
      const what = entry === null ? "is no entry" : `entry ${entry.index} was changed after it was written`;
      faults.push({ what: "copy", line: at + 1, file: copy.where, message: `${copy.where}, line ${at + 1}: ${what}` });
      continue;
    }
    if (entry.model !== model) continue;
    const twin = known.get(entry.index);
    if (twin !== undefined && twin.hash !== entry.hash) {
      const message = `${copy.where}, line ${at + 1}: another entry ${entry.index} than an earlier line`;
      faults.push({ what: "copy", line: at + 1, file: copy.where, entry: entry.index, message });
    } else known.set(entry.index, entry);
  }
  return { known, faults };
}

/** What the copy has and the registry has not, and gaps in the copy. */
export function compareWithCopy(
  entries: readonly JournalEntry[],
  reading: CopyReading,
  copy: JournalCopy | null,
): Fault[] {
  if (copy === null) return [];
  const faults: Fault[] = [];
  const newest = Math.max(-1, ...reading.known.keys());
  for (let index = 0; index <= newest; index++) {
    if (index >= entries.length) {
      const message = `the copy on this machine has entry ${index}, the registry's journal ends before it`;
      faults.push({ what: "journal", entry: index, message });
    } else if (!reading.known.has(index)) {
      faults.push({ what: "copy", entry: index, file: copy.where, message: `${copy.where} lacks entry ${index}` });
    }
  }
  return faults;
}

/** A process that died while it appended leaves the beginning of a line, whose entry stands whole in the next one. */
function isTorn(lines: readonly string[], at: number): boolean {
  const line = lines[at];
  if (at === lines.length - 1) return !WHOLE.test(line);
  return parsed(line) === null && lines[at + 1].length > line.length && lines[at + 1].startsWith(line);
}

function parsed(line: string): JournalEntry | null {
  try {
    const entry = JSON.parse(line) as Partial<JournalEntry> | null;
    const sound = typeof entry?.model === "string" && Number.isSafeInteger(entry.index);
    return sound && typeof entry.hash === "string" && JSON.stringify(entry) === line ? (entry as JournalEntry) : null;
  } catch {
    return null;
  }
}
