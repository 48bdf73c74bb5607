// What a training thread is started with, and what it says.
import type { ErrorCode } from "../../../core/errors.ts";
import type { KernelMemory } from "../../../core/kernels.ts";
import type { Arena } from "./arena.ts";
import type { GbdtResult } from "./rounds.ts";
import type { GbdtTask } from "./task.ts";

/** What a worker receives at its start. Large arrays are shared, not copied. */
export interface WorkerStart {
  readonly index: number;
  readonly count: number;
  readonly memory: KernelMemory;
  readonly arena: Arena;
  readonly task: Omit<GbdtTask, "onRound">;
}

/** What workers say: the first one tells of rounds and of the result, any of them of a fault. */
export type WorkerMessage =
  | { readonly kind: "round"; readonly round: number; readonly trainLoss: number; readonly validationLoss: number }
  | { readonly kind: "result"; readonly result: GbdtResult }
  | { readonly kind: "fault"; readonly code: ErrorCode; readonly message: string; readonly hint: string };
