// Imports and learned categories: a model that takes one by its number needs the very list of values that it was trained on.
import { SentinelError } from "../../core/errors.ts";
import type { OpenSpec } from "../../features/open.ts";
import { learnedNames } from "../../features/open.ts";
import type { CategoryMeaning } from "./encoders.ts";
import type { ForeignFile } from "./read.ts";

/**
 * Stops an import whose model reads a learned category as a number: the values would be learned anew from this table, and their places need not
 * be those of the model's training. A model that keeps the values themselves is translated by them. Errors: lifecycle.columns-unknown.
 */
export function checkLearned(
  model: ForeignFile["model"],
  given: { readonly spec: OpenSpec; readonly features: readonly string[]; readonly meaning: CategoryMeaning | null },
): void {
  const learned = learnedNames(given.spec);
  const own = "encoders" in model ? model.encoders : new Map<number, readonly unknown[]>();
  const isByValue = (column: number): boolean => {
    const values = own.get(column);
    return values !== undefined && (given.meaning === "values" || values.some((value) => typeof value !== "number"));
  };
  const name = given.features.find((feature, column) => learned.includes(feature) && !isByValue(column));
  if (name === undefined) return;
  throw new SentinelError(
    "lifecycle.columns-unknown",
    `the model takes the category ${name} as a number, and spec ${given.spec.name} learns its values anew from each table: the number of a value may be another than in the model's training`,
    {
      hint: "use the list that the model was trained on: copy the FILE.spec.json that `sentinel featurise` wrote beside the training's table to features/NAME.json, and say `features: NAME` in the pipeline",
    },
  );
}
