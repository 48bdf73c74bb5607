// Train: data gate → features → models → training and logic gates → a run and a version in the registry as `candidate`.
import { bundleFile } from "../core/bundle.ts";
import { SentinelError } from "../core/errors.ts";
import { isYes, type Verdict } from "../core/verdict.ts";
import { compileSpec, type FeaturePlan } from "../features/plan.ts";
import { decodeGbdt } from "../ml/gbdt/model.ts";
import { decodeForest } from "../ml/iforest/model.ts";
import type { Matrix } from "../ml/matrix.ts";
import { loadVersion, type Scorer } from "../online/score.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import type { Registry } from "../ports/registry.ts";
import { amountsOf, cardsOf, labelsOf, rowsOf, type Source, timesOf } from "./data/source.ts";
import { type Lineage, lineageOf } from "./lineage/lineage.ts";
import type { Basis } from "./train/basis.ts";
import { continueModels } from "./train/continue.ts";
import { unkeptText } from "./train/decisions.ts";
import { type Fitted, fitModels, type StartModel } from "./train/fit.ts";
import { evaluate, flatParameters, judge, judgedRows } from "./train/judge.ts";
import { columnKinds, habitColumns } from "./train/kinds.ts";
import { learnedSpec } from "./train/learn-spec.ts";
import { policyFeatures } from "./train/policy.ts";
import { weightsOf } from "./train/recipe.ts";
import { logRun, register, saveState } from "./train/record.ts";
import { type Refit, refit } from "./train/refit.ts";
import { type RowsOf, rowsInMemory } from "./train/rows.ts";
import { UNSEEN_ROWS_MIN } from "./train/split.ts";
import type { TrainInput, TrainResult } from "./train/task.ts";
import { logTrials, tune } from "./train/tune.ts";
import { judgeUntuned, logUntuned } from "./train/untuned.ts";

export { fitDecisions } from "./train/decisions.ts";
export { decidedRows, type Metrics, metricsOf } from "./train/evaluate.ts";
export {
  decidedBy,
  decidingRows,
  type FitInput,
  type Fitted,
  labelsAt,
  type MarginModel,
  marginsOf,
} from "./train/fit.ts";
export { judgedRows } from "./train/judge.ts";
export { columnKinds, habitColumns } from "./train/kinds.ts";
export { learnedSpec } from "./train/learn-spec.ts";
export { trainResults } from "./train/results.ts";
export { type OpenedRows, type RowsOf, readData } from "./train/rows.ts";
export { type Split, type SplitBounds, spanBounds, splitBounds, splitCounted } from "./train/split.ts";
export type { Recipe, TrainInput, TrainResult, TrainStep } from "./train/task.ts";
export { TUNE_MAX, type Tuning } from "./train/tune.ts";
export { SeenValues, unseenCheck } from "./train/unseen.ts";

/** Trains one candidate. A gate's no ends it with the verdicts so far and nothing registered. */
export async function train(ports: Ports, input: TrainInput): Promise<TrainResult> {
  const plan = compileSpec(await learnedSpec(ports, input.pipeline, input.path));
  return makeCandidate(ports, input, { plan, fit: input.recipe?.continued === true ? continueModels : fitModels });
}

/** Makes one candidate, its models being what `fit` answers, on the same way whether they are trained or imported. */
export async function makeCandidate(
  ports: Ports,
  asked: TrainInput,
  made: {
    readonly plan: FeaturePlan;
    readonly fit: typeof fitModels;
    /** Absent: the whole table in memory. */
    readonly rows?: RowsOf;
  },
): Promise<TrainResult> {
  const { pipeline } = asked;
  const { plan } = made;
  const watch = stopwatch(ports);
  const kinds = columnKinds(plan.spec, pipeline);
  const habits = habitColumns(plan.spec);
  const features = policyFeatures(plan.spec, pipeline);
  const registry = await ports.registry();
  const champion = await loadChampion(registry, pipeline);
  const { recipe, onStep } = asked;
  const start = recipe?.continued === true ? startOf(champion, { plan, pipeline }) : undefined;

  onStep?.("read");
  const seed = asked.seed ?? pipeline.modelParameters.seed;
  const { rows: open = rowsInMemory } = made;
  const { lap } = watch;
  const opened = await open(ports, { asked, plan, champion, seed, isContinued: start !== undefined, lap });
  const { data } = opened;
  if (!isYes(data) && asked.forced === null) return stopped([data], watch);

  const { state, forest, ...rows } = await opened.take();
  const { source, split, x } = rows;
  const times = timesOf(source.table, pipeline);
  const labels = labelsOf(source.table, pipeline);
  const began = await lineageAtStart(ports, { asked, source, plan, champion, seed });
  const { threads = 1 } = asked;
  const basis: Basis = { ...rows, plan, rows: judgedRows(source, split.evaluate.rows, pipeline), seed };
  const tuning =
    asked.tune === undefined
      ? null
      : await tune(ports, basis, { count: asked.tune, kinds, times, labels, pipeline, threads });
  if (tuning !== null) watch.lap("tune");
  const input = tuning === null ? asked : { ...asked, pipeline: { ...pipeline, modelParameters: tuning.parameters } };
  const amounts = amountsOf(source.table, pipeline);
  const weights = weightsOf(recipe, times);
  const cards = cardsOf(source.table, pipeline);
  const fitInput = {
    kinds,
    habits,
    split,
    amounts,
    cards,
    features,
    seed,
    threads,
    report: ports.report,
    weights,
    start,
    forest,
  };
  const fitBy = (by: Pipeline): Promise<Fitted> => made.fit(x, labels, { ...fitInput, pipeline: by });
  onStep?.("fit");
  const fitted = await fitBy(input.pipeline);
  for (const text of unkeptText(fitted.decided, pipeline.decisions)) ports.report.line(`  ${text}`);
  watch.lap("fit");

  const isTuned = tuning !== null && tuning.chosen !== 0;
  const untuned = isTuned ? judgeUntuned(await fitBy(pipeline), basis, pipeline.decisions) : null;
  if (isTuned) watch.lap("untuned");
  const evaluated = await evaluate(ports, basis, { input, fitted, champion });
  onStep?.("judge");
  const undecided = asked.verb === "retrain" ? "shadow" : "refuse";
  const newest = newestOf(asked, plan);
  const again = async (): Promise<Refit | null> => {
    watch.lap("evaluate");
    const { openMs, isOptional } = { openMs: openMsOf(asked), isOptional: wishOf(asked) === "where possible" };
    try {
      const since = sinceOf(asked);
      const how = { ...fitInput, pipeline: input.pipeline, judged: fitted, openMs, since, unlike: undecided } as const;
      return await refit(ports, basis, newest === null ? how : { ...how, newest });
    } catch (error) {
      if (!isOptional || !(error instanceof SentinelError) || error.code !== "lifecycle.not-enough-data") throw error;
      ports.report.line(`  not refitted: ${error.message}`);
      return null;
    } finally {
      watch.lap("refit");
    }
  };
  const judged = await judge(ports, basis, {
    champion,
    trained: evaluated,
    refit: wishOf(asked) === "no" ? null : again,
    isForced: input.forced !== null,
    undecided,
  });
  const { trained } = judged;
  watch.lap(trained.refit === null ? "evaluate" : "assemble");
  const verdicts = [data, judged.training, ...(judged.refit === null ? [] : [judged.refit]), judged.logic];
  const lineage = { ...began, parameters: trained.provenance.parameters };
  const outcome = {
    verdicts,
    metrics: trained.metrics,
    champion: judged.champion,
    fitted: shown(fitted),
    refit: trained.refit?.facts ?? null,
    tuning,
    untuned,
    importance: trained.importance,
    lineage,
  };
  // The logic gate has no override: a bundle that misbehaves may not even shadow.
  const isRefused = [judged.training, judged.refit].some((verdict) => verdict !== null && !isYes(verdict));
  const refused = !isYes(judged.logic) || (isRefused && input.forced === null);
  onStep?.("run");
  const runId = await logRun(ports, { input, trained, verdicts, registry, lineage, refused });
  if (tuning !== null) await logTrials(ports, { registry, pipeline, parent: runId, tuning, lineage });
  if (untuned !== null) await logUntuned(ports, { registry, pipeline, parent: runId, untuned, lineage, seed });
  if (refused) return { ...outcome, version: null, runId, seconds: watch.seconds };
  const prepare = (): Promise<void> => saveState(ports, basis, { state, trained });
  const version = await register(ports, { input, registry, runId, judged, verdicts, lineage, prepare });
  watch.lap("register");
  return { ...outcome, version, runId, seconds: watch.seconds };
}

/** Whether what serves learns all matured days: asked for, it must; a retraining does where the table is long enough. */
function wishOf({ verb, refit, pipeline, imported }: TrainInput): "yes" | "where possible" | "no" {
  const asked = imported !== undefined ? false : (refit ?? pipeline.training.refit);
  if (asked === undefined) return verb === "retrain" ? "where possible" : "no";
  return asked ? "yes" : "no";
}

/** Whose days are asked what to learn; not where the pipeline says it, nor where trees are added. */
function sinceOf({ since, recipe }: TrainInput): number | undefined {
  const isSaid = recipe?.windowMs !== undefined || recipe?.halfLifeMs !== undefined || recipe?.continued === true;
  return isSaid ? undefined : since;
}

/** What a refitted model is held against where it learns the whole table; null where too little has been answered since. */
function newestOf({ newest }: TrainInput, plan: FeaturePlan): Matrix | null {
  if (newest === undefined || newest.features !== plan.hash) return null;
  return newest.x.rows < UNSEEN_ROWS_MIN ? null : newest.x;
}

/** The champion as a model that trees can be added to. Errors: lifecycle.no-champion, lifecycle.cannot-continue. */
function startOf(
  champion: Scorer | null,
  { plan, pipeline }: { readonly plan: FeaturePlan; readonly pipeline: Pipeline },
): StartModel {
  if (champion === null) {
    throw new SentinelError("lifecycle.no-champion", `${pipeline.model} has no champion to add trees to`, {
      hint: "train and promote a first model without `--continue`",
    });
  }
  const { manifest, version, files } = champion;
  const refuse = (why: string): SentinelError =>
    new SentinelError("lifecycle.cannot-continue", `version ${version} of ${pipeline.model} ${why}`, {
      hint: "train in full: `sentinel retrain` without `--continue`",
    });
  if (manifest.engine !== undefined || manifest.provenance.imported !== undefined) {
    throw refuse("was imported: trees are added to a model that was trained here");
  }
  if (champion.plan.hash !== plan.hash) throw refuse("reads other features than the pipeline has now");
  return {
    trees: decodeGbdt(bundleFile(files, "trees.bin")),
    forest: decodeForest(bundleFile(files, "forest.bin")),
    anomalyAsFeature: manifest.anomalyAsFeature,
  };
}

/** The champion loaded for comparison, or null. */
export async function loadChampion(registry: Registry, pipeline: Pipeline): Promise<Scorer | null> {
  const { champion } = await registry.aliases(pipeline.model);
  if (champion === undefined) return null;
  return loadVersion(registry, { model: pipeline.model, version: champion });
}

/** Asked before the models are fitted: what is edited meanwhile did not make them. */
function lineageAtStart(
  ports: Ports,
  given: {
    readonly asked: TrainInput;
    readonly source: Source;
    readonly plan: FeaturePlan;
    readonly champion: Scorer | null;
    readonly seed: number;
  },
): Promise<Lineage> {
  const { asked, source, plan, champion, seed } = given;
  const { pipeline } = asked;
  return lineageOf(ports, {
    verb: asked.verb,
    actor: asked.actor,
    pipeline: { name: pipeline.name, hash: pipeline.hash },
    source: { path: source.path, hash: source.hash, rows: rowsOf(source) },
    featureHash: plan.hash,
    seed,
    parameters: { ...flatParameters(pipeline.modelParameters), seed },
    packageVersion: asked.packageVersion,
    parent: champion?.version ?? null,
    grownFrom: asked.grownFrom,
    imported: asked.imported,
  });
}

/** A table grown by a retraining ends where labels are final; the end of any other is younger than that. */
function openMsOf({ grownFrom, pipeline }: TrainInput): number {
  return grownFrom === undefined ? pipeline.labels.maturityMs : 0;
}

/** Without the models themselves, which are megabytes and in the bundle. */
function shown({ ablation, thresholds, rounds, anomalyAsFeature, curve }: Fitted): TrainResult["fitted"] {
  return { ablation, thresholds, rounds, anomalyAsFeature, curve };
}

function stopped(verdicts: readonly Verdict[], watch: Stopwatch): TrainResult {
  return {
    verdicts,
    version: null,
    runId: null,
    metrics: null,
    champion: null,
    fitted: null,
    refit: null,
    tuning: null,
    untuned: null,
    importance: [],
    lineage: null,
    seconds: watch.seconds,
  };
}

interface Stopwatch {
  readonly seconds: Record<string, number>;
  lap(name: string): void;
}

function stopwatch(ports: Ports): Stopwatch {
  const seconds: Record<string, number> = {};
  let last = ports.clock.elapsed();
  return {
    seconds,
    lap: (name) => {
      const now = ports.clock.elapsed();
      seconds[name] = Math.round(1000 * (seconds[name] ?? 0) + now - last) / 1000;
      last = now;
    },
  };
}
