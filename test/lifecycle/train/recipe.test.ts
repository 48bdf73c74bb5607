// How a retraining learns: only the days of a window, older rows for less; what is written of it, and that a drift's own recipe needs nothing else.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DAY_MS } from "../../../src/core/duration.ts";
import { numberAt } from "../../../src/core/table.ts";
import { simulateDays } from "../../../src/lifecycle/simulate/days.ts";
import { weightsOf } from "../../../src/lifecycle/train/recipe.ts";
import type { Recipe, TrainResult } from "../../../src/lifecycle/train/task.ts";
import { train } from "../../../src/lifecycle/train.ts";
import { readManifest } from "../../../src/online/bundle.ts";
import type { Pipeline } from "../../../src/pipeline/pipeline.ts";
import { makePlace, type Place } from "../world.ts";

const WORLD = { customers: 200, terminals: 150, days: 80, start: "2026-01-01", seed: 5 } as const;
const DAYS = 80;
const WINDOW_DAYS = 60;
const END = Date.UTC(2026, 0, 1 + DAYS);

let place: Place;
let pipeline: Pipeline;
let plain: TrainResult;

beforeAll(async () => {
  place = await makePlace(WORLD);
  const { modelParameters } = place.pipeline;
  pipeline = { ...place.pipeline, modelParameters: { ...modelParameters, trees: 8, anomalyTrees: 5 } };
  plain = await learned({ continued: false });
}, 120_000);
afterAll(() => place.close());

const learned = (recipe: Recipe): Promise<TrainResult> =>
  train(place.ports, {
    pipeline,
    path: pipeline.source,
    actor: "tester",
    packageVersion: "0",
    seed: 3,
    forced: "a test needs a model",
    verb: "retrain",
    recipe,
  });
const filesOf = async ({ version }: TrainResult) =>
  (await place.ports.registry()).load(place.pipeline.model, version!.version);
const treesOf = async (result: TrainResult) => Buffer.from((await filesOf(result)).get("trees.bin")!);

describe("window", () => {
  test("nothing older than it is learned, in the judged model and in the one that serves; bundle and card say so", async () => {
    const windowMs = WINDOW_DAYS * DAY_MS;
    const result = await learned({ continued: false, windowMs });
    const { refit } = result;
    // The newest transaction comes before the end of its day.
    expect(Math.abs(refit!.from - (END - windowMs))).toBeLessThan(DAY_MS);
    let rows = 0;
    for (const table of simulateDays(WORLD)) {
      for (let row = 0; row < table.rows; row++) {
        const time = numberAt(table.columns.get("tx_datetime")!, row);
        if (time >= refit!.from && time < refit!.to) rows++;
      }
    }
    expect(refit!.rows).toBe(rows);
    expect(refit!.rows).toBeLessThan(plain.refit!.rows);
    const files = await filesOf(result);
    expect(readManifest(files).provenance.recipe).toEqual({ windowMs });
    expect(new TextDecoder().decode(files.get("card.md"))).toContain("Learns from the newest 60d only.");
    expect(await treesOf(result)).not.toEqual(await treesOf(plain));
  }, 120_000);

  test("a window longer than the table changes nothing but what is written", async () => {
    const result = await learned({ continued: false, windowMs: 10 * DAYS * DAY_MS });
    expect(await treesOf(result)).toEqual(await treesOf(plain));
  }, 120_000);
});

describe("half_life", () => {
  test("a row counts half as much for each half-life that it is older than the newest", () => {
    const times = Float64Array.from([0, 10, 20, 30], (day) => day * DAY_MS);
    const halved = weightsOf({ continued: false, halfLifeMs: 10 * DAY_MS }, times);
    expect([...halved!]).toEqual([0.125, 0.25, 0.5, 1]);
    expect(weightsOf({ continued: false }, times)).toBeUndefined();
  });

  test("it reaches the trees that are judged and those that serve; one of thousands of years weighs all alike", async () => {
    const short = await learned({ continued: false, halfLifeMs: 7 * DAY_MS });
    const files = await filesOf(short);
    expect(readManifest(files).provenance.recipe).toEqual({ halfLifeMs: 7 * DAY_MS });
    expect(new TextDecoder().decode(files.get("card.md"))).toContain("counts half as much for every 7d");
    const same = await filesOf(plain);
    for (const name of ["trees.bin", "twin/trees.bin"])
      expect(Buffer.from(files.get(name)!).equals(same.get(name)!), name).toBe(false);
    const long = await learned({ continued: false, halfLifeMs: 3_000_000_000 * DAY_MS });
    const [theirs, own] = [await filesOf(long), same];
    for (const name of ["trees.bin", "twin/trees.bin"])
      expect(Buffer.from(theirs.get(name)!).equals(own.get(name)!), name).toBe(true);
  }, 120_000);
});
