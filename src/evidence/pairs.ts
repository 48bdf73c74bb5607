// Shadow pairs as columns: what champion (A) and candidate (B) said about the same transactions.
import type { Decision } from "../core/decision.ts";
import type { ShadowPair } from "../ports/log.ts";

export const DECISIONS: readonly Decision[] = ["approve", "review", "block"];

/** Label codes of a row. */
export const GENUINE = 0;
export const FRAUD = 1;
export const UNLABELLED = 2;

export interface PairColumns {
  readonly rows: number;
  /** Scores of champion and candidate. */
  readonly a: Float64Array;
  readonly b: Float64Array;
  /** Index into {@link DECISIONS}. */
  readonly decisionA: Uint8Array;
  readonly decisionB: Uint8Array;
  readonly label: Uint8Array;
  readonly labelKnownAt: Float64Array;
  readonly time: Float64Array;
  readonly amount: Float64Array;
  readonly card: Int32Array;
  readonly cards: number;
  readonly latencyMsA: Float64Array;
  readonly latencyMsB: Float64Array;
  /** Versions of the champion seen; more than one when it changed during the shadow. */
  readonly championVersions: readonly string[];
  /** True when there were more pairs than `rowsMax`; the oldest ones were used. */
  readonly truncated: boolean;
  /** Pairs left out because a score was not finite or a decision unknown. */
  readonly unusable: number;
}

/** About 90 bytes per row, twice that while reading. */
const ROWS_MAX = 2_000_000;

/** Reads pairs until they end or `rowsMax` is reached. */
export async function collectPairs(
  pairs: AsyncIterable<ShadowPair> | Iterable<ShadowPair>,
  options: { readonly rowsMax?: number } = {},
): Promise<PairColumns> {
  const { rowsMax = ROWS_MAX } = options;
  const kept: number[][] = Array.from({ length: COLUMNS }, () => []);
  const cards = new Map<string, number>();
  const versions = new Set<string>();
  let truncated = false;
  let unusable = 0;
  for await (const pair of pairs) {
    if (kept[0].length >= rowsMax) {
      truncated = true;
      break;
    }
    if (!isUsable(pair)) {
      unusable++;
      continue;
    }
    const card = cards.get(pair.card) ?? cards.size;
    cards.set(pair.card, card);
    versions.add(pair.champion.version);
    const cells = cellsOf(pair, card);
    for (let column = 0; column < COLUMNS; column++) kept[column].push(cells[column]);
  }
  return {
    rows: kept[0].length,
    a: Float64Array.from(kept[0]),
    b: Float64Array.from(kept[1]),
    decisionA: Uint8Array.from(kept[2]),
    decisionB: Uint8Array.from(kept[3]),
    label: Uint8Array.from(kept[4]),
    labelKnownAt: Float64Array.from(kept[5]),
    time: Float64Array.from(kept[6]),
    amount: Float64Array.from(kept[7]),
    latencyMsA: Float64Array.from(kept[8]),
    latencyMsB: Float64Array.from(kept[9]),
    card: Int32Array.from(kept[10]),
    cards: cards.size,
    championVersions: [...versions],
    truncated,
    unusable,
  };
}

/** Pairs from the reign of one champion: a comparison with another one says nothing about it. */
export async function* pairsAgainst(
  pairs: AsyncIterable<ShadowPair>,
  champion: string | null,
): AsyncIterable<ShadowPair> {
  for await (const pair of pairs) if (pair.champion.version === champion) yield pair;
}

const COLUMNS = 11;

function isUsable({ champion, candidate }: ShadowPair): boolean {
  const sides = [champion, candidate];
  return sides.every((side) => Number.isFinite(side.score) && DECISIONS.includes(side.decision));
}

function cellsOf(pair: ShadowPair, card: number): number[] {
  return [
    pair.champion.score,
    pair.candidate.score,
    DECISIONS.indexOf(pair.champion.decision),
    DECISIONS.indexOf(pair.candidate.decision),
    pair.fraud === null ? UNLABELLED : pair.fraud ? FRAUD : GENUINE,
    pair.labelKnownAt ?? Number.NaN,
    pair.time,
    pair.amount,
    pair.championLatencyMs,
    pair.latencyMs,
    card,
  ];
}
