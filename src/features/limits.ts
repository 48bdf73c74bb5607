// Limits of the feature state: how late, how many keys, how finely a busy key is kept.
import { HOUR_MS } from "../core/duration.ts";

/** Bounds of a state; all of them part of its behaviour, so two states agree only with equal limits. */
export interface StateLimits {
  /** A transaction this much older than the latest is still learned, in its place in time; an older one is read but not learned. */
  readonly latenessMs: number;
  /** Keys kept per series; beyond it the keys silent longest are given up, an eighth at a time. */
  readonly keysMax: number;
  /** Ids remembered against learning a retry twice. */
  readonly idsMax: number;
  /** Length of a tile; a window's edge is uncertain by at most this for a busy key. */
  readonly tileMs: number;
  /** Transactions of one key kept singly in a tile. */
  readonly tileEvents: number;
}

export const STATE_LIMITS: StateLimits = {
  latenessMs: HOUR_MS,
  keysMax: 4_000_000,
  idsMax: 4_000_000,
  tileMs: HOUR_MS,
  tileEvents: 16,
};

/** Lengths that tiles have where windows are short: seconds, each a divisor of an hour. */
const FINE_TILES_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800];
/** Of a window, this part at most is uncertain at its edge. */
const TILES_PER_WINDOW = 12;
/** Tiles within a key's retention: what bounds the memory of a key that never rests. */
const TILES_PER_KEY_MAX = 25_000;

/**
 * The length of tiles, in milliseconds, for windows of which the shortest is `shortestMs`: an hour is most of a window of five minutes. Longer
 * where the same key is kept so long (`retentionMs`) that its tiles would be too many; an hour at most.
 */
export function fineTileMs({
  shortestMs,
  retentionMs,
}: {
  readonly shortestMs: number;
  readonly retentionMs: number;
}): number {
  const lengths = FINE_TILES_S.map((seconds) => seconds * 1000);
  const wanted = lengths.findLast((ms) => ms <= shortestMs / TILES_PER_WINDOW) ?? lengths[0];
  const least = lengths.find((ms) => ms >= retentionMs / TILES_PER_KEY_MAX) ?? HOUR_MS;
  return shortestMs / TILES_PER_WINDOW >= HOUR_MS ? HOUR_MS : Math.max(wanted, least);
}
