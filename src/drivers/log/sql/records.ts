// What is on its way into a log: records in their order, and counts for the ledger of shadows.
import type { LabelRecord, PredictionRecord, ShadowRecord } from "../../../ports/log.ts";

/** One record on its way to the log. */
export type LogRecord =
  | { readonly kind: "prediction"; readonly record: Omit<PredictionRecord, "sequence"> }
  | { readonly kind: "label"; readonly record: Omit<LabelRecord, "sequence"> }
  | { readonly kind: "shadow"; readonly record: ShadowRecord };

/** Shadows that happened or did not, to be added to the ledger. */
export interface CoverageCount {
  readonly version: string;
  readonly outcome: string;
  readonly count: number;
}
