// The coverage ledger: every shadow that happened or did not, counted by version and reason, and told to the log.
import { type Coverage, type PredictionLog, SHADOW_MISSES, type ShadowMiss } from "../../ports/log.ts";

interface Counts {
  scored: number;
  readonly missed: Record<ShadowMiss, number>;
}

/** Counts in memory, for the metrics since the start; the difference since the last flush goes to the log. */
export class Ledger {
  private readonly log: PredictionLog;
  private readonly total = new Map<string, Counts>();
  private readonly fresh = new Map<string, Counts>();

  constructor(log: PredictionLog) {
    this.log = log;
  }

  scored(version: string, count = 1): void {
    countsOf(this.total, version).scored += count;
    countsOf(this.fresh, version).scored += count;
  }

  missed(version: string, reason: ShadowMiss, count = 1): void {
    countsOf(this.total, version).missed[reason] += count;
    countsOf(this.fresh, version).missed[reason] += count;
  }

  /** Since this server started. */
  coverage(): readonly Coverage[] {
    return [...this.total].map(([version, counts]) => ({ version, ...counts }));
  }

  flush(): void {
    for (const [version, { scored, missed }] of this.fresh) this.log.addCoverage(version, scored, missed);
    this.fresh.clear();
  }
}

function countsOf(counts: Map<string, Counts>, version: string): Counts {
  let own = counts.get(version);
  if (own === undefined) {
    const missed = Object.fromEntries(SHADOW_MISSES.map((reason) => [reason, 0])) as Record<ShadowMiss, number>;
    own = { scored: 0, missed };
    counts.set(version, own);
  }
  return own;
}
