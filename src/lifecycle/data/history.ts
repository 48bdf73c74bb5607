// Raw history for replay: the table a server's state began with, read again and checked by its hash.
import { SentinelError } from "../../core/errors.ts";
import type { Table } from "../../core/table.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import { readSource, type Source } from "./source.ts";

/**
 * The columns that a plan reads, under canonical names, as its training read them. Where the table of then is not at its place any more, as in a
 * workspace that was moved or restored elsewhere, the pipeline's own table is it if it has the same hash. Errors: dataset.*; dataset.unreadable when the file
 * has changed.
 */
export async function readHistory(
  ports: Ports,
  pipeline: Pipeline,
  from: {
    readonly origin: { readonly dataPath: string | null; readonly dataHash: string | null };
    readonly plan: FeaturePlan;
  },
): Promise<Table> {
  const { origin, plan } = from;
  if (origin.dataPath === null) return { rows: 0, columns: new Map() };
  const dataset = await ports.dataset();
  const read = (path: string): Promise<Source> =>
    readSource(dataset, pipeline, { path, plans: [plan], labelled: false });
  const source = await read(origin.dataPath).catch(async (gone: unknown) => {
    if (!(gone instanceof SentinelError) || gone.code !== "dataset.missing") throw gone;
    const own = await read(pipeline.source).catch(() => null);
    if (own?.hash !== origin.dataHash) throw gone;
    return own;
  });
  if (source.hash !== origin.dataHash) {
    throw new SentinelError(
      "dataset.unreadable",
      `${origin.dataPath} is not what the server's state began with: its hash is ${source.hash.slice(0, 12)}, then it was ${String(origin.dataHash).slice(0, 12)}`,
      {
        hint: "put the file of then back (for example `dvc checkout`), then replay again",
      },
    );
  }
  return source.table;
}
