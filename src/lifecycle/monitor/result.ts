// What monitor found, as plain data.
import type { DriftReport } from "../../drift/monitor.ts";
import type { UnlistedShare } from "../../drift/unlisted.ts";
import type { InputReport } from "../../features/trained-inputs.ts";
import type { ScoreEffect } from "./effect.ts";

export interface Performance {
  readonly rows: number;
  readonly frauds: number;
  readonly averagePrecision: number;
  readonly averagePrecisionAtTraining: number;
  readonly recallAtReview: number;
  readonly precisionAtReview: number;
  readonly alarm: boolean;
  /** Of a fall: up to when labels had to be final for it to show, epoch ms; null where there is none. */
  readonly since: number | null;
}

export interface MonitorResult {
  readonly alarm: boolean;
  readonly reasons: readonly string[];
  readonly version: string;
  readonly source: string;
  readonly from: number;
  readonly to: number;
  /** When the drift began, as far as the log tells, epoch ms; null without drift. Of a table only its window is known. */
  readonly since: number | null;
  readonly drift: DriftReport;
  /** What the features that moved do to the score. */
  readonly effects: readonly ScoreEffect[];
  /** null while too few labels have matured. */
  readonly performance: Performance | null;
  /** How the log's newest transactions feed the champion, beside what its training saw; null for a table. */
  readonly served: InputReport | null;
  /** By category feature, the share of values that its list does not have. */
  readonly unlisted: readonly UnlistedShare[];
}
