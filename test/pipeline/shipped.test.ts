// The shipped pipelines: their values and hash are pinned, because bundles, logs and journals of earlier versions name them.
import path from "node:path";
import { expect, test } from "vitest";
import { DAY_MS, HOUR_MS } from "../../src/core/duration.ts";
import { PLAIN_TIME } from "../../src/core/time.ts";
import { flatParameters } from "../../src/lifecycle/train/judge.ts";
import { loadPipeline, pipelineNames } from "../../src/pipeline/pipeline.ts";
import { pipelineOf } from "../lifecycle/world.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");

test("pipelines/card.yaml has the values and the hash that it had in version 0.1.0", () => {
  expect(pipelineNames(ROOT)).toEqual(["card"]);
  const { canonical, times, written, ...pipeline } = loadPipeline(ROOT, "card");
  expect(times).toBe(PLAIN_TIME);
  expect(written).toEqual({ rowIds: false, timeParts: null, money: null, labelWords: null });
  expect(pipeline).toEqual({
    archive: { everyMs: 60_000, rowGroup: 122_880, compact: true, vectors: true },
    name: "card",
    model: "card-fraud",
    file: path.join(ROOT, "pipelines/card.yaml"),
    hash: "f9f8382c3d46c62b764a9fdf5742af8b9477f76c5d2bbbea0d713ba8bf5aeda2",
    source: path.join(ROOT, "data/transactions.parquet"),
    featuresFile: path.join(ROOT, "features/card.ts"),
    featuresName: "card",
    schemaFile: path.join(ROOT, "pipelines/card.schema.json"),
    suiteFile: path.join(ROOT, "pipelines/card.suite.json"),
    columns: { id: "transaction_id", time: "time", amount: "amount", card: "customer_id", label: "is_fraud" },
    // Since 0.2.0.
    log: {
      durability: "interval",
      flushMs: 5,
      lagMsMax: 5000,
      retention: { days: 36_500, rows: 10_000_000 },
      redact: { fields: [], how: "drop" },
    },
    labels: { delayMs: 7 * DAY_MS, maturityMs: 7 * DAY_MS, unreportedIsGenuine: true },
    split: { history: 0.1, calibrate: 0.1, gapMs: 7 * DAY_MS, evaluate: 0.15 },
    training: {},
    privacy: { personal: [] },
    retention: {},
    stream: {
      batch: { everyMs: 100, records: 5000 },
      consumers: "one",
      format: "json",
      from: "earliest",
      recordMaxBytes: 1_048_576,
      retryMs: 600_000,
      sessionMs: 30_000,
      snapshotMs: 60_000,
    },
    modelParameters: {
      trees: 300,
      learningRate: 0.1,
      depthMax: 5,
      lambda: 1,
      alpha: 0,
      gamma: 0,
      minChildWeight: 1,
      rowSample: 0.8,
      columnSample: 0.5,
      binsMax: 256,
      categoryRowsMin: 20,
      categoryLambda: 10,
      categorySmoothing: 10,
      scalePositive: 1,
      startRate: 0.2,
      earlyStoppingRounds: 30,
      anomalyTrees: 100,
      anomalySample: 256,
      anomalyFeature: "never",
      calibration: "choose",
      seed: 1,
    },
    decisions: {
      reviewPolicy: "budget",
      reviewShare: 0.01,
      // Came later; asked by nothing but its policy.
      fraudRateMax: 0.0013,
      reviewCost: 5,
      missedShare: 1,
      missedCost: 0,
      falseBlockCost: 10,
      customerFactor: 1,
      segments: { bands: [], shrinkage: 50 },
      adapt: "off",
      adaptEveryMs: 3_600_000,
      adaptRange: 4,
      adaptRows: 5000,
      blockPrecision: 0.9,
      certainty: 0.9,
      blockScoreMin: 0.5,
      // Came later; off.
      explore: { bands: [], answer: "review", seed: 1 },
      failOpen: "review",
    },
    gates: {
      data: { labelRate: [0.0001, 0.2] },
      training: { fraudsMin: 10, margin: 0.05 },
      logic: { latencyMsMax: 5, onnxDifferenceMax: 0.000001, parityRows: 3000 },
      promotion: {
        mode: "non-inferiority",
        metric: "average-precision",
        margin: 0.02,
        coverageMin: 0.95,
        fraudsMin: 50,
        daysMin: 3,
        blockedUnknownMax: 1,
        resamples: 1000,
      },
      // Came later; off, so that nothing of then behaves otherwise.
      rollback: { automatic: false, pairsMin: 1000 },
      rule: { precisionMin: 0.1, hitsMin: 30 },
    },
    shadow: { sample: 1, timeoutMs: 250, queueMax: 10_000 },
    drift: {
      windowMs: 7 * DAY_MS,
      psiFloor: 0.1,
      falseDiscoveryRate: 0.01,
      correction: "benjamini-hochberg",
      persistence: 2,
    },
    // Came later; off.
    rules: { fourEyes: false },
    // Came later; nothing is drawn, and closing takes one person.
    cases: {
      due: { criticalMs: 4 * HOUR_MS, warningMs: DAY_MS, infoMs: 3 * DAY_MS },
      claimMs: HOUR_MS / 2,
      fourEyes: false,
      minutes: 5,
      alertMinutes: 1,
      fraudShare: { critical: 0.3, warning: 0.05, info: 0.001 },
      blockedShare: 0.2,
      explore: { share: 0, picks: 0.1, seed: 1 },
      links: [],
    },
    retrain: { cooldownMs: DAY_MS, freshMs: 5 * DAY_MS, patienceMs: 14 * DAY_MS, refreshMs: 56 * DAY_MS },
    serve: { pollMs: 1000, bodyMaxBytes: 1_048_576, batchMax: 1000 },
  });
  expect([...canonical.keys()]).toHaveLength(15);
  expect(canonical.get("merchant_id")).toBe("terminal_id");
});

test("what it writes out is what a pipeline that writes nothing gets", () => {
  const { modelParameters, decisions, gates, labels, split, shadow, drift, retrain, serve } = loadPipeline(
    ROOT,
    "card",
  );
  expect(pipelineOf()).toMatchObject({
    modelParameters,
    decisions,
    gates,
    labels,
    split,
    shadow,
    drift,
    retrain,
    serve,
  });
});

/** A manifest holds them in this order, and its bytes make the bundle's hash. */
test("the parameters that a bundle names keep their names and their order", () => {
  expect(JSON.stringify(flatParameters(pipelineOf().modelParameters))).toBe(
    '{"trees":300,"learningRate":0.1,"depthMax":5,"lambda":1,"alpha":0,"gamma":0,"minChildWeight":1,"rowSample":0.8,' +
      '"columnSample":0.5,"binsMax":256,"categoryRowsMin":20,"categoryLambda":10,"categorySmoothing":10,"scalePositive":1,' +
      '"earlyStoppingRounds":30,"anomalyTrees":100,"anomalySample":256,"calibration":"choose","seed":1}',
  );
  const goss = pipelineOf("model_parameters: { goss_rest: 0.1, goss_top: 0.2, start_rate: 0.3, leaves_max: 9 }\n");
  expect(Object.keys(flatParameters(goss.modelParameters)).join(" ")).toBe(
    "trees learningRate depthMax leavesMax lambda alpha gamma minChildWeight rowSample gossTop gossRest columnSample binsMax " +
      "categoryRowsMin categoryLambda categorySmoothing scalePositive startRate earlyStoppingRounds anomalyTrees anomalySample calibration seed",
  );
});
