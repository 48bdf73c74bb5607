// One simulated candidate of `bench -- evidence`: the promotion gate, asked at the end of every day, and what a spreadsheet would have said.
import { DAY_MS } from "../src/core/duration.ts";
import { mean, standardDeviation } from "../src/core/stats.ts";
import type { PairedInterval } from "../src/evidence/bootstrap.ts";
import { type PromotionPolicy, promotionGate } from "../src/evidence/promotion.ts";
import { shadowReport } from "../src/evidence/report.ts";
import { averagePrecision } from "../src/metrics/metrics.ts";
import type { Coverage } from "../src/ports/log.ts";
import { ROWS_A_DAY, simulate, until, type World } from "./evidence-world.ts";

export const DAYS = 60;
/** Of the interval for one look, on the days on which that is looked at; the gate itself draws nothing. With 399, 2.5 % of them and one are a whole number. */
const RESAMPLES = 399;
const RESAMPLES_UNUSED = 2;
/** Days on which the interval for one look is looked at. */
export const ONE_LOOKS = [30, 60];
/** What a t-test at 5 %, both sides, asks of very many days; it is a little more of few. */
const T_LIMIT = 1.96;
const FRAUDS_MIN = 50;
const POLICY: Partial<PromotionPolicy> = { fraudsMin: FRAUDS_MIN, daysMin: 7 };

/** What became of one candidate; days from 1, null where it never happened. */
export interface Path {
  readonly promoted: number | null;
  readonly rejected: number | null;
  /** The first day on which a t-test of the daily differences so far said "better". */
  readonly promotedByT: number | null;
  /** The first day on which the gain exceeded twice its standard error: an interval for one look, looked at daily. */
  readonly promotedByOneLook: number | null;
  /** Whether the interval for one look held the truth, on each of {@link ONE_LOOKS}; null where there were too few frauds. */
  readonly covered: readonly (boolean | null)[];
  /** Whether the sequence held it on all days. */
  readonly coveredAlways: boolean;
}

/** Asks the gate at the end of every day. It goes on after a verdict, because coverage is asked of all days. */
export function follow(
  seed: number,
  given: { readonly world: World; readonly truth: number; readonly mode: PromotionPolicy["mode"] },
): Path {
  const { world, truth, mode } = given;
  const pairs = simulate(seed, world);
  const daily = dailyDifferences(pairs);
  const path = { promoted: none(), rejected: none(), promotedByT: none(), promotedByOneLook: none() };
  const covered: (boolean | null)[] = ONE_LOOKS.map(() => null);
  let coveredAlways = true;
  for (let day = 1; day <= DAYS; day++) {
    const so = daily.slice(0, day).filter((difference) => !Number.isNaN(difference));
    if (so.length > 2 && mean(so) / (standardDeviation(so) / Math.sqrt(so.length)) > T_LIMIT) path.promotedByT ??= day;
    const report = shadowReport(until(pairs, day), {
      now: day * DAY_MS + DAY_MS,
      maturityMs: DAY_MS,
      seed,
      resamples: ONE_LOOKS.includes(day) ? RESAMPLES : RESAMPLES_UNUSED,
    });
    const { verdict } = promotionGate({ report, coverage: ALL, policy: { ...POLICY, mode } });
    const decided = path.promoted !== null || path.rejected !== null;
    if (!decided && verdict === "PROMOTE") path.promoted = day;
    if (!decided && verdict === "REJECT") path.rejected = day;
    const interval = report.metrics?.averagePrecision ?? null;
    // Of fewer frauds the gate concludes nothing, whatever the intervals say.
    if (interval === null || interval.frauds < FRAUDS_MIN) continue;
    if (interval.difference > T_LIMIT * interval.standardError) path.promotedByOneLook ??= day;
    const look = ONE_LOOKS.indexOf(day);
    if (look >= 0) covered[look] = interval.low <= truth && truth <= interval.high;
    coveredAlways &&= holds(interval, truth);
  }
  return { ...path, covered, coveredAlways };
}

function none(): number | null {
  return null;
}

function holds({ anytimeLow, anytimeHigh }: PairedInterval, truth: number): boolean {
  return anytimeLow <= truth && truth <= anytimeHigh;
}

/** Average precision of each day alone, candidate less champion: what a spreadsheet would test. NaN without a fraud. */
function dailyDifferences(pairs: ReturnType<typeof simulate>): number[] {
  return Array.from({ length: DAYS }, (_, day) => {
    const rows = Array.from({ length: ROWS_A_DAY }, (_, i) => day * ROWS_A_DAY + i).filter(
      (row) => pairs.label[row] < 2,
    );
    const y = Uint8Array.from(rows, (row) => pairs.label[row]);
    const of = (scores: Float64Array): number =>
      averagePrecision(
        Float64Array.from(rows, (row) => scores[row]),
        y,
      );
    return of(pairs.b) - of(pairs.a);
  });
}

const ALL: Coverage = {
  version: "2",
  scored: 1,
  missed: { "sampled-out": 0, "queue-full": 0, timeout: 0, "breaker-open": 0, error: 0, "spec-not-warm": 0 },
};
