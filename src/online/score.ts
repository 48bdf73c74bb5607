// Scoring: a bundle loaded into one function from vector to answer; loads no training code.
import { type BundleFiles, bundleFile, bundleHashOf } from "../core/bundle.ts";
import { type Decision, decide, type Thresholds } from "../core/decision.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import { compileSpec, type FeaturePlan } from "../features/plan.ts";
import { calibrate } from "../ml/calibration/apply.ts";
import { decodeGbdt } from "../ml/gbdt/model.ts";
import { scoreRow } from "../ml/gbdt/score.ts";
import { decodeForest } from "../ml/iforest/model.ts";
import { scoreAnomaly } from "../ml/iforest/score.ts";
import { copyRow, type Matrix } from "../ml/matrix.ts";
import { openMargins } from "../ml/onnx/margins.ts";
import type { Registry } from "../ports/registry.ts";
import {
  type BundleManifest,
  type GoldenRow,
  goldenVector,
  judgeOf,
  partsFault,
  readGolden,
  readManifest,
  TWIN,
} from "./bundle.ts";

/** What a bundle says about one vector; scores are Float32 values. */
export interface Answer {
  readonly score: number;
  readonly anomalyScore: number;
  readonly decision: Decision;
  /** Present where a policy judged: its thresholds for this vector, and the segment, null where it has none for it. */
  readonly judged?: JudgedBy;
}

/** What a policy judged one vector by. */
export interface JudgedBy {
  readonly thresholds: Thresholds;
  readonly segment: string | null;
  /** Hash of the policy. */
  readonly policy: string;
}

/** A loaded bundle. Scoring changes nothing. */
export interface Scorer {
  readonly model: string;
  readonly version: string;
  /** Hash over the bundle's files. */
  readonly bundle: string;
  readonly files: BundleFiles;
  readonly manifest: BundleManifest;
  readonly plan: FeaturePlan;
  /** Scores of one vector on two machines may differ by this much: 0 but where ONNX Runtime computes them. */
  readonly tolerance: number;
  /** `vector` has plan.width values, NaN where missing. */
  score(vector: Float32Array): Answer;
}

/** ONNX Runtime picks kernels by the processor, and they round differently in the last bits of a Float32. */
const RUNTIME_TOLERANCE = 1e-6;

/** Decodes a bundle, each file the one that it was made with, and proves it on its golden rows. Errors: bundle.corrupt, bundle.unsupported, ml.runtime-missing. */
export function loadScorer(files: BundleFiles, name: { readonly model: string; readonly version: string }): Scorer {
  try {
    return proven(files, name);
  } catch (error) {
    if (error instanceof SentinelError) throw error;
    // A document in which a part is not of its kind; whoever reads it further in takes it for what Sentinel wrote.
    throw new SentinelError("bundle.corrupt", `version ${name.version} of ${name.model}: ${messageOf(error)}`, {
      hint: "the bundle is not as Sentinel wrote it; do not serve it, train again",
      cause: error,
    });
  }
}

function proven(files: BundleFiles, name: { readonly model: string; readonly version: string }): Scorer {
  const hashes = new Map([...files].map(([file, bytes]) => [file, sha256(bytes)]));
  const strange = partsFault(files, hashes);
  if (strange !== null) {
    throw new SentinelError("bundle.corrupt", `version ${name.version} of ${name.model}: ${strange}`, {
      hint: "the file was changed, or is another version's; copy the version again from where it was made, or train again",
    });
  }
  const manifest = readManifest(files);
  const plan = compileSpec(manifest.features);
  const inputs = plan.width + (manifest.anomalyAsFeature ? 1 : 0);
  const margin = marginOf(files, manifest, inputs);
  const forest = decodeForest(bundleFile(files, "forest.bin"));
  if (forest.names.length !== plan.width) throw misfit(`the forest takes ${forest.names.length} inputs`, plan.width);
  const input = new Float32Array(inputs);
  const { policy } = manifest;
  const policyJudge = policy === undefined ? null : judgeOf(manifest, plan.names);
  const policyHash = policy === undefined ? "" : sha256(canonicalJson(policy)).slice(0, 16);
  const score = (vector: Float32Array): Answer => {
    const anomalyScore = Math.fround(scoreAnomaly(forest, vector));
    input.set(vector);
    if (manifest.anomalyAsFeature) input[plan.width] = anomalyScore;
    const probability = Math.fround(calibrate(manifest.calibration, margin(input)));
    if (policyJudge === null) {
      return { score: probability, anomalyScore, decision: decide(probability, manifest.thresholds) };
    }
    const { decision, thresholds, segment } = policyJudge(probability, vector);
    return { score: probability, anomalyScore, decision, judged: { thresholds, segment, policy: policyHash } };
  };
  const tolerance = manifest.engine === undefined ? 0 : RUNTIME_TOLERANCE;
  const bundle = bundleHashOf(Array.from(hashes, ([file, hash]) => ({ name: file, sha256: hash })));
  const scorer: Scorer = { ...name, bundle, files, manifest, plan, tolerance, score };
  const fault = goldenFault(scorer, files);
  if (fault !== null) {
    throw new SentinelError("bundle.corrupt", `version ${name.version} of ${name.model}: ${fault}`, {
      hint: "this machine does not reproduce the scores the model was registered with; do not serve it, train again",
    });
  }
  return scorer;
}

/**
 * The judged twin of a refitted model, proven on golden rows of its own; null where the model that serves was judged itself. It has
 * learned from fewer days, so it may be asked about days that the other has seen. Errors: as {@link loadScorer}.
 */
export function twinOf({ files, manifest, model, version, bundle }: Scorer): Scorer | null {
  if (manifest.refit === undefined) return null;
  const own = [...files].flatMap(([name, bytes]) =>
    name.startsWith(TWIN) ? [[name.slice(TWIN.length), bytes] as const] : [],
  );
  return { ...loadScorer(new Map(own), { model, version }), bundle };
}

/** What gives a vector its log-odds. */
function marginOf(files: BundleFiles, manifest: BundleManifest, inputs: number): (input: Float32Array) => number {
  const { engine } = manifest;
  if (engine !== undefined)
    return openMargins(bundleFile(files, "model.onnx"), { width: inputs, margin: engine.margin });
  const trees = decodeGbdt(bundleFile(files, "trees.bin"));
  if (trees.names.length !== inputs) throw misfit(`the trees take ${trees.names.length} inputs`, inputs);
  return (input) => scoreRow(trees, input);
}

function misfit(what: string, made: number): SentinelError {
  return new SentinelError("bundle.corrupt", `${what}, the feature spec makes ${made}`, {
    hint: "register the model again with `sentinel train`",
  });
}

/** A registered version, fetched, verified and proven. Errors: those of the registry and of {@link loadScorer}. */
export async function loadVersion(
  registry: Registry,
  name: { readonly model: string; readonly version: string },
): Promise<Scorer> {
  return loadScorer(await registry.load(name.model, name.version), name);
}

/** Scores of a bundle for rows of a table, vector by vector, as serving does. */
export function scoreRows(scorer: Scorer, x: Matrix, rows: Int32Array): Float32Array {
  const vector = new Float32Array(x.names.length);
  return Float32Array.from(rows, (row) => {
    copyRow(x, row, vector);
    return scorer.score(vector).score;
  });
}

/** What is wrong with a scorer's golden answers, or null. */
export function goldenFault(scorer: Scorer, files: BundleFiles): string | null {
  for (const [index, row] of readGolden(files).entries()) {
    const answer = scorer.score(goldenVector(row));
    if (!isGolden(scorer, answer, row)) {
      return `golden row ${index} scores ${answer.score} (${answer.decision}), registered as ${row.score} (${row.decision})`;
    }
  }
  return null;
}

/** Bit for bit; within the tolerance where there is one, and then a score beside a threshold may fall on either side. */
function isGolden({ tolerance, manifest }: Scorer, answer: Answer, row: GoldenRow): boolean {
  if (answer.anomalyScore !== row.anomalyScore) return false;
  if (tolerance === 0) return answer.score === row.score && answer.decision === row.decision;
  if (!(Math.abs(answer.score - row.score) <= tolerance)) return false;
  const { review, block } = answer.judged?.thresholds ?? manifest.thresholds;
  const beside = [review, block].some((threshold) => Math.abs(answer.score - threshold) <= tolerance);
  return answer.decision === row.decision || beside;
}
