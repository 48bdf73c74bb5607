// Archives of a process's pipelines: a thread for each writes what was decided, so that nothing that answers waits for a disk or a bucket.
import { Worker } from "node:worker_threads";
import { asBuilt } from "../core/built.ts";
import { messageOf } from "../core/errors.ts";
import { NOTHING_ARCHIVED } from "../lifecycle/archive/follow.ts";
import type { EngineLog } from "../online/counters.ts";
import type { ArchiveStatus } from "../ports/archive.ts";
import type { ArchiveTask, FromArchiver, ToArchiver } from "./archiver/archive-worker.ts";

const WORKER = asBuilt(new URL("./archiver/archive-worker.js", import.meta.url));
/** JavaScript heap of one archive: a batch's labels and the chunks of its days; rows lie outside. */
const HEAP_MB_MAX = 768;
/** A thread that broke starts anew after this. */
const RESTART_MS = 5000;
/** How long a stopping process waits for what was decided last; the next start goes on where this one ended. */
const STOP_MS_MAX = 10_000;
/** How long it then waits for the call that DuckDB is at: a thread that is ended within one takes the process with it, by an abort. */
const ABANDON_MS_MAX = 10_000;

export interface Archiver {
  status(): ArchiveStatus;
  /** What is decided by now is archived before it settles, unless that takes too long: then the next start does it. */
  stop(): Promise<void>;
}

/** Archives a pipeline of the workspace from now on. Never throws. */
export function startArchiver(task: ArchiveTask, logger: EngineLog): Archiver {
  let status = NOTHING_ARCHIVED;
  let failuresBefore = 0;
  let stopping = false;
  let ended: (() => void) | null = null;
  let worker: Worker | null = null;
  let timer: NodeJS.Timeout | undefined;
  const receive = (next: ArchiveStatus): void => {
    const { fault } = next;
    if (fault !== null && fault.message !== status.fault?.message)
      logger.warn(
        { pipeline: task.pipeline, ...fault },
        "what was decided cannot be archived; the log keeps it, and it is tried again",
      );
    if (fault === null && status.fault !== null)
      logger.info({ pipeline: task.pipeline }, "the archive is written again");
    status = { ...next, failures: next.failures + failuresBefore };
  };
  const start = (): void => {
    const own = new Worker(WORKER, { workerData: task, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX } });
    worker = own;
    own.unref();
    own.on("message", (message: FromArchiver) => receive(message.status));
    own.on("error", (error) => {
      const fault = {
        code: "bug.unexpected",
        message: messageOf(error),
        hint: "the archive's thread broke; it starts anew",
      };
      receive({ ...status, failures: status.failures - failuresBefore + 1, fault });
    });
    own.on("exit", () => {
      worker = null;
      failuresBefore = status.failures;
      ended?.();
      if (!stopping) timer = setTimeout(start, RESTART_MS).unref();
    });
  };
  start();
  return {
    status: () => status,
    async stop() {
      stopping = true;
      clearTimeout(timer);
      const own = worker;
      if (own === null) return;
      const gone = new Promise<void>((resolve) => {
        ended = resolve;
      });
      own.ref();
      own.postMessage({ say: "stop" } satisfies ToArchiver);
      let tooLong = setTimeout(() => {
        own.postMessage({ say: "abandon" } satisfies ToArchiver);
        tooLong = setTimeout(() => void own.terminate(), ABANDON_MS_MAX);
      }, STOP_MS_MAX);
      await gone;
      clearTimeout(tooLong);
    },
  };
}
