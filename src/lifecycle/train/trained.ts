// What training leaves behind before it becomes a bundle: models, slices, scores and where they come from.
import type { Matrix } from "../../ml/matrix.ts";
import type { BundleManifest, Provenance } from "../../online/bundle.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Metrics } from "./evaluate.ts";
import type { Fitted } from "./fit.ts";
import type { FeatureImportance } from "./importance.ts";
import type { Refit } from "./refit.ts";
import type { Split } from "./split.ts";

/** All that a bundle is made from. */
export interface Trained {
  readonly pipeline: Pipeline;
  readonly spec: BundleManifest["features"];
  /** The judged models: every figure here is about them. */
  readonly fitted: Fitted;
  /** The models that serve in their place; null where the judged ones serve. */
  readonly refit: Refit | null;
  readonly split: Split;
  /** Vectors, labels, times and amounts of the evaluation slice, with its scores. */
  readonly evaluation: {
    readonly x: Matrix;
    readonly y: Uint8Array;
    readonly time: Float64Array;
    /** NaN where one is missing. */
    readonly amount: Float64Array;
    readonly card: Int32Array;
    readonly scores: Float32Array;
    readonly anomaly: Float32Array;
  };
  /** Vectors of the newest days that the trees did not learn, the reference for drift. */
  readonly recent: Matrix;
  /** Event times of these rows, and what they belong to: their cards, and every other key that features have. */
  readonly recentRows: { readonly times: Float64Array; readonly owners: readonly Int32Array[] };
  readonly metrics: Metrics;
  readonly importance: readonly FeatureImportance[];
  readonly trainedUpTo: number;
  readonly provenance: Provenance;
}
