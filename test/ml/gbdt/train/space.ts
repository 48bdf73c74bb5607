// A workspace for tests of kernels: one thread's, over a problem of any size.

import { makeMemory } from "../../../../src/core/kernels.ts";
import { planArena } from "../../../../src/ml/gbdt/train/arena.ts";
import { binMatrices } from "../../../../src/ml/gbdt/train/binning.ts";
import { defaultGbdtParams, type GbdtParams } from "../../../../src/ml/gbdt/train/params.ts";
import { ALONE } from "../../../../src/ml/gbdt/train/team.ts";
import { ARENA_START, openWorkspace, type Workspace } from "../../../../src/ml/gbdt/train/workspace.ts";
import type { Matrix } from "../../../../src/ml/matrix.ts";

export interface TestSpace {
  readonly space: Workspace;
  readonly thresholds: readonly Float32Array[];
}

/** A workspace with the matrix binned in it. */
export function spaceFor(
  x: Matrix,
  options: { readonly binsMax?: number; readonly weighted?: boolean; readonly params?: GbdtParams } = {},
): TestSpace {
  const { binsMax = 256, weighted = false, params = defaultGbdtParams } = options;
  const columns = x.names.length;
  const size = { rows: x.rows, validationRows: 0, columns, weighted, threads: 1, params };
  const arena = planArena(size, ARENA_START);
  const space = openWorkspace(makeMemory(arena.bytes, { shared: true }), { arena, team: ALONE, columns });
  return { space, thresholds: binMatrices(space, { x, validation: null, params: { ...params, binsMax } }) };
}

/** Bin of a row and column as the row-major copy has it. */
export function binAt(space: Workspace, row: number, column: number): number {
  return space.views.u8[space.arena.rowMajor + row * space.arena.stride + column];
}
