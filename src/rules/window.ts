// A window of a rule: what a feature state is asked for, as the feature of kind `window` that it becomes.
import type { DerivedValue } from "../core/window.ts";

/** Equal windows have equal names. Field for field a feature definition, which rules and features do not know of each other. */
export interface RuleWindow {
  readonly kind: "window";
  readonly name: string;
  readonly key: readonly string[];
  readonly over: string;
  readonly aggregate?: "count" | "sum" | "mean" | "std" | "min" | "max" | "distinct";
  readonly window: string;
  readonly current: boolean;
  /** In place of the column `over`. */
  readonly derived?: DerivedValue;
}
