// Work that somebody asks a server for, in a thread of its own that ends with it: the traffic does not wait for it.
import { Worker } from "node:worker_threads";
import { type ErrorCode, messageOf, SentinelError } from "../../core/errors.ts";

/** What such a thread says once. */
export type Outcome<T> =
  | { readonly done: T }
  | { readonly code: ErrorCode; readonly message: string; readonly hint: string };

/** Whose work it is: what a thread loads its configuration from. */
export interface Whose {
  /** Of the first tenant. */
  readonly workspace: string;
  readonly tenant: string;
}

export interface AsideOptions {
  readonly worker: URL;
  readonly task: object;
  readonly msMax: number;
  /** JavaScript heap; columns lie outside. */
  readonly heapMbMax: number;
  /** What is said where the thread gave no outcome. */
  readonly failed: { readonly what: string; readonly hint: string };
}

/** Errors: those of the work; server.too-slow. The process does not stay alive for it. */
export function aside<T>({ worker: file, task, msMax, heapMbMax, failed }: AsideOptions): Promise<T> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(file, { workerData: task, resourceLimits: { maxOldGenerationSizeMb: heapMbMax } });
    worker.unref();
    const end = (): void => {
      clearTimeout(timer);
      void worker.terminate();
    };
    const fail = (why: string): void => {
      end();
      reject(new SentinelError("server.too-slow", `${failed.what}: ${why}`, { hint: failed.hint }));
    };
    const timer = setTimeout(() => fail(`it took ${msMax / 1000} s`), msMax).unref();
    worker.once("error", (error) => fail(messageOf(error)));
    worker.once("exit", () => fail("its thread ended"));
    worker.once("message", (outcome: Outcome<T>) => {
      worker.removeAllListeners("exit");
      end();
      if ("done" in outcome) resolve(outcome.done);
      else reject(new SentinelError(outcome.code, outcome.message, { hint: outcome.hint }));
    });
  });
}

/** The thread's side: what the work came to. A bug is thrown, and ends the thread. */
export async function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { done: await work() };
  } catch (error) {
    if (!(error instanceof SentinelError)) throw error;
    const { code, message, hint } = error;
    return { code, message, hint };
  }
}
