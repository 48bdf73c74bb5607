// Assembling a bundle: every file of one version, from fitted models; same inputs, same bytes.
import type { BundleFiles } from "../../core/bundle.ts";
import { decide } from "../../core/decision.ts";
import { buildReference } from "../../drift/reference.ts";
import { buildSwing } from "../../drift/swing.ts";
import { specHash } from "../../features/spec.ts";
import { countAlerts } from "../../metrics/summed.ts";
import { encodeGbdt } from "../../ml/gbdt/model.ts";
import { encodeForest } from "../../ml/iforest/model.ts";
import { copyRow } from "../../ml/matrix.ts";
import { exportOnnx } from "../../ml/onnx/export.ts";
import { BUNDLE_FORMAT, type BundleManifest, type GoldenRow, jsonFile, textFile } from "../../online/bundle.ts";
import { cardText } from "./card.ts";
import { type Fitted, scoresOf } from "./fit.ts";
import { categoryNames } from "./kinds.ts";
import { mlmodelFiles } from "./mlmodel.ts";
import { trainingReport } from "./report.ts";
import type { Trained } from "./trained.ts";

/** Rows a loaded bundle must reproduce; spread over the evaluation slice, frauds included. */
const GOLDEN_ROWS = 32;

/** The bundle's files by name. */
export function assembleBundle(trained: Trained): BundleFiles {
  const { pipeline, split, shipped } = trained;
  const { fitted } = answering(trained);
  const manifest: BundleManifest = {
    format: BUNDLE_FORMAT,
    model: pipeline.model,
    pipeline: pipeline.name,
    features: trained.spec,
    featureHash: specHash(trained.spec),
    anomalyAsFeature: fitted.anomalyAsFeature,
    calibration: fitted.calibration,
    thresholds: { review: Math.fround(fitted.thresholds.review), block: Math.fround(fitted.thresholds.block) },
    labelDelayMs: pipeline.labels.delayMs,
    learnedUpTo: Math.floor(shipped === undefined ? split.calibrate.to : split.evaluate.to),
    trainedUpTo: trained.trainedUpTo,
    provenance: trained.provenance,
    ...(fitted.model.kind === "graph" ? { engine: { kind: "onnx", margin: fitted.model.graph.marginName } } : {}),
  };
  const { names } = trained.evaluation.x;
  const golden = goldenRows(trained, manifest);
  return new Map<string, Uint8Array>([
    ["bundle.json", jsonFile(manifest)],
    ...modelFiles(fitted, names),
    ["forest.bin", encodeForest(fitted.forest)],
    ...mlmodelFiles(names, golden),
    ...referenceFiles(trained, manifest.thresholds.review),
    ["golden.json", jsonFile({ rows: golden })],
    ["metrics.json", jsonFile(metricsOf(trained))],
    ["card.md", textFile(cardText(trained, manifest))],
    ["report.html", textFile(trainingReport(trained, manifest))],
  ]);
}

/** The models that the bundle answers with, and what they say about the evaluation slice. */
export function answering(trained: Trained): {
  readonly fitted: Fitted;
  readonly scores: Float32Array;
  readonly anomaly: Float32Array;
} {
  return trained.shipped ?? { ...trained.evaluation, fitted: trained.fitted };
}

/** Trees in our form and as ONNX; a foreign graph as ONNX alone. */
function modelFiles(fitted: Fitted, names: readonly string[]): [string, Uint8Array][] {
  const { model, calibration } = fitted;
  if (model.kind === "graph") return [["model.onnx", model.graph.compose(calibration)]];
  return [
    ["trees.bin", encodeGbdt(model.trees)],
    ["model.onnx", exportOnnx({ ...fitted, trees: model.trees, names })],
  ];
}

function metricsOf({ metrics, fitted, importance }: Trained): unknown {
  return { evaluate: metrics, ablation: fitted.ablation, rounds: fitted.rounds, importance };
}

/** What the world looked like, and how far it swings by itself. */
function referenceFiles(trained: Trained, review: number): [string, Uint8Array][] {
  const { spec, fitted, shipped, recent, recentRows } = trained;
  const { scores } = scoresOf(fitted, recent);
  const columns = recent.names.map((_, c) => recent.values.subarray(c * recent.rows, (c + 1) * recent.rows));
  const { thresholds } = (shipped ?? trained).fitted;
  const reference = buildReference({
    names: recent.names,
    categories: categoryNames(spec),
    columns,
    scores,
    // What a model has learned it scores otherwise than what is to come, and another model otherwise too.
    ...(shipped === undefined ? {} : { scored: shipped.newest }),
    alerts: countAlerts(shipped?.newest ?? scores, thresholds.review),
  });
  const swing = buildSwing({ reference, columns, scores, review, ...recentRows });
  return [
    ["reference.json", jsonFile(reference)],
    ["swing.json", jsonFile(swing)],
  ];
}

function goldenRows(trained: Trained, manifest: BundleManifest): GoldenRow[] {
  const { x, y } = trained.evaluation;
  const { scores, anomaly } = answering(trained);
  const frauds = [...y.keys()].filter((row) => y[row] === 1).slice(0, GOLDEN_ROWS / 4);
  const step = Math.max(1, Math.floor(x.rows / (GOLDEN_ROWS - frauds.length)));
  const spread = Array.from({ length: GOLDEN_ROWS - frauds.length }, (_, i) => Math.min(i * step, x.rows - 1));
  const vector = new Float32Array(x.names.length);
  return [...new Set([...frauds, ...spread])].map((row) => {
    copyRow(x, row, vector);
    return {
      vector: Array.from(vector, (value) => (Number.isNaN(value) ? null : value)),
      score: scores[row],
      anomalyScore: anomaly[row],
      decision: decide(scores[row], manifest.thresholds),
    };
  });
}
