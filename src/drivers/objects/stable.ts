// A listing that held for a moment: two looks in a row that agree, because a look takes time and files come and go meanwhile.
import type { StoredObject } from "../../ports/objects.ts";

/** Looks; where something changes at every look the last one has to do. */
const LOOKS_MAX = 20;

/**
 * Looks until two looks agree. No name of an archive's file comes back once it is gone, so that what two looks agree about was there, all of it
 * at the same time, between them.
 */
export async function stableList(look: () => Promise<readonly StoredObject[]>): Promise<readonly StoredObject[]> {
  let before = await look();
  for (let looks = 1; looks < LOOKS_MAX; looks++) {
    const now = await look();
    if (alike(before, now)) return now;
    before = now;
  }
  return before;
}

function alike(one: readonly StoredObject[], other: readonly StoredObject[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ key, version }, i) => key === other[i].key && version === other[i].version)
  );
}
