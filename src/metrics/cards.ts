// Card Precision@k: how many of the cards that a team looks at each day are compromised.
import type { Scores } from "./metric.ts";
import { descending } from "./ranking.ts";

/**
 * Card Precision@k of the Fraud Detection Handbook (Le Borgne et al. 2022, ch. 4): each day, in order, the k cards with
 * the highest transaction score are looked at; a card is compromised when one of its transactions that day is a fraud, and
 * once found it is left out of the later days. The mean over days of compromised cards found / k. Ties go to the smaller
 * card code. A card is looked at once however often its rows count, so that weights only tell which rows are there: those
 * over 0. NaN without days.
 */
export function cardPrecisionAtK(input: {
  readonly scores: Scores;
  readonly y: Uint8Array;
  readonly card: Int32Array;
  readonly day: Int32Array;
  readonly k: number;
  readonly weights?: Float64Array;
}): number {
  const rowsOfDay = new Map<number, number[]>();
  for (let r = 0; r < input.scores.length; r++) {
    if (input.weights?.[r] === 0) continue;
    const rows = rowsOfDay.get(input.day[r]);
    if (rows === undefined) rowsOfDay.set(input.day[r], [r]);
    else rows.push(r);
  }
  const found = new Set<number>();
  let sum = 0;
  for (const day of [...rowsOfDay.keys()].sort((a, b) => a - b)) {
    const hits = topCards(input, { rows: rowsOfDay.get(day)!, leftOut: found });
    sum += hits.length / input.k;
    for (const card of hits) found.add(card);
  }
  return sum / rowsOfDay.size;
}

/** The compromised among one day's top k cards. */
function topCards(
  input: Parameters<typeof cardPrecisionAtK>[0],
  day: { readonly rows: readonly number[]; readonly leftOut: ReadonlySet<number> },
): number[] {
  const cards = new Map<number, { score: number; fraud: boolean }>();
  for (const r of day.rows) {
    if (day.leftOut.has(input.card[r])) continue;
    const seen = cards.get(input.card[r]) ?? { score: Number.NEGATIVE_INFINITY, fraud: false };
    cards.set(input.card[r], {
      score: Math.max(seen.score, input.scores[r]),
      fraud: seen.fraud || input.y[r] === 1,
    });
  }
  const codes = Int32Array.from(cards.keys()).sort();
  const order = descending(Float64Array.from(codes, (code) => cards.get(code)!.score));
  return Array.from(order.subarray(0, input.k), (at) => codes[at]).filter((code) => cards.get(code)!.fraud);
}
