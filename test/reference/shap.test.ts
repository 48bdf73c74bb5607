// Attributions against XGBoost's pred_contribs, on XGBoost models that Sentinel imports; stored by scripts/reference/shap.py.
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readForeign } from "../../src/lifecycle/import/read.ts";
import { explainerOf } from "../../src/ml/explain/shap.ts";
import { flattenForeign } from "../../src/ml/foreign/flatten.ts";
import { readXgboost } from "../../src/ml/foreign/xgboost.ts";
import type { GbdtModel } from "../../src/ml/gbdt/model.ts";
import { scoreRow } from "../../src/ml/gbdt/score.ts";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));

/** Float32 numbers in base64; contributions have one a column and then the expected margin, row by row. */
interface Problem {
  readonly name: string;
  readonly columns: number;
  readonly document: unknown;
  readonly rows: string;
  readonly contributions: string;
}

const { imported, problems } = JSON.parse(readFileSync(path.join(FOLDER, "data", "shap.json"), "utf8")) as {
  readonly imported: Readonly<Record<string, string>>;
  readonly problems: readonly Problem[];
};
const foreign = JSON.parse(readFileSync(path.join(FOLDER, "foreign", "answers.json"), "utf8")) as {
  readonly columns: readonly string[];
  readonly rows: string;
};

/** XGBoost sums in 32-bit floats: so much may come off a margin of a few log-odds. */
const ROUNDING = 5e-6;

test.each(problems)(
  "$name: XGBoost's attributions and expected margin",
  ({ document, columns, rows, contributions }) => {
    const names = Array.from({ length: columns }, (_, c) => `f${c}`);
    const model = flattenForeign(readXgboost(document), { names, columns: names.map((_, c) => c) });
    expectSame(model, { rows: floats(rows), contributions: floats(contributions) });
  },
);

test.each(Object.entries(imported))(
  "%s, imported: XGBoost's attributions and expected margin",
  (file, contributions) => {
    const { model } = readForeign(path.join(FOLDER, "foreign", file), {});
    if ("onnx" in model) throw new Error(`${file} is no file of XGBoost's`);
    const trees = flattenForeign(model, { names: foreign.columns, columns: foreign.columns.map((_, c) => c) });
    expectSame(trees, { rows: floats(foreign.rows), contributions: floats(contributions) });
  },
);

function expectSame(
  model: GbdtModel,
  theirs: { readonly rows: Float32Array; readonly contributions: Float32Array },
): void {
  const { rows, contributions } = theirs;
  const width = model.names.length;
  const explainer = explainerOf(model);
  const out = new Float64Array(width);
  const rowCount = contributions.length / (width + 1);
  expect(rowCount).toBeGreaterThanOrEqual(40);
  for (let r = 0; r < rowCount; r++) {
    const vector = rows.subarray(r * width, (r + 1) * width);
    explainer.explain(vector, out);
    [...out, explainer.expected].forEach((value, c) => {
      expect(Math.abs(value - contributions[r * (width + 1) + c]), `row ${r}, column ${c}`).toBeLessThan(ROUNDING);
    });
    const sum = out.reduce((total, value) => total + value, explainer.expected);
    expect(Math.abs(sum - scoreRow(model, vector))).toBeLessThan(1e-10);
  }
}

function floats(text: string): Float32Array {
  return new Float32Array(new Uint8Array(Buffer.from(text, "base64")).buffer);
}
