// Isolation: one worker thread for one candidate, with limits of time and memory, and one batch at a time.
import { Worker } from "node:worker_threads";
import { asBuilt } from "../../core/built.ts";
import { messageOf } from "../../core/errors.ts";
import { checkAnswers, WORKER_READY, type WorkerAnswers, type WorkerStart } from "./messages.ts";

export interface IsolationOptions {
  readonly start: WorkerStart;
  readonly batchMsMax: number;
  /** The module the worker runs; tests put a misbehaving one here. */
  readonly module?: URL;
}

/** Why a batch has no answers. The isolation is then gone and a new one is needed. */
export interface IsolationFault {
  readonly reason: "timeout" | "error";
  readonly message: string;
}

export type BatchOutcome =
  | { readonly answers: WorkerAnswers; readonly fault: null }
  | { readonly answers: null; readonly fault: IsolationFault };

export interface Isolation {
  run(batch: { readonly rows: number; readonly vectors: Float32Array }): Promise<BatchOutcome>;
  /** False once the thread is gone. */
  alive(): boolean;
  stop(): Promise<void>;
}

/** Loading and proving a bundle takes well under a second; a loaded machine may need more. */
const START_MS_MAX = 30_000;
/** JavaScript heap of a candidate. Typed arrays live outside of it; the scorer allocates none after loading. */
const HEAP_MB_MAX = 256;

const WORKER = asBuilt(new URL("./worker.js", import.meta.url));
/** What the thread imports first. */
const BEHIND = asBuilt(new URL("./behind.js", import.meta.url));

/** Starts the worker. The process does not stay alive for it. */
export function isolate(options: IsolationOptions): Isolation {
  const { module = WORKER } = options;
  const worker = new Worker(module, {
    workerData: options.start,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX, maxYoungGenerationSizeMb: 32 },
    execArgv: ["--import", BEHIND.href],
    stdout: true,
    stderr: true,
  });
  // What a candidate prints is not the server's output; it is read and dropped, so that it does not pile up.
  worker.stdout.resume();
  worker.stderr.resume();
  worker.unref();
  let gone: IsolationFault | null = null;
  let settle: ((message: unknown) => void) | null = null;
  const say = (message: unknown): void => {
    const waiting = settle;
    settle = null;
    waiting?.(message);
  };
  const end = (reason: IsolationFault["reason"], message: string): void => {
    gone ??= { reason, message };
    void worker.terminate();
    say(null);
  };
  worker.on("message", say);
  worker.on("error", (error) => end("error", `the worker failed: ${messageOf(error)}`));
  worker.on("exit", (code) => end("error", `the worker left with code ${code}`));
  /** The worker's next message; null, with `gone` set, when none came. */
  const next = (msMax: number): Promise<unknown> =>
    new Promise((resolve) => {
      if (gone !== null) return resolve(null);
      const timer = setTimeout(() => end("timeout", `nothing came within ${msMax} ms`), msMax).unref();
      settle = (message) => {
        clearTimeout(timer);
        resolve(message);
      };
    });
  const ready = next(START_MS_MAX);
  let batches = 0;
  return {
    async run({ rows, vectors }) {
      const greeting = await ready;
      if (gone === null && greeting !== WORKER_READY) end("error", "the worker did not get ready");
      if (gone !== null) return { answers: null, fault: gone };
      const id = ++batches;
      const answer = next(options.batchMsMax);
      worker.postMessage({ id, rows, vectors }, [vectors.buffer as ArrayBuffer]);
      const checked = checkAnswers(await answer, { id, rows });
      if (checked !== null) return { answers: checked, fault: null };
      end("error", "the answers are no scores");
      return { answers: null, fault: gone! };
    },
    alive: () => gone === null,
    async stop() {
      end("error", "the worker was stopped");
      await worker.terminate();
    },
  };
}
