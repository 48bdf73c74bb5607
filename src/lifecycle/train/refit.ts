// Refit: the judged model once more, from all days with matured labels, to serve in its place; what carries over, and whether it may.
import type { Thresholds } from "../../core/decision.ts";
import { type Check, type Verdict, verdictOf } from "../../core/verdict.ts";
import { psi } from "../../drift/psi.ts";
import { budgetThreshold, rank } from "../../metrics/ranking.ts";
import { type Calibration, calibrate } from "../../ml/calibration/apply.ts";
import { equate } from "../../ml/calibration/train/equate.ts";
import type { ColumnKind } from "../../ml/gbdt/train/kinds.ts";
import { gbdtParams } from "../../ml/gbdt/train/params.ts";
import { trainIsolationForest } from "../../ml/iforest/train/train.ts";
import { type Matrix, takeMatrixRows } from "../../ml/matrix.ts";
import type { LatelyFacts, RefitFacts } from "../../online/bundle.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import { cardsOf, labelsOf, timesOf } from "../data/source.ts";
import type { LearningBasis } from "./basis.ts";
import { boost } from "./boost.ts";
import { fitDecisions } from "./decisions.ts";
import { decidedBy, decidingRows, type Fitted, type StartModel, scoresOf, vectorMargins } from "./fit.ts";
import { habitColumns } from "./kinds.ts";
import type { PolicyFeatures } from "./policy.ts";
import { type Lately, learnLately } from "./since.ts";
import { refitSlices, type Slice, UNSEEN_ROWS_MIN } from "./split.ts";

/** Above it a population counts as another one (Siddiqi 2006): the judged model's figures would be about somebody else. */
const SHIFT_MAX = 0.25;

/** Of the rows that one model ranks highest, as many as the budget takes, so many must be among the other's. */
const AGREEMENT_MIN = 0.5;

/** Highest rows compared at least: the agreement on fewer is mostly luck. */
const TOP_ROWS_MIN = 50;

/** Probabilities at which the two models' scores are cut for the shift. Below the first of them nobody decides anything, and margins wander. */
const CUTS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.9] as const;

/** Alerts that a threshold must rest on: fewer are mostly luck. */
const ALERTS_MIN = 10;

/** The model that serves, beside the judged one. */
export interface Refit {
  /** With the calibration that was carried over; thresholds are the judged model's, but where a budget was counted anew. */
  readonly fitted: Fitted;
  readonly learned: Slice;
  readonly facts: RefitFacts;
  /** Its scores of rows that it has not learned, the reference for what it will answer. */
  readonly answers: Float32Array;
  /** Of the gate "refit". */
  readonly verdict: Verdict;
}

export interface RefitInput {
  readonly judged: Fitted;
  readonly kinds: readonly ColumnKind[];
  readonly pipeline: Pipeline;
  /** How long before the table's end its labels are still open. */
  readonly openMs: number;
  /** Vectors of transactions after all of the table, which no model has learned; absent: the table's newest rows are left out for that. */
  readonly newest?: Matrix;
  /** How much each row of the table counts; absent where all count the same. */
  readonly weights?: Float32Array;
  /** The model that trees are added to. */
  readonly start?: StartModel;
  /** When the world became another one; its own days are asked then what to learn. Absent: all days alike, as the judged model learned. */
  readonly since?: number;
  /** One per row of the table; for thresholds that weigh costs. */
  readonly amounts: Float64Array;
  readonly features: PolicyFeatures;
  /**
   * What becomes of a model unlike the judged one: "refuse", or "shadow", where the model itself is compared before anything is decided. After a
   * shift of the world the two must differ: the judged one knows less of the new one.
   */
  readonly unlike: "refuse" | "shadow";
  readonly threads: number;
}

/**
 * Trains on every labelled row from the begin of the training days up to the last matured one. Nothing it has learned from can tell how
 * good it is, nor calibrate it: calibration and thresholds are the judged model's, from days that came after that one's training,
 * carried over by {@link equate} on the newest rows, which neither has seen. The gate says whether the two are alike enough there for the
 * judged figures to speak for both. Of a new world the judged model knows little: where {@link learnLately} finds enough of it, its days say what is
 * learned, by how many trees, and what the scores mean. Errors: lifecycle.not-enough-data, ml.*.
 */
export async function refit(ports: Pick<Ports, "report">, basis: LearningBasis, given: RefitInput): Promise<Refit> {
  const { source, split, x } = basis;
  const { judged, pipeline, newest, amounts, features } = given;
  const cards = cardsOf(source.table, pipeline);
  const labels = labelsOf(source.table, pipeline);
  const times = timesOf(source.table, pipeline);
  const isWhole = newest !== undefined;
  const { learned: matured, unseen } = refitSlices(split, { times, labels }, { openMs: given.openMs, isWhole });
  const rest = { ...given, labels, times, seed: basis.seed, report: ports.report };
  const lately =
    given.since === undefined ? null : await learnLately(basis, { ...rest, rows: matured.rows, since: given.since });
  const learned = lately === null ? matured : sliceSince(matured, lately.from, { times, labels });
  const models = await refitModels(ports, basis, { ...given, labels, rows: learned.rows, lately });
  const unseenX = newest ?? takeMatrixRows(x, unseen.rows);
  const known = vectorMargins(judged, unseenX).margins;
  const fresh = vectorMargins({ ...judged, ...models }, unseenX).margins;
  const decisions =
    lately === null
      ? { calibration: equate(judged.calibration, { known, fresh }) }
      : decidedBy(
          fitDecisions(lately.margins, {
            pipeline,
            ...decidingRows({ x, labels }, lately.rows, { amounts, cards, features }),
          }),
        );
  const carried = { ...judged, ...models, ...decisions };
  const { scores } = scoresOf(carried, unseenX);
  // A week may hold none of the bursts that frauds come in: a budget that is counted on it is spent twice over in the next.
  const asked = lately === null ? [] : Array.from(lately.margins, (margin) => calibrate(carried.calibration, margin));
  const fitted =
    // Several thresholds cannot be counted anew by one ranking: they mean the same on a calibration that was carried over.
    !isWhole || carried.policy !== null
      ? carried
      : { ...carried, thresholds: budgeted(carried.thresholds, Float32Array.from([...scores, ...asked]), pipeline) };
  const facts: RefitFacts = {
    from: Math.ceil(learned.from),
    to: Math.ceil(learned.to),
    rows: learned.rows.length,
    frauds: learned.frauds,
    judgedUpTo: Math.floor(split.calibrate.to),
    unseenRows: unseenX.rows,
    scoreShift: shiftBetween(judged.calibration, known, fresh),
    alertAgreement: agreementBetween(known, fresh, pipeline.decisions.reviewShare),
    ...(lately === null ? {} : { lately: latelyFacts(lately, given.since!) }),
  };
  return { fitted, learned, facts, answers: scores, verdict: verdictOf("refit", checksOf(facts, given.unlike)) };
}

function latelyFacts({ way, rounds, averagePrecision, stretches, rows }: Lately, since: number): LatelyFacts {
  return { since, stretches, rows: rows.length, averagePrecision, learned: way, trees: rounds };
}

function sliceSince(
  slice: Slice,
  from: number,
  { times, labels }: { readonly times: Float64Array; readonly labels: Uint8Array },
): Slice {
  const rows = slice.rows.filter((row) => times[row] >= from);
  return {
    from: Math.max(slice.from, from),
    to: slice.to,
    rows,
    count: rows.length,
    frauds: rows.reduce((sum, row) => sum + labels[row], 0),
  };
}

/** The judged models again from other rows: as many trees, the same inputs and parameters, nothing that stops early. */
async function refitModels(
  { report }: Pick<Ports, "report">,
  { x, plan, seed }: LearningBasis,
  given: RefitInput & { readonly labels: Uint8Array; readonly rows: Int32Array; readonly lately: Lately | null },
): Promise<Pick<Fitted, "model" | "forest">> {
  const { judged, start, rows, labels, lately } = given;
  const { modelParameters: parameters } = given.pipeline;
  const { anomalyTrees, anomalySample } = parameters;
  // Trees that are there read what their own forest says, and those that the new days were asked by the judged one's.
  const forest =
    start?.forest ??
    (lately === null ? null : judged.forest) ??
    trainIsolationForest({
      x: takeMatrixRows(x, rows),
      trees: anomalyTrees,
      sample: anomalySample,
      columns: habitColumns(plan.spec),
      seed,
    });
  const { model } = await boost(
    { x, labels, rows, later: null },
    {
      ...given,
      ...(lately?.weights === undefined ? {} : { weights: lately.weights }),
      by: { forest, anomalyAsFeature: judged.anomalyAsFeature },
      params: { ...gbdtParams(parameters), trees: lately?.rounds ?? judged.rounds, earlyStoppingRounds: 0 },
      seed,
      report,
      label: "refitting",
    },
  );
  report.progress("refitting", 1, 1);
  return { model: { kind: "trees", trees: model }, forest };
}

/**
 * With the review threshold by the budget on what the model says of transactions that it has not learned, where a budget sets it and enough is
 * known: after a shift the judged model cannot tell how much the refitted one flags of a world that only the latter has learned.
 */
function budgeted(thresholds: Thresholds, scores: Float32Array, { decisions }: Pipeline): Thresholds {
  const { reviewPolicy, reviewShare } = decisions;
  if (reviewPolicy !== "budget" || scores.length * reviewShare < ALERTS_MIN) return thresholds;
  const { block } = thresholds;
  return { review: budgetThreshold(rank(scores, new Uint8Array(scores.length)), reviewShare, block), block };
}

function checksOf({ unseenRows, scoreShift, alertAgreement }: RefitFacts, unlike: RefitInput["unlike"]): Check[] {
  const [shift, agreement] = [figure(scoreShift), `${figure(100 * alertAgreement)} %`];
  const refuse = "train without --refit: then the judged model serves";
  const isAsked = unlike === "refuse";
  const nothing = "nothing of a retraining, whose model the shadow compares itself";
  return [
    {
      name: "unseen rows",
      passed: unseenRows >= UNSEEN_ROWS_MIN,
      observed: unseenRows.toLocaleString("en"),
      required: `at least ${UNSEEN_ROWS_MIN.toLocaleString("en")}`,
    },
    {
      name: "score shift",
      passed: !isAsked || scoreShift <= SHIFT_MAX,
      observed: `PSI ${shift}`,
      required: isAsked ? `at most ${SHIFT_MAX}` : nothing,
      reason: `score shift: on the same rows the refitted model's scores, calibrated as the judged one's, are another population (PSI ${shift}, at most ${SHIFT_MAX}), so the judged figures say little about it; ${refuse}`,
    },
    {
      name: "same alerts",
      passed: !isAsked || alertAgreement >= AGREEMENT_MIN,
      observed: agreement,
      required: isAsked ? `at least ${100 * AGREEMENT_MIN} %` : nothing,
      reason: `same alerts: only ${agreement} of the judged model's highest rows are among the refitted one's (at least ${100 * AGREEMENT_MIN} %), so it would send analysts to other transactions than was judged; ${refuse}`,
    },
  ];
}

/** PSI of what the margins of both mean by one calibration on the same rows, before anything is carried over. */
function shiftBetween(calibration: Calibration, known: Float64Array, fresh: Float64Array): number {
  const counts = (margins: Float64Array): number[] => {
    const bins = new Array<number>(CUTS.length + 1).fill(0);
    for (const margin of margins) {
      const probability = calibrate(calibration, margin);
      bins[CUTS.filter((cut) => probability >= cut).length]++;
    }
    return bins;
  };
  return psi({ reference: counts(known), window: counts(fresh) });
}

/** Share of the rows that one ranks highest which the other ranks as high; rows of equal margins in the order of the table. */
function agreementBetween(known: Float64Array, fresh: Float64Array, share: number): number {
  const count = Math.min(known.length, Math.max(TOP_ROWS_MIN, Math.round(share * known.length)));
  const top = (margins: Float64Array): Int32Array =>
    Int32Array.from(margins.keys())
      .sort((a, b) => margins[b] - margins[a] || a - b)
      .subarray(0, count);
  const alerted = new Set(top(known));
  return top(fresh).reduce((same, row) => same + (alerted.has(row) ? 1 : 0), 0) / count;
}

function figure(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "unknown";
}
