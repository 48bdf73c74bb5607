// Evaluate: how good one version is on the rows of a labelled table that it did not learn from; figures and curves.

import { readFileSync } from "node:fs";
import { messageOf, SentinelError } from "../core/errors.ts";
import { type Curve, precisionRecallCurve, reliabilityCurve, rocCurve } from "../metrics/curves.ts";
import { loadVersion, scoreRows } from "../online/score.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import type { Registry } from "../ports/registry.ts";
import { judgeable, type ModelWord } from "./data/judge-by.ts";
import { curveCsv, metricsJson, type ResultFiles } from "./data/result-files.ts";
import { reportUnlabelled } from "./data/source.ts";
import { vectorsOf } from "./data/vectors.ts";
import { decidedRows, judgedRows, type Metrics, metricsOf, readData } from "./train.ts";

export interface EvaluateResult {
  readonly version: string;
  readonly bundle: string;
  readonly path: string;
  /** The model that serves, or its judged twin where the table has no later days than those that the refitted model learned from. */
  readonly model: ModelWord;
  /** Event time of the first row judged: what the version learned from, and the days whose labels it could not know, lie before. */
  readonly from: number;
  readonly rows: number;
  readonly metrics: Metrics;
  readonly curves: { readonly precisionRecall: Curve; readonly roc: Curve; readonly calibration: Curve };
}

/**
 * `to` names a version; without it the one whose bundle `trained` names (what `train --out` left), else the candidate, else
 * the champion. Errors: lifecycle.no-candidate, lifecycle.not-enough-data, registry.*, dataset.*.
 */
export async function evaluateVersion(
  ports: Ports,
  input: {
    readonly pipeline: Pipeline;
    readonly path: string;
    readonly to: string | null;
    readonly trained: string | null;
  },
): Promise<EvaluateResult> {
  const { pipeline, path } = input;
  const { model } = pipeline;
  const registry = await ports.registry();
  const version = input.to ?? (await versionOf(registry, model, input.trained));
  const loaded = await loadVersion(registry, { model, version });
  const source = await readData(ports, pipeline, { path, plans: [loaded.plan] });
  reportUnlabelled(ports, source, pipeline);
  const { scorers, from, rows } = judgeable(source, pipeline, [loaded]);
  const [{ scorer, model: judgedModel }] = scorers;
  if (rows.length === 0) {
    throw new SentinelError(
      "lifecycle.not-enough-data",
      `${path} has no labelled transactions after ${new Date(from).toISOString().slice(0, 10)}, the day from which version ${version} can be judged`,
      { hint: "evaluate on newer data" },
    );
  }
  const { x } = vectorsOf(source.table, { plan: scorer.plan, pipeline, report: ports.report });
  const scores = scoreRows(scorer, x, rows);
  const judged = judgedRows(source, rows, pipeline);
  const { thresholds, policy = null } = scorer.manifest;
  const decided = decidedRows({ thresholds, policy }, { scores, x, rows });
  return {
    version,
    bundle: scorer.bundle,
    model: judgedModel,
    path,
    from,
    rows: rows.length,
    metrics: metricsOf(scores, judged, { thresholds, reviewShare: pipeline.decisions.reviewShare, ...decided }),
    curves: {
      precisionRecall: precisionRecallCurve(scores, judged.y),
      roc: rocCurve(scores, judged.y),
      calibration: reliabilityCurve(scores, judged.y),
    },
  };
}

/** metrics.json and one CSV a curve; nothing in them depends on the clock, the machine or the version's number. */
export function evaluateResults({ metrics, curves }: EvaluateResult): ResultFiles {
  return {
    "metrics.json": metricsJson(metrics),
    "precision-recall.csv": curveCsv(curves.precisionRecall),
    "roc.csv": curveCsv(curves.roc),
    "calibration.csv": curveCsv(curves.calibration),
  };
}

async function versionOf(registry: Registry, model: string, trained: string | null): Promise<string> {
  if (trained !== null) return versionWith(registry, model, { bundle: bundleIn(trained), file: trained });
  const { candidate, champion } = await registry.aliases(model);
  const version = candidate ?? champion;
  if (version !== undefined) return version;
  throw new SentinelError("lifecycle.no-candidate", `${model} has neither candidate nor champion to evaluate`, {
    hint: "train one: `sentinel train`, or name a version with --to",
  });
}

/** The newest version with this bundle. */
async function versionWith(
  registry: Registry,
  model: string,
  wanted: { readonly bundle: string; readonly file: string },
): Promise<string> {
  const found = (await registry.versions(model)).filter(({ bundle }) => bundle === wanted.bundle).at(-1);
  if (found !== undefined) return found.version;
  throw new SentinelError(
    "lifecycle.no-candidate",
    `${registry.where} has no version of ${model} with the bundle ${wanted.bundle.slice(0, 12)} that ${wanted.file} names`,
    {
      hint: "the model was trained into another registry: train again (`dvc repro --force train`), or set MLFLOW_TRACKING_URI to the one that has it",
    },
  );
}

function bundleIn(file: string): string {
  const wrong = (what: string): SentinelError =>
    new SentinelError("lifecycle.no-candidate", `${file} names no bundle: ${what}`, {
      hint: "name the train.json that `sentinel train --out DIR` left after its gates passed",
    });
  let bundle: unknown;
  try {
    ({ bundle } = JSON.parse(readFileSync(file, "utf8")) as { readonly bundle?: unknown });
  } catch (error) {
    throw wrong(messageOf(error));
  }
  if (typeof bundle !== "string" || bundle === "") throw wrong("a gate said no to that training");
  return bundle;
}
