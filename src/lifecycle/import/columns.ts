// Which feature each column of a foreign model takes: by its name, by a list in the model's order, or by a map.
import { SentinelError } from "../../core/errors.ts";
import { nearestName } from "../../core/nearest.ts";

/** How columns find their features. All null: by the model's own names. */
export interface ColumnChoice {
  /** Features in the model's order. */
  readonly features: readonly string[] | null;
  /** Column of the model → feature; columns that are not in it keep their name. */
  readonly map: ReadonlyMap<string, string> | null;
}

const FEATURES_SHOWN = 60;

/** For each column of the model the place of its feature. Errors: `lifecycle.columns-unknown`. */
export function mapColumns(
  model: { readonly names: readonly string[] | null; readonly width: number | null },
  given: { readonly features: readonly string[]; readonly choice: ColumnChoice },
): number[] {
  const { features, choice } = given;
  const wanted = wantedFeatures(model, choice);
  const places = wanted.map((name) => features.indexOf(name));
  const unknown = wanted.filter((_, i) => places[i] < 0);
  if (unknown.length > 0) {
    const near = nearestName(unknown[0], features);
    throw refused(
      `the model takes ${unknown.slice(0, 5).join(", ")}${unknown.length > 5 ? ` and ${unknown.length - 5} more` : ""}, which no feature of the pipeline is called`,
      `${near === null ? "" : `did you mean ${near}? `}name them with --columns or --features; the pipeline has: ${shown(features)}`,
    );
  }
  const twice = wanted.find((name, i) => wanted.indexOf(name) !== i);
  if (twice !== undefined) {
    throw refused(`two columns of the model take the feature ${twice}`, "give each column a feature of its own");
  }
  return places;
}

function wantedFeatures(
  model: { readonly names: readonly string[] | null; readonly width: number | null },
  { features, map }: ColumnChoice,
): readonly string[] {
  if (features !== null) {
    if (model.width === null || features.length === model.width) return features;
    throw refused(
      `--features names ${features.length} and the model takes ${model.width} columns`,
      `name ${model.width} features in the model's order`,
    );
  }
  const { names } = model;
  if (names === null) {
    throw refused(
      `the model does not name its ${model.width ?? ""} columns`,
      "name their features in the model's order: --features a,b,c",
    );
  }
  const stray = [...(map?.keys() ?? [])].find((name) => !names.includes(name));
  if (stray !== undefined) {
    throw refused(`--columns names ${stray}, which is no column of the model`, `the model has: ${shown(names)}`);
  }
  return names.map((name) => map?.get(name) ?? name);
}

function shown(names: readonly string[]): string {
  return names.slice(0, FEATURES_SHOWN).join(", ") + (names.length > FEATURES_SHOWN ? ", …" : "");
}

function refused(message: string, hint: string): SentinelError {
  return new SentinelError("lifecycle.columns-unknown", message, { hint });
}
