// Isolation forest, metrics and isotonic regression against scikit-learn's stored answers.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { cardPrecisionAtK } from "../../src/metrics/cards.ts";
import * as metrics from "../../src/metrics/metrics.ts";
import { isotonicBlocks } from "../../src/ml/calibration/train/isotonic.ts";
import { scoreAnomalyMatrix } from "../../src/ml/iforest/score.ts";
import { trainIsolationForest } from "../../src/ml/iforest/train/train.ts";

const read = (name: string) => JSON.parse(readFileSync(new URL(`data/${name}.json`, import.meta.url), "utf8"));

interface MetricCase extends Readonly<Record<string, number | string | readonly number[]>> {
  readonly name: string;
  readonly scores: readonly number[];
  readonly y: readonly number[];
  readonly card: readonly number[];
  readonly day: readonly number[];
  readonly threshold: number;
  readonly fpr: number;
  readonly k: number;
}

for (const answer of read("metrics").cases as readonly MetricCase[]) {
  test(`metrics, ${answer.name}: scikit-learn's and the Handbook's to 1e-12`, () => {
    const scores = Float64Array.from(answer.scores);
    const y = Uint8Array.from(answer.y);
    const { k, threshold, fpr } = answer;
    const card = Int32Array.from(answer.card);
    const day = Int32Array.from(answer.day);
    const ours = {
      rocAuc: metrics.rocAuc(scores, y),
      averagePrecision: metrics.averagePrecision(scores, y),
      logLoss: metrics.logLoss(scores, y),
      brier: metrics.brier(scores, y),
      ...metrics.precisionRecallF1At(scores, y, threshold),
      maxF1: Math.max(...scores.map((score) => metrics.precisionRecallF1At(scores, y, score).f1)),
      recallAtFpr: metrics.recallAtFpr(scores, y, fpr),
      cardPrecision: cardPrecisionAtK({ scores, y, card, day, k }),
    };
    for (const [name, value] of Object.entries(ours)) {
      expect(Math.abs(value - Number(answer[name])), name).toBeLessThan(1e-12);
    }
  });
}

test("isotonic regression has scikit-learn's knots", () => {
  const cases = read("isotonic").cases as readonly Readonly<Record<"x" | "y" | "knotX" | "knotY", readonly number[]>>[];
  for (const answer of cases) {
    const blocks = isotonicBlocks(Float64Array.from(answer.x), Uint8Array.from(answer.y));
    const knots = blocks.flatMap(({ low, high, y }) =>
      low === high
        ? [{ x: low, y }]
        : [
            { x: low, y },
            { x: high, y },
          ],
    );
    expect(knots.map(({ x }) => x)).toEqual(answer.knotX);
    knots.forEach(({ y }, i) => {
      expect(y).toBeCloseTo(answer.knotY[i], 12);
    });
  }
});

test("the isolation forest ranks as scikit-learn's does, but for the chance two of its own seeds differ by", () => {
  const answer = read("iforest") as { readonly x: readonly number[]; readonly scores: readonly (readonly number[])[] };
  const rows = answer.scores[0].length;
  const names = Array.from({ length: answer.x.length / rows }, (_, c) => `c${c}`);
  const x = { rows, names, values: Float32Array.from(answer.x) };
  const [first, second] = answer.scores;
  const theirs = spearman(first, second);
  for (const seed of [1, 2, 3]) {
    const ours = Array.from(scoreAnomalyMatrix(trainIsolationForest({ x, seed }), x));
    expect(spearman(ours, first)).toBeGreaterThan(theirs - 0.02);
    expect(spearman(ours, second)).toBeGreaterThan(theirs - 0.02);
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / rows;
    expect(Math.abs(mean(ours) - mean(first))).toBeLessThan(0.01);
  }
});

function spearman(a: readonly number[], b: readonly number[]): number {
  const ranks = (values: readonly number[]): Float64Array => {
    const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j]);
    const out = new Float64Array(values.length);
    order.forEach((at, position) => {
      out[at] = position;
    });
    return out;
  };
  const [left, right] = [ranks(a), ranks(b)];
  const center = (a.length - 1) / 2;
  let product = 0;
  let square = 0;
  for (let i = 0; i < a.length; i++) {
    product += (left[i] - center) * (right[i] - center);
    square += (left[i] - center) ** 2;
  }
  return product / square;
}
