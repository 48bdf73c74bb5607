// Tallies: what is kept of the rows of one hour, of fixed size whatever the traffic; tallies of several hours add up.
import { binOf, FIRST_BIN, type Grid, type Grids, INFINITE, MAGNITUDES, MISSING, magnitudeOf } from "./grid.ts";

/** A few rows of each hour are kept whole, as examples and for attributions: those whose ids hash lowest, so that order changes nothing. */
export const SAMPLES_MAX = 4;

export interface Sample {
  readonly hash: number;
  readonly id: string;
  readonly time: number;
  readonly score: number;
  readonly vector: readonly number[];
}

export interface Tally {
  rows: number;
  alerts: number;
  /** Rows that came more than an hour of event time after newer ones. */
  late: number;
  /** Rows that equal one of the last few thousand in time, vector and score. */
  duplicates: number;
  readonly counts: Uint32Array;
  /** Per column the least and the greatest present value. */
  readonly least: Float64Array;
  readonly greatest: Float64Array;
  readonly samples: Sample[];
}

export function emptyTally(grids: Grids): Tally {
  return {
    rows: 0,
    alerts: 0,
    late: 0,
    duplicates: 0,
    counts: new Uint32Array(grids.length),
    least: new Float64Array(grids.columns.length).fill(Number.POSITIVE_INFINITY),
    greatest: new Float64Array(grids.columns.length).fill(Number.NEGATIVE_INFINITY),
    samples: [],
  };
}

/** Counts one value of a column. */
export function count(tally: Tally, grid: Grid, value: number, column: number): void {
  const { counts } = tally;
  const { offset } = grid;
  if (Number.isNaN(value)) {
    counts[offset + MISSING]++;
    return;
  }
  if (value < tally.least[column]) tally.least[column] = value;
  if (value > tally.greatest[column]) tally.greatest[column] = value;
  if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) counts[offset + INFINITE]++;
  counts[offset + FIRST_BIN + binOf(grid, value)]++;
  if (grid.codes === null) counts[offset + FIRST_BIN + grid.bins + magnitudeOf(value)]++;
}

/** Adds a row as a sample, if its hash is among the lowest. */
export function offerSample(samples: Sample[], hash: number, make: () => Sample): void {
  if (samples.length === SAMPLES_MAX && hash >= samples[SAMPLES_MAX - 1].hash) return;
  const at = samples.findIndex((sample) => sample.hash > hash);
  samples.splice(at < 0 ? samples.length : at, 0, make());
  if (samples.length > SAMPLES_MAX) samples.pop();
}

/** All tallies as one; samples of all, by hour. */
export function sumOf(grids: Grids, tallies: Iterable<Tally>): Tally {
  const total = emptyTally(grids);
  for (const tally of tallies) {
    total.rows += tally.rows;
    total.alerts += tally.alerts;
    total.late += tally.late;
    total.duplicates += tally.duplicates;
    for (let i = 0; i < total.counts.length; i++) total.counts[i] += tally.counts[i];
    for (let c = 0; c < total.least.length; c++) {
      total.least[c] = Math.min(total.least[c], tally.least[c]);
      total.greatest[c] = Math.max(total.greatest[c], tally.greatest[c]);
    }
    total.samples.push(...tally.samples);
  }
  return total;
}

/** One column of a tally. */
export interface ColumnTally {
  readonly rows: number;
  readonly missing: number;
  readonly infinite: number;
  readonly bins: Uint32Array;
  readonly magnitudes: Uint32Array;
  readonly least: number;
  readonly greatest: number;
}

export function columnOf(tally: Tally, grids: Grids, column: number): ColumnTally {
  const grid = grids.columns[column];
  const from = grid.offset + FIRST_BIN;
  return {
    rows: tally.rows,
    missing: tally.counts[grid.offset + MISSING],
    infinite: tally.counts[grid.offset + INFINITE],
    bins: tally.counts.subarray(from, from + grid.bins),
    magnitudes: tally.counts.subarray(from + grid.bins, from + grid.bins + (grid.codes === null ? MAGNITUDES : 0)),
    least: tally.least[column],
    greatest: tally.greatest[column],
  };
}
