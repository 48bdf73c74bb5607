// What `train --out` leaves in a folder: which bundle was made of what, its figures, and the learning curve.
import { curveCsv, metricsJson, type ResultFiles } from "../data/result-files.ts";
import type { TrainResult } from "./task.ts";

/**
 * train.json (which `evaluate --trained` reads), metrics.json and learning.csv. Nothing in them depends on the clock, the machine or the registry, so the same
 * training leaves the same files. `bundle` is "" when a gate said no.
 */
export function trainResults(result: TrainResult, model: string): ResultFiles {
  const { fitted, lineage } = result;
  const trained = {
    model,
    bundle: result.version?.bundle ?? "",
    data: lineage?.source.hash ?? "",
    features: lineage?.featureHash ?? "",
    pipeline: lineage?.pipeline.hash ?? "",
    seed: lineage?.seed ?? null,
    gates: Object.fromEntries(result.verdicts.map(({ gate, verdict }) => [gate, verdict])),
  };
  const train = fitted?.curve.train ?? [];
  const validation = fitted?.curve.validation ?? [];
  const last = (fitted?.rounds ?? 0) - 1;
  const metrics =
    fitted === null
      ? {}
      : {
          trees: fitted.rounds,
          log_loss: { train: train[last] ?? Number.NaN, validation: validation[last] ?? Number.NaN },
          average_precision: {
            without_anomaly_score: fitted.ablation?.without ?? Number.NaN,
            with_anomaly_score: fitted.ablation?.with ?? Number.NaN,
          },
        };
  return {
    "train.json": `${JSON.stringify(trained, null, 2)}\n`,
    "metrics.json": metricsJson(metrics),
    "learning.csv": curveCsv({ trees: train.map((_, i) => i + 1), train, validation }),
  };
}
