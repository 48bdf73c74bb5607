// The bundle's contents: the manifest, the golden rows, and reading both back with every field checked.
import { type BundleFiles, bundleFile } from "../core/bundle.ts";
import { type Decision, decide, type Thresholds } from "../core/decision.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import { type DecisionPolicy, type PolicyJudge, policyFault, policyJudge } from "../core/policy.ts";
import { checkSpec, type FeatureSpec } from "../features/spec.ts";
import type { Calibration } from "../ml/calibration/apply.ts";

export const BUNDLE_FORMAT = "sentinel-bundle/1";

/** Where a bundle comes from. Nothing here depends on the clock or the machine: same data, same seed, same bundle. */
export interface Provenance {
  /** SHA-256 of the training file. */
  readonly dataHash: string;
  readonly dataRows: number;
  readonly pipelineHash: string;
  readonly commit: string;
  readonly packageVersion: string;
  readonly seed: number;
  readonly parameters: Readonly<Record<string, number | string>>;
  /** How a retraining learned; absent where all days count the same. */
  readonly recipe?: LearnedBy;
  /** The foreign file that decides, where the model was not trained here. */
  readonly imported?: Imported;
}

export interface LearnedBy {
  /** Only so much of the newest time was learned. */
  readonly windowMs?: number;
  /** A transaction counts half as much for each such time that it is older. */
  readonly halfLifeMs?: number;
  /** The bundle whose trees stay, and how many were added to them. */
  readonly continues?: { readonly bundle: string; readonly treesAdded: number };
}

/** A foreign model's origin. */
export interface Imported {
  readonly format: "xgboost" | "lightgbm" | "catboost" | "onnx";
  /** The file's name, without its folder. */
  readonly file: string;
  /** SHA-256 of the file's bytes. */
  readonly sha256: string;
  /** Library and version as the file tells them: "XGBoost 3.2.0". */
  readonly title: string;
  /** The model's columns in its order, and the feature each of them takes. */
  readonly columns: readonly { readonly name: string; readonly feature: string }[];
  /** What a reader should know about the conversion, in sentences. */
  readonly notes: readonly string[];
  /** The pipeline's own rows that it learned from, by event time [from, to); absent where nobody here knows what it learned from. */
  readonly learned?: { readonly from: number; readonly to: number; readonly rows: number; readonly frauds: number };
}

/** What a refitted model learned from, and how it compares with the judged one on rows that neither has seen. */
export interface RefitFacts {
  /** Event times of what it learned from, [from, to). */
  readonly from: number;
  readonly to: number;
  readonly rows: number;
  readonly frauds: number;
  /** Up to where the judged model was calibrated; its figures are about days after that. */
  readonly judgedUpTo: number;
  readonly unseenRows: number;
  /** Population stability index of both scores by the judged calibration, before it was carried over. */
  readonly scoreShift: number;
  /** Share of the judged model's highest rows that are among the refitted model's. */
  readonly alertAgreement: number;
  /** After a drift, where enough of the new world is known; then number of trees, calibration and block threshold are from its days. */
  readonly lately?: LatelyFacts;
}

/** All days alike, all but older ones for less and less, or those of the new world alone. */
export type LatelyWay = "all days" | "fading days" | "new days";

/** What the days of a new world said, asked by models that had not learned them. */
export interface LatelyFacts {
  /** When it began, by what monitor saw. */
  readonly since: number;
  readonly stretches: number;
  readonly rows: number;
  /** On the newest stretch, of models that had learned what came before in each way. */
  readonly averagePrecision: Readonly<Record<LatelyWay, number>>;
  /** The way that the model which serves has learned. */
  readonly learned: LatelyWay;
  /** How many trees were right for them. */
  readonly trees: number;
}

/** bundle.json. */
export interface BundleManifest {
  readonly format: typeof BUNDLE_FORMAT;
  readonly model: string;
  readonly pipeline: string;
  readonly features: FeatureSpec;
  readonly featureHash: string;
  /** The trees' last input is the anomaly score; false where the ablation showed no gain. */
  readonly anomalyAsFeature: boolean;
  readonly calibration: Calibration;
  readonly thresholds: Thresholds;
  /** Absent: the thresholds hold for all. Else they depend on the vector, and `thresholds` are those of what the policy does not name. */
  readonly policy?: DecisionPolicy;
  readonly labelDelayMs: number;
  /** End of the slices that the models learned or were calibrated from; later rows judge them fairly. */
  readonly learnedUpTo: number;
  /** Event time of the newest transaction seen in training. */
  readonly trainedUpTo: number;
  readonly provenance: Provenance;
  /** Absent: trees.bin decides. Else model.onnx does, in ONNX Runtime; `margin` names the log-odds within it. */
  readonly engine?: { readonly kind: "onnx"; readonly margin: string };
  /** Absent: the model that serves is the one that was judged. Else that one lies below {@link TWIN}. */
  readonly refit?: RefitFacts;
}

/** Folder of the judged model within a refitted bundle: bundle.json, trees.bin, forest.bin and golden.json of its own. */
export const TWIN = "twin/";

/** A vector with the answer it must get, bit for bit; null is missing (NaN). */
export interface GoldenRow {
  readonly vector: readonly (number | null)[];
  readonly score: number;
  readonly anomalyScore: number;
  readonly decision: Decision;
}

/** bundle.json of a bundle. Errors: bundle.corrupt, bundle.unsupported. */
export function readManifest(files: BundleFiles): BundleManifest {
  const manifest = readJson(files, "bundle.json") as BundleManifest;
  if (manifest?.format !== BUNDLE_FORMAT) {
    throw new SentinelError("bundle.unsupported", `bundle.json has format ${JSON.stringify(manifest?.format)}`, {
      hint: `this Sentinel reads ${BUNDLE_FORMAT}; use the Sentinel that trained the model, or train again`,
    });
  }
  const { review, block } = manifest.thresholds;
  if (!Number.isFinite(review) || !Number.isFinite(block) || review > block) {
    throw corrupt("bundle.json: thresholds are not two numbers with review ≤ block");
  }
  const features = checkSpec(manifest.features);
  const names = features.features.map(({ name }) => name);
  const fault = manifest.policy === undefined ? null : policyFault(manifest.policy, names);
  if (fault !== null) throw corrupt(`bundle.json: ${fault}`);
  return { ...manifest, features };
}

/** What decides by score and vector; `names` are the features of the vector. */
export function judgeOf(
  { thresholds, policy }: Pick<BundleManifest, "thresholds" | "policy">,
  names: readonly string[],
): PolicyJudge {
  if (policy !== undefined) return policyJudge(policy, { thresholds, names });
  return (score) => ({ decision: decide(score, thresholds), thresholds, segment: null });
}

/** golden.json of a bundle. */
export function readGolden(files: BundleFiles): readonly GoldenRow[] {
  const golden = readJson(files, "golden.json") as { readonly rows: readonly GoldenRow[] };
  if (!Array.isArray(golden?.rows) || golden.rows.length === 0) throw corrupt("golden.json has no rows");
  return golden.rows;
}

/** Names the SHA-256 of every other file; written when the version was made, and absent in those made before it was. */
export const PARTS = "parts.json";

/** parts.json for a bundle of these files. */
export function partsFile(files: BundleFiles): Uint8Array {
  return jsonFile({ files: Object.fromEntries([...files].map(([name, bytes]) => [name, sha256(bytes)])) });
}

/**
 * Which file is not the one that the bundle was made with, or null. Golden rows reach few leaves: a changed one would score otherwise, and a
 * registry whose hashes were computed anew fits it. Nobody signs the list, so who means to deceive writes it anew, too.
 */
export function partsFault(files: BundleFiles, hashes: ReadonlyMap<string, string>): string | null {
  if (!files.has(PARTS)) return null;
  const parts = readJson(files, PARTS) as { readonly files?: Readonly<Record<string, string>> } | null;
  const known = parts?.files;
  if (known === null || typeof known !== "object") throw corrupt(`${PARTS} lists no files`);
  const [odd] = Object.keys(known).filter((name) => hashes.get(name) !== known[name]);
  if (odd === undefined) return null;
  return hashes.has(odd)
    ? `${odd} is not the file that the bundle was made with, whatever the registry's own hashes say`
    : `${odd}, which the bundle was made with, is gone`;
}

/** The vector of a golden row. */
export function goldenVector(row: GoldenRow): Float32Array {
  return Float32Array.from(row.vector, (value) => value ?? Number.NaN);
}

/** A JSON document as a bundle file: stable text that ends with a newline. */
export function jsonFile(value: unknown): Uint8Array {
  return textFile(`${JSON.stringify(value, null, 2)}\n`);
}

export function textFile(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A JSON file of a bundle, parsed. */
export function readJson(files: BundleFiles, name: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bundleFile(files, name)));
  } catch (error) {
    if (error instanceof SentinelError) throw error;
    throw corrupt(`${name} is no JSON: ${messageOf(error)}`);
  }
}

function corrupt(what: string): SentinelError {
  return new SentinelError("bundle.corrupt", what, { hint: "register the model again with `sentinel train`" });
}
