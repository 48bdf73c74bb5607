// Messages between the server and a candidate's worker, and the check of what the worker says.
import type { Decision } from "../../core/decision.ts";
import type { Answer } from "../score.ts";

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

export interface WorkerAnswers {
  readonly id: number;
  readonly answers: readonly (Answer & { readonly latencyMs: number })[];
}

/** Sent once the bundle is loaded and its golden rows hold. */
export const WORKER_READY = "ready";

/** The answers to a batch, or null when they are not what a scorer may say. A candidate is not trusted. */
export function checkAnswers(
  message: unknown,
  batch: { readonly id: number; readonly rows: number },
): WorkerAnswers | null {
  if (message === null || typeof message !== "object") return null;
  const { id, answers } = message as Partial<WorkerAnswers>;
  if (id !== batch.id || !Array.isArray(answers) || answers.length !== batch.rows) return null;
  return answers.every(isAnswer) ? { id, answers } : null;
}

const DECISIONS: readonly Decision[] = ["approve", "review", "block"];

function isAnswer(value: unknown): boolean {
  if (value === null || typeof value !== "object") return false;
  const { score, anomalyScore, decision, latencyMs } = value as Record<string, unknown>;
  return isShare(score) && isShare(anomalyScore) && DECISIONS.includes(decision as Decision) && isDuration(latencyMs);
}

function isShare(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && value <= 1;
}

function isDuration(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
