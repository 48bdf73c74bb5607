// What one thread trains with: its kernels, its views of the shared arena and its share of rows and columns.
import { assert } from "../../../core/errors.ts";
import type { KernelMemory } from "../../../core/kernels.ts";
import { type Arena, BLOCK_ROWS, type ThreadPlaces } from "./arena.ts";
import { type LearnKernels, loadLearnKernels } from "./kernels.ts";
import { type Range, shareOf, type Team } from "./team.ts";

export interface Workspace {
  readonly kernels: LearnKernels;
  readonly team: Team;
  readonly arena: Arena;
  /** This thread's own places in the arena. */
  readonly own: ThreadPlaces;
  readonly columns: number;
  /** This thread's rows of the training and the validation set, whole blocks. */
  readonly trainingRows: Range;
  readonly validationRows: Range;
  readonly views: Views;
}

/** The whole memory as numbers of each kind; index = address / size. */
export interface Views {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
}

/** Where an arena begins: the kernels' module keeps its constants below. */
export const ARENA_START = 65_536;

export function openWorkspace(
  memory: KernelMemory,
  options: { readonly arena: Arena; readonly team: Team; readonly columns: number },
): Workspace {
  const { arena, team, columns } = options;
  const { buffer } = memory;
  const kernels = loadLearnKernels(memory);
  assert(kernels.arenaStart() <= ARENA_START, "the kernels' constants end below the arena");
  return {
    kernels,
    team,
    arena,
    own: arena.threads[team.index],
    columns,
    trainingRows: shareOf(arena.training.rows, team, BLOCK_ROWS),
    validationRows: shareOf(arena.validation.rows, team, BLOCK_ROWS),
    views: {
      u8: new Uint8Array(buffer),
      i32: new Int32Array(buffer),
      f32: new Float32Array(buffer),
      f64: new Float64Array(buffer),
    },
  };
}
