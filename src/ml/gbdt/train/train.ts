// Training boosted trees on the calling thread; threads.ts does it on several others.
import { makeMemory } from "../../../core/kernels.ts";
import { planArena } from "./arena.ts";
import { type GbdtResult, runRounds } from "./rounds.ts";
import { checkTask, type GbdtTask, sizeOf } from "./task.ts";
import { ALONE } from "./team.ts";
import { ARENA_START, openWorkspace } from "./workspace.ts";

export type { GbdtResult } from "./rounds.ts";

/**
 * Second-order boosting of the log-loss over histogram trees (Chen & Guestrin 2016). The same task gives the same model,
 * byte for byte. Errors: `ml.parameter-invalid`, `ml.one-class`, `ml.memory-short`, `ml.kernel-unusable`.
 */
export function trainGbdt(task: GbdtTask): GbdtResult {
  checkTask(task);
  const arena = planArena(sizeOf(task, 1), ARENA_START);
  const memory = makeMemory(arena.bytes, { shared: true });
  return runRounds(openWorkspace(memory, { arena, team: ALONE, columns: task.x.names.length }), task);
}
