// Gradients of the log-loss: each thread derives its rows, all agree on the scales, then each packs its rows.
import { BLOCK_ROWS, type RowPlaces } from "./arena.ts";
import type { Workspace } from "./workspace.ts";

/** What one unit of the packed integers in a round stands for, as its inverse; powers of two, so that scaling loses nothing. */
export interface Scales {
  readonly hessian: number;
  readonly gradient: number;
}

/**
 * Sums of packed integers stay below 2^31 in either half, with room for what rounding to Float32, before and after scaling, may add: 2^-24
 * each time.
 */
const PACKED_LIMIT = 2 ** 31 - 2 ** 10;

/** Rows a training set may have: above, one unit of rounding per row would eat into the packed integers' precision. */
export const ROWS_MAX = 2 ** 24;

/** Golden ratio of 2^32, squared: moves the dither from round to round. */
const ROUND_STEP = 0x61c88647;

/**
 * What derivatives are multiplied by before they are stored as Float32, whose range weights might leave: powers of two but for
 * the weight of frauds, so that the heaviest row's are at most 1.
 */
export interface DerivativeUnits {
  readonly genuine: number;
  readonly positive: number;
}

/** The units for rows with these weights (absent: all 1). */
export function derivativeUnits(scalePositive: number, weights: Float32Array | undefined): DerivativeUnits {
  let heaviest = weights === undefined ? 1 : 0;
  if (weights !== undefined) for (const weight of weights) heaviest = Math.max(heaviest, weight);
  const genuine = 2 ** -Math.ceil(Math.log2(heaviest * Math.max(1, scalePositive)));
  return { genuine, positive: genuine * scalePositive };
}

/** Sums over rows, in units: of second derivatives, and of absolute first ones. */
export interface DerivativeSums {
  readonly hessians: number;
  readonly gradients: number;
}

/** Adds the newest tree to the odds of all rows; derivatives there, with their sums and the mean training loss. */
export function deriveRows(space: Workspace, units: DerivativeUnits): DerivativeSums & { readonly loss: number } {
  const { kernels, arena, own, team, trainingRows } = space;
  const { odds, leaves, labels, blocks, rows } = arena.training;
  const { weights, pairs } = arena;
  const { genuine, positive } = units;
  const { from, to } = trainingRows;
  kernels.derive(from, to, odds, leaves, own.factors, labels, weights, pairs, genuine, positive, blocks);
  team.wait();
  const [loss, hessians, gradients, weight] = sumBlocks(space, { blocks, rows });
  return { loss: loss / weight, hessians, gradients };
}

/**
 * Packs the derivatives of the first `kept` rows of this thread's list for histograms, as fine as their sums allow, in the place
 * of the derivatives. `round` moves the dither of the rounding.
 */
export function packRows(
  space: Workspace,
  options: {
    readonly sums: DerivativeSums;
    readonly units: DerivativeUnits;
    readonly kept: number;
    readonly round: number;
  },
): Scales {
  const { kernels, arena, trainingRows } = space;
  const { rows } = arena.training;
  const hessian = scaleFor(options.sums.hessians, PACKED_LIMIT - rows);
  const gradient = scaleFor(options.sums.gradients, PACKED_LIMIT - rows);
  const dither = Math.imul(options.round, ROUND_STEP);
  const { from, to } = trainingRows;
  const { list, pairs } = arena;
  if (options.kept === to - from) kernels.pack(from, to, pairs, hessian, gradient, dither);
  else kernels.packList(list + 4 * from, options.kept, pairs, hessian, gradient, dither);
  return { hessian: hessian * options.units.genuine, gradient: gradient * options.units.genuine };
}

/** Adds the newest tree to the odds of the validation rows; their mean log-loss there. */
export function validationLoss(space: Workspace): number {
  const { kernels, arena, own, team, validationRows } = space;
  const { odds, leaves, labels, blocks, rows } = arena.validation;
  kernels.lossOf(validationRows.from, validationRows.to, odds, leaves, own.factors, labels, blocks);
  team.wait();
  return sumBlocks(space, { blocks, rows })[0] / rows;
}

/** The four sums of all blocks of rows, added in the order of the rows: the same whoever made them. */
export function sumBlocks(
  space: Workspace,
  places: Pick<RowPlaces, "blocks" | "rows">,
): [number, number, number, number] {
  const totals: [number, number, number, number] = [0, 0, 0, 0];
  const count = Math.ceil(places.rows / BLOCK_ROWS);
  let at = places.blocks / 8;
  for (let block = 0; block < count; block++) {
    for (let i = 0; i < 4; i++) totals[i] += space.views.f64[at++];
  }
  return totals;
}

/** Scales stay finite as Float32, however small the sum. */
const EXPONENT_MAX = 120;

/** The largest power of two that keeps `sum` in units of it below the limit. */
function scaleFor(sum: number, limit: number): number {
  return sum > 0 ? 2 ** Math.min(EXPONENT_MAX, Math.floor(Math.log2(limit) - Math.log2(sum))) : 1;
}
