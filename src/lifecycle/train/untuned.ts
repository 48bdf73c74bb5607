// Untuned: the pipeline's own parameters on the same rows, whose figures stand beside those of a tuned model.
import { takeMatrixRows } from "../../ml/matrix.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import type { Registry } from "../../ports/registry.ts";
import { type Lineage, lineageDataset, lineageTags } from "../lineage/lineage.ts";
import type { Basis } from "./basis.ts";
import { decidedRows, metricsOf } from "./evaluate.ts";
import { type Fitted, scoresOf } from "./fit.ts";
import { flatParameters } from "./judge.ts";
import type { Untuned } from "./task.ts";

/** What was fitted by the pipeline's own parameters, its calibration and thresholds included, judged on the tuned model's rows. */
export function judgeUntuned(
  fitted: Fitted,
  { x, split, rows }: Basis,
  { reviewShare }: Pick<Pipeline["decisions"], "reviewShare">,
): Untuned {
  const evaluateX = takeMatrixRows(x, split.evaluate.rows);
  const { scores } = scoresOf(fitted, evaluateX);
  const { thresholds } = fitted;
  const decided = decidedRows(fitted, { scores, x: evaluateX });
  return { rounds: fitted.rounds, metrics: metricsOf(scores, rows, { thresholds, reviewShare, ...decided }) };
}

/** As a child of the training's run, with the metrics that the run itself has, so that MLflow compares them. */
export async function logUntuned(
  ports: Ports,
  given: {
    readonly registry: Registry;
    readonly pipeline: Pipeline;
    readonly parent: string;
    readonly untuned: Untuned;
    readonly lineage: Lineage;
    readonly seed: number;
  },
): Promise<void> {
  const { registry, pipeline, parent, untuned, seed } = given;
  const at = ports.clock.now();
  const parameters = { ...flatParameters(pipeline.modelParameters), seed };
  const lineage: Lineage = { ...given.lineage, parameters };
  const runId = await registry.startRun({
    experiment: pipeline.name,
    name: "untuned",
    startedAt: at,
    user: lineage.actor,
    tags: { ...lineageTags(lineage), "mlflow.parentRunId": parent, "sentinel.verb": "untuned" },
  });
  await registry.logRun(runId, {
    params: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, String(value)])),
    metrics: Object.entries(untuned.metrics).map(([key, value]) => ({ key, value })),
    datasets: lineageDataset(lineage),
    at,
  });
  await registry.endRun(runId, "FINISHED", ports.clock.now());
}
