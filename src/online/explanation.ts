// Explanations: what every feature added to the score, of a transaction as it would be judged now or of one in the log.
import { messageOf, SentinelError } from "../core/errors.ts";
import { idOf } from "../core/transaction.ts";
import { encode } from "../features/encode.ts";
import { nameFolder } from "../pipeline/names.ts";
import type { PredictionRecord } from "../ports/log.ts";
import { cannotScore, championOf } from "./answer.ts";
import type { Engine } from "./engine.ts";
import type { Explanation, ExplanationDifference } from "./explain.ts";
import { invalidRequest } from "./faults.ts";
import { judgedBy } from "./judged-by.ts";
import { type Parsed, rename } from "./parse.ts";
import type { Scorer } from "./score.ts";
import type { Shadowed } from "./shadow.ts";
import type { WarmState } from "./states.ts";

/** A vector with the bundle that judges it; `read` gives another bundle's vector of the same transaction. */
interface Case {
  readonly transactionId: string;
  readonly logged: boolean;
  readonly scorer: Scorer;
  readonly vector: Float32Array;
  read(shadow: Shadowed): Promise<Float32Array>;
}

export interface WhatToExplain {
  /** A transaction as a client sends it, or its id alone. */
  readonly transaction: unknown;
  /** The alias or version in shadow to compare with; null: none. */
  readonly against: string | null;
}

/**
 * The explanation of a transaction as it would be judged now, or of one in the log, compared with a version in shadow where one is named. Errors: request.invalid, request.not-found, server.not-ready, server.too-slow,
 * lifecycle.no-candidate, ml.not-explainable. `within` bounds the wait for the shared state and the log.
 */
export async function explanationOf(
  engine: Engine,
  { transaction, against }: WhatToExplain,
  within: <T>(looking: Promise<T>) => Promise<T>,
) {
  const found = await within(caseOf(engine, transaction));
  const { differenceOf, explainVector, reasonsOf, sentencesOf } = await import("./explain.ts");
  const explain = (scorer: Scorer, vector: Float32Array): Explanation =>
    guarded(engine, scorer, () => explainVector(scorer, vector));
  const explanation = explain(found.scorer, found.vector);
  const body = {
    transaction_id: found.transactionId,
    logged: found.logged,
    ...sideOf(explanation),
    additivity_error: explanation.additivityError,
    reasons: reasonsOf(found.scorer, explanation),
    contributions: withText(explanation, sentencesOf(found.scorer, explanation)),
  };
  if (against === null) return { ...body, against: undefined };
  const shadow = shadowOf(engine, against);
  const other = explain(shadow.scorer, await within(found.read(shadow)));
  return { ...body, against: againstOf(differenceOf(explanation, other)) };
}

/** What `work` gives; `server.not-ready` where the bundle itself fails at it. The circuit breaker hears of answers alone. */
function guarded<T>(engine: Engine, scorer: Scorer, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof SentinelError) throw error;
    engine.logger.error({ version: scorer.version, error: messageOf(error) }, "a version could not be explained");
    return cannotScore(scorer, error);
  }
}

async function caseOf(engine: Engine, given: unknown): Promise<Case> {
  const alone = idAlone(engine, given);
  if (alone !== null) {
    const record = await engine.log.find(alone);
    if (record !== null) return loggedCase(engine, record);
    throw new SentinelError("request.not-found", `transaction ${JSON.stringify(alone)} is not in the log`, {
      hint: "send the whole transaction to have it explained as it would be judged now",
    });
  }
  const parsed = engine.parser.parse(given, engine.ports.clock.now());
  const known = await engine.duplicates.find(parsed);
  const record = known === null ? null : await engine.log.find(parsed.transaction.id);
  return record === null ? newCase(engine, parsed) : loggedCase(engine, record);
}

/** The id, where the request holds nothing else. */
function idAlone(engine: Engine, given: unknown): string | null {
  const { renamed, spelled } = rename(given, nameFolder(engine.pipeline.canonical));
  const { id } = engine.pipeline.columns;
  if (Object.keys(renamed).length !== 1 || !(id in renamed)) return null;
  const known = idOf(renamed[id]);
  if (known !== null) return known;
  throw invalidRequest([{ field: spelled.get(id) ?? id, message: "must be a text or a whole number" }]);
}

async function newCase(engine: Engine, { transaction }: Parsed): Promise<Case> {
  const { scorer, held } = championOf(engine.live.current);
  const vectorOf = (by: Scorer, { state }: WarmState): Promise<Float32Array> =>
    engine.states.look(transaction, () => guarded(engine, by, () => encode(state, by.plan, transaction)));
  const vector = await vectorOf(scorer, held);
  const read = async (shadow: Shadowed): Promise<Float32Array> => {
    if (shadow.held === null) throw notWarm(shadow.scorer.version);
    return vectorOf(shadow.scorer, shadow.held);
  };
  return { transactionId: transaction.id, logged: false, scorer, vector, read };
}

async function loggedCase(engine: Engine, record: PredictionRecord): Promise<Case> {
  const { checkJudged, translate } = await import("./explain.ts");
  checkJudged(record);
  const scorer = await judgedBy(engine, record);
  const read = async (shadow: Shadowed): Promise<Float32Array> => {
    const translated = translate(record.vector, { from: scorer, to: shadow.scorer });
    if (translated.vector !== null) return translated.vector;
    const names = translated.missing.slice(0, 3).join(", ");
    throw new SentinelError(
      "request.invalid",
      `version ${shadow.scorer.version} has ${translated.missing.length} features that were not logged (${names}, …)`,
      {
        hint: "`sentinel explain ID --against VERSION` recomputes them from raw history; or send the transaction under a new id",
      },
    );
  };
  return { transactionId: record.transactionId, logged: true, scorer, vector: record.vector, read };
}

function shadowOf(engine: Engine, name: string): Shadowed {
  const { aliases, current } = engine.live;
  const version = Object.hasOwn(aliases, name) ? aliases[name] : name;
  const shadow = current.shadows.find(({ scorer }) => scorer.version === version);
  if (shadow !== undefined) return shadow;
  const known = current.shadows.map(({ scorer }) => scorer.version).join(", ");
  throw new SentinelError("lifecycle.no-candidate", `nothing called ${JSON.stringify(name)} is in shadow`, {
    hint: known === "" ? "train a candidate: `sentinel train`" : `versions in shadow: ${known}`,
  });
}

function notWarm(version: string): SentinelError {
  return new SentinelError("server.not-ready", `the feature state of version ${version} is not warm yet`, {
    hint: "try again once /model says that it is",
  });
}

function sideOf(explanation: Explanation) {
  const { model, version, bundle, score, anomalyScore, decision, uncalibrated, margin, expected } = explanation;
  return {
    model: { name: model, version, bundle },
    decision,
    score,
    anomaly_score: anomalyScore,
    uncalibrated_score: uncalibrated,
    margin,
    baseline: expected,
  };
}

function withText(explanation: Explanation, sentences: ReadonlyMap<string, string>) {
  return explanation.contributions.map((one) => ({ ...one, text: sentences.get(one.feature) }));
}

function againstOf({ candidate, difference, contributions }: ExplanationDifference) {
  const { expected, margin, score } = difference;
  return { ...sideOf(candidate), difference: { baseline: expected, margin, score }, contributions };
}
