// Messages between the server and a candidate's worker, and the check of what the worker says.
import type { Decision } from "../../core/decision.ts";

/** What a worker is started with. */
export interface WorkerStart {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly model: string;
  readonly version: string;
}

/** Vectors one after another in one array. */
export interface WorkerBatch {
  readonly id: number;
  readonly rows: number;
  readonly vectors: Float32Array;
}

/** One answer per row; columns, because an array of objects costs the serving thread a microsecond per row to receive. */
export interface WorkerAnswers {
  readonly id: number;
  readonly scores: Float32Array;
  readonly anomalyScores: Float32Array;
  /** Indices into {@link DECISIONS}. */
  readonly decisions: Uint8Array;
  readonly latencyMs: Float64Array;
}

/** Sent once the bundle is loaded and its golden rows hold. */
export const WORKER_READY = "ready";

export const DECISIONS: readonly Decision[] = ["approve", "review", "block"];

/** The answers to a batch, or null when they are not what a scorer may say. A candidate is not trusted. */
export function checkAnswers(
  message: unknown,
  batch: { readonly id: number; readonly rows: number },
): WorkerAnswers | null {
  if (message === null || typeof message !== "object") return null;
  const { id, scores, anomalyScores, decisions, latencyMs } = message as Partial<WorkerAnswers>;
  if (id !== batch.id) return null;
  if (!(scores instanceof Float32Array && anomalyScores instanceof Float32Array)) return null;
  if (!(decisions instanceof Uint8Array && latencyMs instanceof Float64Array)) return null;
  if ([scores, anomalyScores, decisions, latencyMs].some(({ length }) => length !== batch.rows)) return null;
  // A plain loop, because this runs on the serving thread.
  let sound = true;
  for (let row = 0; row < batch.rows; row++) {
    sound &&=
      isShare(scores[row]) &&
      isShare(anomalyScores[row]) &&
      decisions[row] < DECISIONS.length &&
      latencyMs[row] >= 0 &&
      latencyMs[row] < Number.POSITIVE_INFINITY;
  }
  return sound ? { id, scores, anomalyScores, decisions, latencyMs } : null;
}

function isShare(value: number): boolean {
  return value >= 0 && value <= 1;
}
