// The logic gate: does the bundle, read back from its bytes, behave before it may judge anything, even in shadow?
import { type BundleFiles, bundleFile } from "../../core/bundle.ts";
import { messageOf } from "../../core/errors.ts";
import { quantileSorted } from "../../core/stats.ts";
import { type Check, type Verdict, verdictOf } from "../../core/verdict.ts";
import { openScores } from "../../ml/onnx/margins.ts";
import { loadOnnx } from "../../ml/onnx/run.ts";
import { loadScorer, type Scorer } from "../../online/score.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Clock } from "../../ports/ports.ts";

const LATENCY_VECTORS = 2000;

/** Vectors that no training row looks like; the answer must still be a probability. */
const EXTREMES: readonly number[] = [Number.NaN, 0, -1, 3.4e38, -3.4e38, 1e-38];

/** What the gate is shown: rows scored at once offline, and the same rows' vectors as serving encodes them. */
export interface LogicEvidence {
  /** Offline vectors with the scores the fitted models gave them in one batch. */
  readonly sample: readonly { readonly vector: Float32Array; readonly score: number; readonly anomalyScore: number }[];
  /** Why requests cannot carry what the features read, or null. */
  readonly fieldFault: string | null;
  /** First difference between online and offline vectors, or null. */
  readonly parityFault: string | null;
  readonly parityRows: number;
}

/** Loads the bundle from its files alone and asks. */
export function logicGate(
  files: BundleFiles,
  evidence: LogicEvidence,
  { clock, limits }: { readonly clock: Clock; readonly limits: Pipeline["gates"]["logic"] },
): { readonly verdict: Verdict; readonly scorer: Scorer | null } {
  let scorer: Scorer;
  try {
    scorer = loadScorer(files, { model: "candidate", version: "unregistered" });
  } catch (error) {
    const failed: Check = {
      name: "golden rows",
      passed: false,
      observed: messageOf(error),
      required: "loads and reproduces every golden row",
      reason: `golden rows: the bundle, read back from its own files, does not score as it did when it was made: ${messageOf(error)}`,
    };
    return { verdict: verdictOf("logic", [failed]), scorer: null };
  }
  const checks: Check[] = [
    { name: "golden rows", passed: true, observed: "reproduced bit for bit", required: "bit for bit" },
    batchCheck(scorer, evidence),
    extremesCheck(scorer),
    determinismCheck(scorer, evidence),
    onnxCheck(scorer, files, { evidence, differenceMax: limits.onnxDifferenceMax }),
    {
      name: "feature parity",
      passed: evidence.parityFault === null,
      observed: evidence.parityFault ?? `${evidence.parityRows} vectors equal, online and replayed`,
      required: "equal bit for bit",
    },
    {
      name: "request fields",
      passed: evidence.fieldFault === null,
      observed: evidence.fieldFault ?? "every column that the features read is named",
      required: "the request's schema names them all",
    },
    latencyCheck(scorer, evidence, { clock, msMax: limits.latencyMsMax }),
  ];
  return { verdict: verdictOf("logic", checks.map(withReason)), scorer };
}

/** What a failed check means for whoever has to decide. */
const REASONS: Readonly<Record<string, string>> = {
  "one row = batch":
    "a transaction scored alone gets another score than in a batch, so no offline figure holds for what is served",
  "range on extreme and missing input":
    "on missing or extreme values the model answers what is no probability, and such values will come",
  determinism:
    "the model's answer depends on what it was asked before, so no decision could be explained or recomputed",
  "ONNX equality":
    "the exported model.onnx scores otherwise than the bundle, so whoever serves it elsewhere decides otherwise",
  "feature parity":
    "a server computes other features than the training saw, so the model would judge what it never learned",
  "request fields": "requests cannot carry a column that the features read, so the model would always miss it",
  "latency p99": "scoring takes too long to answer a payment in time",
};

function withReason(check: Check): Check {
  const reason = REASONS[check.name];
  if (check.passed || check.reason !== undefined || reason === undefined) return check;
  return { ...check, reason: `${check.name}: ${reason} (${check.observed}; required: ${check.required})` };
}

function batchCheck(scorer: Scorer, { sample }: LogicEvidence): Check {
  const wrong = sample.find(({ vector, score, anomalyScore }) => {
    const answer = scorer.score(vector);
    return answer.score !== score || answer.anomalyScore !== anomalyScore;
  });
  return {
    name: "one row = batch",
    passed: wrong === undefined,
    observed:
      wrong === undefined
        ? `${sample.length} rows equal`
        : `a row scores ${scorer.score(wrong.vector).score}, in the batch ${wrong.score}`,
    required: "equal bit for bit",
  };
}

function extremesCheck(scorer: Scorer): Check {
  const bad: string[] = [];
  for (const extreme of EXTREMES) {
    const vector = new Float32Array(scorer.plan.width).fill(extreme);
    const { score, anomalyScore } = answerTo(scorer, vector);
    if (!(score >= 0 && score <= 1 && anomalyScore >= 0 && anomalyScore <= 1))
      bad.push(`all ${extreme} → ${score}, ${anomalyScore}`);
  }
  return {
    name: "range on extreme and missing input",
    passed: bad.length === 0,
    observed: bad.length === 0 ? `${EXTREMES.length} extremes answered` : bad.join("; "),
    required: "scores in [0, 1]",
  };
}

/** A model that fails on a vector has no score. */
function answerTo(scorer: Scorer, vector: Float32Array): { readonly score: number; readonly anomalyScore: number } {
  try {
    return scorer.score(vector);
  } catch {
    return { score: Number.NaN, anomalyScore: Number.NaN };
  }
}

function determinismCheck(scorer: Scorer, { sample }: LogicEvidence): Check {
  const first = sample.map(({ vector }) => scorer.score(vector).score);
  const second = [...sample].reverse().map(({ vector }) => scorer.score(vector).score);
  const same = first.every((score, i) => score === second[sample.length - 1 - i]);
  return {
    name: "determinism",
    passed: same,
    observed: same ? "same answers in any order" : "answers depend on the order",
    required: "no memory",
  };
}

/**
 * By our own interpreter of the exported operators, which the reference tests hold against onnxruntime. A foreign graph has other
 * operators; the runtime that scores it then answers for the file as a whole.
 */
function onnxCheck(
  scorer: Scorer,
  files: BundleFiles,
  { evidence, differenceMax }: { readonly evidence: LogicEvidence; readonly differenceMax: number },
): Check {
  const { sample } = evidence;
  const extremes = EXTREMES.map((extreme) => new Float32Array(scorer.plan.width).fill(extreme));
  const vectors = [...sample.map(({ vector }) => vector), ...extremes];
  const required = `model.onnx within ${differenceMax}`;
  try {
    const bytes = bundleFile(files, "model.onnx");
    const score = scorer.manifest.engine === undefined ? loadOnnx(bytes) : openScores(bytes, scorer.plan.width);
    const differences = vectors.map((vector) => Math.abs(score(vector) - scorer.score(vector).score));
    const passed = differences.every((difference) => difference <= differenceMax);
    const largest = differences.reduce((most, difference) => Math.max(most, difference), 0);
    const observed = `largest difference ${largest.toPrecision(2)} over ${vectors.length} rows`;
    return { name: "ONNX equality", passed, observed, required };
  } catch (error) {
    return { name: "ONNX equality", passed: false, observed: messageOf(error), required };
  }
}

function latencyCheck(
  scorer: Scorer,
  { sample }: LogicEvidence,
  { clock, msMax }: { readonly clock: Clock; readonly msMax: number },
): Check {
  const times: number[] = [];
  for (let i = 0; i < LATENCY_VECTORS && sample.length > 0; i++) {
    const start = clock.elapsed();
    scorer.score(sample[i % sample.length].vector);
    times.push(clock.elapsed() - start);
  }
  const p99 = quantileSorted(
    times.sort((a, b) => a - b),
    0.99,
  );
  return {
    name: "latency p99",
    passed: p99 <= msMax,
    observed: `${p99.toFixed(3)} ms`,
    required: `at most ${msMax} ms`,
  };
}
