// The result of a validation, in the JSON that Great Expectations writes (SUMMARY format).
import type { ResultDetail } from "./definition.ts";

export interface ExceptionInfo {
  readonly raised_exception: boolean;
  readonly exception_traceback: null;
  readonly exception_message: string | null;
}

/** How a check ended; the word beyond GX's true and false says why it is false. */
export type CheckStatus = "passed" | "failed" | "errored" | "unsupported";

export interface ExpectationResult {
  readonly success: boolean;
  readonly expectation_config: {
    readonly type: string;
    readonly kwargs: Readonly<Record<string, unknown>>;
    readonly meta: Readonly<Record<string, unknown>>;
    readonly severity: "critical" | "warning" | "info";
    readonly id?: string;
    readonly notes?: string;
    readonly description?: string;
  };
  readonly result: ResultDetail;
  /** Free for the writer in GX; Sentinel puts its status here. */
  readonly meta: { readonly status: CheckStatus; readonly note?: string };
  readonly exception_info: ExceptionInfo;
}

export interface ValidationResult {
  readonly success: boolean;
  readonly suite_name: string;
  readonly suite_parameters: Readonly<Record<string, unknown>>;
  readonly id: null;
  readonly statistics: {
    readonly evaluated_expectations: number;
    readonly successful_expectations: number;
    readonly unsuccessful_expectations: number;
    /** null when there was nothing to evaluate. */
    readonly success_percent: number | null;
  };
  readonly results: readonly ExpectationResult[];
  readonly meta: { readonly evaluated_by: "sentinel"; readonly rows: number; readonly columns: readonly string[] };
}
