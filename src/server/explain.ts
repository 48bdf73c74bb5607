// POST /explain: what every feature added to the score, of a transaction as it would be judged now or of one in the log.

import { SentinelError } from "../core/errors.ts";
import { encode } from "../features/encode.ts";
import { championOf } from "../online/answer.ts";
import type { Explanation, ExplanationDifference } from "../online/explain.ts";
import { invalidRequest } from "../online/faults.ts";
import { judgedBy } from "../online/judged-by.ts";
import { idOf, type Parsed, rename } from "../online/parse.ts";
import type { Scorer } from "../online/score.ts";
import type { Shadowed } from "../online/shadow.ts";
import type { WarmState } from "../online/states.ts";
import { nameFolder } from "../pipeline/names.ts";
import type { PredictionRecord } from "../ports/log.ts";
import { bodyText, mediaType } from "./body.ts";
import { parseJson } from "./json.ts";
import { BUDGET_MS, jsonResponse, type RequestContext, type Route, type ServerParts } from "./parts.ts";
import { EXPLANATION_SCHEMA, ref } from "./schemas.ts";

export const explainRoute: Route = {
  method: "POST",
  access: "predict",
  path: "/explain",
  summary:
    "Exact attribution of a score (TreeSHAP on log-odds). A transaction is judged as it would be now, without being learned or logged; an id alone, or a transaction answered before, is explained by what was logged.",
  shed: true,
  body: {
    "application/json": {
      anyOf: [ref("Transaction"), ref("TransactionId")],
      properties: { against: { type: "string", description: "An alias or version in shadow, such as `candidate`." } },
    },
  },
  answers: { "application/json": EXPLANATION_SCHEMA },
  run: explain,
};

/** A vector with the bundle that judges it; `read` gives another bundle's vector of the same transaction. */
interface Case {
  readonly transactionId: string;
  readonly logged: boolean;
  readonly scorer: Scorer;
  readonly vector: Float32Array;
  read(shadow: Shadowed): Promise<Float32Array>;
}

async function explain(parts: ServerParts, context: RequestContext): Promise<Response> {
  mediaType(context.req.raw, ["application/json"]);
  const text = await bodyText(parts, context);
  const { against, transaction } = partsOf(parseJson(text));
  const found = await parts.overload.within(caseOf(parts, transaction), BUDGET_MS);
  const { differenceOf, explainVector, reasonsOf, sentencesOf } = await import("../online/explain.ts");
  const explanation = explainVector(found.scorer, found.vector);
  const body = {
    transaction_id: found.transactionId,
    logged: found.logged,
    ...sideOf(explanation),
    additivity_error: explanation.additivityError,
    reasons: reasonsOf(found.scorer, explanation),
    contributions: withText(explanation, sentencesOf(found.scorer, explanation)),
  };
  if (against === null) return jsonResponse(body);
  const shadow = shadowOf(parts, against);
  const other = explainVector(shadow.scorer, await found.read(shadow));
  return jsonResponse({ ...body, against: againstOf(differenceOf(explanation, other)) });
}

/** What is explained, without `against`, which is no field of a transaction. */
function partsOf(value: unknown): { readonly against: string | null; readonly transaction: unknown } {
  if (value === null || typeof value !== "object" || !Object.hasOwn(value, "against")) {
    return { against: null, transaction: value };
  }
  const { against, ...transaction } = value as Readonly<Record<string, unknown>>;
  if (typeof against === "string") return { against, transaction };
  throw invalidRequest([{ field: "against", message: "must be an alias or a version, such as candidate" }]);
}

async function caseOf(parts: ServerParts, given: unknown): Promise<Case> {
  const alone = idAlone(parts, given);
  if (alone !== null) {
    const record = await parts.log.find(alone);
    if (record !== null) return loggedCase(parts, record);
    throw new SentinelError("request.not-found", `transaction ${JSON.stringify(alone)} is not in the log`, {
      hint: "send the whole transaction to have it explained as it would be judged now",
    });
  }
  const parsed = parts.parser.parse(given, parts.ports.clock.now());
  const known = await parts.duplicates.find(parsed);
  const record = known === null ? null : await parts.log.find(parsed.transaction.id);
  return record === null ? newCase(parts, parsed) : loggedCase(parts, record);
}

/** The id, where the request holds nothing else. */
function idAlone(parts: ServerParts, given: unknown): string | null {
  const { renamed, spelled } = rename(given, nameFolder(parts.pipeline.canonical));
  const { id } = parts.pipeline.columns;
  if (Object.keys(renamed).length !== 1 || !(id in renamed)) return null;
  const known = idOf(renamed[id]);
  if (known !== null) return known;
  throw invalidRequest([{ field: spelled.get(id) ?? id, message: "must be a text or a whole number" }]);
}

async function newCase(parts: ServerParts, { transaction }: Parsed): Promise<Case> {
  const { scorer, held } = championOf(parts.live.current);
  const vectorOf = (by: Scorer, { state }: WarmState): Promise<Float32Array> =>
    parts.states.look(transaction, () => encode(state, by.plan, transaction));
  const vector = await vectorOf(scorer, held);
  const read = async (shadow: Shadowed): Promise<Float32Array> => {
    if (shadow.held === null) throw notWarm(shadow.scorer.version);
    return vectorOf(shadow.scorer, shadow.held);
  };
  return { transactionId: transaction.id, logged: false, scorer, vector, read };
}

async function loggedCase(parts: ServerParts, record: PredictionRecord): Promise<Case> {
  const { checkJudged, translate } = await import("../online/explain.ts");
  checkJudged(record);
  const scorer = await judgedBy(parts, record);
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

function shadowOf(parts: ServerParts, name: string): Shadowed {
  const { aliases, current } = parts.live;
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
