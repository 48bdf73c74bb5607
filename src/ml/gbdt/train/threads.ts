// Training on a team of worker threads: the calling thread stays free, and the model is the same at any number of them.
import { Worker } from "node:worker_threads";
import { asBuilt } from "../../../core/built.ts";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { makeMemory } from "../../../core/kernels.ts";
import { refuseParameter } from "../../faults.ts";
import type { Matrix } from "../../matrix.ts";
import { planArena } from "./arena.ts";
import type { WorkerMessage, WorkerStart } from "./messages.ts";
import type { GbdtResult } from "./rounds.ts";
import { checkTask, type GbdtTask, sizeOf } from "./task.ts";
import { ARENA_START } from "./workspace.ts";

export type { GbdtResult } from "./rounds.ts";

const THREADS_MAX = 64;

const WORKER = asBuilt(new URL("./worker.js", import.meta.url));

/**
 * Trains as `trainGbdt` does, to the same bytes, on `threads` worker threads. A matrix that is not in shared memory is
 * copied there once. An aborted `signal` ends the workers and rejects with its reason. Errors: as `trainGbdt`.
 */
export async function trainGbdtThreads(
  task: GbdtTask,
  options: { readonly threads: number; readonly signal?: AbortSignal },
): Promise<GbdtResult> {
  const { threads, signal } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > THREADS_MAX) {
    refuseParameter("threads", { value: threads, wanted: `a whole number from 1 to ${THREADS_MAX}` });
  }
  signal?.throwIfAborted();
  // A worker takes tens of milliseconds to come up; the task is looked at meanwhile.
  const workers = Array.from({ length: threads }, startWorker);
  let done = false;
  try {
    checkTask(task);
    const arena = planArena(sizeOf(task, threads), ARENA_START);
    const memory = makeMemory(arena.bytes, { shared: true });
    const shared = shareTask(task);
    workers.forEach((worker, index) => {
      const start: WorkerStart = { index, count: threads, memory, arena, task: shared };
      worker.postMessage(start);
    });
    const result = await resultOf(workers, { onRound: task.onRound, signal });
    done = true;
    return result;
  } finally {
    const ended = Promise.all(workers.map((worker) => worker.terminate()));
    // After a result all threads are at their end, and nobody need wait until the system has taken them down.
    if (!done) await ended;
  }
}

function startWorker(): Worker {
  return new Worker(WORKER);
}

/** The first worker's result; rejects as soon as any of them fails, leaves early, or the signal is aborted. */
function resultOf(
  workers: readonly Worker[],
  options: { readonly onRound: GbdtTask["onRound"]; readonly signal: AbortSignal | undefined },
): Promise<GbdtResult> {
  const { onRound, signal } = options;
  const done = new AbortController();
  const result = new Promise<GbdtResult>((resolve, reject) => {
    // What the caller's function throws is the training's error, as on one thread; thrown from here it would end the process.
    const tell = ({ round, trainLoss, validationLoss }: Extract<WorkerMessage, { kind: "round" }>): void => {
      try {
        onRound?.(round, trainLoss, validationLoss);
      } catch (error) {
        reject(error);
      }
    };
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true, signal: done.signal });
    for (const worker of workers) {
      worker.on("message", (message: WorkerMessage) => {
        if (message.kind === "result") resolve(message.result);
        else if (message.kind === "fault") reject(new SentinelError(message.code, message.message, message));
        else tell(message);
      });
      worker.on("error", (error) =>
        reject(new Error(`a training thread failed: ${messageOf(error)}`, { cause: error })),
      );
      worker.on("exit", (code) => {
        if (code !== 0) reject(new Error(`a training thread left with code ${code}`));
      });
    }
  });
  // A signal may outlive many trainings: nothing of this one stays with it.
  return result.finally(() => done.abort());
}

function shareTask(task: GbdtTask): WorkerStart["task"] {
  const { onRound: _, ...rest } = task;
  return {
    ...rest,
    x: shareMatrix(task.x),
    validation: task.validation && { ...task.validation, x: shareMatrix(task.validation.x) },
  };
}

function shareMatrix(x: Matrix): Matrix {
  if (x.values.buffer instanceof SharedArrayBuffer) return x;
  const values = new Float32Array(new SharedArrayBuffer(x.values.byteLength));
  values.set(x.values);
  return { ...x, values };
}
