// The time-ordered split: history, train, calibrate, gap, evaluate; nothing ever learns from later than it may know.
import { DAY_MS, formatDuration, HOUR_MS } from "../../core/duration.ts";
import { SentinelError } from "../../core/errors.ts";
import { spanOf } from "../../core/stats.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { UNLABELLED } from "../data/source.ts";

/** Rows of one stretch of time, [from, to). */
export interface Slice {
  readonly from: number;
  readonly to: number;
  /** Those at hand: all, but of a table that is not held as a whole. */
  readonly rows: Int32Array;
  /** Its transactions, and how many of them are frauds. */
  readonly count: number;
  readonly frauds: number;
}

export interface Split {
  readonly train: Slice;
  readonly calibrate: Slice;
  readonly evaluate: Slice;
}

/** Fewest frauds a slice may have; below it, thresholds and metrics are noise. */
const FRAUDS_MIN = { train: 20, calibrate: 10, evaluate: 10 } as const;

/** Share of the days that must be left to train on. */
const TRAIN_SHARE_MIN = 0.1;

/** Length of a fold's calibration and of its judged days, as a share of the days to learn from. */
const FOLD_SHARE = 0.12;

/**
 * Cuts rows by event time. `history` only fills windows. A gap of the label delay stands before the evaluation, because a
 * model that begins its work there could not know the labels of those days. Errors: lifecycle.not-enough-data,
 * ml.one-class.
 */
export function splitByTime(
  times: Float64Array,
  labels: Uint8Array,
  pipeline: Pipeline,
  /** Learn, calibrate and judge on the newest days only, so many milliseconds; older rows fill windows. Absent: on all. */
  windowMs?: number,
): Split {
  return slicesOf(times, labels, boundsOf(periodOf(times), pipeline, windowMs));
}

/**
 * The same cut of a table of which only some rows are at hand: those that calibrate and judge, and none or some of those to learn from, which
 * were counted where they are. `bounds` are those of the whole table. Errors: as {@link splitByTime}.
 */
export function splitCounted(
  { times, labels }: { readonly times: Float64Array; readonly labels: Uint8Array },
  bounds: SplitBounds,
  learned: Pick<Slice, "count" | "frauds">,
): Split {
  const train = { ...cut(times, labels, bounds.train), ...learned };
  checkClasses(train, "train");
  return {
    train,
    calibrate: slice(times, labels, { ...bounds.calibrate, name: "calibrate" }),
    evaluate: slice(times, labels, { ...bounds.evaluate, name: "evaluate" }),
  };
}

/** Bounds of the slices of {@link splitByTime}, [from, to), in milliseconds. */
export type SplitBounds = { readonly [K in keyof Split]: Bounds };

/** Where a table from its `first` row's time to its `last` one's is cut; null where it is too short to be. */
export function splitBounds(
  { first, last }: { readonly first: number; readonly last: number },
  pipeline: Pipeline,
): SplitBounds | null {
  if (!(first <= last)) return null;
  try {
    return spanBounds({ first, last }, pipeline);
  } catch (error) {
    if (error instanceof SentinelError && error.code === "lifecycle.not-enough-data") return null;
    throw error;
  }
}

/** The same, of a table with rows. Errors: lifecycle.not-enough-data. */
export function spanBounds(
  { first, last }: { readonly first: number; readonly last: number },
  pipeline: Pipeline,
): SplitBounds {
  return boundsOf({ start: first, end: last + 1 }, pipeline);
}

/** Shares of the days since a model learned that trees are added to: learned, calibrated on, and judged on, in this order. */
const NEW_SHARES = { train: 0.6, calibrate: 0.15 } as const;

/**
 * Cuts the rows that a model has not learned, for adding trees to it: nothing older is in any slice, and there is no gap, since the
 * model that is there begins its work before these days. Errors: as {@link splitByTime}.
 */
export function splitAfter(times: Float64Array, labels: Uint8Array, learnedUpTo: number): Split {
  const { end } = periodOf(times);
  const span = Math.max(0, end - learnedUpTo);
  const trainTo = learnedUpTo + NEW_SHARES.train * span;
  const calibrateTo = trainTo + NEW_SHARES.calibrate * span;
  return slicesOf(times, labels, {
    train: { from: learnedUpTo, to: trainTo },
    calibrate: { from: trainTo, to: calibrateTo },
    evaluate: { from: calibrateTo, to: end },
  });
}

/**
 * What the world looks like recently shows in so much time: four weeks hold each day of the week four times, and a payday. A longer time would
 * hide that the world has changed meanwhile.
 */
const RECENT_MS_MAX = 28 * DAY_MS;

/** A world that began recently is known by its own days, but by a week at least, which has each of them, and by so many rows. */
const NEW_WORLD = { ms: 7 * DAY_MS, rows: 1000 } as const;

/**
 * The newest labelled rows that the trees did not learn, four weeks at most. `since`: when the world began that the model is made for. Rows of both
 * worlds together would be like neither: what comes would differ from them for good, and the step within them would pass for a natural swing.
 */
export function recentUnlearned(
  times: Float64Array,
  labels: Uint8Array,
  { split, since = Number.NEGATIVE_INFINITY }: { readonly split: Split; readonly since?: number },
): Int32Array {
  const { to } = split.evaluate;
  const from = Math.max(split.train.to, to - RECENT_MS_MAX);
  const { rows } = cut(times, labels, { from, to });
  const own = cut(times, labels, { from: Math.max(from, Math.min(since, to - NEW_WORLD.ms)), to }).rows;
  return own.length < NEW_WORLD.rows ? rows : own;
}

function slicesOf(times: Float64Array, labels: Uint8Array, bounds: SplitBounds): Split {
  return {
    train: slice(times, labels, { ...bounds.train, name: "train" }),
    calibrate: slice(times, labels, { ...bounds.calibrate, name: "calibrate" }),
    evaluate: slice(times, labels, { ...bounds.evaluate, name: "evaluate" }),
  };
}

/** The rows of the train slice of {@link splitByTime}, whatever their labels are. Errors: lifecycle.not-enough-data. */
export function trainingRows(times: Float64Array, labels: Uint8Array, pipeline: Pipeline): Int32Array {
  return cut(times, labels, boundsOf(periodOf(times), pipeline).train).rows;
}

/** Rows newer than what a refit learns from, at least: calibration and thresholds are carried over on them. */
export const UNSEEN_ROWS_MIN = 1000;

/**
 * The days that a refitted model learns from, and the rows after them, labelled or not, that neither it nor the judged model has seen.
 * It begins where the judged one did and ends `openMs` before the table's end, or earlier where fewer than {@link UNSEEN_ROWS_MIN}
 * rows would be left; `isWhole` leaves none, where such rows come from elsewhere. Errors: lifecycle.not-enough-data.
 */
export function refitSlices(
  split: Split,
  table: { readonly times: Float64Array; readonly labels: Uint8Array },
  { openMs, isWhole = false }: { readonly openMs: number; readonly isWhole?: boolean },
): {
  readonly learned: Slice;
  readonly unseen: { readonly from: number; readonly to: number; readonly rows: Int32Array };
} {
  const { times, labels } = table;
  const { end } = periodOf(times);
  const latest = Float64Array.from(times).sort();
  const left = isWhole ? end : latest[Math.max(0, latest.length - UNSEEN_ROWS_MIN)];
  const to = Math.min(end - openMs, left);
  const learned = cut(times, labels, { from: split.train.from, to });
  if (learned.to <= split.calibrate.to) {
    const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
    throw new SentinelError(
      "lifecycle.not-enough-data",
      `a refit would learn up to ${day(to)}, no later than the judged model was calibrated on (${day(split.calibrate.to)}): the ${formatDuration(openMs)} before the table's end are not matured, and ${UNSEEN_ROWS_MIN} rows must be left that no model has seen`,
      { hint: "give a longer period, lower labels.maturity where labels come sooner, or train without --refit" },
    );
  }
  const rows: number[] = [];
  for (let row = 0; row < times.length; row++) if (times[row] >= to) rows.push(row);
  return { learned, unseen: { from: to, to: end, rows: Int32Array.from(rows) } };
}

type Bounds = Pick<Slice, "from" | "to">;

function boundsOf(
  whole: { readonly start: number; readonly end: number },
  pipeline: Pipeline,
  windowMs = Number.POSITIVE_INFINITY,
): SplitBounds {
  const { calibrate, evaluate, gapMs } = pipeline.split;
  const { end } = whole;
  // What lies before the window is history enough, but at the table's own beginning.
  const start = Math.max(whole.start, end - windowMs);
  const span = end - start;
  const history = Math.max(0, pipeline.split.history * (end - whole.start) - (start - whole.start)) / span;
  const evaluateFrom = end - evaluate * span;
  const calibrateTo = evaluateFrom - gapMs;
  const calibrateFrom = calibrateTo - calibrate * span;
  const trainTo = calibrateFrom;
  const trainFrom = start + history * span;
  if (trainTo - trainFrom < span * TRAIN_SHARE_MIN) throw tooShort(span, pipeline);
  return {
    train: { from: trainFrom, to: trainTo },
    calibrate: { from: calibrateFrom, to: calibrateTo },
    evaluate: { from: evaluateFrom, to: end },
  };
}

/**
 * Splits inside what a training may learn from, oldest first, for choosing parameters: each trains on all that came before its own
 * calibration days and is judged, after the gap, on the next stretch; the last one ends where `split` stops learning. Nothing of the
 * evaluation slice is in any of them. Errors: as {@link splitByTime}.
 */
export function foldsBefore(
  split: Split,
  rows: { readonly times: Float64Array; readonly labels: Uint8Array },
  given: { readonly pipeline: Pipeline; readonly count: number },
): Split[] {
  const { times, labels } = rows;
  const { gapMs } = given.pipeline.split;
  const { from } = split.train;
  const end = split.calibrate.to;
  const step = FOLD_SHARE * (end - from);
  return Array.from({ length: given.count }, (_, k) => {
    const to = end - (given.count - 1 - k) * step;
    const evaluateFrom = end - (given.count - k) * step;
    const calibrateTo = evaluateFrom - gapMs;
    const trainTo = calibrateTo - step;
    if (trainTo - from < step) {
      throw new SentinelError(
        "lifecycle.not-enough-data",
        `fold ${k + 1} of ${given.count} would train on less than ${formatDuration(Math.ceil(step / DAY_MS) * DAY_MS)}: the days to learn from are too few for a search`,
        { hint: "give a longer period, shorten `split.gap`, or train without --tune" },
      );
    }
    return {
      train: slice(times, labels, { from, to: trainTo, name: "train" }),
      calibrate: slice(times, labels, { from: trainTo, to: calibrateTo, name: "calibrate" }),
      evaluate: slice(times, labels, { from: evaluateFrom, to, name: "evaluate" }),
    };
  });
}

/** Names the key at fault: the parts are shares, which the pipeline's file has bounded, so only the gap can be too long. */
function tooShort(span: number, { split, labels, file }: Pipeline): SentinelError {
  const { history, calibrate, evaluate, gapMs } = split;
  const free = 1 - TRAIN_SHARE_MIN - history - calibrate - evaluate;
  const days = Math.ceil(gapMs / free / DAY_MS);
  const most = Math.floor((free * span) / HOUR_MS) * HOUR_MS;
  const spans = span < DAY_MS ? "less than a day" : formatDuration(Math.round(span / DAY_MS) * DAY_MS);
  const gap = most > 0 ? `at most ${formatDuration(most)}` : "0s";
  const why =
    labels.delayMs > most
      ? `the gap stands for the days whose labels are not known yet: 0s is right where labels come at once (then labels.delay too, now ${formatDuration(labels.delayMs)})`
      : "0s is right where labels come at once";
  return new SentinelError(
    "lifecycle.not-enough-data",
    `the data spans ${spans}, and split.gap takes ${formatDuration(gapMs)} of it: beside history, calibration and evaluation too little is left to train on`,
    { hint: `set split.gap in ${file} to ${gap} (${why}), or give at least ${days} days` },
  );
}

function periodOf(times: Float64Array): { readonly start: number; readonly end: number } {
  const { first, last } = spanOf(times);
  return { start: first, end: last + 1 };
}

/** Rows whose truth nobody knows are in no slice. */
function slice(
  times: Float64Array,
  labels: Uint8Array,
  of: { readonly from: number; readonly to: number; readonly name: keyof typeof FRAUDS_MIN },
): Slice {
  const made = cut(times, labels, { from: of.from, to: of.to });
  checkClasses(made, of.name);
  return made;
}

function cut(times: Float64Array, labels: Uint8Array, span: { readonly from: number; readonly to: number }): Slice {
  let count = 0;
  for (let i = 0; i < times.length; i++)
    if (times[i] >= span.from && times[i] < span.to && labels[i] !== UNLABELLED) count++;
  const rows = new Int32Array(count);
  let next = 0;
  let frauds = 0;
  for (let i = 0; i < times.length; i++) {
    if (times[i] >= span.from && times[i] < span.to && labels[i] !== UNLABELLED) {
      rows[next++] = i;
      frauds += labels[i];
    }
  }
  return { ...span, rows, count, frauds };
}

function checkClasses(slice: Slice, name: keyof typeof FRAUDS_MIN): void {
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  const where = `the ${name} slice ${day(slice.from)} … ${day(slice.to)}`;
  if (slice.frauds === 0) {
    throw new SentinelError("ml.one-class", `${where} has ${slice.count} transactions and no fraud`, {
      hint: "a model cannot learn what it never sees: check the label column, or give data with labelled frauds",
    });
  }
  if (slice.frauds === slice.count) {
    throw new SentinelError("ml.one-class", `${where} has ${slice.count} transactions and all of them are frauds`, {
      hint: "check the label column: genuine transactions must be there too",
    });
  }
  if (slice.frauds < FRAUDS_MIN[name]) {
    throw new SentinelError(
      "lifecycle.not-enough-data",
      `${where} has ${slice.frauds} frauds, at least ${FRAUDS_MIN[name]} are needed`,
      {
        hint:
          name === "train"
            ? "give a longer period, or lower split.history, split.calibrate, split.evaluate or split.gap in the pipeline"
            : `give a longer period, or raise split.${name} in the pipeline`,
      },
    );
  }
}
