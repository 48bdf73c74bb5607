// Decks of columns: for each of the upper places of a tree, all columns shuffled, so that every column stands there equally often.
import type { Random } from "../../../core/random.ts";

/** Places numbered as in a heap from 1, the root, up to here, the seventh level's last, are dealt from decks. */
export const DEALT_PLACES = 127;

/** Deals columns to places; a place has had all columns before one comes again. */
export interface Decks {
  deal(place: number): number;
}

/**
 * A forest's score is a mean over trees, and which columns its upper cuts ask is most of its noise. Dealing them instead
 * of drawing them is stratified sampling: the same mean, less noise.
 */
export function makeDecks(columns: Int32Array, random: Random): Decks {
  const decks = Array.from({ length: DEALT_PLACES + 1 }, () => columns.slice());
  const left = new Int32Array(DEALT_PLACES + 1);
  return {
    deal(place) {
      if (left[place] === 0) {
        random.shuffle(decks[place]);
        left[place] = columns.length;
      }
      return decks[place][--left[place]];
    },
  };
}
