// What each feature means to the trees, by the feature spec and the pipeline.
import { SentinelError } from "../../core/errors.ts";
import { nearestName } from "../../core/nearest.ts";
import type { FeatureSpec } from "../../features/spec.ts";
import type { ColumnKind } from "../../ml/gbdt/kinds.ts";
import type { Pipeline } from "../pipeline.ts";

/** One kind a feature, in the spec's order. Errors: `pipeline.invalid` naming a constraint on no feature. */
export function columnKinds(spec: FeatureSpec, pipeline: Pipeline): ColumnKind[] {
  const monotone = pipeline.modelParameters.monotone ?? {};
  const names = spec.features.map(({ name }) => name);
  for (const name of Object.keys(monotone)) {
    if (names.includes(name)) continue;
    const nearest = nearestName(name, names);
    const fault = `model_parameters.monotone: spec ${spec.name} has no feature ${name}`;
    throw new SentinelError("pipeline.invalid", `${pipeline.file}: ${fault}`, {
      hint: nearest === null ? `its features are ${names.join(", ")}` : `did you mean ${nearest}?`,
    });
  }
  return names.map((name) => (Object.hasOwn(monotone, name) ? monotone[name] : "number"));
}
