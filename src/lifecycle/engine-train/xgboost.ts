// The pipeline's parameters in XGBoost's words, for trees that an engine boosts.
import { SentinelError } from "../../core/errors.ts";
import type { ColumnKind } from "../../ml/gbdt/train/kinds.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { BoostJob } from "../../ports/engine.ts";

export interface Asked {
  readonly parameters: BoostJob["parameters"];
  /** What XGBoost does otherwise, in sentences. */
  readonly notes: readonly string[];
}

/** XGBoost's directions of monotone columns. */
const DIRECTIONS: Readonly<Record<ColumnKind, number>> = { number: 0, category: 0, increasing: 1, decreasing: -1 };

/** `learned` counts the rows to learn from. Errors: pipeline.invalid for what XGBoost cannot do. */
export function xgboostParameters(
  { modelParameters, file }: Pick<Pipeline, "modelParameters" | "file">,
  given: {
    readonly kinds: readonly ColumnKind[];
    readonly seed: number;
    readonly learned: { readonly count: number; readonly frauds: number };
  },
): Asked {
  const { kinds, seed, learned } = given;
  const own = modelParameters;
  if (own.gossTop !== undefined) {
    throw new SentinelError(
      "pipeline.invalid",
      `${file}: model_parameters.goss_top: XGBoost does not sample by gradients`,
      {
        hint: "give row_sample instead of goss_top and goss_rest, or train on one machine",
      },
    );
  }
  const hasCategories = kinds.includes("category");
  const parameters: BoostJob["parameters"] = {
    tree_method: "hist",
    eval_metric: "logloss",
    n_estimators: own.trees,
    learning_rate: own.learningRate,
    max_depth: own.depthMax,
    ...(own.leavesMax === undefined ? {} : { grow_policy: "lossguide", max_leaves: own.leavesMax }),
    reg_lambda: own.lambda,
    reg_alpha: own.alpha,
    gamma: own.gamma,
    min_child_weight: own.minChildWeight,
    subsample: own.rowSample,
    colsample_bytree: own.columnSample,
    max_bin: own.binsMax,
    scale_pos_weight: own.scalePositive,
    base_score: own.startRate === "observed" ? observedRate(learned, own.scalePositive) : own.startRate,
    ...(kinds.some((kind) => DIRECTIONS[kind] !== 0)
      ? { monotone_constraints: `(${kinds.map((kind) => DIRECTIONS[kind]).join(",")})` }
      : {}),
    ...(hasCategories ? { feature_types: kinds.map((kind) => (kind === "category" ? "c" : "q")) } : {}),
    ...(own.earlyStoppingRounds === 0 ? {} : { early_stopping_rounds: own.earlyStoppingRounds }),
    random_state: seed,
  };
  const notes = hasCategories
    ? [
        "XGBoost splits categories by its own rules: category_rows_min, category_lambda and category_smoothing are not asked.",
      ]
    : [];
  return { parameters, notes };
}

/** The share of frauds, each counted `weight` times. */
function observedRate({ count, frauds }: { readonly count: number; readonly frauds: number }, weight: number): number {
  return (weight * frauds) / (weight * frauds + count - frauds);
}
