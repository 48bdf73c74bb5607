// How an entry of the journal stands on an MLflow server: its key, its sealed text, and what becomes of a text that is not what was written.
import { sha256 } from "../../../core/hash.ts";
import type { JournalEntry } from "../../../ports/registry.ts";

const KEY = /^entry\.(\d{8})$/;
/** MLflow cuts a longer parameter without a word. */
export const VALUE_MAX = 6_000;

export function keyOf({ index }: Pick<JournalEntry, "index">): string {
  return `entry.${String(index).padStart(8, "0")}`;
}

/** The place in the chain that a parameter's key names; null for a parameter that is no entry. */
export function placeOf(key: string): number | null {
  const place = KEY.exec(key)?.[1];
  return place === undefined ? null : Number(place);
}

/** The whole text is sealed, the nonce too: one changed byte anywhere in the parameter shows. */
export function stored(entry: JournalEntry, nonce: string): string {
  const open = JSON.stringify({ entry, nonce }).slice(0, -1);
  return `${open}${SEAL}${sealOf(open)}"}`;
}

const SEAL = ',"seal":"';

function sealOf(text: string): string {
  return sha256(text).slice(0, 16);
}

/** A parameter that is not exactly what was written there, under its own key, is an entry that fails the chain's check. */
export function parsed(value: string, place: number): JournalEntry {
  try {
    const { entry } = JSON.parse(value) as { readonly entry: JournalEntry };
    const open = value.slice(0, value.lastIndexOf(SEAL));
    if (entry.index === place && value === `${open}${SEAL}${sealOf(open)}"}`) return entry;
    if (entry.index === place && Object.hasOwn(entry, "hash")) return { ...entry, hash: "" };
  } catch {}
  const nothing = { verdict: "", evidence: "", reason: value.slice(0, 200), previous: "", hash: "" };
  return { index: place, model: "", alias: "", from: null, to: null, at: 0, actor: "", verb: "import", ...nothing };
}
