// What a training is asked and what it answers: plain data that its parts share.
import type { Verdict } from "../../core/verdict.ts";
import type { Matrix } from "../../ml/matrix.ts";
import type { Imported, RefitFacts } from "../../online/bundle.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { ModelVersion } from "../../ports/registry.ts";
import type { ModelWord } from "../data/judge-by.ts";
import type { Lineage } from "../lineage/lineage.ts";
import type { Metrics } from "./evaluate.ts";
import type { Fitted } from "./fit.ts";
import type { Tuning } from "./tune.ts";

/** The steps of a training, in this order. */
export type TrainStep = "read" | "fit" | "judge" | "run" | "register" | "state" | "journal" | "end";

/** How a retraining learns; a plain training has none. */
export interface Recipe {
  /** Learn from the newest days only, so many milliseconds. */
  readonly windowMs?: number;
  /** A row counts half as much for each such time it is older than the newest. */
  readonly halfLifeMs?: number;
  /** Add trees to the champion, on the days it has not learned. */
  readonly continued: boolean;
}

export interface TrainInput {
  readonly pipeline: Pipeline;
  /** The table; its path as given. */
  readonly path: string;
  /** The table that `path` was made from by adding so many transactions of the log; absent where it was not. */
  readonly grownFrom?: { readonly path: string; readonly hash: string; readonly logged: number };
  readonly actor: string;
  readonly packageVersion: string;
  /** The alias that the version gets; absent: `candidate`. */
  readonly as?: string;
  /** Worker threads that boost; the model is the same at any number (default 1). */
  readonly threads?: number;
  /** Overrides the pipeline's seed. */
  readonly seed?: number;
  /** Trials of a search for better parameters before the training; absent: the pipeline's parameters. */
  readonly tune?: number;
  /** Serves a model that has learned from all matured days, beside the judged one; absent: as the pipeline says. */
  readonly refit?: boolean;
  /** Why a gate's no is overridden; null obeys it. */
  readonly forced: string | null;
  readonly verb: "train" | "retrain" | "import";
  /** Absent: train on all days, each counting the same. */
  readonly recipe?: Recipe;
  /** Vectors of the newest transactions, not in the table and without final labels, by features of this hash. */
  readonly newest?: { readonly features: string; readonly x: Matrix };
  /** When the world began that this model is made for (epoch ms); in the version's tags. Absent where nothing has drifted. */
  readonly since?: number;
  /** Why a training began that nobody asked for; in the journal and the version's tags. */
  readonly why?: string;
  /** Called at the beginning of each step. */
  readonly onStep?: (step: TrainStep) => void;
  /** The version of the registry that the bundle is put beside, or null: a new one, of the run that logged the model. */
  readonly adopted?: { readonly version: string | null; readonly runId: string };
  /** Where a model comes from that was not trained here. */
  readonly imported?: Imported;
}

/** The pipeline's own parameters beside tuned ones: figures on the evaluation slice. They are shown; nothing is chosen by them, the search was over before. */
export interface Untuned {
  readonly rounds: number;
  readonly metrics: Metrics;
}

export interface TrainResult {
  readonly verdicts: readonly Verdict[];
  /** null when a gate said no. */
  readonly version: ModelVersion | null;
  readonly runId: string | null;
  readonly metrics: Metrics | null;
  /** `model`: which of a refitted champion's models has not learned from these days. */
  readonly champion: { readonly version: string; readonly model: ModelWord; readonly metrics: Metrics } | null;
  readonly fitted: Pick<Fitted, "ablation" | "thresholds" | "rounds" | "anomalyAsFeature" | "curve"> | null;
  /** What the model that serves learned from; null where the judged model serves. */
  readonly refit: RefitFacts | null;
  /** What a search found; null without one. */
  readonly tuning: Tuning | null;
  /** The pipeline's own parameters on the same rows; null without a search, or where it kept them: then `metrics` are theirs. */
  readonly untuned: Untuned | null;
  readonly importance: readonly { readonly name: string; readonly gain: number }[];
  /** null when the data gate said no. */
  readonly lineage: Lineage | null;
  readonly seconds: Readonly<Record<string, number>>;
}
