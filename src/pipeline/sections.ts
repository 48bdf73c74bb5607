// All sections of a pipeline file, in the order of the documents; a new section is a file beside this one and a line here.
import { ARCHIVE } from "./archive.ts";
import { CASES } from "./cases.ts";
import { RULE_CHANGES } from "./changes.ts";
import { ALIASES, COLUMNS } from "./columns.ts";
import { DECISIONS } from "./decisions.ts";
import { DRIFT } from "./drift.ts";
import { GATES } from "./gates.ts";
import type { Fields } from "./kind.ts";
import { LABELS } from "./labels.ts";
import { LOG } from "./log.ts";
import { MODEL_PARAMETERS } from "./model-parameters.ts";
import { PRIVACY } from "./privacy.ts";
import { RETENTION } from "./retention.ts";
import { RETRAIN } from "./retrain.ts";
import { section, type ValueOf } from "./section.ts";
import { SERVE } from "./serve.ts";
import { SHADOW } from "./shadow.ts";
import { SOURCE } from "./source.ts";
import { SPLIT } from "./split.ts";
import { STREAM } from "./stream.ts";
import { TRAINING_RUN } from "./training.ts";

/** Headings of docs/configuration.md, each with what stands below it. */
export const CHAPTERS = {
  "What and where": { ...SOURCE, columns: COLUMNS, aliases: ALIASES },
  "Labels and time": { labels: LABELS, split: SPLIT },
  Model: { model_parameters: MODEL_PARAMETERS, training: TRAINING_RUN },
  Decisions: { decisions: DECISIONS },
  Cases: { cases: CASES },
  Gates: { gates: GATES, rules: RULE_CHANGES },
  "Shadow, drift, retraining": { shadow: SHADOW, drift: DRIFT, retrain: RETRAIN },
  Server: { serve: SERVE, log: LOG, archive: ARCHIVE },
  Streams: { stream: STREAM },
  "Data protection": { privacy: PRIVACY, retention: RETENTION },
} as const satisfies Readonly<Record<string, Fields>>;

/** The whole file. */
export const PIPELINE = section({
  ...CHAPTERS["What and where"],
  ...CHAPTERS["Labels and time"],
  ...CHAPTERS.Model,
  ...CHAPTERS.Decisions,
  ...CHAPTERS.Cases,
  ...CHAPTERS.Gates,
  ...CHAPTERS["Shadow, drift, retraining"],
  ...CHAPTERS.Server,
  ...CHAPTERS.Streams,
  ...CHAPTERS["Data protection"],
});

export type PipelineKeys = ValueOf<typeof PIPELINE.fields>;
