// Monitor: recent traffic against the champion's reference: feed quality, drift, alert rate, and performance on matured labels.

import type { BundleFiles } from "../core/bundle.ts";
import { SentinelError } from "../core/errors.ts";
import { largest } from "../core/stats.ts";
import { type DriftReport, driftReport } from "../drift/monitor.ts";
import type { Reference } from "../drift/reference.ts";
import type { InputReport } from "../features/trained-inputs.ts";
import { averagePrecision, precisionRecallF1At } from "../metrics/metrics.ts";
import { countAlerts } from "../metrics/summed.ts";
import { readJson } from "../online/bundle.ts";
import { loadScorer, type Scorer, scoreRows } from "../online/score.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { servedReport } from "./data/served.ts";
import { labelsOf, readSource, timesOf, UNLABELLED } from "./data/source.ts";
import { vectorsOf } from "./data/vectors.ts";
import { reportUnlabelled } from "./train.ts";

/** Newest rows looked at, at most; a window beyond this adds no certainty. */
const WINDOW_ROWS_MAX = 200_000;
/** Frauds below which a fall of average precision is noise. */
const FRAUDS_MIN = 30;
/** Fall of average precision against the evaluation slice that counts as an alarm. */
const PRECISION_FALL_MAX = 0.15;
/** Standard errors, those of a share among so many frauds, within which a fall is chance. */
const NOISE_WIDTHS = 3;

/** Label codes of the log's columns. */
const FRAUD = 1;

export interface MonitorInput {
  readonly pipeline: Pipeline;
  /** A table to look at instead of the prediction log. */
  readonly path: string | null;
  /** End of the window on the clock of event time; the newest transaction when absent. */
  readonly until: number | null;
}

export interface Performance {
  readonly rows: number;
  readonly frauds: number;
  readonly averagePrecision: number;
  readonly averagePrecisionAtTraining: number;
  readonly recallAtReview: number;
  readonly precisionAtReview: number;
  readonly alarm: boolean;
}

export interface MonitorResult {
  readonly alarm: boolean;
  readonly reasons: readonly string[];
  readonly version: string;
  readonly source: string;
  readonly from: number;
  readonly to: number;
  readonly drift: DriftReport;
  /** null while too few labels have matured. */
  readonly performance: Performance | null;
  /** How the log's newest transactions feed the champion, beside what its training saw; null for a table. */
  readonly served: InputReport | null;
}

/** Errors: lifecycle.no-champion, lifecycle.not-enough-data, dataset.*, log.*. */
export async function monitor(ports: Ports, input: MonitorInput): Promise<MonitorResult> {
  const { pipeline } = input;
  const { scorer, files } = await championOf(ports, pipeline);
  const window =
    input.path === null
      ? await windowOfLog(ports, input, scorer)
      : await windowOfTable(ports, input, { scorer, path: input.path });
  if (window.scores.length === 0) {
    throw new SentinelError(
      "lifecycle.not-enough-data",
      `${window.source} has no transactions scored by champion version ${scorer.version}`,
      {
        hint: "serve traffic first, or name a table with --data",
      },
    );
  }
  const { review } = scorer.manifest.thresholds;
  const drift = driftReport({
    reference: readJson(files, "reference.json") as Reference,
    window: {
      columns: window.columns,
      scores: window.scores,
      alerts: countAlerts(window.scores, review),
    },
    policy: pipeline.drift,
  });
  const performance = performanceOf(window, { files, review });
  const reasons = [
    ...(drift.alarm || performance?.alarm !== true ? drift.reasons : []),
    ...(performance?.alarm === true
      ? [
          `average precision on ${performance.frauds} matured frauds is ${performance.averagePrecision.toFixed(3)}, ${performance.averagePrecisionAtTraining.toFixed(3)} when trained`,
        ]
      : []),
  ];
  return {
    alarm: drift.alarm || performance?.alarm === true,
    reasons,
    version: scorer.version,
    source: window.source,
    from: window.from,
    to: window.to,
    drift,
    performance,
    served:
      input.path === null ? await servedReport(ports, { pipeline, plan: scorer.plan, bundle: scorer.bundle }) : null,
  };
}

interface Window {
  readonly source: string;
  readonly from: number;
  readonly to: number;
  readonly columns: readonly Float32Array[];
  readonly scores: Float32Array;
  /** Matured rows: scores and labels. */
  readonly matured: { readonly scores: Float32Array; readonly y: Uint8Array };
}

async function championOf(
  ports: Ports,
  pipeline: Pipeline,
): Promise<{ readonly scorer: Scorer; readonly files: BundleFiles }> {
  const registry = await ports.registry();
  const { champion } = await registry.aliases(pipeline.model);
  if (champion === undefined) {
    throw new SentinelError("lifecycle.no-champion", `${pipeline.model} has no champion to watch`, {
      hint: "train and promote a model first: `sentinel train`, `sentinel promote`",
    });
  }
  const files = await registry.load(pipeline.model, champion);
  return { scorer: loadScorer(files, { model: pipeline.model, version: champion }), files };
}

async function windowOfLog(ports: Ports, input: MonitorInput, scorer: Scorer): Promise<Window> {
  const log = await ports.log();
  const { pipeline } = input;
  const { width } = scorer.plan;
  const scored = await log.scored({ bundle: scorer.bundle, width, rows: WINDOW_ROWS_MAX, until: input.until });
  const { time, score, vectors, label, until } = scored;
  const from = until - pipeline.drift.windowMs;
  const rows = rowsWhere(time, (at) => at > from && at <= until);
  const { maturityMs, unreportedIsGenuine } = pipeline.labels;
  const matured = rowsWhere(time, (at) => at <= until - maturityMs).filter(
    (row) => unreportedIsGenuine || label[row] !== UNLABELLED,
  );
  return {
    source: log.where,
    from,
    to: until,
    columns: Array.from({ length: width }, (_, c) => Float32Array.from(rows, (row) => vectors[row * width + c])),
    scores: Float32Array.from(rows, (row) => score[row]),
    matured: {
      scores: Float32Array.from(matured, (row) => score[row]),
      y: Uint8Array.from(matured, (row) => (label[row] === FRAUD ? 1 : 0)),
    },
  };
}

async function windowOfTable(
  ports: Ports,
  input: MonitorInput,
  given: { readonly scorer: Scorer; readonly path: string },
): Promise<Window> {
  const { pipeline } = input;
  const { scorer, path } = given;
  const source = await readSource(await ports.dataset(), pipeline, {
    path,
    plans: [scorer.plan],
    labelled: false,
  });
  const times = timesOf(source.table, pipeline);
  const newest = input.until ?? largest(times);
  const from = newest - pipeline.drift.windowMs;
  const { x } = vectorsOf(source.table, { plan: scorer.plan, pipeline, report: ports.report });
  const rows = rowsWhere(times, (time) => time > from && time <= newest);
  // What the model learned from says nothing about how it does on news.
  const maturedTo = newest - pipeline.labels.maturityMs;
  const labelled = source.table.columns.has(pipeline.columns.label);
  const labels = labelled ? labelsOf(source.table, pipeline) : new Uint8Array(0);
  if (labelled) reportUnlabelled(ports, source, pipeline);
  const matured = rowsWhere(times, (time, row) => {
    return labelled && labels[row] !== UNLABELLED && time > scorer.manifest.trainedUpTo && time <= maturedTo;
  });
  return {
    source: path,
    from,
    to: newest,
    columns: x.names.map((_, c) => Float32Array.from(rows, (row) => x.values[c * x.rows + row])),
    scores: scoreRows(scorer, x, rows),
    matured: { scores: scoreRows(scorer, x, matured), y: Uint8Array.from(matured, (row) => labels[row]) },
  };
}

function performanceOf(
  window: Window,
  given: { readonly files: BundleFiles; readonly review: number },
): Performance | null {
  const { scores, y } = window.matured;
  const frauds = y.reduce((sum, label) => sum + label, 0);
  if (frauds < FRAUDS_MIN || frauds === y.length) return null;
  const registered = readJson(given.files, "metrics.json") as { readonly evaluate: Readonly<Record<string, number>> };
  const then = registered.evaluate.average_precision;
  const now = averagePrecision(scores, y);
  const { precision, recall } = precisionRecallF1At(scores, y, given.review);
  return {
    rows: y.length,
    frauds,
    averagePrecision: now,
    averagePrecisionAtTraining: then,
    recallAtReview: recall,
    precisionAtReview: precision,
    alarm: then - now > Math.max(PRECISION_FALL_MAX, NOISE_WIDTHS * Math.sqrt((then * (1 - then)) / frauds)),
  };
}

function rowsWhere(times: Float64Array, wanted: (time: number, row: number) => boolean): Int32Array {
  const rows: number[] = [];
  for (let row = 0; row < times.length; row++) if (wanted(times[row], row)) rows.push(row);
  return Int32Array.from(rows.slice(-WINDOW_ROWS_MAX));
}
