// Weighted metrics: scikit-learn's answers with sample weights, weights as repeated rows, and each definition by brute force.
import fc from "fast-check";
import { expect, test } from "vitest";
import { cardPrecisionAtK } from "../../src/metrics/cards.ts";
import { type Metric, measure, type ScoredRows } from "../../src/metrics/metric.ts";
import { AVERAGE_PRECISION, ROC_AUC, recallWithinBudget, recallWithinFpr } from "../../src/metrics/ranked.ts";
import {
  ALERT_RATE,
  alertsAt,
  BRIER,
  CAUGHT_AMOUNT_SHARE,
  countAlerts,
  F1,
  LOG_LOSS,
  PRECISION,
  RECALL,
  savings,
} from "../../src/metrics/summed.ts";
import { answers } from "../reference/answers.ts";

const METRICS: readonly Metric[] = [
  AVERAGE_PRECISION,
  ROC_AUC,
  recallWithinBudget(0.3),
  recallWithinFpr(0.2),
  PRECISION,
  RECALL,
  F1,
  ALERT_RATE,
  BRIER,
  LOG_LOSS,
  CAUGHT_AMOUNT_SHARE,
  savings(5),
];

interface Row {
  readonly y: number;
  readonly score: number;
  readonly amount: number;
  readonly weight: number;
  readonly card: number;
}

/** Few distinct scores, so that most are tied. */
const someRows = fc.array(
  fc.record({
    y: fc.nat(1),
    score: fc.nat(8).map((eighths) => eighths / 8),
    amount: fc.constantFrom(0, 3, 20, -7, Number.NaN),
    weight: fc.nat(3),
    card: fc.nat(4),
  }),
  { minLength: 1, maxLength: 40 },
);

function scored(rows: readonly Row[], weights?: Float64Array): ScoredRows {
  const scores = Float64Array.from(rows, ({ score }) => score);
  return {
    scores,
    y: Uint8Array.from(rows, ({ y }) => y),
    amounts: Float64Array.from(rows, ({ amount }) => amount),
    alerts: alertsAt(scores, 0.5),
    weights,
  };
}

function repeated(rows: readonly Row[]): Row[] {
  return rows.flatMap((row) => new Array<Row>(row.weight).fill(row));
}

function expectSame(actual: number, wanted: number, of: string): void {
  if (Number.isNaN(wanted)) expect(actual, of).toBeNaN();
  else expect(actual, of).toBeCloseTo(wanted, 10);
}

test.each(METRICS.map((metric) => [metric.name, metric] as const))(
  "%s: integer weights are repeated rows",
  (_, metric) => {
    fc.assert(
      fc.property(someRows, (rows) => {
        const weighted = measure(
          metric,
          scored(
            rows,
            Float64Array.from(rows, ({ weight }) => weight),
          ),
        );
        expectSame(weighted, measure(metric, scored(repeated(rows))), metric.name);
      }),
    );
  },
);

test.each(METRICS.map((metric) => [metric.name, metric] as const))(
  "%s: a drawn cluster is its rows, repeated; weights and draws multiply",
  (_, metric) => {
    fc.assert(
      fc.property(someRows, fc.array(fc.nat(2), { minLength: 5, maxLength: 5 }), (rows, draws) => {
        const weights = Float64Array.from(rows, ({ weight }) => weight);
        const clusters = { of: Int32Array.from(rows, ({ card }) => card), count: 5 };
        const drawn = metric.prepare(scored(rows, weights), clusters)(Float64Array.from(draws));
        const by = rows.map((row) => ({ ...row, weight: row.weight * draws[row.card] }));
        expectSame(drawn, measure(metric, scored(repeated(by))), metric.name);
      }),
    );
  },
);

test("weights of one are no weights, to the last bit", () => {
  fc.assert(
    fc.property(someRows, (rows) => {
      const ones = new Float64Array(rows.length).fill(1);
      for (const metric of METRICS) expect(measure(metric, scored(rows, ones))).toBe(measure(metric, scored(rows)));
    }),
  );
});

test("the order of rows, tied ones among them, says nothing: any permutation gives the same", () => {
  const shuffled = someRows.chain((rows) =>
    fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length, maxLength: rows.length })),
  );
  fc.assert(
    fc.property(shuffled, ([rows, moved]) => {
      for (const metric of METRICS) {
        const weights = (of: readonly Row[]) => Float64Array.from(of, ({ weight }) => weight);
        expectSame(
          measure(metric, scored(moved, weights(moved))),
          measure(metric, scored(rows, weights(rows))),
          metric.name,
        );
      }
    }),
  );
});

test("a rising change of the scores leaves ranking metrics as they were", () => {
  fc.assert(
    fc.property(someRows, (rows) => {
      const bent = rows.map((row) => ({ ...row, score: Math.exp(3 * row.score) - 7 }));
      for (const metric of METRICS.slice(0, 4))
        expect(measure(metric, scored(bent))).toBe(measure(metric, scored(rows)));
    }),
  );
});

/** The definitions as one would write them on paper, threshold by threshold and pair by pair. */
const ON_PAPER: Readonly<Record<string, (rows: readonly Row[]) => number>> = {
  "average precision": (rows) => {
    let sum = 0;
    for (const fraud of rows.filter(({ y }) => y === 1)) {
      const above = rows.filter(({ score }) => score >= fraud.score);
      sum += above.filter(({ y }) => y === 1).length / above.length;
    }
    return sum / frauds(rows);
  },
  "ROC AUC": (rows) => {
    let right = 0;
    for (const a of rows.filter(({ y }) => y === 1))
      for (const b of rows.filter(({ y }) => y === 0)) right += a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0;
    return right / (frauds(rows) * (rows.length - frauds(rows)));
  },
  "recall at review of 30 %": (rows) =>
    bestRecall(rows, (flagged) => flagged.length <= Math.floor(0.3 * rows.length + 1e-9)),
  "recall at 20 % false positives": (rows) => {
    const genuine = rows.length - frauds(rows);
    if (genuine === 0) return Number.NaN;
    return bestRecall(rows, (flagged) => flagged.length - frauds(flagged) <= Math.floor(0.2 * genuine + 1e-9));
  },
  precision: (rows) => frauds(alerted(rows)) / alerted(rows).length,
  recall: (rows) => frauds(alerted(rows)) / frauds(rows),
  F1: (rows) => (frauds(rows) === 0 ? Number.NaN : (2 * frauds(alerted(rows))) / (alerted(rows).length + frauds(rows))),
  "alert rate": (rows) => alerted(rows).length / rows.length,
  "Brier score": (rows) => rows.reduce((sum, { y, score }) => sum + (y - score) ** 2, 0) / rows.length,
  "log loss": (rows) => {
    const given = ({ y, score }: Row): number =>
      Math.min(Math.max(y === 1 ? score : 1 - score, Number.EPSILON), 1 - Number.EPSILON);
    return rows.reduce((sum, row) => sum - Math.log(given(row)), 0) / rows.length;
  },
  "caught share of the fraud amount": (rows) => lost(alerted(rows)) / lost(rows),
  savings: (rows) => {
    const missed = rows.filter(({ score }) => score < 0.5);
    const trivial = Math.min(lost(rows), 5 * rows.length);
    return trivial === 0 ? Number.NaN : 1 - (5 * alerted(rows).length + lost(missed)) / trivial;
  },
};

const frauds = (rows: readonly Row[]): number => rows.filter(({ y }) => y === 1).length;
const alerted = (rows: readonly Row[]): Row[] => rows.filter(({ score }) => score >= 0.5);
const lost = (rows: readonly Row[]): number =>
  rows.reduce((sum, { y, amount }) => sum + (y === 1 && amount > 0 ? amount : 0), 0);

/** Over all thresholds, the one that flags nothing included. */
function bestRecall(rows: readonly Row[], allowed: (flagged: readonly Row[]) => boolean): number {
  const thresholds = [Number.POSITIVE_INFINITY, ...rows.map(({ score }) => score)];
  const flagged = thresholds.map((threshold) => rows.filter(({ score }) => score >= threshold)).filter(allowed);
  return Math.max(...flagged.map((some) => frauds(some) / frauds(rows)));
}

test.each(METRICS.map((metric) => [metric.name, metric] as const))("%s is what its definition says", (name, metric) => {
  fc.assert(fc.property(someRows, (rows) => expectSame(measure(metric, scored(rows)), ON_PAPER[name](rows), name)));
});

test("card precision: a weight tells whether a row is there", () => {
  fc.assert(
    fc.property(someRows, (rows) => {
      const precision = (of: readonly Row[], weights?: Float64Array): number =>
        cardPrecisionAtK({
          scores: Float64Array.from(of, ({ score }) => score),
          y: Uint8Array.from(of, ({ y }) => y),
          card: Int32Array.from(of, ({ card }) => card),
          day: Int32Array.from(of, ({ amount }) => (amount > 0 ? 1 : 0)),
          k: 2,
          weights,
        });
      const weighted = precision(
        rows,
        Float64Array.from(rows, ({ weight }) => weight),
      );
      expectSame(weighted, precision(repeated(rows)), "card precision");
      expectSame(precision([...rows].reverse()), precision(rows), "order of rows");
    }),
  );
});

test.each(answers.ranking.map((answer, i) => [i, answer] as const))("scikit-learn's answers, case %i", (_, answer) => {
  const scores = Float64Array.from(answer.score);
  const rows: ScoredRows = {
    scores,
    y: Uint8Array.from(answer.y),
    weights: Float64Array.from(answer.weight),
    alerts: alertsAt(scores, answer.threshold),
  };
  expect(measure(AVERAGE_PRECISION, rows)).toBeCloseTo(answer.average_precision, 12);
  expect(measure(PRECISION, rows)).toBeCloseTo(answer.precision, 12);
  expect(measure(F1, rows)).toBeCloseTo(answer.f1, 12);
  expect(measure(BRIER, rows)).toBeCloseTo(answer.brier, 12);
  let area = 0;
  for (let i = 1; i < answer.fpr.length; i++) {
    const [x0, x1] = [answer.fpr[i - 1], answer.fpr[i]];
    area += ((x1 - x0) * (answer.tpr[i - 1] + answer.tpr[i])) / 2;
    if (x1 - x0 < 1e-9) continue;
    // Between two corners of the ROC curve there is no threshold: the left one counts.
    expect(measure(recallWithinFpr((x0 + x1) / 2), rows)).toBeCloseTo(answer.tpr[i - 1], 9);
  }
  expect(measure(ROC_AUC, rows)).toBeCloseTo(area, 12);
});

test("a tied group that exceeds the budget stays out whole", () => {
  const rows: ScoredRows = {
    scores: Float64Array.of(0.9, 0.8, 0.5, 0.5, 0.1),
    y: Uint8Array.of(1, 0, 1, 0, 0),
  };
  expect(measure(recallWithinBudget(0.2), rows)).toBe(0.5);
  // The third place would go to one of two tied rows: no threshold does that.
  expect(measure(recallWithinBudget(0.6), rows)).toBe(0.5);
  expect(measure(recallWithinBudget(0.8), rows)).toBe(1);
  // A row drawn twice is a tied group of two.
  const twice = { ...rows, weights: Float64Array.of(2, 1, 1, 1, 1) };
  expect(measure(recallWithinBudget(0.2), twice)).toBe(0);
  expect(measure(recallWithinBudget(0.34), twice)).toBe(2 / 3);
});

test("savings by hand: against approving all and alerting on all", () => {
  const rows = {
    scores: new Float64Array(4),
    y: Uint8Array.of(1, 1, 0, 0),
    amounts: Float64Array.of(100, 30, 50, Number.NaN),
  };
  // Alerts cost 2 × 5, the missed fraud 30; alerting on all costs 20, approving all 130.
  expect(measure(savings(5), { ...rows, alerts: Uint8Array.of(1, 0, 1, 0) })).toBeCloseTo(1 - 40 / 20, 12);
  expect(measure(savings(5), { ...rows, alerts: Uint8Array.of(0, 0, 0, 0) })).toBeCloseTo(1 - 130 / 20, 12);
});

test("undefined stays undefined: no fraud, no alert, nothing drawn", () => {
  const none = { scores: Float64Array.of(0.1, 0.2), y: Uint8Array.of(0, 0), alerts: Uint8Array.of(0, 0) };
  for (const metric of [...METRICS.slice(0, 7), F1]) expect(measure(metric, none), metric.name).toBeNaN();
  expect(measure(F1, { ...none, alerts: Uint8Array.of(1, 0) })).toBeNaN();
  expect(measure(ALERT_RATE, none)).toBe(0);
  const nothing = { ...none, y: Uint8Array.of(1, 0), weights: new Float64Array(2), amounts: new Float64Array(2) };
  for (const metric of METRICS) expect(measure(metric, nothing), metric.name).toBeNaN();
});

test("a metric whose column is missing is our bug, not a figure", () => {
  const rows = { scores: Float64Array.of(0.1), y: Uint8Array.of(1) };
  expect(() => measure(PRECISION, rows)).toThrow("alerts");
  expect(() => measure(CAUGHT_AMOUNT_SHARE, { ...rows, alerts: Uint8Array.of(1) })).toThrow("amounts");
});

test("a threshold compares as Float32, like a decision", () => {
  const scores = Float64Array.of(0.1, Math.fround(0.1), 0.09999999);
  expect([...alertsAt(scores, 0.1)]).toEqual([1, 1, 0]);
  expect(countAlerts(scores, 0.1)).toBe(2);
});
