// Judging what was trained: metrics on the later slice, the champion on the same rows, training and logic gates.
import { largest } from "../../core/stats.ts";
import { orderBy } from "../../core/table.ts";
import { isYes, type Verdict } from "../../core/verdict.ts";
import { type ScoredModel, trainingGate } from "../../evidence/training.ts";
import { budgetThreshold, rank } from "../../metrics/ranking.ts";
import { copyRow, takeMatrixRows } from "../../ml/matrix.ts";
import type { LearnedBy, Provenance } from "../../online/bundle.ts";
import { fieldFault } from "../../online/fields.ts";
import { type Scorer, scoreRows } from "../../online/score.ts";
import { MODEL_PARAMETERS } from "../../pipeline/model-parameters.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { defaultsOf } from "../../pipeline/section.ts";
import type { Ports } from "../../ports/ports.ts";
import { newTo } from "../data/judge-by.ts";
import { schemaIfThere } from "../data/schema-file.ts";
import { amountsOf, cardsOf, labelsOf, rowsOf, type Source, timesOf } from "../data/source.ts";
import { parityFault } from "../data/vectors.ts";
import { answering, assembleBundle } from "./assemble.ts";
import type { Basis } from "./basis.ts";
import { type DecidedRows, decidedRows, type JudgedRows, metricsOf } from "./evaluate.ts";
import { type Fitted, labelsAt, scoresOf } from "./fit.ts";
import { importanceOf } from "./importance.ts";
import { type LogicEvidence, logicGate } from "./logic.ts";
import { ownersOf } from "./owners.ts";
import type { Refit } from "./refit.ts";
import { recentUnlearned } from "./split.ts";
import type { Recipe, TrainInput, TrainResult } from "./task.ts";
import type { Trained } from "./trained.ts";

/** Rows scored one by one for the batch check. */
const BATCH_ROWS = 1000;

/** The evaluation slice scored, with all that a bundle is made from. */
export async function evaluate(
  ports: Ports,
  basis: Basis,
  given: {
    readonly input: TrainInput;
    readonly fitted: Fitted;
    readonly champion: Scorer | null;
  },
): Promise<Trained> {
  const { input, fitted, champion } = given;
  const { source, split, x, plan, rows, seed } = basis;
  const { pipeline } = input;
  const evaluateX = takeMatrixRows(x, split.evaluate.rows);
  const scored = scoresOf(fitted, evaluateX);
  const commit = (await (await ports.sourceControl()).describe())?.commit ?? "";
  const provenance: Provenance = {
    dataHash: source.hash,
    dataRows: rowsOf(source),
    pipelineHash: pipeline.hash,
    commit,
    packageVersion: input.packageVersion,
    seed,
    ...parametersOf(input, seed, fitted.notes),
    ...learnedBy(input.recipe, { fitted, champion }),
  };
  return {
    pipeline,
    spec: plan.spec,
    fitted,
    refit: null,
    split,
    evaluation: { x: evaluateX, y: rows.y, time: rows.time, amount: rows.amount, card: rows.card, ...scored },
    ...recentOf(basis, input),
    metrics: metricsOf(scored.scores, rows, {
      thresholds: fitted.thresholds,
      reviewShare: pipeline.decisions.reviewShare,
      ...decidedRows(fitted, { scores: scored.scores, x: evaluateX }),
    }),
    importance: importanceOf(fitted, { x: evaluateX, y: rows.y, anomaly: scored.anomaly, seed }),
    trainedUpTo: largest(timesOf(source.table, pipeline)),
    provenance,
  };
}

/** Nothing where all days count the same. */
function learnedBy(
  recipe: Recipe | undefined,
  { fitted, champion }: { readonly fitted: Fitted; readonly champion: Scorer | null },
): { readonly recipe?: LearnedBy } {
  if (recipe === undefined) return {};
  const { continued, ...rest } = recipe;
  const continues =
    continued && champion !== null ? { continues: { bundle: champion.bundle, treesAdded: fitted.rounds } } : {};
  const learned: LearnedBy = { ...rest, ...continues };
  return Object.keys(learned).length === 0 ? {} : { recipe: learned };
}

/** What somebody without a model would say of every row: the share of frauds on the calibration days. */
function constantOf({ calibrate }: Basis["split"]): number {
  return calibrate.frauds / calibrate.rows.length;
}

/** The rows that the world is known by: the newest that the judged trees did not learn. */
function recentOf(
  { source, split, x, plan }: Basis,
  { pipeline, since }: TrainInput,
): Pick<Trained, "recent" | "recentRows"> {
  const known = { split, ...(since === undefined ? {} : { since }) };
  const times = timesOf(source.table, pipeline);
  const rows = recentUnlearned(times, labelsOf(source.table, pipeline), known);
  const owners = ownersOf(source.table, rows, { card: pipeline.columns.card, spec: plan.spec });
  return {
    recent: takeMatrixRows(x, rows),
    recentRows: { times: Float64Array.from(rows, (row) => times[row]), owners },
  };
}

/** What decided about the models: all of the pipeline's parameters, or for a foreign model those that were used. */
function parametersOf(
  input: TrainInput,
  seed: number,
  seen: readonly string[] = [],
): Pick<Provenance, "parameters" | "imported"> {
  const { modelParameters } = input.pipeline;
  if (input.imported === undefined) return { parameters: { ...flatParameters(modelParameters), seed } };
  const { anomalyTrees, anomalySample, calibration } = modelParameters;
  const imported = { ...input.imported, notes: [...input.imported.notes, ...seen] };
  return { parameters: { anomalyTrees, anomalySample, calibration, seed }, imported };
}

/** The gates after training, and the bundle they were shown. */
export interface Judged {
  readonly training: Verdict;
  /** null where nothing was refitted. */
  readonly refit: Verdict | null;
  readonly logic: Verdict;
  readonly champion: TrainResult["champion"];
  /** What was given, with the refitted model where there is one. */
  readonly trained: Trained;
  readonly files: ReturnType<typeof assembleBundle>;
}

/** Compares with trivial baselines and the champion, assembles the bundle, and puts it through the logic gate. */
export async function judge(
  ports: Ports,
  basis: Basis,
  given: {
    readonly champion: Scorer | null;
    readonly trained: Trained;
    /** What serves in the judged model's place; asked for once the training gate has said yes, or does not matter. */
    readonly refit: (() => Promise<Refit | null>) | null;
    /** Whether a failed training gate is overridden. */
    readonly isForced: boolean;
    /** As of the gate. */
    readonly undecided: "refuse" | "shadow";
  },
): Promise<Judged> {
  const { source, split, x, plan, rows } = basis;
  const { champion } = given;
  const { pipeline } = given.trained;
  const { evaluation, metrics: figures, provenance } = given.trained;
  // A judged model stands for one that will have learned newer days: so does the twin of a refitted champion.
  const known = given.refit === null ? split.evaluate.from : split.train.to;
  const opponent = champion === null ? null : newTo(champion, known);
  const rival = opponent === null ? null : await championScores(basis, opponent.scorer);
  const fair =
    opponent === null || given.undecided === "refuse" ? null : fairRows(basis, { champion: opponent.scorer, pipeline });
  const unseen = basis.unseen();
  const atBudget = (scores: Float32Array): ScoredModel => budgeted(scores, rows.y, pipeline.decisions.reviewShare);
  const { training: asked, logic: wanted } = pipeline.gates;
  const gate = trainingGate({
    ...rows,
    candidate: atBudget(evaluation.scores),
    champion: rival === null ? null : atBudget(rival.scores),
    ...(fair === null ? {} : { unlearned: fair }),
    undecided: given.undecided,
    alertRate: figures.alert_rate,
    constant: constantOf(split),
    checks: unseen === null ? [] : [unseen],
    championSeen:
      opponent === null || fair !== null
        ? 0
        : rows.time.filter((time) => time < opponent.scorer.manifest.learnedUpTo).length,
    seed: provenance.seed,
    policy: {
      averagePrecisionMargin: asked.margin,
      f1Margin: asked.f1Margin ?? asked.margin,
      recallMargin: asked.recallMargin ?? asked.margin,
      reviewShare: pipeline.decisions.reviewShare,
      fraudsMin: asked.fraudsMin,
    },
  });
  const isAsked = isYes(gate.verdict) || given.isForced;
  const trained = { ...given.trained, refit: isAsked && given.refit !== null ? await given.refit() : null };
  const files = assembleBundle(trained);
  const parity = parityFault(source.table, x, {
    plan,
    pipeline,
    order: orderBy(timesOf(source.table, pipeline)),
    rowsMax: wanted.parityRows,
  });
  const schema = schemaIfThere(pipeline);
  const evidence: LogicEvidence = {
    sample: sampleOf(trained),
    fieldFault: schema === null ? null : (fieldFault(plan, { pipeline, schema })?.message ?? null),
    parityFault: parity.fault,
    parityRows: parity.rows,
  };
  const logic = logicGate(files, evidence, { clock: ports.clock, limits: wanted });
  const metrics =
    // On days that it has learned the champion's figures would flatter it.
    rival === null || fair !== null
      ? null
      : metricsOf(rival.scores, rows, {
          thresholds: opponent!.scorer.manifest.thresholds,
          reviewShare: pipeline.decisions.reviewShare,
          ...rival.by,
        });
  return {
    training: gate.verdict,
    refit: trained.refit?.verdict ?? null,
    logic: logic.verdict,
    trained,
    champion: metrics === null ? null : { version: champion!.version, model: opponent!.model, metrics },
    files,
  };
}

/**
 * Those of the judged rows that the champion (or its twin) has not learned, where it has learned some of them, and with the delay of labels
 * between: null where all are later.
 */
function fairRows(
  { rows: { time } }: Basis,
  on: { readonly champion: Scorer; readonly pipeline: Pipeline },
): Int32Array | null {
  const { learnedUpTo } = on.champion.manifest;
  if (time.every((at) => at >= learnedUpTo)) return null;
  const from = learnedUpTo + on.pipeline.labels.delayMs;
  return Int32Array.from(time.keys()).filter((row) => time[row] >= from);
}

/** The rows a slice is judged on. */
export function judgedRows(source: Source, rows: Int32Array, pipeline: Pipeline): JudgedRows {
  const labels = labelsOf(source.table, pipeline);
  const cards = cardsOf(source.table, pipeline);
  const times = timesOf(source.table, pipeline);
  const amounts = amountsOf(source.table, pipeline);
  return {
    y: labelsAt(labels, rows),
    card: Int32Array.from(rows, (row) => cards[row]),
    carded: pipeline.columns.card !== null && source.table.columns.has(pipeline.columns.card),
    time: Float64Array.from(rows, (row) => times[row]),
    amount: Float64Array.from(rows, (row) => amounts[row]),
  };
}

/**
 * The model's parameters as a flat list; those not given are left out. So are a start rate and a use of the anomaly score that are the default: they came
 * later than the first bundles, and a pipeline that does not name them makes the same bundle as then, byte for byte.
 */
export function flatParameters(modelParameters: Pipeline["modelParameters"]): Record<string, number | string> {
  const { monotone = {}, ...rest } = modelParameters;
  const flat: Record<string, number | string> = {};
  for (const [name, value] of Object.entries(rest)) if (value !== undefined) flat[name] = value;
  if (flat.startRate === START_RATE) delete flat.startRate;
  if (flat.anomalyFeature === ANOMALY_FEATURE) delete flat.anomalyFeature;
  for (const [feature, direction] of Object.entries(monotone)) flat[`monotone.${feature}`] = direction;
  return flat;
}

const { startRate: START_RATE, anomalyFeature: ANOMALY_FEATURE } = defaultsOf(MODEL_PARAMETERS);

/** Both models alert within the same budget, of one row at least: thresholds from other days would compare how busy those days were. */
function budgeted(scores: Float32Array, y: Uint8Array, share: number): ScoredModel {
  const threshold = budgetThreshold(rank(scores, y), Math.max(share, 1 / scores.length));
  return { scores: Float64Array.from(scores), threshold };
}

/** What a champion says of the judged rows, and what it decides. */
interface RivalScores {
  readonly scores: Float32Array;
  readonly by: { readonly decided?: DecidedRows };
}

async function championScores(basis: Basis, champion: Scorer): Promise<RivalScores> {
  const { rows } = basis.split.evaluate;
  const isAlike = champion.plan.hash === basis.plan.hash;
  const x = isAlike ? basis.x : await basis.vectorsBy(champion);
  const scores = scoreRows(champion, x, rows);
  const { thresholds, policy = null } = champion.manifest;
  return { scores, by: decidedRows({ thresholds, policy }, { scores, x, rows }) };
}

/** Of the models that serve. */
function sampleOf(trained: Trained): LogicEvidence["sample"] {
  const { x } = trained.evaluation;
  const { scores, anomaly } = scoresOf(answering(trained).fitted, x);
  const step = Math.max(1, Math.floor(x.rows / BATCH_ROWS));
  const count = Math.min(BATCH_ROWS, x.rows);
  return Array.from({ length: count }, (_, i) => {
    const vector = new Float32Array(x.names.length);
    copyRow(x, i * step, vector);
    return { vector, score: scores[i * step], anomalyScore: anomaly[i * step] };
  });
}
