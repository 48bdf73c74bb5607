// Train: data gate → features → models → training and logic gates → a run and a version in the registry as `candidate`.
import path from "node:path";
import { bundleHash } from "../core/bundle.ts";
import { canonicalJson, sha256 } from "../core/hash.ts";
import { orderBy } from "../core/table.ts";
import { isYes, type Verdict } from "../core/verdict.ts";
import { type ScoredModel, trainingGate } from "../evidence/training.ts";
import { compileSpec, type FeaturePlan } from "../features/plan.ts";
import type { FeatureState } from "../features/state.ts";
import { splitImportance } from "../ml/importance.ts";
import { copyRow, type Matrix, takeMatrixRows } from "../ml/matrix.ts";
import type { ModelVersion, Ports, Registry } from "../ports.ts";
import type { Provenance } from "./bundle.ts";
import type { Pipeline } from "./pipeline.ts";
import { loadScorer, type Scorer } from "./score.ts";
import { cardsOf, checkUniqueIds, labelsOf, readSource, type Source, spanText, timesOf } from "./source.ts";
import { loadSpec } from "./spec-file.ts";
import { assembleBundle } from "./train/assemble.ts";
import { type JudgedRows, type Metrics, metricsOf } from "./train/evaluate.ts";
import { type Fitted, fitModels, labelsAt, scoresOf } from "./train/fit.ts";
import { type LogicEvidence, logicGate } from "./train/logic.ts";
import { type Split, splitByTime } from "./train/split.ts";
import type { Trained } from "./train/trained.ts";
import { gateOf } from "./validate.ts";
import { columnsOfPlan, parityFault, vectorsOf } from "./vectors.ts";
import { saveTrainingState } from "./warm.ts";

/** Rows encoded one by one for the parity check; scored one by one for the batch check. */
const PARITY_ROWS = 3000;
const BATCH_ROWS = 1000;

export interface TrainInput {
  readonly pipeline: Pipeline;
  /** The table; its path as given. */
  readonly path: string;
  readonly actor: string;
  readonly packageVersion: string;
  /** Overrides the pipeline's seed. */
  readonly seed?: number;
  /** Why a gate's no is overridden; null obeys it. */
  readonly forced: string | null;
  readonly verb: "train" | "retrain";
}

export interface TrainResult {
  readonly verdicts: readonly Verdict[];
  /** null when a gate said no. */
  readonly version: ModelVersion | null;
  readonly runId: string | null;
  readonly metrics: Metrics | null;
  readonly champion: { readonly version: string; readonly metrics: Metrics } | null;
  readonly fitted: Pick<Fitted, "ablation" | "thresholds" | "rounds" | "anomalyAsFeature"> | null;
  readonly importance: readonly { readonly name: string; readonly gain: number }[];
  readonly seconds: Readonly<Record<string, number>>;
}

/** Trains one candidate. A gate's no ends it with the verdicts so far and nothing registered. */
export async function train(ports: Ports, input: TrainInput): Promise<TrainResult> {
  const { pipeline } = input;
  const watch = stopwatch(ports);
  const plan = compileSpec(await loadSpec(pipeline));
  const registry = await ports.registry();
  const champion = await loadChampion(registry, pipeline);

  const source = await readData(ports, pipeline, {
    path: input.path,
    plans: [plan, ...(champion ? [champion.plan] : [])],
  });
  const times = timesOf(source.table, pipeline);
  const labels = labelsOf(source.table, pipeline);
  const split = splitByTime(times, labels, pipeline);
  ports.report.line(`  ${source.table.rows.toLocaleString("en")} transactions, ${spanText(times)}`);
  watch.lap("read");

  const data = gateOf(pipeline, source.table).verdict;
  watch.lap("validate");
  if (!isYes(data) && input.forced === null) return stopped([data], watch);

  const { x, state } = vectorsOf(source.table, { plan, pipeline, report: ports.report });
  watch.lap("features");
  const seed = input.seed ?? pipeline.modelParameters.seed;
  const fitted = fitModels(x, labels, { split, pipeline, seed, report: ports.report });
  watch.lap("fit");

  const trained = await evaluate(ports, { input, source, split, labels, times, x, plan, fitted, seed });
  const judged = await judge(ports, { input, source, split, x, plan, champion, trained });
  watch.lap("evaluate");
  const verdicts = [data, judged.training, judged.logic];
  const outcome = {
    verdicts,
    metrics: trained.metrics,
    champion: judged.champion,
    fitted,
    importance: trained.importance,
  };
  // The logic gate has no override: a bundle that misbehaves may not even shadow.
  const refused = !isYes(judged.logic) || (!isYes(judged.training) && input.forced === null);
  const runId = await logRun(ports, { input, trained, split, verdicts, source, registry, champion, refused });
  if (refused) return { ...outcome, version: null, runId, seconds: watch.seconds };
  const version = await register(ports, { input, registry, runId, judged, verdicts, champion });
  await saveState(ports, { pipeline, plan, state, source, trained });
  watch.lap("register");
  return { ...outcome, version, runId, seconds: watch.seconds };
}

/** The champion loaded for comparison, or null. */
export async function loadChampion(registry: Registry, pipeline: Pipeline): Promise<Scorer | null> {
  const { champion } = await registry.aliases(pipeline.model);
  if (champion === undefined) return null;
  return loadScorer(await registry.load(pipeline.model, champion), { model: pipeline.model, version: champion });
}

/** Reads what training needs and refuses input that no verdict can be given on. */
export async function readData(
  ports: Ports,
  pipeline: Pipeline,
  given: { readonly path: string; readonly plans: readonly FeaturePlan[] },
): Promise<Source> {
  const source = await readSource(await ports.dataset(), pipeline, {
    path: given.path,
    wanted: given.plans.flatMap(columnsOfPlan),
    labelled: true,
  });
  checkUniqueIds(source, pipeline);
  return source;
}

/** The rows a slice is judged on. */
export function judgedRows(source: Source, rows: Int32Array, pipeline: Pipeline): JudgedRows {
  const labels = labelsOf(source.table, pipeline);
  const cards = cardsOf(source.table, pipeline);
  const times = timesOf(source.table, pipeline);
  const amount = source.table.columns.get(pipeline.columns.amount)!;
  return {
    y: labelsAt(labels, rows),
    card: Int32Array.from(rows, (row) => cards[row]),
    time: Float64Array.from(rows, (row) => times[row]),
    amount: Float64Array.from(rows, (row) => (amount.kind === "text" ? Number.NaN : amount.values[row])),
  };
}

/** Scores of a bundle for rows of a table, vector by vector, as serving does. */
export function scoreRows(scorer: Scorer, x: Matrix, rows: Int32Array): Float32Array {
  const vector = new Float32Array(x.names.length);
  return Float32Array.from(rows, (row) => {
    copyRow(x, row, vector);
    return scorer.score(vector).score;
  });
}

async function evaluate(
  ports: Ports,
  given: {
    readonly input: TrainInput;
    readonly source: Source;
    readonly split: Split;
    readonly labels: Uint8Array;
    readonly times: Float64Array;
    readonly x: Matrix;
    readonly plan: FeaturePlan;
    readonly fitted: Fitted;
    readonly seed: number;
  },
): Promise<Trained> {
  const { input, source, split, x, fitted, plan } = given;
  const { pipeline } = input;
  const evaluateX = takeMatrixRows(x, split.evaluate.rows);
  const scored = scoresOf(fitted, evaluateX);
  const rows = judgedRows(source, split.evaluate.rows, pipeline);
  const commit = (await (await ports.sourceControl()).describe())?.commit ?? "";
  const provenance: Provenance = {
    dataHash: source.hash,
    dataRows: source.table.rows,
    pipelineHash: pipeline.hash,
    commit,
    packageVersion: input.packageVersion,
    seed: given.seed,
    parameters: { ...pipeline.modelParameters, seed: given.seed },
  };
  return {
    pipeline,
    spec: plan.spec,
    fitted,
    split,
    evaluation: { x: evaluateX, y: rows.y, ...scored },
    recent: takeMatrixRows(x, split.calibrate.rows),
    metrics: metricsOf(scored.scores, rows, {
      thresholds: fitted.thresholds,
      reviewShare: pipeline.decisions.reviewShare,
    }),
    importance: shareOfGain(fitted),
    trainedUpTo: given.times.reduce((newest, time) => Math.max(newest, time), Number.NEGATIVE_INFINITY),
    provenance,
  };
}

/** Columns by their share of what all splits gained, most first. */
function shareOfGain({ trees }: Fitted): { readonly name: string; readonly gain: number }[] {
  const parts = splitImportance(trees);
  const total = parts.reduce((sum, { gain }) => sum + gain, 0);
  return parts.map(({ name, gain }) => ({ name, gain: total > 0 ? gain / total : 0 })).sort((a, b) => b.gain - a.gain);
}

interface Judged {
  readonly training: Verdict;
  readonly logic: Verdict;
  readonly champion: TrainResult["champion"];
  readonly files: ReturnType<typeof assembleBundle>;
}

async function judge(
  ports: Ports,
  given: {
    readonly input: TrainInput;
    readonly source: Source;
    readonly split: Split;
    readonly x: Matrix;
    readonly plan: FeaturePlan;
    readonly champion: Scorer | null;
    readonly trained: Trained;
  },
): Promise<Judged> {
  const { source, split, x, plan, champion, trained } = given;
  const { pipeline } = given.input;
  const rows = judgedRows(source, split.evaluate.rows, pipeline);
  const rival =
    champion === null
      ? null
      : championScores(ports, { champion, source, pipeline, plan, x, rows: split.evaluate.rows });
  const atBudget = (scores: Float32Array): ScoredModel => budgeted(scores, pipeline.decisions.reviewShare);
  const gate = trainingGate({
    ...rows,
    candidate: atBudget(trained.evaluation.scores),
    champion: rival === null ? null : atBudget(rival),
    seed: trained.provenance.seed,
    policy: {
      averagePrecisionMargin: pipeline.gates.training.margin,
      reviewShare: pipeline.decisions.reviewShare,
      fraudsMin: 10,
    },
  });
  const files = assembleBundle(trained);
  const parity = parityFault(source.table, x, {
    plan,
    pipeline,
    order: orderBy(timesOf(source.table, pipeline)),
    rowsMax: PARITY_ROWS,
  });
  const evidence: LogicEvidence = {
    sample: sampleOf(trained),
    parityFault: parity.fault,
    parityRows: parity.rows,
  };
  const logic = logicGate(files, evidence, ports.clock);
  const metrics =
    rival === null
      ? null
      : metricsOf(rival, rows, {
          thresholds: champion!.manifest.thresholds,
          reviewShare: pipeline.decisions.reviewShare,
        });
  return {
    training: gate.verdict,
    logic: logic.verdict,
    champion: metrics === null ? null : { version: champion!.version, metrics },
    files,
  };
}

/** Both models alert on as many rows: thresholds from other days would compare how busy those days were. */
function budgeted(scores: Float32Array, share: number): ScoredModel {
  const sorted = Float64Array.from(scores).sort();
  const alerts = Math.max(1, Math.floor(share * sorted.length));
  return { scores: Float64Array.from(scores), threshold: sorted[sorted.length - alerts] };
}

function championScores(
  ports: Ports,
  given: {
    readonly champion: Scorer;
    readonly source: Source;
    readonly pipeline: Pipeline;
    readonly plan: FeaturePlan;
    readonly x: Matrix;
    readonly rows: Int32Array;
  },
): Float32Array {
  const { champion, source, pipeline, plan, x, rows } = given;
  const same = champion.plan.hash === plan.hash;
  const own = same ? x : vectorsOf(source.table, { plan: champion.plan, pipeline, report: ports.report }).x;
  return scoreRows(champion, own, rows);
}

function sampleOf({ evaluation }: Trained): LogicEvidence["sample"] {
  const { x, scores, anomaly } = evaluation;
  const step = Math.max(1, Math.floor(x.rows / BATCH_ROWS));
  const count = Math.min(BATCH_ROWS, x.rows);
  return Array.from({ length: count }, (_, i) => {
    const vector = new Float32Array(x.names.length);
    copyRow(x, i * step, vector);
    return { vector, score: scores[i * step], anomalyScore: anomaly[i * step] };
  });
}

async function logRun(
  ports: Ports,
  given: {
    readonly input: TrainInput;
    readonly trained: Trained;
    readonly split: Split;
    readonly verdicts: readonly Verdict[];
    readonly source: Source;
    readonly registry: Registry;
    readonly champion: Scorer | null;
    readonly refused: boolean;
  },
): Promise<string> {
  const { input, trained, verdicts, source, registry } = given;
  const { pipeline } = input;
  const at = ports.clock.now();
  const runId = await registry.startRun({
    experiment: pipeline.name,
    name: `${input.verb}-${source.hash.slice(0, 8)}-seed-${trained.provenance.seed}`,
    startedAt: at,
    user: input.actor,
    tags: {
      "sentinel.verb": input.verb,
      "sentinel.data_hash": source.hash,
      "sentinel.data_path": source.path,
      "sentinel.feature_hash": compileSpec(trained.spec).hash,
      "sentinel.pipeline_hash": pipeline.hash,
      "sentinel.parent": given.champion?.version ?? "",
      "sentinel.package_version": input.packageVersion,
      "mlflow.source.git.commit": trained.provenance.commit,
      ...Object.fromEntries(verdicts.map(({ gate, verdict }) => [`sentinel.gate.${gate}`, verdict])),
    },
  });
  const metrics = Object.entries(trained.metrics).map(([key, value]) => ({ key, value }));
  const curves = [
    ...trained.fitted.curve.train.map((value, step) => ({ key: "train_log_loss", value, step })),
    ...trained.fitted.curve.validation.map((value, step) => ({ key: "validation_log_loss", value, step })),
  ];
  const ablation = [
    { key: "ablation_ap_without_anomaly", value: trained.fitted.ablation.without },
    { key: "ablation_ap_with_anomaly", value: trained.fitted.ablation.with },
  ];
  await registry.logRun(runId, {
    params: Object.fromEntries(
      Object.entries(trained.provenance.parameters).map(([key, value]) => [key, String(value)]),
    ),
    metrics: [...metrics, ...ablation, ...curves],
    datasets: [
      {
        name: pipeline.name,
        digest: source.hash.slice(0, 36),
        sourceType: "local",
        source: JSON.stringify({ uri: source.path }),
        context: "training",
      },
    ],
    at: ports.clock.now(),
  });
  if (given.refused) await registry.endRun(runId, "FAILED", ports.clock.now());
  return runId;
}

async function register(
  ports: Ports,
  given: {
    readonly input: TrainInput;
    readonly registry: Registry;
    readonly runId: string;
    readonly judged: Judged;
    readonly verdicts: readonly Verdict[];
    readonly champion: Scorer | null;
  },
): Promise<ModelVersion> {
  const { input, registry, runId, judged, verdicts } = given;
  const { model } = input.pipeline;
  const evidence = sha256(canonicalJson(verdicts));
  const overridden = verdicts.every(isYes) ? null : input.forced;
  const version = await registry.register({
    model,
    runId,
    files: judged.files,
    description: `${input.verb} by ${input.actor}`,
    tags: {
      "sentinel.parent": given.champion?.version ?? "",
      "sentinel.evidence": evidence,
      ...Object.fromEntries(verdicts.map(({ gate, verdict }) => [`sentinel.gate.${gate}`, verdict])),
      ...(overridden === null ? {} : { "sentinel.forced": overridden }),
    },
    at: ports.clock.now(),
  });
  await registry.endRun(runId, "FINISHED", ports.clock.now());
  const before = (await registry.aliases(model)).candidate ?? null;
  await registry.moveAlias({
    model,
    alias: "candidate",
    from: before,
    to: version.version,
    entry: {
      at: ports.clock.now(),
      actor: input.actor,
      verb: input.verb,
      verdict: overridden === null ? "pass" : "FORCED",
      evidence,
      reason:
        overridden ??
        `passed ${verdicts.map(({ gate }) => gate).join(", ")} gates; bundle ${bundleHash(judged.files).slice(0, 12)}`,
    },
  });
  return version;
}

async function saveState(
  ports: Ports,
  given: {
    readonly pipeline: Pipeline;
    readonly plan: FeaturePlan;
    readonly state: FeatureState;
    readonly source: Source;
    readonly trained: Trained;
  },
): Promise<void> {
  await saveTrainingState(ports, {
    pipeline: given.pipeline.name,
    layout: given.plan.layoutHash,
    state: given.state,
    dataHash: given.source.hash,
    // Absolute: a server or a replay may run from another folder.
    dataPath: path.resolve(given.source.path),
    trainedUpTo: given.trained.trainedUpTo,
  });
}

function stopped(verdicts: readonly Verdict[], watch: Stopwatch): TrainResult {
  return {
    verdicts,
    version: null,
    runId: null,
    metrics: null,
    champion: null,
    fitted: null,
    importance: [],
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
      seconds[name] = Math.round(now - last) / 1000;
      last = now;
    },
  };
}
