// Refit: the judged model once more, from all days with matured labels, to serve in its place; what carries over, and whether it may.
import { type Check, type Verdict, verdictOf } from "../../core/verdict.ts";
import { psi } from "../../drift/psi.ts";
import { type Calibration, calibrate } from "../../ml/calibration/apply.ts";
import { equate } from "../../ml/calibration/train/equate.ts";
import type { ColumnKind } from "../../ml/gbdt/train/kinds.ts";
import { takeMatrixRows } from "../../ml/matrix.ts";
import type { RefitFacts } from "../../online/bundle.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import { labelsOf, timesOf } from "../data/source.ts";
import type { Basis } from "./basis.ts";
import { type Fitted, refitModels, vectorMargins } from "./fit.ts";
import { refitSlices, type Slice, UNSEEN_ROWS_MIN } from "./split.ts";

/** Above it a population counts as another one (Siddiqi 2006): the judged model's figures would be about somebody else. */
const SHIFT_MAX = 0.25;

/** Of the rows that one model ranks highest, as many as the budget takes, so many must be among the other's. */
const AGREEMENT_MIN = 0.5;

/** Highest rows compared at least: the agreement on fewer is mostly luck. */
const TOP_ROWS_MIN = 50;

/** Probabilities at which the two models' scores are cut for the shift. Below the first of them nobody decides anything, and margins wander. */
const CUTS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.9] as const;

/** The model that serves, beside the judged one. */
export interface Refit {
  /** With the calibration that was carried over, and the judged model's thresholds. */
  readonly fitted: Fitted;
  readonly learned: Slice;
  readonly facts: RefitFacts;
  /** Of the gate "refit". */
  readonly verdict: Verdict;
}

/**
 * Trains on every labelled row from the begin of the training days up to the last matured one. Nothing it has learned from can tell how
 * good it is, nor calibrate it: calibration and thresholds are the judged model's, from days that came after that one's training,
 * carried over by {@link equate} on the newest rows, which neither has seen. The gate says whether the two are alike enough there for the
 * judged figures to speak for both. Errors: lifecycle.not-enough-data, ml.*.
 */
export async function refit(
  ports: Pick<Ports, "report">,
  { source, split, x, seed }: Basis,
  given: {
    readonly judged: Fitted;
    readonly kinds: readonly ColumnKind[];
    readonly pipeline: Pipeline;
    /** How long before the table's end its labels are still open. */
    readonly openMs: number;
    readonly threads: number;
  },
): Promise<Refit> {
  const { judged, pipeline } = given;
  const labels = labelsOf(source.table, pipeline);
  const { learned, unseen } = refitSlices(split, { times: timesOf(source.table, pipeline), labels }, given.openMs);
  const models = await refitModels(x, labels, { ...given, rows: learned.rows, seed, report: ports.report });
  const unseenX = takeMatrixRows(x, unseen.rows);
  const known = vectorMargins(judged, unseenX).margins;
  const fresh = vectorMargins({ ...judged, ...models }, unseenX).margins;
  const fitted = { ...judged, ...models, calibration: equate(judged.calibration, { known, fresh }) };
  const facts: RefitFacts = {
    from: Math.ceil(learned.from),
    to: Math.ceil(learned.to),
    rows: learned.rows.length,
    frauds: learned.frauds,
    judgedUpTo: Math.floor(split.calibrate.to),
    unseenRows: unseen.rows.length,
    scoreShift: shiftBetween(judged.calibration, known, fresh),
    alertAgreement: agreementBetween(known, fresh, pipeline.decisions.reviewShare),
  };
  return { fitted, learned, facts, verdict: verdictOf("refit", checksOf(facts)) };
}

function checksOf({ unseenRows, scoreShift, alertAgreement }: RefitFacts): Check[] {
  const [shift, agreement] = [figure(scoreShift), `${figure(100 * alertAgreement)} %`];
  const refuse = "train without --refit: then the judged model serves";
  return [
    {
      name: "unseen rows",
      passed: unseenRows >= UNSEEN_ROWS_MIN,
      observed: unseenRows.toLocaleString("en"),
      required: `at least ${UNSEEN_ROWS_MIN.toLocaleString("en")}`,
    },
    {
      name: "score shift",
      passed: scoreShift <= SHIFT_MAX,
      observed: `PSI ${shift}`,
      required: `at most ${SHIFT_MAX}`,
      reason: `score shift: on the same rows the refitted model's scores, calibrated as the judged one's, are another population (PSI ${shift}, at most ${SHIFT_MAX}), so the judged figures say little about it; ${refuse}`,
    },
    {
      name: "same alerts",
      passed: alertAgreement >= AGREEMENT_MIN,
      observed: agreement,
      required: `at least ${100 * AGREEMENT_MIN} %`,
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
