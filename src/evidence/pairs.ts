// Shadow pairs as columns: what champion (A) and candidate (B) said about the same transactions.
import { DECISIONS } from "../core/decision.ts";
import type { PairOptions, PredictionLog, ShadowPair } from "../ports/log.ts";

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
  /** 1 where the answer was to block. */
  readonly blocked: Uint8Array;
  /** The chance with which a row that the answering model blocks was let through; NaN where nothing was drawn. */
  readonly propensity: Float64Array;
  readonly time: Float64Array;
  readonly amount: Float64Array;
  readonly card: Int32Array;
  readonly cards: number;
  readonly latencyMsA: Float64Array;
  readonly latencyMsB: Float64Array;
  /** Versions of the champion seen; more than one when it changed during the shadow. */
  readonly championVersions: readonly string[];
  /** True when there were more pairs than `rowsMax`; the newest ones were used. */
  readonly truncated: boolean;
  /** Pairs left out because a score was not finite or a decision unknown. */
  readonly unusable: number;
  /** Pairs left out because one of the models has learned from days that late. */
  readonly learned: number;
}

/** About 110 bytes per row, twice that while reading. */
export const PAIRS_MAX = 2_000_000;

/** Reads pairs in order of time until they end, and keeps the newest `rowsMax`: what the models do now is what is asked. */
export async function collectPairs(
  pairs: AsyncIterable<ShadowPair> | Iterable<ShadowPair>,
  options: {
    readonly rowsMax?: number;
    /** Event time before which a model of the two has learned: such pairs are no evidence (default −∞). */
    readonly learnedUpTo?: number;
  } = {},
): Promise<PairColumns> {
  const { rowsMax = PAIRS_MAX, learnedUpTo = Number.NEGATIVE_INFINITY } = options;
  const cells = new Newest(rowsMax);
  const cards = new Map<string, number>();
  const versions = new Set<string>();
  let unusable = 0;
  let learned = 0;
  for await (const pair of pairs) {
    if (pair.time < learnedUpTo) {
      learned++;
      continue;
    }
    if (!isUsable(pair)) {
      unusable++;
      continue;
    }
    const card = cards.get(pair.card) ?? cards.size;
    cards.set(pair.card, card);
    versions.add(pair.champion.version);
    cells.add(cellsOf(pair, card));
  }
  const card = Int32Array.from(cells.column(10));
  return {
    rows: cells.rows,
    a: cells.column(0),
    b: cells.column(1),
    decisionA: Uint8Array.from(cells.column(2)),
    decisionB: Uint8Array.from(cells.column(3)),
    label: Uint8Array.from(cells.column(4)),
    labelKnownAt: cells.column(5),
    time: cells.column(6),
    amount: cells.column(7),
    latencyMsA: cells.column(8),
    latencyMsB: cells.column(9),
    blocked: Uint8Array.from(cells.column(11)),
    propensity: cells.column(12),
    ...numbered(card),
    championVersions: [...versions],
    truncated: cells.truncated,
    unusable,
    learned,
  };
}

/** Cards that are left, numbered from 0 in the order in which they come. */
function numbered(card: Int32Array): { readonly card: Int32Array; readonly cards: number } {
  const numbers = new Map<number, number>();
  for (const [row, old] of card.entries()) {
    const number = numbers.get(old) ?? numbers.size;
    numbers.set(old, number);
    card[row] = number;
  }
  return { card, cards: numbers.size };
}

/** Rows of cells, the newest of them: typed columns that grow to a limit and then go round. */
class Newest {
  rows = 0;
  truncated = false;
  private readonly rowsMax: number;
  private columns: Float64Array[] = Array.from({ length: COLUMNS }, () => new Float64Array(1024));
  /** Where the next row goes. */
  private next = 0;

  constructor(rowsMax: number) {
    this.rowsMax = rowsMax;
  }

  add(cells: readonly number[]): void {
    if (this.rows === this.rowsMax) {
      this.truncated = true;
      if (this.rowsMax === 0) return;
    } else {
      if (this.rows === this.columns[0].length) this.grow();
      this.rows++;
    }
    for (let column = 0; column < COLUMNS; column++) this.columns[column][this.next] = cells[column];
    this.next = (this.next + 1) % this.rowsMax;
  }

  /** Oldest first. */
  column(index: number): Float64Array {
    const cells = this.columns[index];
    const ordered = new Float64Array(this.rows);
    const oldest = this.truncated ? this.next : 0;
    ordered.set(cells.subarray(oldest, this.rows));
    ordered.set(cells.subarray(0, oldest), this.rows - oldest);
    return ordered;
  }

  private grow(): void {
    this.columns = this.columns.map((cells) => {
      const larger = new Float64Array(Math.min(this.rowsMax, cells.length * 2));
      larger.set(cells);
      return larger;
    });
  }
}

/** Pairs from the reign of one champion: a comparison with another one says nothing about it. */
export async function* pairsAgainst(
  pairs: AsyncIterable<ShadowPair>,
  champion: string | null,
): AsyncIterable<ShadowPair> {
  for await (const pair of pairs) if (pair.champion.version === champion) yield pair;
}

/** About 200 bytes each while pairs are read. */
const BESIDE_MAX = 500_000;

/**
 * Also those from before that reign, when both shadowed another champion: of the same transactions, seen through the same features, what either
 * said is known, and which of the two answers by now makes no difference to it. So a candidate that waits does not begin anew with each
 * promotion of another one.
 */
export async function* pairsBeside(
  log: Pick<PredictionLog, "pairs">,
  { candidate, champion }: { readonly candidate: string; readonly champion: string | null },
  options: PairOptions = {},
): AsyncIterable<ShadowPair> {
  const beside = new Map<string, Pick<ShadowPair, "candidate" | "latencyMs">>();
  if (champion !== null) {
    const newest = Math.min(options.newest ?? BESIDE_MAX, BESIDE_MAX);
    for await (const { transactionId, candidate: said, latencyMs } of log.pairs(champion, { newest }))
      beside.set(transactionId, { candidate: said, latencyMs });
  }
  for await (const pair of log.pairs(candidate, options)) {
    const other = beside.get(pair.transactionId);
    if (pair.champion.version === champion) yield pair;
    else if (other !== undefined) yield { ...pair, champion: other.candidate, championLatencyMs: other.latencyMs };
  }
}

const COLUMNS = 13;

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
    pair.answered === "block" ? 1 : 0,
    pair.propensity ?? Number.NaN,
  ];
}
