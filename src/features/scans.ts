// Scans: features that look at a key's transactions one by one: percentiles, values seen for the first time, the way between places, neighbours.
import { distanceKm } from "../core/place.ts";
import type { NeighbourMeasure } from "./definition.ts";
import { DistinctSet } from "./distinct.ts";
import type { LabelLists } from "./labels.ts";
import { firstAfter, type RunPlace } from "./timelines.ts";

/** Values that a percentile is taken of, at most: the newest in the window. A sort of as many takes some tenths of a millisecond. */
export const PERCENTILE_VALUES_MAX = 4096;

/** A shorter time between two places counts as this long, or the speed would be none. */
const ELAPSED_MS_MIN = 1000;
const HOUR_MS = 3_600_000;

/** What one scan finds out of a key's run; columns are those of the series. */
export type ScanStep =
  | {
      readonly kind: "percentile";
      readonly column: number;
      readonly ms: number;
      readonly delayMs: number;
      readonly current: boolean;
      /** One sort serves all percentiles of a window. */
      readonly outputs: readonly { readonly feature: number; readonly percent: number; readonly empty: number }[];
    }
  | { readonly kind: "first-seen"; readonly feature: number; readonly column: number; readonly withinMs: number }
  | {
      readonly kind: "new-values";
      readonly feature: number;
      readonly column: number;
      readonly ms: number;
      readonly withinMs: number;
      readonly current: boolean;
    }
  | {
      readonly kind: "movement";
      readonly feature: number;
      readonly latitude: number;
      readonly longitude: number;
      readonly withinMs: number;
      readonly isSpeed: boolean;
    }
  | {
      readonly kind: "neighbours";
      readonly column: number;
      /** The place of the column among those that known frauds keep; null where no feature asks for frauds. */
      readonly labelled: number | null;
      readonly ms: number;
      readonly delayMs: number;
      readonly outputs: readonly {
        readonly feature: number;
        readonly measure: NeighbourMeasure;
        readonly empty: number;
      }[];
    }
  | {
      readonly kind: "fraud-value";
      readonly feature: number;
      /** The place of the column among those that known frauds keep. */
      readonly labelled: number;
      readonly largest: boolean;
      readonly withinMs: number;
    }
  | FraudRunStep;

export interface FraudRunStep {
  readonly kind: "fraud-run";
  readonly feature: number;
  /** Of the time since the first of the run; null: how many they are. */
  readonly unitMs: number | null;
  readonly withinMs: number;
  readonly delayMs: number;
}

/** Where a scan looks; one object is reused. */
export interface ScanInput {
  /** The key's transactions that came before, each by itself; what a busy tile adds up is not among them. */
  readonly run: RunPlace;
  /** The transaction's time after the origin of the run, and its own values. */
  now: number;
  own: Float64Array;
  /** The run's column for each of the series'. */
  columnOf: Int32Array;
  /** The key's known frauds; null where it has none. */
  frauds: LabelLists | null;
  slot: number;
  /** The transaction's time. */
  time: number;
  /** Labels of transactions up to this time are gone. */
  gone: number;
  /** The place among what known frauds keep for each of the series' labelled columns. */
  labelledOf: Int32Array;
}

/** Reads scans; one instance is reused for every read, and its scratch never shrinks. */
export class ScanReader {
  private values = new Float64Array(64);
  private readonly seen = new DistinctSet();

  read(steps: readonly ScanStep[], input: ScanInput, out: Float64Array): void {
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i];
      if (step.kind === "percentile") this.percentiles(step, input, out);
      else if (step.kind === "first-seen") out[step.feature] = isFirst(step, input);
      else if (step.kind === "new-values") out[step.feature] = this.newValues(step, input);
      else if (step.kind === "neighbours") this.neighbours(step, input, out);
      else if (step.kind === "fraud-value") out[step.feature] = fraudValue(step, input);
      else if (step.kind === "fraud-run") out[step.feature] = fraudRun(step, input);
      else out[step.feature] = movement(step, input);
    }
  }

  /** Nearest rank (Hyndman & Fan 1996, type 1): the smallest value that at least so many percent do not exceed, a value that was there. */
  private percentiles(
    step: Extract<ScanStep, { kind: "percentile" }>,
    { run, now, own, columnOf }: ScanInput,
    out: Float64Array,
  ): void {
    const { times, begin, end } = run;
    const column = columnOf[step.column];
    const values = run.columns[column];
    const until = now - step.delayMs;
    let count = 0;
    if (step.current && !Number.isNaN(own[column])) count = this.put(count, own[column]);
    const from = firstAfter(times, begin, end, until);
    for (let i = from - 1; i >= begin && times[i] > until - step.ms && count < PERCENTILE_VALUES_MAX; i--) {
      if (!Number.isNaN(values[i])) count = this.put(count, values[i]);
    }
    const sorted = this.values.subarray(0, count).sort();
    for (const { feature, percent, empty } of step.outputs) {
      const rank = Math.max(1, Math.ceil((percent * count) / 100));
      out[feature] = count === 0 ? empty : sorted[rank - 1];
    }
  }

  /** −0 is 0, which sorts otherwise. */
  private put(count: number, value: number): number {
    if (count === this.values.length) {
      const grown = new Float64Array(2 * count);
      grown.set(this.values);
      this.values = grown;
    }
    this.values[count] = value + 0;
    return count + 1;
  }

  private newValues(step: Extract<ScanStep, { kind: "new-values" }>, { run, now, own, columnOf }: ScanInput): number {
    const { seen } = this;
    const { times, begin, end } = run;
    const column = columnOf[step.column];
    const recent = firstAfter(times, begin, end, now - step.ms);
    seen.clear();
    if (end > begin) seen.addRun(run.columns[column], firstAfter(times, begin, recent, now - step.withinMs), recent);
    const before = seen.size;
    if (end > begin) seen.addRun(run.columns[column], recent, end);
    const isNew = step.current && !Number.isNaN(own[column]) && !seen.has(own[column]);
    return seen.size - before + (isNew ? 1 : 0);
  }

  /**
   * To a share, whoever is known for a fraud was there, also where the fraud itself came too late to be among the transactions, or was added up in a busy
   * tile: it never exceeds 1. A count is of the transactions alone, whatever else is asked for.
   */
  private neighbours(
    step: Extract<ScanStep, { kind: "neighbours" }>,
    { run, now, own, columnOf, frauds, slot, time, gone, labelledOf }: ScanInput,
    out: Float64Array,
  ): void {
    const { seen } = this;
    const { outputs } = step;
    const { times, begin, end } = run;
    const column = columnOf[step.column];
    const value = own[column];
    if (Number.isNaN(value)) {
      for (let o = 0; o < outputs.length; o++) out[outputs[o].feature] = Number.NaN;
      return;
    }
    const until = now - step.delayMs;
    const to = firstAfter(times, begin, end, until);
    const from = firstAfter(times, begin, to, until - step.ms);
    const others = (): number => {
      if (end > begin) seen.addRun(run.columns[column], from, to);
      return seen.size - 1;
    };
    seen.clear();
    seen.add(value);
    if (frauds !== null && step.labelled !== null) {
      const known = time - step.delayMs;
      const span = { after: Math.max(known - step.ms, gone), until: known, now: time };
      frauds.addKnown(slot, span, { place: labelledOf[step.labelled], seen });
    }
    const known = seen.size - 1;
    const all = others();
    for (let o = 0; o < outputs.length; o++) {
      const { feature, measure, empty } = outputs[o];
      if (measure === "frauds") out[feature] = known;
      else if (measure === "share") out[feature] = all === 0 ? empty : known / all;
      else if (known === 0) out[feature] = all;
      else {
        seen.clear();
        seen.add(value);
        out[feature] = others();
      }
    }
  }
}

function fraudValue(
  step: Extract<ScanStep, { kind: "fraud-value" }>,
  { frauds, slot, time, gone, labelledOf }: ScanInput,
): number {
  if (frauds === null) return Number.NaN;
  const span = { after: Math.max(time - step.withinMs, gone), until: time, now: time };
  return frauds.extreme(slot, span, { place: labelledOf[step.labelled], largest: step.largest });
}

function fraudRun({ unitMs, withinMs, delayMs }: FraudRunStep, { run, frauds, slot, time, gone }: ScanInput): number {
  if (frauds === null) return unitMs === null ? 0 : Number.NaN;
  const span = { after: Math.max(time - withinMs, gone), until: time - delayMs, now: time };
  const { count, first } = frauds.lastInARow(slot, span, run);
  return unitMs === null ? count : (time - first) / unitMs;
}

/** 1 where none of the key's transactions within had the value, 0 where one had it, NaN without a value. */
function isFirst(step: Extract<ScanStep, { kind: "first-seen" }>, { run, now, own, columnOf }: ScanInput): number {
  const { times, begin, end } = run;
  const column = columnOf[step.column];
  const value = own[column];
  if (Number.isNaN(value)) return Number.NaN;
  const values = run.columns[column];
  for (let i = end - 1; i >= begin && times[i] > now - step.withinMs; i--) if (values[i] === value) return 0;
  return 1;
}

/** From the last transaction that had a place: kilometres, or kilometres an hour. */
function movement(step: Extract<ScanStep, { kind: "movement" }>, { run, now, own, columnOf }: ScanInput): number {
  const { times, begin, end, columns } = run;
  const [latitude, longitude] = [columnOf[step.latitude], columnOf[step.longitude]];
  if (Number.isNaN(distanceKm(own[latitude], own[longitude], own[latitude], own[longitude]))) return Number.NaN;
  for (let i = end - 1; i >= begin && times[i] > now - step.withinMs; i--) {
    const km = distanceKm(columns[latitude][i], columns[longitude][i], own[latitude], own[longitude]);
    if (Number.isNaN(km)) continue;
    return step.isSpeed ? km / (Math.max(ELAPSED_MS_MIN, now - times[i]) / HOUR_MS) : km;
  }
  return Number.NaN;
}
