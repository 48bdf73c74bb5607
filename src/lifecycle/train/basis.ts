// What a training stands on: table, slices, vectors and seed, made once and handed to each of its parts.
import type { Check } from "../../core/verdict.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import type { FeatureState } from "../../features/state.ts";
import type { IsolationForest } from "../../ml/iforest/model.ts";
import type { Matrix } from "../../ml/matrix.ts";
import type { Scorer } from "../../online/score.ts";
import type { Source } from "../data/source.ts";
import type { JudgedRows } from "./evaluate.ts";
import type { Split } from "./split.ts";

/** Rows at hand, in one order everywhere. */
export interface TrainRows {
  readonly source: Source;
  readonly split: Split;
  /** A vector for each row of the source. */
  readonly x: Matrix;
  /** The feature state at the end of the data; null where no process had it as a whole. */
  readonly state: FeatureState | null;
  /** Grown already, where the rows to learn from are not all at hand. */
  readonly forest?: IsolationForest;
  /** Values of the judged days that the days to learn from never had. */
  unseen(): Check | null;
  /** The rows' vectors by the features of another model. */
  vectorsBy(scorer: Scorer): Promise<Matrix>;
}

/** What the parts of one training all work on, made once. */
export interface Basis extends Omit<TrainRows, "state" | "forest"> {
  readonly plan: FeaturePlan;
  /** Of the evaluation slice. */
  readonly rows: JudgedRows;
  /** Of every random draw. */
  readonly seed: number;
}

/** As much of it as learning once more asks for. */
export type LearningBasis = Omit<Basis, "unseen" | "vectorsBy">;
