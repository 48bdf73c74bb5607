// The training task: what boosting is given, whether it makes sense, and the rate it starts from.
import { SentinelError } from "../../../core/errors.ts";
import { checkLabels, checkShape, refuseParameter } from "../../faults.ts";
import type { Matrix } from "../../matrix.ts";
import type { ArenaSize } from "./arena.ts";
import { ROWS_MAX } from "./gradients.ts";
import { type ColumnKind, checkKinds } from "./kinds.ts";
import { checkGbdtParams, type GbdtParams } from "./params.ts";

export interface GbdtTask {
  readonly x: Matrix;
  /** 1 is fraud. */
  readonly y: Uint8Array;
  /** One per row, finite and not negative; absent means all 1. */
  readonly weights?: Float32Array;
  /** Later rows whose loss decides when to stop. */
  readonly validation?: { readonly x: Matrix; readonly y: Uint8Array };
  /** To add trees to a model: its margin of each row, which boosting goes on from. Absent: all rows start from one rate. */
  readonly margins?: { readonly x: Float64Array; readonly validation?: Float64Array };
  /** One per column of x; absent: all are plain numbers. */
  readonly kinds?: readonly ColumnKind[];
  readonly params: GbdtParams;
  readonly seed: number;
  /** Called after each round, which count from 1. The validation loss is NaN without validation rows. */
  readonly onRound?: (round: number, trainLoss: number, validationLoss: number) => void;
}

/**
 * Errors: `ml.parameter-invalid` naming what is wrong, `ml.one-class` when there is nothing to tell apart. That no value is infinite is
 * for binning to see, which looks at each of them anyway, on all threads.
 */
export function checkTask(task: GbdtTask): void {
  const { x, y, weights, validation, params } = task;
  checkGbdtParams(params);
  checkShape(x, "x");
  if (task.kinds !== undefined) checkKinds(task.kinds, x.names);
  if (x.rows > ROWS_MAX) refuseParameter("x.rows", { value: x.rows, wanted: `at most ${ROWS_MAX}` });
  checkLabels(y, { rows: x.rows, name: "y" });
  if (weights !== undefined) checkWeights(weights, x.rows);
  if (task.margins !== undefined) checkMargins(task.margins, task);
  if (validation !== undefined) {
    checkShape(validation.x, "validation.x");
    checkLabels(validation.y, { rows: validation.x.rows, name: "validation.y" });
    if (validation.x.names.join("\n") !== x.names.join("\n")) {
      refuseParameter("validation.x.names", { value: validation.x.names, wanted: `those of x, ${x.names}` });
    }
  } else if (params.earlyStoppingRounds > 0) {
    const wanted = "0 when there are no validation rows";
    refuseParameter("earlyStoppingRounds", { value: params.earlyStoppingRounds, wanted });
  }
  checkClasses(task);
}

/** The margin every row starts from: log-odds of the start rate, else of the weighted share of frauds. */
export function startMargin(task: GbdtTask): number {
  const { startRate } = task.params;
  if (startRate !== undefined) return Math.log(startRate / (1 - startRate));
  const { frauds, genuine } = classWeights(task);
  return Math.log(frauds / genuine);
}

/** What the arena must hold. */
export function sizeOf(task: GbdtTask, threads: number): ArenaSize {
  return {
    rows: task.x.rows,
    validationRows: task.validation?.x.rows ?? 0,
    columns: task.x.names.length,
    weighted: task.weights !== undefined,
    threads,
    params: task.params,
  };
}

function checkClasses(task: GbdtTask): void {
  const { frauds, genuine } = classWeights(task);
  if (frauds > 0 && genuine > 0) return;
  const only = frauds > 0 ? "frauds" : "genuine transactions";
  throw new SentinelError("ml.one-class", `the ${task.y.length} training rows hold ${only} only`, {
    hint: "train on a period with both frauds and genuine transactions, with labels that are mature",
  });
}

function classWeights(task: GbdtTask): { readonly frauds: number; readonly genuine: number } {
  let frauds = 0;
  let genuine = 0;
  for (let r = 0; r < task.y.length; r++) {
    const weight = task.weights === undefined ? 1 : task.weights[r];
    if (task.y[r] === 1) frauds += weight * task.params.scalePositive;
    else genuine += weight;
  }
  return { frauds, genuine };
}

function checkMargins(margins: NonNullable<GbdtTask["margins"]>, { x, validation }: GbdtTask): void {
  const check = (name: string, values: Float64Array | undefined, rows: number): void => {
    if (values?.length !== rows) refuseParameter(`${name}.length`, { value: values?.length, wanted: `${rows}` });
    const row = values.findIndex((value) => !Number.isFinite(value));
    if (row >= 0) refuseParameter(`${name}, row ${row}`, { value: values[row], wanted: "finite" });
  };
  check("margins.x", margins.x, x.rows);
  if (validation !== undefined) check("margins.validation", margins.validation, validation.x.rows);
}

function checkWeights(weights: Float32Array, rows: number): void {
  if (weights.length !== rows) refuseParameter("weights.length", { value: weights.length, wanted: `${rows}` });
  for (let r = 0; r < rows; r++) {
    if (!(weights[r] >= 0) || weights[r] === Number.POSITIVE_INFINITY) {
      refuseParameter(`weights, row ${r}`, { value: weights[r], wanted: "finite and not negative" });
    }
  }
}
