// What a feature's movement does to the score: its attributions (SHAP), weighted by how the rows moved between the reference's bins.
import { coarse } from "../../drift/grid.ts";
import { binAt, type DriftWindow, type Shift } from "../../drift/monitor.ts";
import type { Reference } from "../../drift/reference.ts";
import { totalOf } from "../../drift/window.ts";
import { explainVector } from "../../online/explain.ts";
import type { Scorer } from "../../online/score.ts";

/** Rows that are explained: about a millisecond each. */
const ROWS_MAX = 400;

/** Shift of the mean log-odds by what a feature's rows now are; above 0: more suspicious. */
export interface ScoreEffect {
  readonly feature: string;
  readonly logOdds: number;
}

/**
 * Σ over bins (share now − share when trained) × the mean attribution of the feature in the bin, over sampled rows. A bin without a sampled
 * row counts as the mean of all. Empty where a model cannot be explained.
 */
export function effectsOf(
  scorer: Scorer,
  of: {
    readonly reference: Reference;
    readonly shifts: readonly Shift[];
    readonly window: DriftWindow;
  },
): ScoreEffect[] {
  const { reference, shifts, window } = of;
  const samples = window.stretches.flatMap(({ tally }) => tally.samples);
  if (scorer.manifest.engine !== undefined || samples.length === 0 || shifts.length === 0) return [];
  const step = Math.max(1, Math.ceil(samples.length / ROWS_MAX));
  const explained = samples
    .filter((_, i) => i % step === 0)
    .map(({ vector }) => {
      const { contributions } = explainVector(scorer, Float32Array.from(vector));
      return { vector, by: new Map(contributions.map(({ feature, contribution }) => [feature, contribution])) };
    });
  return shifts.map(({ feature }) => {
    const column = reference.features.findIndex(({ name }) => name === feature);
    const bins = reference.features[column];
    const before = [...bins.counts, bins.missing].map((count) => count / reference.rows);
    const sums = new Float64Array(before.length);
    const rows = new Float64Array(before.length);
    let total = 0;
    for (const { vector, by } of explained) {
      const bin = binAt(bins, vector[column]);
      const contribution = by.get(feature) ?? 0;
      sums[bin] += contribution;
      rows[bin]++;
      total += contribution;
    }
    const mean = total / explained.length;
    const tally = totalOf(window, column);
    const now = [...coarse(bins, window.grids.columns[column], tally.bins), tally.missing].map(
      (count) => count / tally.rows,
    );
    const logOdds = before.reduce(
      (sum, share, bin) => sum + (now[bin] - share) * (rows[bin] === 0 ? mean : sums[bin] / rows[bin]),
      0,
    );
    return { feature, logOdds };
  });
}
