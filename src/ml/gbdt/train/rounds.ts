// The rounds of boosting: the program that every thread of a team runs on its share, all coming to the same model.
import { Random } from "../../../core/random.ts";
import type { GbdtModel } from "../model.ts";
import { binMatrices } from "./binning.ts";
import { flattenTrees } from "./flatten.ts";
import {
  type DerivativeSums,
  type DerivativeUnits,
  derivativeUnits,
  deriveRows,
  packRows,
  validationLoss,
} from "./gradients.ts";
import { growTree } from "./grow.ts";
import type { GrownTree } from "./grown.ts";
import { markTree } from "./list.ts";
import { sampleColumns, sampleRows } from "./sampling.ts";
import { makeStopping } from "./stopping.ts";
import { type GbdtTask, startMargin } from "./task.ts";
import type { Workspace } from "./workspace.ts";

export interface GbdtResult {
  readonly model: GbdtModel;
  /** Mean log-loss after each round that ran, also those cut off again. */
  readonly curve: { readonly train: readonly number[]; readonly validation: readonly number[] };
  /** Trees in the model: the best round when training stopped early, else all rounds. */
  readonly bestRound: number;
}

/** Trains; `task` is checked. Every thread returns the same. */
export function runRounds(space: Workspace, task: GbdtTask): GbdtResult {
  const { params, validation } = task;
  // Trees that are added to a model have its margins below them.
  const baseMargin = task.margins === undefined ? startMargin(task) : 0;
  startRows(space, task, Math.exp(baseMargin));
  const { x, kinds } = task;
  const thresholds = binMatrices(space, { x, validation: validation?.x ?? null, kinds, params });
  const random = new Random(task.seed);
  const grown: GrownTree[] = [];
  const curve = { train: [] as number[], validation: [] as number[] };
  const stopping = makeStopping(params.earlyStoppingRounds);

  const units = derivativeUnits(params.scalePositive, task.weights);
  let derived = deriveRows(space, units);
  for (let round = 1; round <= params.trees; round++) {
    grown.push(growRound(space, task, { round, thresholds, random: random.fork(round), sums: derived, units }));
    derived = deriveRows(space, units);
    const lossLater = validation ? validationRound(space, grown[grown.length - 1]) : Number.NaN;
    curve.train.push(derived.loss);
    if (validation) curve.validation.push(lossLater);
    task.onRound?.(round, derived.loss, lossLater);
    if (validation && stopping.shouldStop(round, lossLater)) break;
  }
  const bestRound = validation && params.earlyStoppingRounds > 0 ? stopping.bestRound() : grown.length;
  const model = flattenTrees(grown.slice(0, bestRound), { names: x.names, baseMargin, thresholds });
  return { model, curve, bestRound };
}

/** Writes labels, weights and the starting odds of this thread's rows: all in one leaf that changes nothing. */
function startRows(space: Workspace, task: GbdtTask, odds: number): void {
  const { arena, trainingRows, validationRows, views } = space;
  const { from, to } = trainingRows;
  views.f64[space.own.factors / 8] = 1;
  views.u8.set(task.y.subarray(from, to), arena.training.labels + from);
  if (task.weights) views.f32.set(task.weights.subarray(from, to), arena.weights / 4 + from);
  writeOdds(views.f64, { at: arena.training.odds / 8, from, to, odds, margins: task.margins?.x });
  if (!task.validation) return;
  const later = validationRows;
  views.u8.set(task.validation.y.subarray(later.from, later.to), arena.validation.labels + later.from);
  const margins = task.margins?.validation;
  writeOdds(views.f64, { at: arena.validation.odds / 8, from: later.from, to: later.to, odds, margins });
}

/** The same odds for all rows, or each row's own. */
function writeOdds(
  out: Float64Array,
  of: {
    readonly at: number;
    readonly from: number;
    readonly to: number;
    readonly odds: number;
    readonly margins: Float64Array | undefined;
  },
): void {
  const { at, from, to, odds, margins } = of;
  if (margins === undefined) out.fill(odds, at + from, at + to);
  else for (let row = from; row < to; row++) out[at + row] = Math.exp(margins[row]);
}

/** Draws rows and columns and grows one tree on them. */
function growRound(
  space: Workspace,
  task: GbdtTask,
  at: {
    readonly round: number;
    readonly thresholds: readonly Float32Array[];
    readonly random: Random;
    readonly sums: DerivativeSums;
    readonly units: DerivativeUnits;
  },
): GrownTree {
  const { params } = task;
  const { round, thresholds, random, units } = at;
  const { kept, sums } = sampleRows(space, { params, random, round, sums: at.sums });
  const columns = sampleColumns(space.columns, { share: params.columnSample, random });
  const scales = packRows(space, { sums, units, kept, round });
  return growTree(space, { params, scales, thresholds, columns, kept });
}

/** Adds a tree to the validation rows; returns their loss. The other threads are done with the list. */
function validationRound(space: Workspace, tree: GrownTree): number {
  const { kernels, arena, validationRows } = space;
  const { from, to } = validationRows;
  kernels.listRows(arena.list + 4 * from, from, to - from);
  markTree(space, tree.nodes, { places: arena.validation, rows: validationRows });
  return validationLoss(space);
}
