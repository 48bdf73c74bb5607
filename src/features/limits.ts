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
