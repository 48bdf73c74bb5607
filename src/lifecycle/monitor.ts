// Monitor: recent traffic against the champion's reference: feed quality, drift, alert rate, and performance on matured labels.

import type { BundleFiles } from "../core/bundle.ts";
import { DAY_MS, HOUR_MS } from "../core/duration.ts";
import { SentinelError } from "../core/errors.ts";
import { largest } from "../core/stats.ts";
import { textAt } from "../core/table.ts";
import type { HoursOf } from "../drift/hours.ts";
import { type DriftWindow, driftReport } from "../drift/monitor.ts";
import type { Reference } from "../drift/reference.ts";
import type { Swing } from "../drift/swing.ts";
import { type UnlistedShare, unlistedShare } from "../drift/unlisted.ts";
import { hoursOf, tallyColumns, totalOf, windowOf } from "../drift/window.ts";
import { readJson } from "../online/bundle.ts";
import { loadScorer, type Scorer, scoreRows } from "../online/score.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Ports } from "../ports/ports.ts";
import { servedReport } from "./data/served.ts";
import { labelsOf, readSource, reportUnlabelled, timesOf, UNLABELLED } from "./data/source.ts";
import { vectorsOf } from "./data/vectors.ts";
import { effectsOf } from "./monitor/effect.ts";
import { onsetOf } from "./monitor/onset.ts";
import { DAYS_BACK_MAX, type MaturedRows, performanceOf } from "./monitor/performance.ts";
import type { MonitorResult } from "./monitor/result.ts";
import { bringUpToDate, countHours, reachesBack } from "./monitor/tallies.ts";

export { type AlarmWays, alarmEvent, deliver } from "./monitor/alarm.ts";
export { prometheusText } from "./monitor/prometheus.ts";
export { monitorReport } from "./monitor/report.ts";
export type { MonitorResult } from "./monitor/result.ts";

/** Rows whose labels are asked, at most, and as many frauds: more add little certainty, and take seconds. */
const WINDOW_ROWS_MAX = 500_000;
/** Label codes of the log's columns. */
const FRAUD = 1;
/** Performance looks back as far; where frauds are rare, its newest ones lie within. */
const MATURED_DAYS_MAX = DAYS_BACK_MAX + 63;

export interface MonitorInput {
  readonly pipeline: Pipeline;
  /** A table to look at instead of the prediction log. */
  readonly path: string | null;
  /** End of the window on the clock of event time; the newest transaction when absent. */
  readonly until: number | null;
}

/** Errors: lifecycle.no-champion, lifecycle.not-enough-data, dataset.*, log.*. */
export async function monitor(ports: Ports, input: MonitorInput): Promise<MonitorResult> {
  const { pipeline } = input;
  const { scorer, files } = await championOf(ports, pipeline);
  const { review } = scorer.manifest.thresholds;
  const reference = readJson(files, "reference.json") as Reference;
  // Bundles made before this have none: their rows count as independent.
  const swing = files.has("swing.json") ? (readJson(files, "swing.json") as Swing) : null;
  const counted = countedBy(scorer, reference);
  const window =
    input.path === null
      ? await windowOfLog(ports, input, { scorer, counted })
      : await windowOfTable(ports, input, { scorer, counted, path: input.path });
  if (window.drift.stretches.every(({ tally }) => tally.rows === 0)) {
    throw new SentinelError(
      "lifecycle.not-enough-data",
      `${window.source} has no transactions scored by champion version ${scorer.version}`,
      {
        hint: "serve traffic first, or name a table with --data",
      },
    );
  }
  const drift = driftReport({ reference, swing, window: window.drift, policy: pipeline.drift });
  const { windowAt } = window;
  const since = onsetOf(drift, { reference, swing, policy: pipeline.drift, until: window.to, windowAt });
  const registered = readJson(files, "metrics.json") as { readonly evaluate: Readonly<Record<string, number>> };
  const { average_precision: averagePrecisionAtTraining, frauds: fraudsAtTraining } = registered.evaluate;
  const performance = performanceOf(window.matured, { averagePrecisionAtTraining, fraudsAtTraining, review });
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
    since,
    drift,
    effects: effectsOf(scorer, { reference, shifts: drift.shifts, window: window.drift }),
    performance,
    served:
      input.path === null ? await servedReport(ports, { pipeline, plan: scorer.plan, bundle: scorer.bundle }) : null,
    unlisted: unlistedOf(scorer, { reference, window: window.drift }),
  };
}

interface Window {
  readonly source: string;
  readonly from: number;
  readonly to: number;
  readonly drift: DriftWindow;
  /** The window that ends at an earlier instant; null where it is not known. */
  readonly windowAt: (until: number) => DriftWindow | null;
  readonly matured: MaturedRows;
}

/** By category feature, the share of values that its list does not have. */
function unlistedOf(
  { plan }: Scorer,
  { reference, window }: { readonly reference: Reference; readonly window: DriftWindow },
): UnlistedShare[] {
  return plan.spec.features.flatMap((feature, at) =>
    feature.kind === "category"
      ? [
          unlistedShare(reference, {
            name: feature.name,
            other: feature.values.length,
            grid: window.grids.columns[at],
            window: totalOf(window, at),
          }),
        ]
      : [],
  );
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

interface Champion {
  readonly scorer: Scorer;
  readonly counted: HoursOf;
}

function countedBy({ plan, manifest }: Scorer, reference: Reference): HoursOf {
  const categories = plan.spec.features.flatMap((feature) =>
    feature.kind === "category" ? [[feature.name, feature.values.length] as const] : [],
  );
  return { reference, review: manifest.thresholds.review, unlisted: new Map(categories) };
}

async function windowOfLog(ports: Ports, input: MonitorInput, { scorer, counted }: Champion): Promise<Window> {
  const log = await ports.log();
  const { pipeline } = input;
  const { bundle } = scorer;
  const of = { ...counted, pipeline: pipeline.name, bundle };
  const { windowMs } = pipeline.drift;
  const summaries = await bringUpToDate(ports, of);
  const until = input.until ?? summaries.newest ?? 0;
  const wanted = hoursOf({ until, windowMs });
  const hours = reachesBack(summaries, wanted.first) ? summaries.hours : await countHours(log, of, wanted);
  const { maturityMs, unreportedIsGenuine } = pipeline.labels;
  const maturedTo = until - maturityMs;
  const from = maturedTo - MATURED_DAYS_MAX * DAY_MS - windowMs;
  const { time, score, label, weight } = await log.matured({
    bundle,
    from,
    to: maturedTo,
    until,
    rows: WINDOW_ROWS_MAX,
  });
  const known = Int32Array.from(time.keys()).filter((row) => unreportedIsGenuine || label[row] !== UNLABELLED);
  const matured = byTime(known, time);
  return {
    source: log.where,
    from: until - windowMs,
    to: until,
    drift: windowOf(hours, { until, windowMs }),
    windowAt: (at) =>
      reachesBack(summaries, hoursOf({ until: at, windowMs }).first)
        ? windowOf(summaries.hours, { until: at, windowMs })
        : null,
    matured: {
      times: Float64Array.from(matured, (row) => time[row]),
      scores: Float32Array.from(matured, (row) => score[row]),
      y: Uint8Array.from(matured, (row) => (label[row] === FRAUD ? 1 : 0)),
      weights: Float64Array.from(matured, (row) => weight[row]),
      to: maturedTo,
      windowMs,
    },
  };
}

async function windowOfTable(
  ports: Ports,
  input: MonitorInput,
  given: Champion & { readonly path: string },
): Promise<Window> {
  const { pipeline } = input;
  const { scorer, counted, path } = given;
  const source = await readSource(await ports.dataset(), pipeline, {
    path,
    plans: [scorer.plan],
    labelled: false,
  });
  const times = timesOf(source.table, pipeline);
  const newest = input.until ?? largest(times);
  const { windowMs } = pipeline.drift;
  const wanted = hoursOf({ until: newest, windowMs });
  const { x } = vectorsOf(source.table, { plan: scorer.plan, pipeline, report: ports.report });
  // A table's order is not that of arrival.
  const rows = rowsWhere(times, (time) => {
    const hour = Math.floor(time / HOUR_MS);
    return hour >= wanted.first && hour <= wanted.last && time <= newest;
  }).sort((a, b) => times[a] - times[b]);
  const ids = source.table.columns.get(pipeline.columns.id)!;
  const hours = tallyColumns(
    {
      columns: x.names.map((_, c) => Float32Array.from(rows, (row) => x.values[c * x.rows + row])),
      scores: scoreRows(scorer, x, rows),
      times: Float64Array.from(rows, (row) => times[row]),
      ids: (row) => textAt(ids, rows[row]) ?? "",
    },
    counted,
  );
  // What the model learned from says nothing about how it does on news.
  const maturedTo = newest - pipeline.labels.maturityMs;
  const labelled = source.table.columns.has(pipeline.columns.label);
  const labels = labelled ? labelsOf(source.table, pipeline) : new Uint8Array(0);
  if (labelled) reportUnlabelled(ports, source, pipeline);
  const known = rowsWhere(times, (time, row) => {
    return labelled && labels[row] !== UNLABELLED && time > scorer.manifest.trainedUpTo && time <= maturedTo;
  });
  const matured = byTime(known, times).slice(-WINDOW_ROWS_MAX);
  return {
    source: path,
    from: newest - windowMs,
    to: newest,
    drift: windowOf(hours, { until: newest, windowMs }),
    windowAt: () => null,
    matured: {
      times: Float64Array.from(matured, (row) => times[row]),
      scores: scoreRows(scorer, x, matured),
      y: Uint8Array.from(matured, (row) => labels[row]),
      weights: new Float64Array(matured.length).fill(1),
      to: maturedTo,
      windowMs,
    },
  };
}

/** By rising time, whatever the order of the rows. */
function byTime(rows: Int32Array, times: Float64Array): Int32Array {
  return rows.slice().sort((a, b) => times[a] - times[b] || a - b);
}

function rowsWhere(times: Float64Array, wanted: (time: number, row: number) => boolean): Int32Array {
  const rows: number[] = [];
  for (let row = 0; row < times.length; row++) if (wanted(times[row], row)) rows.push(row);
  return Int32Array.from(rows);
}
