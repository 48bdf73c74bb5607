// Imported models against the answers of the libraries that trained them (scripts/reference/foreign.py).
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { SentinelError } from "../../src/core/errors.ts";
import { engineOf } from "../../src/lifecycle/import/engine.ts";
import { readForeign } from "../../src/lifecycle/import/read.ts";
import { scoreRow, sigmoid } from "../../src/ml/gbdt/score.ts";

const FOLDER = fileURLToPath(new URL("./foreign", import.meta.url));
const TOLERANCE = 1e-6;

const stored = JSON.parse(readFileSync(path.join(FOLDER, "answers.json"), "utf8")) as {
  readonly columns: readonly string[];
  readonly rows: string;
  readonly models: Readonly<
    Record<
      string,
      {
        readonly file: string;
        readonly scores: string;
        readonly options?: { readonly missing: number | null; readonly isMargin: boolean };
      }
    >
  >;
};
const WIDTH = stored.columns.length;

/** ONNX graphs whose ensembles become trees of ours; of the others ONNX Runtime computes the score. */
const AS_TREES = ["onnx-boosting", "onnx-lightgbm", "onnx-xgboost"];

function bytesOf(text: string): ArrayBuffer {
  return new Uint8Array(Buffer.from(text, "base64")).buffer;
}

/** The probability of each row as Sentinel computes it from the file, and by what. */
function ours(
  { file, options }: (typeof stored.models)[string],
  rows: Float32Array,
): { readonly kind: string; readonly scores: Float64Array } {
  const { model } = readForeign(path.join(FOLDER, file), {});
  const columns = Array.from({ length: model.width ?? WIDTH }, (_, c) => c);
  const engine = engineOf(model, { missing: null, isMargin: false, ...options, names: stored.columns, columns }).model;
  const marginOf = engine.kind === "trees" ? (row: Float32Array) => scoreRow(engine.trees, row) : engine.graph.margin;
  const scores = Float64Array.from({ length: rows.length / WIDTH }, (_, r) =>
    sigmoid(marginOf(rows.subarray(r * WIDTH, (r + 1) * WIDTH))),
  );
  return { kind: engine.kind, scores };
}

test.each(Object.entries(stored.models))("%s scores as its own library does", (name, model) => {
  const theirs = new Float64Array(bytesOf(model.scores));
  const { kind, scores } = ours(model, new Float32Array(bytesOf(stored.rows)));
  expect(scores.length).toBe(theirs.length);
  expect(new Set(theirs).size).toBeGreaterThan(name.includes("one-leaf") ? 0 : 10);
  const differences = theirs.map((score, r) => Math.abs(score - scores[r]));
  expect(Math.max(...differences)).toBeLessThanOrEqual(TOLERANCE);
  expect(kind).toBe(name.startsWith("onnx-") && !AS_TREES.includes(name) ? "graph" : "trees");
});

/** What a sound model that Sentinel cannot score is refused for. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  "refused-xgboost-squared-error.json": /objective is "reg:squarederror"/,
  "refused-xgboost-classes.json": /objective is "multi:softprob"/,
  "refused-xgboost-linear.json": /booster is "gblinear"/,
  "refused-lightgbm-zero-as-missing.txt": /sends zeros to the other side/,
  "refused-lightgbm-classes.txt": /3 classes/,
  "refused-lightgbm-linear-leaves.txt": /linear models for leaves/,
  "refused-lightgbm-regression.txt": /objective is "regression"/,
  "refused-lightgbm-large-category.txt": /categories go up to 65535/,
};

test("every model that is there to be refused is named here", () => {
  const files = readdirSync(FOLDER).filter((file) => file.startsWith("refused-"));
  expect(files.sort()).toEqual(Object.keys(REFUSED).sort());
});

test.each(Object.entries(REFUSED))("%s is refused with what it is and what to do", (file, message) => {
  const refused = errorOf(() => readForeign(path.join(FOLDER, file), {}));
  expect(refused).toMatchObject({ code: "ml.model-unsupported", message: expect.stringMatching(message) });
  expect(refused.hint).toMatch(/train|export/);
});

function errorOf(run: () => unknown): SentinelError {
  try {
    run();
  } catch (error) {
    if (error instanceof SentinelError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
