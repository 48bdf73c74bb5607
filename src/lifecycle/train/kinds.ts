// What each feature means to the trees, by the feature spec and the pipeline.
import { SentinelError } from "../../core/errors.ts";
import { nearestName } from "../../core/nearest.ts";
import { featuresOfLabels } from "../../features/of-labels.ts";
import type { FeatureSpec } from "../../features/spec.ts";
import type { ColumnKind } from "../../ml/gbdt/train/kinds.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { ANOMALY_FEATURE } from "./fit.ts";

/** The features whose numbers only say which. */
export function categoryNames(spec: FeatureSpec): string[] {
  return spec.features.filter(({ kind }) => kind === "category").map(({ name }) => name);
}

/**
 * Places of the features that the Isolation Forest looks at: those that no label has a part in. It is there for kinds of fraud that no label has shown, and
 * known frauds near by make a row strange, too. All of them where a spec has no others.
 */
export function habitColumns(spec: FeatureSpec): Int32Array {
  const ofLabels = featuresOfLabels(spec);
  const places = Int32Array.from(spec.features.keys());
  const habits = places.filter((place) => !ofLabels.has(spec.features[place].name));
  return habits.length === 0 ? places : habits;
}

/**
 * One kind per feature, in the spec's order: categories are split into sets, others may have a direction. Errors:
 * `pipeline.invalid` naming a direction for no feature, or for a category; `features.spec-invalid` for a feature of the name that
 * the anomaly score has among the trees' inputs.
 */
export function columnKinds(spec: FeatureSpec, pipeline: Pipeline): ColumnKind[] {
  const monotone = pipeline.modelParameters.monotone ?? {};
  const names = spec.features.map(({ name }) => name);
  const categories = categoryNames(spec);
  if (names.includes(ANOMALY_FEATURE)) {
    throw new SentinelError("features.spec-invalid", `spec ${spec.name}: no feature can be called ${ANOMALY_FEATURE}`, {
      hint: "the Isolation Forest's score has this name among the inputs of the trees: give the feature another",
    });
  }
  for (const name of Object.keys(monotone)) {
    const refuse = (fault: string, hint: string): never => {
      throw new SentinelError("pipeline.invalid", `${pipeline.file}: model_parameters.monotone: ${fault}`, { hint });
    };
    if (categories.includes(name)) refuse(`feature ${name} is a category, which has no order`, "leave it out");
    if (names.includes(name)) continue;
    const nearest = nearestName(name, names);
    const hint = nearest === null ? `its features are ${names.join(", ")}` : `did you mean ${nearest}?`;
    refuse(`spec ${spec.name} has no feature ${name}`, hint);
  }
  return names.map((name) => {
    if (categories.includes(name)) return "category";
    return Object.hasOwn(monotone, name) ? monotone[name] : "number";
  });
}
