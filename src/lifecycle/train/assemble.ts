// Assembling a bundle: every file of one version, from fitted models; same inputs, same bytes.
import type { BundleFiles } from "../../core/bundle.ts";
import { assert } from "../../core/errors.ts";
import { buildReference } from "../../drift/reference.ts";
import { buildSwing } from "../../drift/swing.ts";
import { specHash } from "../../features/spec.ts";
import { countAlerts } from "../../metrics/summed.ts";
import { encodeGbdt } from "../../ml/gbdt/model.ts";
import { encodeForest } from "../../ml/iforest/model.ts";
import { copyRow, takeMatrixRows } from "../../ml/matrix.ts";
import { exportOnnx } from "../../ml/onnx/export.ts";
import {
  BUNDLE_FORMAT,
  type BundleManifest,
  type GoldenRow,
  jsonFile,
  judgeOf,
  PARTS,
  partsFile,
  TWIN,
  textFile,
} from "../../online/bundle.ts";
import { cardText } from "./card.ts";
import { effectsOf, segmentEffects } from "./choices.ts";
import { type Fitted, scoresOf } from "./fit.ts";
import { categoryNames } from "./kinds.ts";
import { mlmodelFiles } from "./mlmodel.ts";
import { trainingReport } from "./report.ts";
import type { Trained } from "./trained.ts";

/** Rows a loaded bundle must reproduce; spread over the evaluation slice, frauds included. */
const GOLDEN_ROWS = 32;

/** The bundle's files by name. What serves is the refitted model where there is one, with the judged one below {@link TWIN}. */
export function assembleBundle(trained: Trained): BundleFiles {
  const { refit } = trained;
  const judged = manifestOf(trained, trained.fitted);
  const served = servedManifest(trained, judged);
  const { fitted } = answering(trained);
  const { names } = trained.evaluation.x;
  const golden = goldenRows(trained, { fitted, manifest: served });
  const files = new Map<string, Uint8Array>([
    ["bundle.json", jsonFile(served)],
    ...modelFiles(fitted, names),
    ["forest.bin", encodeForest(fitted.forest)],
    ...mlmodelFiles(names, golden),
    ...referenceFiles(trained, served.thresholds.review),
    ["golden.json", jsonFile({ rows: golden })],
    ["metrics.json", jsonFile(metricsOf(trained))],
    ["card.md", textFile(cardText(trained, served))],
    ["report.html", textFile(trainingReport(trained, served))],
    ...(refit === null ? [] : twinFiles(trained, judged)),
  ]);
  return files.set(PARTS, partsFile(files));
}

function manifestOf(trained: Trained, fitted: Fitted): BundleManifest {
  const { pipeline } = trained;
  return {
    format: BUNDLE_FORMAT,
    model: pipeline.model,
    pipeline: pipeline.name,
    features: trained.spec,
    featureHash: specHash(trained.spec),
    anomalyAsFeature: fitted.anomalyAsFeature,
    calibration: fitted.calibration,
    thresholds: { review: Math.fround(fitted.thresholds.review), block: Math.fround(fitted.thresholds.block) },
    ...(fitted.policy === null ? {} : { policy: fitted.policy }),
    labelDelayMs: pipeline.labels.delayMs,
    learnedUpTo: Math.floor(trained.split.calibrate.to),
    trainedUpTo: trained.trainedUpTo,
    provenance: trained.provenance,
    ...(fitted.model.kind === "graph" ? { engine: { kind: "onnx", margin: fitted.model.graph.marginName } } : {}),
  };
}

/** The manifest of what answers: the judged model's, but for what learning more days changes. */
function servedManifest(trained: Trained, judged: BundleManifest): BundleManifest {
  const { refit } = trained;
  if (refit === null) return judged;
  const { calibration, thresholds, policy } = manifestOf(trained, refit.fitted);
  return {
    ...judged,
    calibration,
    thresholds,
    ...(policy === undefined ? {} : { policy }),
    learnedUpTo: refit.facts.to,
    refit: refit.facts,
  };
}

/** A bundle within the bundle, as much of it as scoring needs. */
function twinFiles(trained: Trained, manifest: BundleManifest): [string, Uint8Array][] {
  const { fitted } = trained;
  assert(fitted.model.kind === "trees", "only trees are refitted");
  return [
    [`${TWIN}bundle.json`, jsonFile(manifest)],
    [`${TWIN}trees.bin`, encodeGbdt(fitted.model.trees)],
    [`${TWIN}forest.bin`, encodeForest(fitted.forest)],
    [`${TWIN}golden.json`, jsonFile({ rows: goldenRows(trained, { fitted, manifest }) })],
  ];
}

/** The models that the bundle answers with. */
export function answering({ fitted, refit }: Trained): { readonly fitted: Fitted } {
  return refit ?? { fitted };
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

function metricsOf(trained: Trained): unknown {
  const { metrics, fitted, importance, refit } = trained;
  const { block, pass } = fitted.decided;
  const segments = segmentEffects(trained);
  const decisions = {
    promised: { block, pass },
    choices: effectsOf(trained),
    ...(segments === null ? {} : { segments }),
  };
  const judged = { evaluate: metrics, ablation: fitted.ablation, rounds: fitted.rounds, importance, decisions };
  return refit === null ? judged : { ...judged, refit: refit.facts };
}

/**
 * What the world looked like, and how far it swings by itself. Scores are the judged model's, which has not learned from these rows. Of a refitted
 * model its own answers stand, to rows that it has not learned: rows of one score, as many ordinary payments are, are others with another model,
 * and no calibration that is carried over splits them.
 */
function referenceFiles(trained: Trained, review: number): [string, Uint8Array][] {
  const { spec, fitted, refit, recent, recentRows } = trained;
  const answers = refit?.answers ?? null;
  const { scores } = scoresOf(fitted, recent);
  const columns = recent.names.map((_, c) => recent.values.subarray(c * recent.rows, (c + 1) * recent.rows));
  const reference = buildReference({
    names: recent.names,
    categories: categoryNames(spec),
    columns,
    scores,
    // What a model has learned it scores otherwise than what is to come, and another model otherwise too.
    ...(answers === null ? {} : { scored: answers }),
    alerts: countAlerts(answers ?? scores, review),
  });
  const swing = buildSwing({ reference, columns, scores, review, ...recentRows });
  return [
    ["reference.json", jsonFile(reference)],
    ["swing.json", jsonFile(swing)],
  ];
}

function goldenRows(
  { evaluation }: Trained,
  { fitted, manifest }: { readonly fitted: Fitted; readonly manifest: BundleManifest },
): GoldenRow[] {
  const { x, y } = evaluation;
  const frauds = [...y.keys()].filter((row) => y[row] === 1).slice(0, GOLDEN_ROWS / 4);
  const step = Math.max(1, Math.floor(x.rows / (GOLDEN_ROWS - frauds.length)));
  const spread = Array.from({ length: GOLDEN_ROWS - frauds.length }, (_, i) => Math.min(i * step, x.rows - 1));
  const rows = Int32Array.from(new Set([...frauds, ...spread]));
  const { scores, anomaly } = scoresOf(fitted, takeMatrixRows(x, rows));
  const vector = new Float32Array(x.names.length);
  const judge = judgeOf(manifest, x.names);
  return Array.from(rows, (row, i) => {
    copyRow(x, row, vector);
    return {
      vector: Array.from(vector, (value) => (Number.isNaN(value) ? null : value)),
      score: scores[i],
      anomalyScore: anomaly[i],
      decision: judge(scores[i], vector).decision,
    };
  });
}
