// A worker: one process of a cluster computes one partition of one stage; rows come in and go out as frames.
import { SentinelError } from "../../core/errors.ts";
import type { Table } from "../../core/table.ts";
import { parsePipeline } from "../../pipeline/pipeline.ts";
import type { Dataset } from "../../ports/dataset.ts";
import { replayKey } from "./key.ts";
import { readSplits } from "./read.ts";
import type { WorkerTask } from "./task.ts";
import { writeDays } from "./write.ts";

/** The rows that a partition becomes. Errors: those of the stage, and config.invalid where the machines have different versions of Sentinel. */
export async function* workOn(
  task: WorkerTask,
  given: {
    readonly frames: AsyncIterable<Table>;
    readonly dataset: () => Promise<Dataset>;
    readonly packageVersion: string;
    readonly workspace: string;
  },
): AsyncGenerator<Table> {
  if (task.packageVersion !== given.packageVersion) {
    throw new SentinelError(
      "config.invalid",
      `a machine of the cluster has Sentinel ${given.packageVersion}, the one that asked has ${task.packageVersion}`,
      { hint: "install the same version on every machine, or name the right one by SENTINEL_SPARK_WORKER" },
    );
  }
  if (task.kind === "key") yield* replayKey(task, given.frames);
  else if (task.kind === "write") yield* writeDays(await given.dataset(), task, given.frames);
  else {
    const { text, file, name } = task.pipeline;
    const pipeline = { ...parsePipeline(text, { file, workspace: given.workspace }), name };
    yield* readSplits(await given.dataset(), task, { pipeline, splits: given.frames });
  }
}
