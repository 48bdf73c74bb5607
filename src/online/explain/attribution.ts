// Attribution: what each feature of one vector adds to the margin of a bundle's trees, and the difference of two bundles.
import { bundleFile } from "../../core/bundle.ts";
import type { Decision } from "../../core/decision.ts";
import { SentinelError } from "../../core/errors.ts";
import { explainerOf } from "../../ml/explain/shap.ts";
import { decodeGbdt } from "../../ml/gbdt/model.ts";
import { scoreRow, sigmoid } from "../../ml/gbdt/score.ts";
import type { Scorer } from "../score.ts";

/** What the anomaly score is called among the trees' inputs. */
export const ANOMALY_INPUT = "anomaly_score";

/** A feature's part in a score. */
export interface Contribution {
  readonly feature: string;
  /** null: missing. */
  readonly value: number | null;
  /** What it adds to the margin (log-odds); above 0 it speaks for fraud. */
  readonly contribution: number;
}

/** Why a bundle gave a vector its score. */
export interface Explanation {
  readonly model: string;
  readonly version: string;
  readonly bundle: string;
  /** The margin of a transaction nothing is known of; contributions lead from here to `margin`. */
  readonly expected: number;
  /** Log-odds that the trees give. */
  readonly margin: number;
  /** Probability before and after calibration; `score` is what was answered. */
  readonly uncalibrated: number;
  readonly score: number;
  readonly anomalyScore: number;
  readonly decision: Decision;
  /** Every input of the trees, the strongest first. */
  readonly contributions: readonly Contribution[];
  /** |expected + sum of contributions − margin|: rounding alone. */
  readonly additivityError: number;
}

/** A feature's part in two scores of one transaction; null where a bundle has no such feature. */
export interface ContributionDifference {
  readonly feature: string;
  readonly values: { readonly champion: number | null; readonly candidate: number | null };
  readonly champion: number | null;
  readonly candidate: number | null;
  /** Candidate's minus champion's, an absent one counting 0: the game of the difference has these Shapley values. */
  readonly difference: number;
}

/** Why two bundles judge one transaction differently; `difference` is the candidate's minus the champion's. */
export interface ExplanationDifference {
  readonly champion: Explanation;
  readonly candidate: Explanation;
  readonly difference: { readonly expected: number; readonly margin: number; readonly score: number };
  /** Over the features of both by name, the largest difference first; with `expected` they sum to the margins'. */
  readonly contributions: readonly ContributionDifference[];
}

/** Trees and explainer of the bundles in use. */
const explaining = new WeakMap<Scorer, (vector: Float32Array) => Explanation>();

/** Explains one vector of plan.width values by the bundle that scores it. Learns and logs nothing. Errors: bundle.corrupt, ml.not-explainable. */
export function explainVector(scorer: Scorer, vector: Float32Array): Explanation {
  let explain = explaining.get(scorer);
  if (explain === undefined) {
    explain = prepare(scorer);
    explaining.set(scorer, explain);
  }
  return explain(vector);
}

/** Both of one transaction, each by its own bundle. */
export function differenceOf(champion: Explanation, candidate: Explanation): ExplanationDifference {
  const byName = (explanation: Explanation): ReadonlyMap<string, Contribution> =>
    new Map(explanation.contributions.map((one) => [one.feature, one]));
  const [ours, theirs] = [byName(champion), byName(candidate)];
  const contributions = [...new Set([...ours.keys(), ...theirs.keys()])].map((feature) => {
    const [a, b] = [ours.get(feature), theirs.get(feature)];
    return {
      feature,
      values: { champion: a?.value ?? null, candidate: b?.value ?? null },
      champion: a?.contribution ?? null,
      candidate: b?.contribution ?? null,
      difference: (b?.contribution ?? 0) - (a?.contribution ?? 0),
    };
  });
  return {
    champion,
    candidate,
    difference: {
      expected: candidate.expected - champion.expected,
      margin: candidate.margin - champion.margin,
      score: candidate.score - champion.score,
    },
    contributions: contributions.sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference)),
  };
}

function prepare(scorer: Scorer): (vector: Float32Array) => Explanation {
  if (scorer.manifest.engine !== undefined) {
    const what = `version ${scorer.version} of ${scorer.model} is an ONNX graph, and exact attribution needs trees`;
    throw new SentinelError("ml.not-explainable", what, {
      hint: "import the model as XGBoost or LightGBM wrote it, if it is trees; or explain by another version: `sentinel explain ID --version V`",
    });
  }
  const trees = decodeGbdt(bundleFile(scorer.files, "trees.bin"));
  const explainer = explainerOf(trees);
  const { model, version, bundle, plan, manifest } = scorer;
  const names = manifest.anomalyAsFeature ? [...plan.names, ANOMALY_INPUT] : plan.names;
  const input = new Float32Array(names.length);
  const attributions = new Float64Array(names.length);
  return (vector) => {
    const answer = scorer.score(vector);
    input.set(vector);
    if (manifest.anomalyAsFeature) input[plan.width] = answer.anomalyScore;
    explainer.explain(input, attributions);
    const margin = scoreRow(trees, input);
    const sum = attributions.reduce((total, one) => total + one, explainer.expected);
    const contributions = names.map((feature, c) => ({
      feature,
      value: Number.isNaN(input[c]) ? null : input[c],
      contribution: attributions[c],
    }));
    return {
      model,
      version,
      bundle,
      expected: explainer.expected,
      margin,
      uncalibrated: sigmoid(margin),
      ...answer,
      contributions: contributions.sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution)),
      additivityError: Math.abs(sum - margin),
    };
  };
}
