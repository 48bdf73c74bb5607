// Tuning: a search on earlier days whose winner trains the model, logged below the training's run.
import { afterAll, beforeAll, expect, test } from "vitest";
import { DAY_MS } from "../../../src/core/duration.ts";
import { train } from "../../../src/lifecycle/train.ts";
import { readManifest } from "../../../src/online/bundle.ts";
import type { Pipeline } from "../../../src/pipeline/pipeline.ts";
import { makePlace, type Place } from "../world.ts";

let place: Place;

beforeAll(async () => {
  place = await makePlace({ customers: 200, terminals: 150, days: 100, start: "2026-01-01", seed: 5 });
}, 120_000);
afterAll(() => place.close());

const trained = (seed: number, given: { readonly tune?: number; readonly pipeline?: Pipeline }) =>
  train(place.ports, {
    pipeline: given.pipeline ?? place.pipeline,
    path: place.pipeline.source,
    actor: "tester",
    packageVersion: "0",
    seed,
    ...(given.tune === undefined ? {} : { tune: given.tune }),
    forced: "a test needs a model",
    verb: "train",
  });
const tuned = (seed: number, tune: number) => trained(seed, { tune });

test("the chosen trial's parameters are the bundle's, and each trial is a child run", async () => {
  const result = await tuned(3, 4);
  const { tuning } = result;
  expect(tuning!.trials).toHaveLength(5);
  const pipelines = tuning!.trials.find(({ trial }) => trial === 0)!;
  expect(pipelines.averagePrecision).toHaveLength(3);
  expect(pipelines.parameters.learningRate).toBe(place.pipeline.modelParameters.learningRate);
  for (const { averagePrecision } of tuning!.trials) {
    expect(averagePrecision.length).toBeGreaterThanOrEqual(1);
    for (const value of averagePrecision) expect(value).toBeGreaterThan(0);
  }
  const chosen = tuning!.trials.find(({ trial }) => trial === tuning!.chosen)!;

  const registry = await place.ports.registry();
  const files = await registry.load(place.pipeline.model, result.version!.version);
  expect(readManifest(files).provenance.parameters).toMatchObject(chosen.parameters);

  const below = (await registry.runs("card")).filter(({ tags }) => tags["mlflow.parentRunId"] === result.runId);
  const children = below.filter(({ tags }) => tags["sentinel.verb"] === "tune");
  expect(children).toHaveLength(5);
  const marked = children.filter(({ tags }) => tags["sentinel.chosen"] === "true");
  expect(marked).toHaveLength(1);
  expect(marked[0].params).toEqual(
    Object.fromEntries(Object.entries(chosen.parameters).map(([name, value]) => [name, String(value)])),
  );
  expect(children.every(({ status }) => status === "FINISHED")).toBe(true);

  // Twice the same search is the same bundle.
  const again = await tuned(3, 4);
  expect(again.tuning).toEqual(tuning);
  expect(again.version!.bundle).toBe(result.version!.bundle);
}, 240_000);

test("beside a tuned model stands what the pipeline's own parameters give on the same rows", async () => {
  const registry = await place.ports.registry();
  // Parameters that any draw beats.
  const { modelParameters } = place.pipeline;
  const pipeline = {
    ...place.pipeline,
    modelParameters: { ...modelParameters, trees: 20, depthMax: 1, learningRate: 0.001 },
  };
  const found = await trained(3, { tune: 2, pipeline });
  expect(found.tuning!.chosen).not.toBe(0);
  const plain = await trained(3, { pipeline });
  // The same as a training without a search, bit for bit, and not the tuned model's.
  expect(found.untuned).toEqual({ rounds: plain.fitted!.rounds, metrics: plain.metrics });
  expect(found.metrics).not.toEqual(plain.metrics);
  expect(plain.untuned).toBeNull();
  const runs = await registry.runs("card");
  const [child, ...more] = runs.filter(
    ({ tags }) => tags["mlflow.parentRunId"] === found.runId && tags["sentinel.verb"] === "untuned",
  );
  expect(more).toEqual([]);
  expect(child).toMatchObject({ status: "FINISHED", metrics: plain.metrics });
  const own = runs.find(({ runId }) => runId === plain.runId)!;
  expect(child.params).toEqual(own.params);
}, 240_000);

test("labels of the evaluation days change nothing in the search", async () => {
  const before = await tuned(7, 2);
  const dataset = await place.ports.dataset();
  const table = await dataset.read(place.pipeline.source);
  const times = table.columns.get("tx_datetime")!;
  const fraud = table.columns.get("tx_fraud")!;
  if (times.kind === "text" || fraud.kind === "text") throw new Error("the simulation writes numbers");
  const last = times.values.reduce((newest, time) => Math.max(newest, time), 0);
  // Well inside the evaluation slice, which is the last 15 of 100 days.
  const flipped = fraud.values.map((value, row) => (times.values[row] > last - 5 * DAY_MS ? 1 - value : value));
  const other = await place.write("flipped.parquet", [
    { ...table, columns: new Map([...table.columns, ["tx_fraud", { ...fraud, values: flipped }]]) },
  ]);
  const after = await train(place.ports, {
    pipeline: place.pipeline,
    path: other,
    actor: "tester",
    packageVersion: "0",
    seed: 7,
    tune: 2,
    forced: "a test needs a model",
    verb: "train",
  });
  expect(after.tuning).toEqual(before.tuning);
}, 240_000);
