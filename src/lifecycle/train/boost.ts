// Boosting on some rows of a training, by what reads them, and on top of a model that is there already.
import { scoreMatrix } from "../../ml/gbdt/score.ts";
import { appendTrees } from "../../ml/gbdt/train/append.ts";
import type { GbdtParams } from "../../ml/gbdt/train/params.ts";
import { type GbdtResult, trainGbdtThreads } from "../../ml/gbdt/train/threads.ts";
import { type Matrix, takeMatrixRows } from "../../ml/matrix.ts";
import { type FitInput, inputsOf, kindsOf, labelsAt, type StartModel, weightsAt } from "./fit.ts";

/** With a start model the answer has its trees too; `later` stops early. */
export async function boost(
  data: {
    readonly x: Matrix;
    readonly labels: Uint8Array;
    readonly rows: Int32Array;
    readonly later: Int32Array | null;
  },
  given: Pick<FitInput, "kinds" | "weights" | "start" | "seed" | "threads" | "report"> & {
    readonly by: Pick<StartModel, "forest" | "anomalyAsFeature">;
    readonly params: GbdtParams;
    /** What the progress is called. */
    readonly label: string;
  },
): Promise<GbdtResult> {
  const { labels, rows, later } = data;
  const { kinds, weights, start, params, seed, threads, report, by, label } = given;
  const inputs = (wanted: Int32Array): Matrix => inputsOf(takeMatrixRows(data.x, wanted), by);
  const x = inputs(rows);
  const validation = later === null ? null : { x: inputs(later), y: labelsAt(labels, later) };
  const margins =
    start === undefined
      ? undefined
      : {
          x: scoreMatrix(start.trees, x),
          ...(validation === null ? {} : { validation: scoreMatrix(start.trees, validation.x) }),
        };
  const result = await trainGbdtThreads(
    {
      x,
      y: labelsAt(labels, rows),
      ...weightsAt(weights, rows),
      ...(validation === null ? {} : { validation }),
      ...(margins === undefined ? {} : { margins }),
      kinds: kindsOf(x, kinds),
      params,
      seed,
      onRound: (round) => report.progress(label, round, params.trees),
    },
    { threads },
  );
  return start === undefined ? result : { ...result, model: appendTrees(start.trees, result.model) };
}
