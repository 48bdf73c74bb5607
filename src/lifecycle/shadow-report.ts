// The shadow report: champion and candidates on all pairs of the log, and what drives the disagreements, feature by feature.
import { messageOf, SentinelError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import { coverageShare } from "../evidence/coverage.ts";
import { collectPairs, PAIRS_MAX, pairsBeside } from "../evidence/pairs.ts";
import { shadowReport } from "../evidence/report.ts";
import { checkJudged, differenceOf, type ExplanationDifference, explainVector, translate } from "../online/explain.ts";
import { loadVersion, type Scorer } from "../online/score.ts";
import { DISAGREEMENTS_MAX, disagreementOf, Largest } from "../online/shadow.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { PredictionLog, PredictionRecord, ShadowPair } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import { learnedUpTo } from "./learned.ts";

/** What is asked, as plain data: a thread may get it. */
export interface ShadowReportRequest {
  readonly champion: string | null;
  readonly candidates: readonly ReportedCandidate[];
  /** Event time up to which labels count. */
  readonly now: number;
  /** When it is asked, for people. */
  readonly at: number;
  readonly settings: ReportSettings;
}

/** Makes a pipeline's report elsewhere, such as in a thread. */
export type ShadowReporter = (pipeline: string, request: ShadowReportRequest) => Promise<object>;

export interface ReportedCandidate {
  readonly version: string;
  readonly bundle: string;
  /** Vectors of its own that the server still has, by transaction. */
  readonly vectors: ReadonlyMap<string, Float32Array>;
}

/** What a report needs of a pipeline. */
export interface ReportSettings {
  readonly model: string;
  readonly card: string | null;
  readonly amount: string | null;
  readonly maturityMs: number;
  readonly unlabelledIsGenuine: boolean;
  readonly seed: number;
  readonly reviewShare: number;
  readonly reviewCost: number;
}

export function reportSettings({ model, columns, labels, modelParameters, decisions }: Pipeline): ReportSettings {
  return {
    model,
    card: columns.card,
    amount: columns.amount,
    maturityMs: labels.maturityMs,
    unlabelledIsGenuine: labels.unreportedIsGenuine,
    seed: modelParameters.seed,
    reviewShare: decisions.reviewShare,
    reviewCost: decisions.reviewCost,
  };
}

/** An interval for people who look; `compare` and the promotion gate take more. */
const RESAMPLES = 200;
/** Features shown of one pair, and of all of them together. */
const FEATURES_OF_PAIR = 5;
const FEATURES_MAX = 10;

/** Reads every pair of each candidate, {@link PAIRS_MAX} of the newest at most. Errors: log.unreadable. */
export async function reportShadows(
  ports: Pick<Ports, "log" | "registry">,
  request: ShadowReportRequest,
): Promise<object> {
  const { champion, settings, at } = request;
  const log = await ports.log();
  const coverage = await log.coverage();
  const scorers = new Scorers(ports, settings.model);
  const candidates: object[] = [];
  for (const candidate of request.candidates) {
    const { version, bundle } = candidate;
    const { model: _, card, amount, ...how } = settings;
    const apart = new Largest<ShadowPair>(DISAGREEMENTS_MAX);
    const logged = pairsBeside(log, { candidate: version, champion }, { newest: PAIRS_MAX, card, amount });
    const versions = champion === null ? [version] : [champion, version];
    const learned = await learnedUpTo(await ports.registry(), { model: settings.model, versions });
    const pairs = await collectPairs(watched(logged, apart), { learnedUpTo: learned });
    const ledger = coverage.find((one) => one.version === version);
    const report = shadowReport(pairs, { ...how, now: request.now, resamples: RESAMPLES });
    candidates.push({
      version,
      bundle,
      coverage: ledger === undefined ? null : coverageShare(ledger),
      report,
      disagreements: await explained(apart.all(), { log, scorers, candidate }),
    });
  }
  return { at: new Date(at).toISOString(), champion, rows_max: PAIRS_MAX, candidates };
}

/** The pairs as they are, those furthest apart kept aside. */
async function* watched(pairs: AsyncIterable<ShadowPair>, apart: Largest<ShadowPair>): AsyncIterable<ShadowPair> {
  for await (const pair of pairs) {
    const weight = disagreementOf(pair);
    if (weight > 0) apart.add(weight, pair);
    yield pair;
  }
}

interface Explaining {
  readonly log: PredictionLog;
  readonly scorers: Scorers;
  readonly candidate: ReportedCandidate;
}

/** The pairs furthest apart, each with what drives it, and the features that drive them together. */
async function explained(pairs: readonly ShadowPair[], by: Explaining): Promise<object> {
  const sums = new Map<string, { total: number; absolute: number }>();
  const shown: object[] = [];
  let count = 0;
  for (const pair of pairs) {
    const { transactionId, time, amount, fraud, champion, candidate } = pair;
    const about = {
      transaction_id: transactionId,
      time: new Date(time).toISOString(),
      amount,
      fraud,
      champion: { score: champion.score, decision: champion.decision },
      candidate: { score: candidate.score, decision: candidate.decision },
    };
    try {
      const { difference, contributions } = await differenceBy(pair, by);
      count++;
      for (const one of contributions) {
        const sum = sums.get(one.feature) ?? { total: 0, absolute: 0 };
        sum.total += one.difference;
        sum.absolute += Math.abs(one.difference);
        sums.set(one.feature, sum);
      }
      shown.push({ ...about, difference, features: contributions.slice(0, FEATURES_OF_PAIR) });
    } catch (error) {
      if (!(error instanceof SentinelError)) throw error;
      shown.push({ ...about, features: null, unexplained: { code: error.code, text: messageOf(error) } });
    }
  }
  const features = [...sums]
    .map(([feature, { total, absolute }]) => ({
      feature,
      mean_difference: total / count,
      mean_absolute_difference: absolute / count,
    }))
    .sort((a, b) => b.mean_absolute_difference - a.mean_absolute_difference)
    .slice(0, FEATURES_MAX);
  return { explained: count, features, pairs: shown };
}

/** Why the two judge a transaction differently. Errors: request.invalid where a vector is not known any more, those of the registry, ml.*. */
async function differenceBy(pair: ShadowPair, { log, scorers, candidate }: Explaining): Promise<ExplanationDifference> {
  const record = await log.find(pair.transactionId);
  if (record === null) throw unknown("the log has forgotten the transaction");
  checkJudged(record);
  if (record.version !== pair.champion.version)
    throw unknown("an earlier champion answered it, both shadowed that one");
  const [ours, theirs] = [await scorers.of(record), await scorers.of(candidate)];
  const vector = ownVector(pair, { record, ours, theirs, vectors: candidate.vectors });
  const difference = differenceOf(explainVector(ours, record.vector), explainVector(theirs, vector));
  const { score } = difference.candidate;
  // A vector that is not the one that was scored would explain something else.
  if (Math.abs(score - pair.candidate.score) <= theirs.tolerance) return difference;
  throw unknown(`the vector found for it scores ${score}, and ${pair.candidate.score} was logged`);
}

/** The candidate's vector: the champion's own, one that can be made of it, or one that the server still has. */
function ownVector(
  { transactionId, vectorHash }: ShadowPair,
  from: {
    readonly record: PredictionRecord;
    readonly ours: Scorer;
    readonly theirs: Scorer;
    readonly vectors: ReadonlyMap<string, Float32Array>;
  },
): Float32Array {
  const { record, ours, theirs } = from;
  const kept = from.vectors.get(transactionId);
  const { vector } = kept === undefined ? translate(record.vector, { from: ours, to: theirs }) : { vector: kept };
  if (vector !== null && (vectorHash === "" || vectorHash === hashOf(vector))) return vector;
  throw unknown("features of its own were not logged, and the server that read them has started anew or kept others");
}

/** Over the vector's bytes, as the shadow writes it. */
function hashOf(vector: Float32Array): string {
  return sha256(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
}

function unknown(what: string): SentinelError {
  return new SentinelError("request.invalid", what, {
    hint: "`sentinel explain ID --against VERSION` recomputes the vector from raw history",
  });
}

/** Bundles, each loaded once. */
class Scorers {
  private readonly ports: Pick<Ports, "registry">;
  private readonly model: string;
  private readonly loaded = new Map<string, Promise<Scorer>>();

  constructor(ports: Pick<Ports, "registry">, model: string) {
    this.ports = ports;
    this.model = model;
  }

  /** Errors: those of the registry and of loading; `registry.version-unknown` when the version is another bundle by now. */
  async of({ version, bundle }: { readonly version: string; readonly bundle: string }): Promise<Scorer> {
    const loading =
      this.loaded.get(version) ??
      this.ports.registry().then((registry) => loadVersion(registry, { model: this.model, version }));
    this.loaded.set(version, loading);
    const scorer = await loading;
    if (scorer.bundle === bundle) return scorer;
    throw new SentinelError("registry.version-unknown", `version ${version} is not the bundle that judged then`, {
      hint: "only the bundle itself can say why it decided; put it back into the registry",
    });
  }
}
