// Isolation: one worker thread for one candidate, with limits of time and memory, and one batch at a time.
import { Worker } from "node:worker_threads";
import { checkAnswers, WORKER_READY, type WorkerAnswers, type WorkerStart } from "./messages.ts";

export interface IsolationOptions {
  readonly start: WorkerStart;
  readonly batchMsMax: number;
  /** The module the worker runs; tests put a misbehaving one here. */
  readonly module?: URL;
}

/** Why a batch has no answers. */
export class IsolationFault extends Error {
  readonly reason: "timeout" | "error";

  constructor(reason: "timeout" | "error", message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface Isolation {
  /** Rejects with {@link IsolationFault}; the isolation is then gone and a new one is needed. */
  run(batch: { readonly rows: number; readonly vectors: Float32Array }): Promise<WorkerAnswers["answers"]>;
  /** False once the thread is gone. */
  alive(): boolean;
  stop(): Promise<void>;
}

/** Loading and proving a bundle takes well under a second; a loaded machine may need more. */
const START_MS_MAX = 30_000;
/** JavaScript heap of a candidate. Typed arrays live outside of it; the scorer allocates none after loading. */
const HEAP_MB_MAX = 256;

/** From the source tree (tests) the worker is TypeScript, which Node 20 cannot run by itself; jiti is there already for features. */
const FROM_SOURCE = import.meta.url.endsWith(".ts");
const WORKER = new URL(FROM_SOURCE ? "./worker.ts" : "./worker.js", import.meta.url);

/** Starts the worker. The process does not stay alive for it. */
export function isolate(options: IsolationOptions): Isolation {
  const { module = WORKER } = options;
  const worker = new Worker(module, {
    workerData: options.start,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX, maxYoungGenerationSizeMb: 32 },
    execArgv: module.pathname.endsWith(".ts") ? ["--import", "jiti/register"] : [],
    // What a candidate prints is not the server's output.
    stdout: true,
    stderr: true,
  });
  worker.unref();
  let gone: IsolationFault | null = null;
  let settle: ((outcome: unknown) => void) | null = null;
  const say = (outcome: unknown): void => {
    const waiting = settle;
    settle = null;
    waiting?.(outcome);
  };
  const end = (fault: IsolationFault): void => {
    gone ??= fault;
    void worker.terminate();
    say(gone);
  };
  worker.on("message", say);
  worker.on("error", (error) => end(new IsolationFault("error", `the worker failed: ${String(error)}`)));
  worker.on("exit", (code) => end(new IsolationFault("error", `the worker left with code ${code}`)));
  /** The worker's next message, or the fault that came instead. */
  const next = (msMax: number): Promise<unknown> =>
    new Promise((resolve) => {
      if (gone !== null) return resolve(gone);
      const timer = setTimeout(() => end(new IsolationFault("timeout", `nothing came within ${msMax} ms`)), msMax);
      timer.unref();
      settle = (outcome) => {
        clearTimeout(timer);
        resolve(outcome);
      };
    });
  const ready = next(START_MS_MAX);
  let batches = 0;
  return {
    async run({ rows, vectors }) {
      const greeting = await ready;
      if (gone === null && greeting !== WORKER_READY) end(new IsolationFault("error", "the worker did not get ready"));
      if (gone !== null) throw gone;
      const id = ++batches;
      const answer = next(options.batchMsMax);
      worker.postMessage({ id, rows, vectors }, [vectors.buffer as ArrayBuffer]);
      const outcome = await answer;
      if (outcome instanceof IsolationFault) throw outcome;
      const checked = checkAnswers(outcome, { id, rows });
      if (checked !== null) return checked.answers;
      end(new IsolationFault("error", "the answers are no scores"));
      throw gone!;
    },
    alive: () => gone === null,
    async stop() {
      gone ??= new IsolationFault("error", "the worker was stopped");
      say(gone);
      await worker.terminate();
    },
  };
}
