// What a training stands on: table, slices, vectors and seed, made once and handed to each of its parts.
import type { FeaturePlan } from "../../features/plan.ts";
import type { Matrix } from "../../ml/matrix.ts";
import type { Source } from "../data/source.ts";
import type { JudgedRows } from "./evaluate.ts";
import type { Split } from "./split.ts";

/** What the parts of one training all work on, made once. */
export interface Basis {
  readonly source: Source;
  readonly split: Split;
  /** A vector for each row of the source. */
  readonly x: Matrix;
  readonly plan: FeaturePlan;
  /** Of the evaluation slice. */
  readonly rows: JudgedRows;
  /** Of every random draw. */
  readonly seed: number;
}
