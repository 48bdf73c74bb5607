// Evaluate: the same figures as the training's own on the same rows, the version that is meant, and files that repeat.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { curveCsv, metricsJson, writeResults } from "../../src/lifecycle/data/result-files.ts";
import { evaluateResults, evaluateVersion } from "../../src/lifecycle/evaluate.ts";
import { trainResults } from "../../src/lifecycle/train/results.ts";
import type { TrainResult } from "../../src/lifecycle/train/task.ts";
import { makePlace, type Place } from "./world.ts";

const WORLD = { customers: 200, terminals: 300, days: 60, seed: 7 };

let place: Place;
const trained: TrainResult[] = [];

beforeAll(async () => {
  place = await makePlace(WORLD);
  // The first two are one bundle, the third is another.
  for (const seed of [5, 5, 6]) trained.push(await place.train(seed));
});
afterAll(() => place.close());

const evaluate = (given: { readonly path?: string; readonly to?: string; readonly trained?: string } = {}) =>
  evaluateVersion(place.ports, {
    pipeline: place.pipeline,
    path: given.path ?? place.pipeline.source,
    to: given.to ?? null,
    trained: given.trained ?? null,
  });

test("on the table it was trained on, a version has its training's figures", async () => {
  const result = await evaluate({ to: "1" });
  expect(result.version).toBe("1");
  expect(result.metrics).toEqual(trained[0].metrics);
  expect(result.rows).toBe(result.metrics.rows);
  const { true_positive_rate: found, false_positive_rate: alarmed } = result.curves.roc;
  expect([found.at(-1), alarmed.at(-1)]).toEqual([1, 1]);
  let area = 0;
  for (let i = 1; i < found.length; i++) area += ((alarmed[i] - alarmed[i - 1]) * (found[i] + found[i - 1])) / 2;
  expect(Math.abs(area - result.metrics.roc_auc)).toBeLessThan(1 / 200);
  expect(result.curves.calibration.rows.reduce((sum, rows) => sum + rows, 0)).toBe(result.rows);
});

describe("which version", () => {
  test("the candidate, when nothing else is said", async () => {
    expect((await evaluate()).version).toBe("3");
  });

  test("the newest with the bundle that train.json names", async () => {
    const dir = path.join(place.dir, "reports");
    writeResults(dir, trainResults(trained[0], "card-fraud"));
    const { version, bundle } = await evaluate({ trained: path.join(dir, "train.json") });
    expect([version, bundle]).toEqual(["2", trained[0].version?.bundle]);
  });

  test("none, when the file names none, or one that this registry has not", async () => {
    const file = path.join(place.dir, "other.json");
    const codeOf = async (text: string): Promise<string> => {
      writeFileSync(file, text);
      return evaluate({ trained: file }).then(
        () => "none",
        (error: { readonly code: string; readonly message: string; readonly hint: string }) =>
          `${error.code}: ${error.message} ${error.hint}`,
      );
    };
    expect(await codeOf('{"bundle": ""}')).toMatch(/^lifecycle\.no-candidate: .*a gate said no/);
    expect(await codeOf('{"bundle": 7}')).toMatch(/^lifecycle\.no-candidate/);
    expect(await codeOf("{")).toMatch(/^lifecycle\.no-candidate: .*names no bundle/);
    expect(await codeOf(`{"bundle": "${"0".repeat(64)}"}`)).toMatch(
      /^lifecycle\.no-candidate: .*has no version .*MLFLOW_TRACKING_URI/,
    );
    await expect(evaluate({ trained: path.join(place.dir, "missing.json") })).rejects.toMatchObject({
      code: "lifecycle.no-candidate",
    });
    await expect(evaluate({ to: "99" })).rejects.toMatchObject({ code: "registry.version-unknown" });
  });
});

test("the same bundle leaves the same files, under another number, at another time", async () => {
  place.clock.time += 86_400_000;
  expect(evaluateResults(await evaluate({ to: "1" }))).toEqual(evaluateResults(await evaluate({ to: "2" })));
  expect(trainResults(trained[0], "card-fraud")).toEqual(trainResults(trained[1], "card-fraud"));
  const other = trainResults(trained[2], "card-fraud");
  expect(other["train.json"]).not.toBe(trainResults(trained[0], "card-fraud")["train.json"]);
  const named = JSON.parse(other["train.json"]) as Readonly<Record<string, unknown>>;
  expect(named).toMatchObject({ seed: 6, bundle: trained[2].version?.bundle, gates: { logic: "pass" } });
  expect(Object.keys(named)).not.toContain("version");
  const curve = other["learning.csv"].trim().split("\n");
  expect(curve[0]).toBe("trees,train,validation");
  const { trees, log_loss: loss } = JSON.parse(other["metrics.json"]) as {
    readonly trees: number;
    readonly log_loss: { readonly validation: number };
  };
  expect(curve[trees].split(",")).toEqual([String(trees), expect.any(String), String(loss.validation)]);
});

describe("result files", () => {
  test("numbers survive whole, what is not defined is null", () => {
    const metrics = { a: 1 / 3, b: Number.NaN, c: { d: Number.POSITIVE_INFINITY, e: 5e-324 }, f: "x" };
    expect(JSON.parse(metricsJson(metrics))).toEqual({ a: 1 / 3, b: null, c: { d: null, e: 5e-324 }, f: "x" });
    expect(curveCsv({ x: [Number.NaN, 1] })).toBe("x\n\n1\n");
    expect(curveCsv({ x: [0, 1 / 3], y: [1e21, -0.5] })).toBe(`x,y\n0,1e+21\n${1 / 3},-0.5\n`);
    expect(curveCsv({ x: [], y: [] })).toBe("x,y\n");
  });

  test("replace those that were there, leave nothing half-written, and say where they cannot go", () => {
    const dir = path.join(place.dir, "written");
    writeResults(dir, { "a.json": "1", "b.csv": "2" });
    writeResults(dir, { "a.json": "3" });
    expect(readdirSync(dir).sort()).toEqual(["a.json", "b.csv"]);
    expect(readFileSync(path.join(dir, "a.json"), "utf8")).toBe("3");
    mkdirSync(path.join(dir, "c.json"));
    expect(() => writeResults(dir, { "c.json": "1" })).toThrow(
      expect.objectContaining({ code: "workspace.unwritable" }),
    );
    expect(readdirSync(dir).sort()).toEqual(["a.json", "b.csv", "c.json"]);
    expect(() => writeResults(path.join(dir, "a.json"), { x: "1" })).toThrow(
      expect.objectContaining({ code: "workspace.unwritable" }),
    );
  });
});
