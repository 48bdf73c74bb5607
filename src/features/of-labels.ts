// Which features are made of labels, wholly or in part: what they say of a transaction is what is known of frauds near it.
import { namesIn } from "../expression/compile.ts";
import type { FeatureDef } from "./definition.ts";
import type { FeatureSpec } from "./spec.ts";

/** By name; a feature computed of such ones is one too. */
export function featuresOfLabels(spec: FeatureSpec): ReadonlySet<string> {
  const found = new Set<string>();
  for (const def of spec.features) if (isOfLabels(def, found)) found.add(def.name);
  return found;
}

function isOfLabels(def: FeatureDef, earlier: ReadonlySet<string>): boolean {
  switch (def.kind) {
    case "window":
      return def.derived === undefined && ["frauds", "genuine", "fraud-rate"].includes(def.over);
    case "elapsed":
      return def.since.endsWith("fraud");
    case "neighbours":
      return def.measure !== "count";
    case "since-fraud":
    case "two-hops":
    case "fraud-value":
    case "fraud-run":
      return true;
    case "ratio":
      return earlier.has(def.numerator) || earlier.has(def.denominator);
    case "difference":
      return earlier.has(def.of) || earlier.has(def.minus);
    case "expression":
      return namesIn(def.sql).some((name) => earlier.has(name));
    default:
      return false;
  }
}
