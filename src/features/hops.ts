// Hops: what a state keeps with each transaction of one key about another key of it, as known when it came.
import { canonicalJson } from "../core/hash.ts";

/** How many known frauds a transaction's other key had in the time before it. */
export interface Hop {
  readonly key: readonly string[];
  readonly withinMs: number;
}

/** In front of a hop's description: no table can have such a name, and it is none of an identity's, an expression's or a carried feature's. */
const MARK = "\u0004";

/** The name under which a state keeps the counts. */
export function hopColumn(hop: Hop): string {
  return MARK + canonicalJson({ key: hop.key, withinMs: hop.withinMs });
}

/** What a name describes; null for every other column. */
export function hopOf(name: string): Hop | null {
  return name.startsWith(MARK) ? (JSON.parse(name.slice(MARK.length)) as Hop) : null;
}
