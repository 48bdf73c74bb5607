// Training boosted trees: rounds of gradients, a tree and an update, with sampling and early stopping.
import { Random } from "../../core/random.ts";
import { type BinnedMatrix, binMatrix } from "./binning.ts";
import { flattenTrees } from "./flatten.ts";
import { computeGradients, type Gradients, makeGradients, packGradients, weighGradients } from "./gradients.ts";
import { type GrownTree, growTree, type HistogramPool } from "./grow.ts";
import { type Gathered, makeGathered, makeHistogramPool } from "./histogram.ts";
import type { GbdtModel } from "./model.ts";
import { sampleColumns, sampleRows } from "./sampling.ts";
import { makeStopping } from "./stopping.ts";
import { checkTask, type GbdtTask, startMargin } from "./task.ts";
import { addLeaves, addTree, logLossOfMargins } from "./update.ts";

export interface GbdtResult {
  readonly model: GbdtModel;
  /** Mean log-loss after each round that ran, also those cut off again. */
  readonly curve: { readonly train: readonly number[]; readonly validation: readonly number[] };
  /** Trees in the model: the best round when training stopped early, else all rounds. */
  readonly bestRound: number;
}

/**
 * Second-order boosting of the log-loss over histogram trees (Chen & Guestrin 2016). The same task gives the same model,
 * byte for byte. Errors: `ml.parameter-invalid`, `ml.one-class`.
 */
export function trainGbdt(task: GbdtTask): GbdtResult {
  checkTask(task);
  const state = startTraining(task);
  const grown: GrownTree[] = [];
  const curve = { train: [] as number[], validation: [] as number[] };
  const stopping = makeStopping(task.params.earlyStoppingRounds);

  updateGradients(task, state);
  for (let round = 1; round <= task.params.trees; round++) {
    const tree = growRound(task, state, round);
    grown.push(tree);
    const trainLoss = updateGradients(task, state);
    const validationLoss = validationRound(task, state, tree);
    curve.train.push(trainLoss);
    if (task.validation) curve.validation.push(validationLoss);
    task.onRound?.(round, trainLoss, validationLoss);
    if (task.validation && stopping.shouldStop(round, validationLoss)) break;
  }
  const bestRound = task.validation && task.params.earlyStoppingRounds > 0 ? stopping.bestRound() : grown.length;
  const model = flattenTrees(grown.slice(0, bestRound), { names: task.x.names, baseMargin: state.baseMargin });
  return { model, curve, bestRound };
}

/** What lasts from round to round. */
interface Training {
  readonly binned: BinnedMatrix;
  readonly baseMargin: number;
  readonly margins: Float64Array;
  readonly validationMargins: Float64Array;
  /** All validation rows. */
  readonly validationRows: Int32Array;
  readonly gradients: Gradients;
  readonly pool: HistogramPool;
  readonly scratch: Int32Array;
  readonly gathered: Gathered;
  readonly random: Random;
}

function startTraining(task: GbdtTask): Training {
  const { x, params, validation } = task;
  const baseMargin = startMargin(task);
  const binned = binMatrix(x, params.binsMax);
  return {
    binned,
    baseMargin,
    margins: new Float64Array(x.rows).fill(baseMargin),
    validationMargins: new Float64Array(validation?.x.rows ?? 0).fill(baseMargin),
    validationRows: Int32Array.from({ length: validation?.x.rows ?? 0 }, (_, r) => r),
    gradients: makeGradients(x.rows),
    pool: makeHistogramPool(x.names.length),
    scratch: new Int32Array(x.rows),
    gathered: makeGathered(x.rows, binned.stride),
    random: new Random(task.seed),
  };
}

/** Derivatives at the present margins; returns the training loss there. */
function updateGradients(task: GbdtTask, state: Training): number {
  const loss = computeGradients(state.margins, task.y, {
    scalePositive: task.params.scalePositive,
    out: state.gradients,
  });
  if (task.weights === undefined) return loss;
  return weighGradients(state.margins, task.y, { weights: task.weights, out: state.gradients });
}

/** Grows one tree and adds it to the training margins. */
function growRound(task: GbdtTask, state: Training, round: number): GrownTree {
  const { binned, gradients, pool, scratch, gathered } = state;
  const random = state.random.fork(round);
  const { kept, leftOut } = sampleRows(task.x.rows, { share: task.params.rowSample, random });
  const columns = sampleColumns(task.x.names.length, { share: task.params.columnSample, random });
  packGradients(gradients, round);
  const tree = growTree({ binned, gradients, params: task.params, columns, rows: kept, scratch, gathered, pool });
  addLeaves(tree, kept, state.margins);
  addTree(tree, { x: task.x, rows: leftOut, margins: state.margins });
  return tree;
}

/** Adds the tree to the validation margins and returns their loss. */
function validationRound(task: GbdtTask, state: Training, tree: GrownTree): number {
  if (!task.validation) return Number.NaN;
  addTree(tree, { x: task.validation.x, rows: state.validationRows, margins: state.validationMargins });
  return logLossOfMargins(state.validationMargins, task.validation.y);
}
