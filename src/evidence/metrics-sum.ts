// Metrics that are made of sums over rows, kept per card so that a resample costs one pass over cards.
import type { ClusteredRows, PairedMetric, Side } from "./bootstrap.ts";

/** Which rows each model alerts on (reviews or blocks): 0 or 1 a row. */
export interface Alerts {
  readonly a: Uint8Array;
  readonly b: Uint8Array;
}

/** Scores from the threshold up alert; compared as Float32, as decisions are. */
export function alertsAt(scores: Float64Array, threshold: number): Uint8Array {
  const limit = Math.fround(threshold);
  return Uint8Array.from(scores, (score) => (Math.fround(score) >= limit ? 1 : 0));
}

export function precision(alerts: Alerts): PairedMetric {
  return counted("precision", alerts, (t) => t.truePositives / (t.truePositives + t.falsePositives));
}

export function recall(alerts: Alerts): PairedMetric {
  return counted("recall", alerts, (t) => t.truePositives / (t.truePositives + t.falseNegatives));
}

export function f1(alerts: Alerts): PairedMetric {
  return counted("F1", alerts, ({ truePositives, falsePositives, falseNegatives }) =>
    // Without a fraud there is nothing to find, and 0 / 0 stays undefined.
    truePositives + falseNegatives === 0
      ? Number.NaN
      : (2 * truePositives) / (2 * truePositives + falsePositives + falseNegatives),
  );
}

/** Alerted share of all rows; labels play no part. */
export function alertRate(alerts: Alerts): PairedMetric {
  return summed("alert rate", 2, {
    better: "lower",
    add: (sums, row) => {
      sums[0] += alerts[row.side][row.index] * row.weight;
      sums[1] += row.weight;
    },
    value: (sums) => sums[0] / sums[1],
  });
}

/** Mean squared distance of the score from the label (Brier 1950); lower is better. */
export function brier(): PairedMetric {
  return summed("Brier score", 2, {
    better: "lower",
    add: (sums, row) => {
      sums[0] += row.weight * (row.score - row.y) ** 2;
      sums[1] += row.weight;
    },
    value: (sums) => sums[0] / sums[1],
  });
}

/**
 * Savings of Correa Bahnsen et al. (2016): 1 − cost / cost of the better trivial policy (approve all, alert on all). A
 * missed fraud costs its amount (NaN counts as 0), an alert costs `reviewCost`. At most 1; 0 is worth nothing.
 */
export function savings(
  alerts: Alerts,
  costs: { readonly amounts: Float64Array; readonly reviewCost: number },
): PairedMetric {
  return summed("savings", 3, {
    better: "higher",
    add: (sums, row) => {
      const loss = row.y === 1 ? costs.amounts[row.index] || 0 : 0;
      sums[0] += row.weight * (alerts[row.side][row.index] === 1 ? costs.reviewCost : loss);
      sums[1] += row.weight * loss;
      sums[2] += row.weight * costs.reviewCost;
    },
    value: (sums) => 1 - sums[0] / Math.min(sums[1], sums[2]),
  });
}

interface SummedRow {
  readonly index: number;
  readonly side: Side;
  readonly score: number;
  readonly y: number;
  readonly weight: number;
}

/** `add` adds a row's terms to its card's sums; `value` is the metric of the sums over the drawn cards. */
function summed(
  name: string,
  terms: number,
  of: {
    readonly better: "higher" | "lower";
    readonly add: (sums: Float64Array, row: SummedRow) => void;
    readonly value: (sums: Float64Array) => number;
  },
): PairedMetric {
  return {
    name,
    better: of.better,
    prepare(rows: ClusteredRows, scores: Float64Array, side: Side) {
      const byCard = new Float64Array(rows.cards * terms);
      for (let index = 0; index < rows.y.length; index++) {
        const at = rows.card[index] * terms;
        const sums = byCard.subarray(at, at + terms);
        of.add(sums, { index, side, score: scores[index], y: rows.y[index], weight: rows.weights[index] });
      }
      const total = new Float64Array(terms);
      return (drawn) => {
        total.fill(0);
        for (let card = 0, at = 0; card < drawn.length; card++) {
          for (let term = 0; term < terms; term++, at++) total[term] += byCard[at] * drawn[card];
        }
        const value = of.value(total);
        return Number.isFinite(value) ? value : Number.NaN;
      };
    },
  };
}

interface Outcomes {
  readonly truePositives: number;
  readonly falsePositives: number;
  readonly falseNegatives: number;
}

function counted(name: string, alerts: Alerts, value: (outcomes: Outcomes) => number): PairedMetric {
  return summed(name, 3, {
    better: "higher",
    add: (sums, row) => {
      const alerted = alerts[row.side][row.index] === 1;
      if (alerted) sums[row.y === 1 ? 0 : 1] += row.weight;
      else if (row.y === 1) sums[2] += row.weight;
    },
    value: (sums) => value({ truePositives: sums[0], falsePositives: sums[1], falseNegatives: sums[2] }),
  });
}
