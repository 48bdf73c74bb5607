// The thread that explains alerts: loads the bundles that judged, and says what raised the score of each vector.
import { parentPort } from "node:worker_threads";
import { SentinelError } from "../../core/errors.ts";
import { lowerOwnPriority } from "../../core/priority.ts";
import { explainVector, type Reason, reasonsOf } from "../explain.ts";
import { loadScorer, type Scorer } from "../score.ts";

export interface ExplainTask {
  readonly id: number;
  readonly bundle: string;
  readonly model: string;
  readonly version: string;
  /** Given with the first task of a bundle. */
  readonly files: ReadonlyMap<string, Uint8Array> | null;
  /** One after the other; the numbers of each are `width`. */
  readonly vectors: Float32Array<ArrayBuffer>;
  readonly width: number;
}

export interface ExplainAnswer {
  readonly id: number;
  /** By vector. */
  readonly reasons: readonly (readonly Reason[])[];
  /** Why this bundle gives none; null: it does. */
  readonly absent: string | null;
}

/** Behind those that answer: an alert waits seconds for its reasons before it goes without. */
const STEPS_BEHIND = 5;

const scorers = new Map<string, Scorer>();

lowerOwnPriority(STEPS_BEHIND);
parentPort!.on("message", (task: ExplainTask) => parentPort!.postMessage(answerOf(task)));

function answerOf({ id, bundle, model, version, files, vectors, width }: ExplainTask): ExplainAnswer {
  if (files !== null) scorers.set(bundle, loadScorer(files, { model, version }));
  const scorer = scorers.get(bundle)!;
  try {
    const reasons: (readonly Reason[])[] = [];
    for (let start = 0; start < vectors.length; start += width) {
      reasons.push(reasonsOf(scorer, explainVector(scorer, vectors.subarray(start, start + width))));
    }
    return { id, reasons, absent: null };
  } catch (error) {
    if (!(error instanceof SentinelError) || error.code !== "ml.not-explainable") throw error;
    return { id, reasons: [], absent: error.message };
  }
}
