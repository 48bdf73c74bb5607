// Simulated traffic for the drift tests: normal, log-normal, counted, sometimes missing and categorical features.
import { HOUR_MS } from "../../src/core/duration.ts";
import { Random } from "../../src/core/random.ts";
import { type Grid, gridsOf } from "../../src/drift/grid.ts";
import { type DriftReport, driftReport } from "../../src/drift/monitor.ts";
import type { DriftPolicy } from "../../src/drift/policy.ts";
import { buildReference, type Reference } from "../../src/drift/reference.ts";
import type { Swing } from "../../src/drift/swing.ts";
import { count, emptyTally } from "../../src/drift/tally.ts";
import { tallyColumns, windowOf } from "../../src/drift/window.ts";

export const NAMES = ["normal", "amount", "count", "sparse", "category"];
/** Score from which a row is an alert. */
export const REVIEW = 0.9;

export interface World {
  readonly columns: Float64Array[];
  readonly scores: Float64Array;
  readonly alerts: number;
}

/** Independent rows; `amountFactor` multiplies the amounts. */
export function world(random: Random, rows: number, amountFactor = 1): World {
  const columns = NAMES.map(() => new Float64Array(rows));
  const scores = new Float64Array(rows);
  let alerts = 0;
  for (let row = 0; row < rows; row++) {
    columns[0][row] = random.normal();
    columns[1][row] = amountFactor * Math.exp(1.3 * random.normal());
    columns[2][row] = random.poisson(0.7);
    columns[3][row] = random.next() < 0.02 ? Number.NaN : random.next();
    columns[4][row] = Math.floor(random.next() ** 3 * 30);
    scores[row] = random.next() ** 6;
    if (scores[row] >= REVIEW) alerts++;
  }
  return { columns, scores, alerts };
}

export function referenceOf(rows: number, seed = 1): Reference {
  return buildReference({ names: NAMES, categories: ["category"], ...world(new Random(seed), rows) });
}

/** The report on rows of one hour, or of these times with a window of `windowMs`. */
export function reportOf(input: {
  readonly reference: Reference;
  readonly window: Pick<World, "columns" | "scores">;
  readonly policy?: Partial<DriftPolicy>;
  readonly swing?: Swing;
  readonly times?: ArrayLike<number>;
  readonly until?: number;
  readonly windowMs?: number;
}): DriftReport {
  const { reference, window, policy, swing = null, until = 0, windowMs = HOUR_MS } = input;
  const times = input.times ?? new Float64Array(window.scores.length);
  const hours = tallyColumns({ ...window, times }, { reference, review: REVIEW });
  return driftReport({ reference, swing, policy, window: windowOf(hours, { until, windowMs }) });
}

/** A grid whose knots are these values, and other values in its bins. */
export function binned(sketch: readonly number[], values: Iterable<number>): { grid: Grid; bins: Uint32Array } {
  const feature = { kind: "number" as const, name: "x", edges: [], sketch, counts: [sketch.length], missing: 0 };
  const grids = gridsOf({ format: 1, rows: sketch.length, features: [], score: feature, alerts: 0 });
  const tally = emptyTally(grids);
  for (const value of values) count(tally, grids.columns[0], value, 0);
  const [grid] = grids.columns;
  return { grid, bins: tally.counts.subarray(2, 2 + grid.bins) };
}
