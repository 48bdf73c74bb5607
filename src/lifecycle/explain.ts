// Explain: why a logged transaction was judged as it was, and what another version says of it.

import { versionBehind } from "../core/alias.ts";
import { SentinelError } from "../core/errors.ts";
import type { Table } from "../core/table.ts";
import type { FeaturePlan } from "../features/plan.ts";
import {
  checkJudged,
  differenceOf,
  type Explanation,
  type ExplanationDifference,
  explainVector,
  type Reason,
  reasonsOf,
  sentencesOf,
  translate,
} from "../online/explain.ts";
import { loadVersion, type Scorer } from "../online/score.ts";
import type { StateOrigin } from "../online/states.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { PredictionRecord } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import { vectorAt } from "./replay.ts";

export interface ExplainInput {
  readonly pipeline: Pipeline;
  readonly transactionId: string;
  /** Alias or version to explain by; null: the version that answered. */
  readonly version: string | null;
  /** Alias or version to set against it. */
  readonly against: string | null;
  /** The table that training replayed; read only where a version's features are not in the log. */
  readonly history: (origin: StateOrigin, plan: FeaturePlan) => Promise<Table>;
}

export interface Explained {
  readonly transactionId: string;
  /** Event time, milliseconds since 1970 UTC. */
  readonly time: number;
  readonly answered: { readonly version: string; readonly score: number; readonly decision: string };
  readonly explanation: Explanation;
  readonly reasons: readonly Reason[];
  /** A sentence for every contribution, by feature. */
  readonly sentences: Readonly<Record<string, string>>;
  readonly difference: ExplanationDifference | null;
}

/**
 * Uses the logged vector, and recomputes from raw history what another version's features would have been. Errors:
 * request.not-found, request.invalid, lifecycle.no-candidate, registry.*, log.*, what `history` throws.
 */
export async function explain(ports: Ports, input: ExplainInput): Promise<Explained> {
  const record = await recordOf(ports, input.transactionId);
  const judge = await judgeOf(ports, input.pipeline, record);
  const own = async (name: string): Promise<{ readonly scorer: Scorer; readonly explanation: Explanation }> => {
    const scorer = await versionOf(ports, input.pipeline, name);
    return { scorer, explanation: explainVector(scorer, await vectorFor(ports, input, { record, judge, scorer })) };
  };
  const { scorer, explanation } =
    input.version === null
      ? { scorer: judge, explanation: explainVector(judge, record.vector) }
      : await own(input.version);
  const other = input.against === null ? null : await own(input.against);
  return {
    transactionId: record.transactionId,
    time: record.time,
    answered: { version: record.version, score: record.score, decision: record.decision },
    explanation,
    reasons: reasonsOf(scorer, explanation),
    sentences: Object.fromEntries(sentencesOf(scorer, explanation)),
    difference: other === null ? null : differenceOf(explanation, other.explanation),
  };
}

async function recordOf(ports: Ports, transactionId: string): Promise<PredictionRecord> {
  const log = await ports.log();
  const record = await log.find(transactionId);
  if (record === null) {
    throw new SentinelError(
      "request.not-found",
      `transaction ${JSON.stringify(transactionId)} is not in ${log.where}`,
      {
        hint: "give the id of a transaction that this workspace's server answered",
      },
    );
  }
  checkJudged(record);
  return record;
}

async function judgeOf(ports: Ports, pipeline: Pipeline, record: PredictionRecord): Promise<Scorer> {
  const scorer = await loadVersion(await ports.registry(), { model: pipeline.model, version: record.version });
  if (scorer.bundle === record.bundle) return scorer;
  throw new SentinelError(
    "registry.version-unknown",
    `version ${record.version} in the registry is not the bundle that judged ${JSON.stringify(record.transactionId)}`,
    { hint: "only that bundle can say why it decided; name another version with --version to ask that one" },
  );
}

async function versionOf(ports: Ports, pipeline: Pipeline, name: string): Promise<Scorer> {
  const registry = await ports.registry();
  const version = versionBehind(await registry.aliases(pipeline.model), name);
  if (version === undefined) {
    throw new SentinelError("lifecycle.no-candidate", `${pipeline.model} has no ${name}`, {
      hint: "train one: `sentinel train`, or name a version",
    });
  }
  return loadVersion(registry, { model: pipeline.model, version });
}

async function vectorFor(
  ports: Ports,
  input: ExplainInput,
  given: { readonly record: PredictionRecord; readonly judge: Scorer; readonly scorer: Scorer },
): Promise<Float32Array> {
  const { record, judge, scorer } = given;
  const translated = translate(record.vector, { from: judge, to: scorer });
  if (translated.vector !== null) return translated.vector;
  const { pipeline, history } = input;
  const vector = await vectorAt(ports, { pipeline, history, plan: scorer.plan, transactionId: record.transactionId });
  if (vector !== null) return vector;
  throw new SentinelError(
    "request.invalid",
    `version ${scorer.version} has features that were not logged (${translated.missing.slice(0, 3).join(", ")}, …) and no state of its own at the time`,
    { hint: "compare with a version that was in shadow when the transaction was answered" },
  );
}
