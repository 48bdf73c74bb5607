// Imported models of the usual size against XGBoost and LightGBM themselves, on 100,000 rows of missing, extreme and exact values.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Random } from "../../src/core/random.ts";
import { readForeign } from "../../src/lifecycle/import/read.ts";
import { flattenForeign } from "../../src/ml/foreign/flatten.ts";
import type { GbdtModel } from "../../src/ml/gbdt/model.ts";
import { scoreRow, sigmoid } from "../../src/ml/gbdt/score.ts";

const ROWS = 100_000;
const TOLERANCE = 1e-6;
const WIDTH = 8;
/** Categories to some of the models: whole numbers. */
const CATEGORY = 3;
const NAMES = Array.from({ length: WIDTH }, (_, c) => `f${c}`);

const VENV = fileURLToPath(new URL("../../.cache/bench-venv", import.meta.url));
const SCRIPT = fileURLToPath(new URL("./foreign_check.py", import.meta.url));
// The stamp is written last. Where the libraries are missing, the stored answers of foreign.test.ts stand for them.
const isThere = existsSync(path.join(VENV, "sentinel-stamp"));
if (!isThere) console.warn("SKIPPED 7 tests: there is no .cache/bench-venv; scripts/bench-setup installs it");

const MODELS = [
  "lightgbm-categories.txt",
  "lightgbm-deep.txt",
  "lightgbm-forest.txt",
  "lightgbm.txt",
  "xgboost-categories.json",
  "xgboost-deep.ubj",
  "xgboost.json",
];

describe.runIf(isThere)("the libraries themselves [bench peers]", () => {
  let dir: string;
  const python = (verb: string): void => {
    execFileSync(path.join(VENV, "bin", "python"), ["-W", "ignore", SCRIPT, verb, dir], { stdio: "pipe" });
  };
  const models = new Map<string, GbdtModel>();
  const rowsOf = new Map<string, Float32Array>();

  beforeAll(() => {
    dir = mkdtempSync(path.join(tmpdir(), "sentinel-foreign-"));
    python("train");
    for (const file of readdirSync(dir)) {
      const { model } = readForeign(path.join(dir, file), {});
      if ("onnx" in model) throw new Error(`${file} is no trees`);
      const trees = flattenForeign(model, { names: NAMES, columns: NAMES.map((_, c) => c) });
      models.set(file, trees);
      const rows = rowsFor(trees);
      rowsOf.set(file, rows);
      writeFileSync(path.join(dir, `${file}.rows`), new Uint8Array(rows.buffer));
    }
    python("score");
  }, 240_000);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test.each(MODELS)("%s", (file) => {
    const trees = models.get(file)!;
    const rows = rowsOf.get(file)!;
    const theirs = new Float64Array(new Uint8Array(readFileSync(path.join(dir, `${file}.scores`))).buffer);
    expect(theirs).toHaveLength(ROWS);
    let largest = 0;
    for (let r = 0; r < ROWS; r++) {
      const mine = sigmoid(scoreRow(trees, rows.subarray(r * WIDTH, (r + 1) * WIDTH)));
      const difference = Math.abs(mine - theirs[r]);
      if (!(difference <= largest)) largest = difference;
    }
    console.info(`${file}, ${trees.roots.length} trees: largest difference ${largest}`);
    expect(largest).toBeLessThanOrEqual(TOLERANCE);
    expect(new Set(theirs).size).toBeGreaterThan(1000);
  });
});

/** Ordinary values, missing ones, the ends of Float32, and the very thresholds with their neighbours. */
function rowsFor(trees: GbdtModel): Float32Array {
  const random = new Random(23);
  // Vectors hold no infinity: learning and the data gate refuse it.
  const isAsked = (value: number, node: number, c: number): boolean =>
    trees.feature[node] === c && Number.isFinite(value);
  const asked = NAMES.map((_, c) => [...trees.threshold].filter((value, node) => isAsked(value, node, c)));
  const ends = [3.4e38, -3.4e38, 1e-38, -1e-45, 1e-45, 0, -0, 1e-35, -1e-35];
  const bits = new Float32Array(1);
  const word = new Int32Array(bits.buffer);
  const beside = (value: number): number => {
    bits[0] = value;
    word[0] += random.integer(3) - 1;
    return Number.isFinite(bits[0]) ? bits[0] : value;
  };
  return Float32Array.from({ length: ROWS * WIDTH }, (_, i) => {
    const c = i % WIDTH;
    const kind = random.next();
    if (kind < 0.1) return Number.NaN;
    if (c === CATEGORY) return random.integer(50) - 3;
    if (kind < 0.15) return ends[random.integer(ends.length)];
    if (kind < 0.5 && asked[c].length > 0) return beside(asked[c][random.integer(asked[c].length)]);
    return c === 5 ? Math.exp(5 * random.normal()) : random.normal();
  });
}
