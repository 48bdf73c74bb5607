// Binning: turns each column into at most 255 numbered bins, each on cuts of its own.
import { refuseValue } from "../../faults.ts";
import type { Matrix } from "../../matrix.ts";
import type { Arena, RowPlaces } from "./arena.ts";
import { BIN_SLOTS } from "./bins.ts";
import { binCategories, frequentCategories } from "./category-bins.ts";
import { type ColumnKind, kindNumber } from "./kinds.ts";
import type { GbdtParams } from "./params.ts";
import type { Workspace } from "./workspace.ts";

/** The matrices as messages name them. */
const TRAINING = "x";
const VALIDATION = "validation.x";

/**
 * Bins every column of the training matrix on its own cuts, and the validation matrix on the same; returns the thresholds
 * of each column. A value v is in the bin numbered by how many thresholds are ≤ v; of a column of categories, bin b holds
 * the category at place b instead. `binsMax` counts the missing bin. Errors: `ml.parameter-invalid` naming a value that is infinite.
 */
export function binMatrices(
  space: Workspace,
  data: {
    readonly x: Matrix;
    readonly validation: Matrix | null;
    readonly kinds?: readonly ColumnKind[];
    readonly params: Pick<GbdtParams, "binsMax" | "categoryRowsMin">;
  },
): Float32Array[] {
  const { team, arena, views } = space;
  const kindOf = (column: number): ColumnKind => data.kinds?.[column] ?? "number";
  team.share(space.columns, (c) => {
    views.i32[arena.kinds / 4 + c] = kindNumber(kindOf(c));
    if (kindOf(c) === "category") binCategoryColumn(space, data, c);
    else binNumberColumn(space, data, c);
  });
  team.wait();
  transpose(space);
  return Array.from({ length: space.columns }, (_, c) => {
    const start = thresholdsAt(arena, c) / 4;
    const bins = views.i32[arena.binCounts / 4 + c];
    return views.f32.slice(start, start + (kindOf(c) === "category" ? bins : bins - 1));
  });
}

type BinTask = Parameters<typeof binMatrices>[1];

function binNumberColumn(space: Workspace, { x, validation, params }: BinTask, column: number): void {
  const { arena, kernels, own, views } = space;
  const { keys, swap, counts, starts } = own;
  copyColumn(space, x, column);
  const present = kernels.sortPresent(own.values, x.rows, keys, swap, counts);
  const cuts = kernels.cutColumn(keys, present, params.binsMax - 1, starts, thresholdsAt(arena, column));
  views.i32[arena.binCounts / 4 + column] = cuts + 1;
  binColumn(space, arena.training, { name: TRAINING, x, column });
  if (validation === null) return;
  copyColumn(space, validation, column);
  binColumn(space, arena.validation, { name: VALIDATION, x: validation, column });
}

function binCategoryColumn(space: Workspace, { x, validation, params }: BinTask, column: number): void {
  const { arena, views } = space;
  const { binsMax, categoryRowsMin } = params;
  const categories = frequentCategories(columnOf(x, column), { binsMax, rowsMin: categoryRowsMin });
  views.f32.set(categories, thresholdsAt(arena, column) / 4);
  views.i32[arena.binCounts / 4 + column] = categories.length;
  const bin = ({ columnMajor, rows }: RowPlaces, name: string, from: Matrix): void => {
    const values = columnOf(from, column);
    const row = values.findIndex((value) => Math.abs(value) === Number.POSITIVE_INFINITY);
    if (row >= 0) refuseValue(name, { x: from, column, row });
    const out = views.u8.subarray(columnMajor + column * rows, columnMajor + (column + 1) * rows);
    binCategories(values, categories, out);
  };
  bin(arena.training, TRAINING, x);
  if (validation !== null) bin(arena.validation, VALIDATION, validation);
}

function thresholdsAt(arena: Arena, column: number): number {
  return arena.thresholds + 4 * BIN_SLOTS * column;
}

/** Copies a column's values to the kernels' memory. */
function copyColumn(space: Workspace, x: Matrix, column: number): void {
  space.views.f32.set(columnOf(x, column), space.own.values / 4);
}

function columnOf({ rows, values }: Matrix, column: number): Float32Array {
  return values.subarray(column * rows, (column + 1) * rows);
}

/** Numbers the bins of the column whose values were copied last. */
function binColumn(
  space: Workspace,
  places: RowPlaces,
  from: { readonly name: string; readonly x: Matrix; readonly column: number },
): void {
  const { own, kernels, arena, views } = space;
  const { name, x, column } = from;
  const count = views.i32[arena.binCounts / 4 + column] - 1;
  const out = places.columnMajor + column * places.rows;
  const row = kernels.binColumn(own.values, places.rows, thresholdsAt(arena, column), count, own.starts, out);
  if (row >= 0) refuseValue(name, { x, column, row });
}

/** Histograms are summed row by row: this thread's rows once more, side by side. */
function transpose(space: Workspace): void {
  const { arena, columns, kernels, trainingRows } = space;
  const { columnMajor, rows } = arena.training;
  kernels.transpose(trainingRows.from, trainingRows.to, columnMajor, rows, columns, arena.rowMajor, arena.stride);
}
