// What a retraining's recipe makes of the rows: how much each of them counts.
import { largest } from "../../core/stats.ts";
import type { Recipe } from "./task.ts";

/** Of each row, 1 for the newest and half as much for each half-life that it is older; undefined where all count the same. */
export function weightsOf(recipe: Recipe | undefined, times: Float64Array): Float32Array | undefined {
  const halfLifeMs = recipe?.halfLifeMs;
  if (halfLifeMs === undefined) return undefined;
  const newest = largest(times);
  return Float32Array.from(times, (time) => 2 ** (-(newest - time) / halfLifeMs));
}
