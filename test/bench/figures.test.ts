// The arithmetic behind benchmark figures: medians, quantiles, rank correlation, reproducible tables, ratios of the peers.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { median, quantileOf } from "../../bench/bench.ts";
import { compare as compareForests } from "../../bench/iforest.ts";
import { Latencies } from "../../bench/latencies.ts";
import { pathPicture } from "../../bench/path-picture.ts";
import { rankCorrelation } from "../../bench/rank-correlation.ts";
import { compareScores } from "../../bench/score.ts";
import { readFloat32, readLabels, readMatrix, writeSynthetic } from "../../bench/synthetic.ts";
import { compareTrainings } from "../../bench/train.ts";
import { temporaryFolder } from "../../bench/workspace.ts";
import { xgboostJson } from "../../bench/xgboost-json.ts";
import { defaultGbdtParams } from "../../src/ml/gbdt/train/params.ts";
import { trainGbdt } from "../../src/ml/gbdt/train/train.ts";

test("the median is the middle, or the mean of the two middles, and leaves its input alone", () => {
  const values = [5, 1, 3];
  expect(median(values)).toBe(3);
  expect(values).toEqual([5, 1, 3]);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test("quantiles are values that occurred", () => {
  const ascending = Float64Array.from({ length: 100 }, (_, i) => i);
  expect(quantileOf(ascending, 0.5)).toBe(50);
  expect(quantileOf(ascending, 0.99)).toBe(99);
  expect(quantileOf(ascending, 1)).toBe(99);
});

test("rank correlation with ties is scipy's", () => {
  // scipy.stats.spearmanr([1, 2, 2, 4, 5], [3, 1, 2, 5, 5]).statistic
  expect(rankCorrelation(Float32Array.of(1, 2, 2, 4, 5), Float32Array.of(3, 1, 2, 5, 5))).toBeCloseTo(
    0.6315789473684211,
    12,
  );
});

test("rank correlation is symmetric, 1 with itself however scaled, and turns its sign with one side", () => {
  const values = fc.uniqueArray(fc.integer({ min: -1000, max: 1000 }), { minLength: 2, maxLength: 40 });
  fc.assert(
    fc.property(values, fc.infiniteStream(fc.integer({ min: 0, max: 5 })), (a, stream) => {
      const left = Float32Array.from(a);
      const other = Float32Array.from([0, 6, ...stream.take(a.length - 2)]);
      expect(
        rankCorrelation(
          left,
          left.map((value) => 3 * value + 7),
        ),
      ).toBeCloseTo(1, 10);
      expect(rankCorrelation(left, other)).toBeCloseTo(rankCorrelation(other, left), 10);
      expect(rankCorrelation(left, other)).toBeCloseTo(
        -rankCorrelation(
          left,
          other.map((value) => -value),
        ),
        10,
      );
    }),
  );
});

test("a synthetic table is the same bytes for the same seed, in both orders, with the asked share missing", () => {
  const folder = temporaryFolder();
  const options = { rows: 20_000, columns: 30, missing: 0.1, seed: 4 };
  const first = writeSynthetic(folder, "first", options);
  const again = writeSynthetic(folder, "again", options);
  const other = writeSynthetic(folder, "other", { ...options, seed: 5 });
  expect(readFileSync(first.byColumn).equals(readFileSync(again.byColumn))).toBe(true);
  expect(readFileSync(first.labels).equals(readFileSync(again.labels))).toBe(true);
  expect(readFileSync(first.byColumn).equals(readFileSync(other.byColumn))).toBe(false);
  const { values } = readMatrix(first);
  const byRow = readFloat32(first.byRow);
  for (const [row, column] of [
    [0, 0],
    [19_999, 29],
    [1234, 7],
  ]) {
    expect(byRow[row * 30 + column]).toBe(values[column * 20_000 + row]);
  }
  const missing = values.reduce((count, value) => count + (Number.isNaN(value) ? 1 : 0), 0) / values.length;
  expect(missing).toBeCloseTo(0.1, 2);
  const frauds = readLabels(first).reduce((sum, y) => sum + y, 0) / options.rows;
  expect(frauds).toBeGreaterThan(0.002);
  expect(frauds).toBeLessThan(0.01);
});

test("training: ratios are ours over theirs, quality is ours less XGBoost's, memory the worse of both threads", () => {
  const measured = (seconds: number, rssBytes: number) => ({ seconds, cpuSeconds: 2 * seconds, rssBytes });
  const quality = { auc: 0.9, ap: 0.25, logloss: 0.02 };
  const own = { learner: "sentinel", threads1: measured(2, 100), threads2: measured(1, 150), quality } as const;
  const xgboost = {
    learner: "xgboost",
    threads1: measured(4, 400),
    threads2: measured(4, 300),
    quality: { auc: 0.875, ap: 0.5, logloss: 0.03 },
  } as const;
  const lightgbm = { learner: "lightgbm", threads1: measured(8, 1), threads2: measured(2, 1), quality } as const;
  expect(compareTrainings([own, xgboost, lightgbm])).toEqual({
    threads1: { xgboost: 0.5, lightgbm: 0.25 },
    threads2: { xgboost: 0.25, lightgbm: 0.5 },
    threads1Cpu: { xgboost: 0.5, lightgbm: 0.25 },
    threads2Cpu: { xgboost: 0.25, lightgbm: 0.5 },
    aucDelta: expect.closeTo(0.025, 10),
    apDelta: -0.25,
    loglossDelta: expect.closeTo(-0.01, 10),
    rss: 0.5,
    seconds: { threads1: 2, threads2: 1 },
  });
  const alone = compareTrainings([own]);
  expect(alone).toMatchObject({ threads1: { xgboost: null, lightgbm: null }, aucDelta: null, rss: null });
});

test("isolation forests: ratios of medians, correlations over all pairs", () => {
  const round = (seconds: number, scores: readonly number[]) => ({
    measured: { seconds, cpuSeconds: seconds, coldSeconds: 3, rssBytes: 1, scoreSeconds: 2, scoreCpuSeconds: 2 },
    scores: Float32Array.from(scores),
  });
  const own = [round(1, [1, 2, 3]), round(2, [1, 2, 3]), round(9, [3, 2, 1])];
  const peer = [round(4, [1, 2, 3]), round(4, [2, 4, 6]), round(4, [1, 2, 3])];
  expect(compareForests(own, peer)).toMatchObject({
    train: 0.5,
    trainCold: 1,
    score: 1,
    rankCorrelation: expect.closeTo(1 / 3, 10),
    rankCorrelationPeerSeeds: expect.closeTo(1, 10),
  });
  expect(compareForests(own, [])).toMatchObject({ train: null, rankCorrelation: null, trainSeconds: 2 });
});

test("scoring: a batch is compared with the faster of XGBoost's two ways, explanations with its contributions", () => {
  const timings = (names: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(names).map(([name, seconds]) => [name, { seconds, cpuSeconds: 2 * seconds }]));
  const round = {
    own: timings({ single100: 1e-6, single300: 2e-6, batch: 1e-6, shap: 8e-4 }),
    onnxruntime: timings({ single100: 1e-5, single300: 4e-5, batch: 4e-6 }),
    xgboost: timings({ single100: 1e-4, single300: 2e-4, inplace: 5e-6, matrix: 2e-6, shap: 1e-3 }),
  };
  const ratios = {
    single100: expect.closeTo(0.1, 10),
    single300: expect.closeTo(0.05, 10),
    singleXgboost300: expect.closeTo(0.01, 10),
    batch300: { onnxruntime: expect.closeTo(0.25, 10), xgboost: expect.closeTo(0.5, 10) },
    shap300: { xgboost: expect.closeTo(0.8, 10) },
  };
  expect(compareScores([round, round])).toEqual({
    ...ratios,
    cpu: ratios,
    singleMicros100: expect.closeTo(1, 10),
    singleMicros300: expect.closeTo(2, 10),
    batchMicros300: expect.closeTo(1, 10),
    shapMicros300: expect.closeTo(800, 6),
  });
  expect(compareScores([{ ...round, xgboost: null }])).toMatchObject({
    batch300: { onnxruntime: expect.closeTo(0.25, 10), xgboost: null },
    shap300: { xgboost: null },
  });
});

test("our trees as XGBoost's JSON: every float is written as one, children know their parents", () => {
  const table = writeSynthetic(temporaryFolder(), "table", { rows: 20_000, columns: 30, missing: 0.1, seed: 2 });
  const params = { ...defaultGbdtParams, trees: 3, startRate: 0.5 };
  const { model } = trainGbdt({ x: readMatrix(table), y: readLabels(table), params, seed: 1 });
  const text = xgboostJson(model);
  // A split that parts the missing from all others stands at infinity, a word that XGBoost's reader knows.
  const { trees } = JSON.parse(text.replaceAll("Infinity", "1e999")).learner.gradient_booster.model;
  expect(trees).toHaveLength(3);
  expect(text).toMatch(/"split_conditions":\[-?[\d.]+e[+-]\d+,/);
  for (const [t, tree] of trees.entries()) {
    expect(tree.split_conditions.length).toBe((model.roots[t + 1] ?? model.feature.length) - model.roots[t]);
    tree.left_children.forEach((left: number, node: number) => {
      if (left < 0) expect(tree.split_conditions[node] === model.value[model.roots[t] + node]).toBe(true);
      else expect([tree.parents[left], tree.parents[tree.right_children[node]]]).toEqual([node, node]);
    });
  }
});

test("latencies in buckets: a percentile is the exact one or up to half a percent above it, and never above the longest", () => {
  const latency = fc.double({ min: 0.001, max: 60_000, noNaN: true });
  fc.assert(
    fc.property(fc.array(latency, { minLength: 1, maxLength: 300 }), (values) => {
      const latencies = new Latencies();
      for (const value of values) latencies.add(value);
      const ascending = Float64Array.from(values).sort();
      for (const share of [0.5, 0.9, 0.99, 0.9999]) {
        const exact = quantileOf(ascending, share);
        const seen = latencies.quantile(share);
        expect(seen).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
        expect(seen).toBeLessThanOrEqual(Math.min(exact * 1.0055, ascending[ascending.length - 1]));
      }
      expect(latencies.percentiles()).toMatchObject({ count: values.length, maxMs: ascending[ascending.length - 1] });
    }),
  );
  expect(new Latencies().percentiles()).toMatchObject({ count: 0, p99Ms: Number.NaN });
});

test("the picture of latencies has a line per side and no number that is none", () => {
  const latencies = new Latencies();
  for (let i = 1; i <= 10_000; i++) latencies.add(i / 1000);
  const lines = ["off", "on & on"].map((name) => ({ name, percentiles: latencies.percentiles() }));
  const picture = pathPicture(lines, "one <request>");
  expect(picture.match(/<polyline /g)).toHaveLength(2);
  expect(picture).toContain("on &amp; on");
  expect(picture).not.toMatch(/NaN|Infinity|<request>/);
});
