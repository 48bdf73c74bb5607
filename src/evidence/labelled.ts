// The labelled metrics of paired rows, each with its interval, and McNemar on the decisions.
import { DAY_MS } from "../core/duration.ts";
import { cardPrecision } from "../metrics/cards.ts";
import { AVERAGE_PRECISION, recallWithinBudget, recallWithinFpr } from "../metrics/ranked.ts";
import { BRIER, F1, PRECISION, RECALL, savings } from "../metrics/summed.ts";
import { DECISIONS } from "../pipeline/decisions.ts";
import { defaultsOf } from "../pipeline/section.ts";
import { type Alerts, type PairedInterval, pairedBootstraps } from "./bootstrap.ts";
import { type McNemar, mcnemarByLabel } from "./mcnemar.ts";

/** Rows with known labels, champion A and candidate B. */
export interface LabelledRows {
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly alerts: Alerts;
  readonly y: Uint8Array;
  readonly card: Int32Array;
  readonly amount: Float64Array;
  readonly weights?: Float64Array;
  /** Event times; rows of one day are dependent then, and cards per day can be counted. */
  readonly time?: Float64Array;
}

export interface LabelledOptions {
  readonly seed: number;
  readonly resamples?: number;
  readonly level?: number;
  /** Genuine rows that may be alerted, as a share. */
  readonly fpr?: number;
  /** Rows the review team looks at, as a share. */
  readonly reviewShare?: number;
  /** What looking at one alert costs, in units of the amount. */
  readonly reviewCost?: number;
}

export interface LabelledMetrics {
  readonly rows: number;
  readonly frauds: number;
  readonly averagePrecision: PairedInterval;
  readonly recallAtFpr: PairedInterval;
  readonly recallAtReview: PairedInterval;
  readonly precision: PairedInterval;
  readonly recall: PairedInterval;
  readonly f1: PairedInterval;
  readonly savings: PairedInterval;
  /** null where the rows have no times. */
  readonly cardPrecision: PairedInterval | null;
  readonly brier: PairedInterval;
  readonly decisions: { readonly frauds: McNemar; readonly genuine: McNemar };
}

/** Metrics that a promotion may be decided by. */
export type PrimaryMetric = "averagePrecision" | "recallAtFpr" | "cardPrecision" | "savings";

const { reviewShare: REVIEW_SHARE, reviewCost: REVIEW_COST } = defaultsOf(DECISIONS);

/** Null without a labelled fraud and a labelled genuine row: nothing can be compared then. */
export function labelledMetrics(rows: LabelledRows, options: LabelledOptions): LabelledMetrics | null {
  let frauds = 0;
  for (const label of rows.y) frauds += label;
  if (frauds === 0 || frauds === rows.y.length) return null;
  const { fpr = 0.01, reviewShare = REVIEW_SHARE, reviewCost = REVIEW_COST } = options;
  const day = rows.time === undefined ? undefined : Int32Array.from(rows.time, (time) => Math.floor(time / DAY_MS));
  const [averagePrecision, recallAtFpr, recallAtReview, precision, recall, f1, saved, brier, byCard] = pairedBootstraps(
    {
      ...rows,
      ...options,
      day,
      metrics: [
        AVERAGE_PRECISION,
        recallWithinFpr(fpr),
        recallWithinBudget(reviewShare),
        PRECISION,
        RECALL,
        F1,
        savings(reviewCost),
        BRIER,
        ...(day === undefined ? [] : [cardPrecision(cardsADay(rows, day, reviewShare))]),
      ],
    },
  );
  return {
    rows: rows.y.length,
    frauds,
    averagePrecision,
    recallAtFpr,
    recallAtReview,
    precision,
    recall,
    f1,
    savings: saved,
    cardPrecision: byCard ?? null,
    brier,
    decisions: mcnemarByLabel(rows.alerts, rows.y),
  };
}

/** Cards that the review budget pays for each day, one at least. */
function cardsADay({ weights, y }: LabelledRows, day: Int32Array, share: number): number {
  const all = weights === undefined ? y.length : weights.reduce((sum, weight) => sum + weight, 0);
  return Math.max(1, Math.round((share * all) / new Set(day).size));
}
