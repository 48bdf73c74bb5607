// Compare: champion against candidate, on the same later rows of a table and on shadow records, with intervals.

import { CANDIDATE, versionBehind } from "../core/alias.ts";
import { SentinelError } from "../core/errors.ts";
import { type CoverageShare, coverageShare } from "../evidence/coverage.ts";
import { type LabelledMetrics, labelledMetrics } from "../evidence/labelled.ts";
import type { ShadowReport } from "../evidence/report.ts";
import { readAlike } from "../features/inputs.ts";
import { alertsAt } from "../metrics/summed.ts";
import type { Matrix } from "../ml/matrix.ts";
import { loadVersion, type Scorer, scoreRows } from "../online/score.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { judgeable, type ModelWord } from "./data/judge-by.ts";
import type { Source } from "./data/source.ts";
import { reportUnlabelled } from "./data/source.ts";
import { vectorsOf } from "./data/vectors.ts";
import { reportOf } from "./promote.ts";
import { decidedRows, judgedRows, readData } from "./train.ts";

export interface CompareResult {
  readonly champion: string;
  readonly candidate: string;
  /** On rows later than what either learned from; null without a table. */
  readonly data: {
    readonly path: string;
    /** Which model of each version has learned from earlier days only. */
    readonly models: { readonly champion: ModelWord; readonly candidate: ModelWord };
    readonly from: number;
    readonly rows: number;
    readonly metrics: LabelledMetrics | null;
  } | null;
  /** null when the candidate has not shadowed the champion. */
  readonly shadow: ShadowReport | null;
  readonly coverage: CoverageShare | null;
}

/** Errors: lifecycle.no-champion, lifecycle.no-candidate, lifecycle.not-enough-data, dataset.*. */
export async function compare(
  ports: Ports,
  input: {
    readonly pipeline: Pipeline;
    readonly path: string | null;
    readonly to: string | null;
    readonly seed: number;
  },
): Promise<CompareResult> {
  const { pipeline } = input;
  const registry = await ports.registry();
  const aliases = await registry.aliases(pipeline.model);
  const candidate = versionBehind(aliases, input.to ?? CANDIDATE);
  if (aliases.champion === undefined) {
    throw new SentinelError("lifecycle.no-champion", `${pipeline.model} has no champion to compare with`, {
      hint: "promote a version first: `sentinel promote`",
    });
  }
  if (candidate === undefined) {
    throw new SentinelError("lifecycle.no-candidate", `${pipeline.model} has no candidate to compare`, {
      hint: "train one: `sentinel train`, or name a version with --to",
    });
  }
  const load = async (version: string): Promise<Scorer> => loadVersion(registry, { model: pipeline.model, version });
  const both = { champion: await load(aliases.champion), candidate: await load(candidate) };
  const shadow = await reportOf(ports, pipeline, {
    version: candidate,
    championVersion: aliases.champion,
    seed: input.seed,
    now: null,
  });
  const coverage = (await (await ports.log()).coverage()).find(({ version }) => version === candidate);
  return {
    champion: aliases.champion,
    candidate,
    data: input.path === null ? null : await onData(ports, { ...input, path: input.path, ...both }),
    shadow: shadow.pairs === 0 ? null : shadow,
    coverage: coverage === undefined ? null : coverageShare(coverage),
  };
}

async function onData(
  ports: Ports,
  given: {
    readonly pipeline: Pipeline;
    readonly path: string;
    readonly seed: number;
    readonly champion: Scorer;
    readonly candidate: Scorer;
  },
): Promise<CompareResult["data"]> {
  const { pipeline, path } = given;
  const plans = { champion: given.champion.plan, candidate: given.candidate.plan };
  const alike = readAlike(plans.champion, plans.candidate);
  const source = await readData(ports, pipeline, {
    path,
    plans: alike ? [plans.champion, plans.candidate] : [plans.champion],
  });
  const others = alike ? source : await readData(ports, pipeline, { path, plans: [plans.candidate] });
  reportUnlabelled(ports, source, pipeline);
  const { scorers, from, rows } = judgeable(source, pipeline, [given.champion, given.candidate]);
  const [champion, candidate] = scorers.map(({ scorer }) => scorer);
  if (rows.length === 0) {
    throw new SentinelError(
      "lifecycle.not-enough-data",
      `${path} has no labelled transactions after ${new Date(from).toISOString().slice(0, 10)}, the day up to which the two models learned`,
      {
        hint: "compare on newer data, or on shadow records alone",
      },
    );
  }
  const vectors = ({ plan }: Scorer, { table }: Source): Matrix =>
    vectorsOf(table, { plan, pipeline, report: ports.report }).x;
  const x = vectors(champion, source);
  const otherX = candidate.plan.hash === champion.plan.hash ? x : vectors(candidate, others);
  const scored = { a: scoreRows(champion, x, rows), b: scoreRows(candidate, otherX, rows) };
  const a = Float64Array.from(scored.a);
  const b = Float64Array.from(scored.b);
  const judged = judgedRows(source, rows, pipeline);
  const alerts = (scores: Float32Array, { manifest }: Scorer, own: Matrix): Uint8Array => {
    const { thresholds, policy = null } = manifest;
    const { decided } = decidedRows({ thresholds, policy }, { scores, x: own, rows });
    return decided?.flagged ?? alertsAt(scores, thresholds.review);
  };
  const metrics = labelledMetrics(
    { a, b, alerts: { a: alerts(scored.a, champion, x), b: alerts(scored.b, candidate, otherX) }, ...judged },
    {
      seed: given.seed,
      resamples: pipeline.gates.promotion.resamples,
      reviewShare: pipeline.decisions.reviewShare,
      reviewCost: pipeline.decisions.reviewCost,
    },
  );
  return {
    path,
    models: { champion: scorers[0].model, candidate: scorers[1].model },
    from,
    rows: rows.length,
    metrics,
  };
}
