// The thread of an archive: opens the pipeline's log and archive for itself, and follows the log until it is to stop.
import { parentPort, workerData } from "node:worker_threads";
import { loadConfig } from "../../config.ts";
import { lowerOwnPriority } from "../../core/priority.ts";
import { followLog } from "../../lifecycle/archive/follow.ts";
import { schemaIfThere } from "../../lifecycle/data/schema-file.ts";
import { loadPipeline } from "../../pipeline/pipeline.ts";
import type { ArchiveStatus } from "../../ports/archive.ts";
import { openPorts } from "../../wiring.ts";

export interface ArchiveTask {
  /** Of the first tenant. */
  readonly workspace: string;
  readonly tenant: string;
  readonly pipeline: string;
}

export type FromArchiver = { readonly say: "status"; readonly status: ArchiveStatus };
/** `abandon`, some time after `stop`: what is being written is left to the next start. */
export type ToArchiver = { readonly say: "stop" | "abandon" };

/** Behind everything that answers, and behind the log. */
const STEPS_BEHIND = 10;

lowerOwnPriority(STEPS_BEHIND);
const { workspace, tenant, pipeline: name } = workerData as ArchiveTask;
const config = loadConfig({ workspace, tenant });
const pipeline = loadPipeline(config.workspace, name);
const { ports, close } = openPorts(config, {
  pipeline: name,
  settings: () => pipeline,
  report: { line: () => {}, progress: () => {} },
});
let stopping = false;
let abandoned = false;
let wake = (): void => {};
const hear = ({ say }: ToArchiver): void => {
  stopping = true;
  abandoned ||= say === "abandon";
  wake();
};
parentPort!.on("message", hear);
await followLog(
  ports,
  { pipeline, schema: schemaIfThere(pipeline) },
  {
    stopping: () => stopping,
    abandoned: () => abandoned,
    wait: (ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, stopping ? 0 : ms);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      }),
    tell: (status) => parentPort!.postMessage({ say: "status", status } satisfies FromArchiver),
  },
);
await close();
parentPort!.off("message", hear);
