// The journal's hash chain: each entry seals the one before, so that a later change to any of them shows.
import { canonicalJson, sha256 } from "./hash.ts";

/** What makes an entry a link of the chain. `previous` is "" in the first. */
export interface ChainLink {
  readonly index: number;
  readonly previous: string;
  readonly hash: string;
}

/** `badIndex` is the place in the list (from 0) where the chain breaks, null when it holds. */
export interface JournalCheck {
  readonly ok: boolean;
  readonly badIndex: number | null;
  readonly why: string;
}

/** An alias on its way from one version to another; null: no version. */
export interface AliasMove {
  readonly alias: string;
  readonly from: string | null;
  readonly to: string | null;
}

/**
 * Every alias that an entry moved, the entry's own first. A damaged `also` gives what of it can be read: whoever walks a journal
 * must reach the check that names the damage.
 */
export function movesOf(entry: AliasMove & { readonly also?: readonly AliasMove[] }): readonly AliasMove[] {
  const { alias, from, to, also } = entry;
  const others = Array.isArray(also) ? also.filter((move) => typeof move?.alias === "string") : [];
  return [{ alias, from, to }, ...others];
}

/** The moves of one alias, in the order of the entries, each with the entry that tells it. */
export function movesOfAlias<Entry extends AliasMove & { readonly also?: readonly AliasMove[] }>(
  entries: readonly Entry[],
  alias: string,
): readonly (AliasMove & { readonly entry: Entry })[] {
  return entries.flatMap((entry) =>
    movesOf(entry)
      .filter((move) => move.alias === alias)
      .map((move) => ({ ...move, entry })),
  );
}

/** SHA-256 over every field but `hash`, in canonical JSON. */
export function journalHash(entry: Omit<ChainLink, "hash">): string {
  const { hash: _own, ...sealed } = entry as ChainLink;
  return sha256(canonicalJson(sealed));
}

/** An entry from which a person was erased: it keeps its seal, so that those after it hold, and is no longer what the seal was made of. */
export interface ErasedContent {
  readonly entry: ChainLink & { readonly erased: string };
  /** SHA-256 of what it holds since. */
  readonly content: string;
}

/** `receipt` says of which erasure. */
export function erasedEntry(entry: ChainLink, receipt: string): ErasedContent {
  const marked = { ...entry, erased: receipt };
  return { entry: marked, content: journalHash(marked) };
}

/** Whether an entry says of itself that a person was erased from it; whether that is so, the audit knows. */
export function isErased(entry: ChainLink): boolean {
  const { erased } = entry as { readonly erased?: unknown };
  return typeof erased === "string" && erased !== "";
}

/** Whether an entry is what its seal was made of, or says that a person was erased from it. */
export function holdsSeal(entry: ChainLink): boolean {
  return isErased(entry) || entry.hash === journalHash(entry);
}

/** The entry that follows `last` (null: the first of its journal). */
export function nextEntry<Fields extends object>(fields: Fields, last: ChainLink | null): Fields & ChainLink {
  const open = { ...fields, index: last === null ? 0 : last.index + 1, previous: last?.hash ?? "" };
  return { ...open, hash: journalHash(open) };
}

/** Frozen lists that were found whole: what cannot have changed since is not hashed again. */
const found = new WeakSet<readonly ChainLink[]>();

/**
 * Checks a whole journal, oldest first. It finds a changed, removed, added or reordered entry. What no chain can show alone is
 * a journal cut off at its end or rewritten from some point on; comparing the last hash with a copy kept elsewhere does.
 */
export function verifyJournal(entries: readonly ChainLink[]): JournalCheck {
  let previous = "";
  if (found.has(entries)) return { ok: true, badIndex: null, why: "" };
  for (const [place, entry] of entries.entries()) {
    const why = faultOf(entry, { place, previous });
    if (why !== "") return { ok: false, badIndex: place, why };
    previous = entry.hash;
  }
  if (Object.isFrozen(entries) && entries.every((entry) => Object.isFrozen(entry))) found.add(entries);
  return { ok: true, badIndex: null, why: "" };
}

function faultOf(entry: ChainLink, expected: { readonly place: number; readonly previous: string }): string {
  const { place, previous } = expected;
  if (entry.index !== place)
    return `entry ${entry.index} stands where ${place} belongs: one was removed, added or moved`;
  if (entry.previous !== previous) return `entry ${place} does not follow the entry before it`;
  if (!holdsSeal(entry)) return `entry ${place} was changed after it was written`;
  return "";
}
