// How far along its index a page looks: a little at first, and as far as it may only where that found too few.

/** Rows of the first look: most pages are full after it, and it costs a twentieth of the longest. */
const FIRST_SEEN_MAX = 500;

/**
 * The rows of one page. `look` gives those among the first `seenMax` rows along the index; a page of `wanted` rows needs no second look.
 * A database sorts what it looked at before it gives the first row, so that a look at fewer rows costs less, however many of them fit.
 */
export async function widening<Row>(
  wanted: number,
  seenMax: number,
  look: (seenMax: number) => Promise<readonly Row[]>,
): Promise<readonly Row[]> {
  const first = Math.max(FIRST_SEEN_MAX, wanted);
  if (first >= seenMax) return look(seenMax);
  const rows = await look(first);
  return rows.length >= wanted ? rows : look(seenMax);
}
