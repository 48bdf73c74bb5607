// The exported ONNX model against Python's onnxruntime, on extreme and missing values, and a trained bundle against MLflow.
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLocalRegistry } from "../../src/drivers/registry/local/driver.ts";
import { exportOnnx } from "../../src/ml/onnx/export.ts";
import { loadOnnx } from "../../src/ml/onnx/run.ts";
import { loadScorer } from "../../src/online/score.ts";
import { makeWorkspace, removeWorkspace, sentinelJson } from "../cli/sentinel.ts";
import { SMALL_WORLD, writeHistory } from "../journeys/traffic.ts";
import { exportedModels, extremeRows, ourScore } from "../ml/onnx/models.ts";
import { isInstalled, runPython } from "../python.ts";

const ROWS = 100_000;
/** Our interpreter is no runtime; it is held against onnxruntime on the first rows. */
const INTERPRETED_ROWS = 2_000;
const TOLERANCE = 1e-6;

const MODELS = exportedModels();

const script = (name: string) => fileURLToPath(new URL(`./${name}.py`, import.meta.url));

async function run(venv: string, args: readonly string[], cwd: string): Promise<unknown> {
  const env = { ...process.env, MLFLOW_TRACKING_URI: "", MLFLOW_REGISTRY_URI: "", PYTHONWARNINGS: "ignore" };
  const stdout = await runPython(venv, args, { cwd, env });
  return JSON.parse(stdout.trim().split("\n").at(-1)!) as unknown;
}

/** Whether a venv is whole; says so loudly, and fails under CI, when it is not. */
function isThere(venv: string, tests: number): boolean {
  const there = isInstalled(venv);
  if (!there) console.warn(`SKIPPED ${tests} tests: there is no .cache/${venv}; scripts/setup-python installs it`);
  if (!there && process.env.CI === "true") {
    test(`${venv} is installed`, () => {
      expect(there, "CI must run scripts/setup-python first").toBe(true);
    });
  }
  return there;
}

const rowOf = (rows: Float32Array, at: number, width: number) => rows.subarray(at * width, (at + 1) * width);

describe.runIf(isThere("venv-mlflow", 2 * Object.keys(MODELS).length + 1))("onnxruntime", () => {
  let dir: string;
  let seen: {
    readonly onnx: string;
    readonly onnxruntime: string;
    readonly models: Readonly<Record<string, { readonly single: number } & Readonly<Record<string, unknown>>>>;
  };
  const file = (name: string, ending: string) => path.join(dir, `${name}.${ending}`);

  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "sentinel-onnx-"));
    for (const [name, model] of Object.entries(MODELS)) {
      await writeFile(file(name, "onnx"), exportOnnx(model));
      await writeFile(file(name, "rows"), new Uint8Array(extremeRows(model, ROWS).buffer));
    }
    seen = (await run("venv-mlflow", [script("onnx_check"), dir], dir)) as typeof seen;
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  test("accepts every model, with one input and one output", () => {
    expect(Object.keys(seen.models).sort()).toEqual(Object.keys(MODELS).sort());
    for (const [name, model] of Object.entries(MODELS)) {
      expect(seen.models[name]).toMatchObject({
        inputs: [["vector", "tensor(float)", ["N", model.names.length]]],
        outputs: [["score", "tensor(float)", ["N", 1]]],
        shape: [ROWS, 1],
      });
      expect(seen.models[name].single).toBeLessThanOrEqual(TOLERANCE);
    }
  });

  test.each(Object.keys(MODELS))("scores as we do: %s", async (name) => {
    const model = MODELS[name];
    const width = model.names.length;
    const rows = extremeRows(model, ROWS);
    const theirs = new Float32Array(new Uint8Array(await readFile(file(name, "scores"))).buffer);
    let largest = 0;
    for (let r = 0; r < ROWS; r++) {
      const difference = Math.abs(theirs[r] - ourScore(model, rowOf(rows, r, width)));
      if (!(difference <= largest)) largest = difference;
    }
    console.info(`onnxruntime ${seen.onnxruntime}, ${name}: largest difference ${largest}`);
    expect(largest).toBeLessThanOrEqual(TOLERANCE);
  });

  test.each(Object.keys(MODELS))("scores as our interpreter does: %s", async (name) => {
    const model = MODELS[name];
    const rows = extremeRows(model, ROWS);
    const theirs = new Float32Array(new Uint8Array(await readFile(file(name, "scores"))).buffer);
    const score = loadOnnx(exportOnnx(model));
    for (let r = 0; r < INTERPRETED_ROWS; r++) {
      expect(Math.abs(theirs[r] - score(rowOf(rows, r, model.names.length)))).toBeLessThanOrEqual(TOLERANCE);
    }
  });
});

describe.runIf(isThere("venv-mlflow", 1))("MLflow", () => {
  let dir: string;
  beforeAll(async () => {
    dir = makeWorkspace();
    await writeHistory(dir, SMALL_WORLD);
    // On few frauds the training gate may say no, which is not what is asked here.
    for (const verb of ["train", "promote"]) {
      const ran = await sentinelJson([verb, "--force", "--reason", "a test needs a champion"], { cwd: dir });
      expect(ran.code, ran.stderr).toBe(0);
    }
  });
  afterAll(() => removeWorkspace(dir));

  test("loads the champion by its alias, and its folder, with equal scores", async () => {
    const registryDir = path.join(dir, "models");
    const registry = createLocalRegistry({ dir: registryDir });
    const { champion } = await registry.aliases("card-fraud");
    const files = await registry.load("card-fraud", champion);
    await registry.close();
    const scorer = loadScorer(files, { model: "card-fraud", version: champion });
    const folder = path.join(dir, "bundle");
    await mkdir(folder);
    for (const [name, bytes] of files) await writeFile(path.join(folder, name), bytes);

    const columns = (JSON.parse(text(files.get("input_example.json")!)) as { columns: string[] }).columns;
    const golden = (JSON.parse(text(files.get("golden.json")!)) as { rows: { vector: (number | null)[] }[] }).rows;
    const rows = golden.map(({ vector }) => vector);
    await writeFile(path.join(dir, "asked.json"), JSON.stringify({ columns, rows }));
    const args = [script("onnx_mlflow_check"), folder, "models:/card-fraud@champion", path.join(dir, "asked.json")];
    const seen = (await run("venv-mlflow", args, registryDir)) as {
      readonly folder: number[];
      readonly alias: number[];
      readonly reversed: number[];
      readonly example: number;
      readonly outputs: string[];
    };
    rows.forEach((row, i) => {
      const { score } = scorer.score(Float32Array.from(row, (value) => value ?? Number.NaN));
      for (const theirs of [seen.folder[i], seen.alias[i], seen.reversed[i]]) {
        expect(Math.abs(theirs - score)).toBeLessThanOrEqual(TOLERANCE);
      }
    });
    expect(seen.example).toBe(3);
    expect(seen.outputs).toEqual(["score"]);
  });
});

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
