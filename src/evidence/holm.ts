// Holm's adjustment: many questions at once, and the chance of any false yes stays what one question had.

/**
 * Adjusted p values in the order given (Holm 1979): the question is answered yes at α where its own is ≤ α. Needs no independence.
 * NaN stands for a question that could not be asked; it counts for nothing.
 */
export function holm(pValues: readonly number[]): number[] {
  const asked = pValues.flatMap((p, place) => (Number.isNaN(p) ? [] : [{ p, place }])).sort((a, b) => a.p - b.p);
  const adjusted = pValues.map(() => Number.NaN);
  let least = 0;
  for (const [rank, { p, place }] of asked.entries()) {
    least = Math.max(least, Math.min(1, p * (asked.length - rank)));
    adjusted[place] = least;
  }
  return adjusted;
}
