// `sentinel import` of files that cannot be: exit 2, what is wrong and what to do, and nothing registered.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeHistory } from "../journeys/traffic.ts";
import { makeWorkspace, ROOT, removeWorkspace, sentinel, sentinelJson } from "./sentinel.ts";

const FOREIGN = path.join(ROOT, "test", "reference", "foreign");
const card = path.join(FOREIGN, "card-xgboost.json");
const algebra = path.join(FOREIGN, "xgboost-logistic.json");
const nameless = path.join(FOREIGN, "xgboost-nameless.json");
const lightgbm = path.join(FOREIGN, "lightgbm-binary.txt");
const graph = path.join(FOREIGN, "card-logistic.onnx");

const table = (name: string): string => path.join(FOREIGN, "tables-newest", name);
const FIVE = "amount,hour,night,weekend,customer_transactions_1d";

let dir: string;
const run = (args: readonly string[], nodeArgs: readonly string[] = []) =>
  sentinelJson(["import", ...args], { cwd: dir, nodeArgs });
const file = (name: string, content: string, encoding: BufferEncoding = "utf8"): string => {
  writeFileSync(path.join(dir, name), content, encoding);
  return name;
};

beforeAll(async () => {
  dir = makeWorkspace();
  await writeHistory(dir, { customers: 50, terminals: 80, days: 3, seed: 1 });
});
afterAll(() => removeWorkspace(dir));

const cases: readonly (readonly [name: string, args: () => readonly string[], code: string, says: RegExp])[] = [
  ["no file", () => [], "cli.usage", /missing required argument/],
  ["a file that is not there", () => ["gone.json"], "cli.usage", /gone\.json cannot be read/],
  ["a folder", () => ["."], "cli.usage", /cannot be read/],
  [
    "a JSON cut off",
    () => [file("cut.json", readFileSync(card, "utf8").slice(0, 5000))],
    "ml.model-invalid",
    /no JSON/,
  ],
  [
    "no model at all: every format that was tried",
    () => [file("notes.md", "# Notes\n")],
    "ml.model-invalid",
    /cannot be told: .*XGBoost.*LightGBM.*ONNX/,
  ],
  [
    "no model at all, by name",
    () => [file("notes.md", "# Notes\n"), "--format", "onnx"],
    "ml.model-invalid",
    /no ONNX/,
  ],
  ["an empty file", () => [file("empty.onnx", "")], "ml.model-invalid", /is empty/],
  ["a pickle", () => [file("model.pkl", "\u0080\u0004\u0095", "latin1")], "ml.model-invalid", /Python pickle/],
  ["a JSON of another kind", () => [file("other.json", '{"a": 1}')], "ml.model-invalid", /taken for XGBoost's JSON/],
  [
    "a model of another objective",
    () => [path.join(FOREIGN, "refused-xgboost-squared-error.json")],
    "ml.model-unsupported",
    /reg:squarederror/,
  ],
  ["a format of another name", () => [card, "--format", "pmml"], "cli.usage", /onnx, xgboost, lightgbm, catboost/],
  ["a table's model in another format", () => [card, "--format", "catboost"], "ml.model-unsupported", /which loss/],
  ["a dump as text", () => [table("xgboost-dump.txt")], "ml.model-invalid", /dump of XGBoost/],
  ["a dump as JSON", () => [table("xgboost-dump.json")], "ml.model-unsupported", /dump of XGBoost/],
  ["a dump of LightGBM", () => [table("lightgbm-dump.json")], "ml.model-unsupported", /dump of LightGBM/],
  ["half precision", () => [table("float16.onnx")], "ml.model-unsupported", /takes float16/],
  ["CatBoost's binary", () => [table("catboost.cbm")], "ml.model-invalid", /CatBoost's own format/],
  [
    "categories of CatBoost",
    () => [table("catboost-categories.json")],
    "ml.model-unsupported",
    /columns of categories/,
  ],
  [
    "a skops archive",
    () => [file("model.skops", "PK\u0003\u0004\u0014 schema.json{}PK\u0001\u0002", "latin1")],
    "ml.model-invalid",
    /skops archive/,
  ],
  ["a compressed joblib", () => [file("model.joblib", "x\u009cabc", "latin1")], "ml.model-invalid", /joblib/],
  [
    "labels that tell nothing",
    () => [table("sklearn-unknown.onnx")],
    "ml.model-unsupported",
    /"A", "B", and which of them/,
  ],
  [
    "a class that is none",
    () => [table("catboost-labels.json"), "--features", FIVE, "--fraud-class", "yes"],
    "ml.model-unsupported",
    /"yes" is no class/,
  ],
  [
    "a value for missing ones that the file contradicts",
    () => [table("xgboost-missing-code.json"), "--features", FIVE, "--missing", "-999"],
    "ml.model-unsupported",
    /--missing -999 contradicts the file/,
  ],
  ["rounds that are no number", () => [card, "--rounds", "best"], "cli.usage", /--rounds best/],
  ["a meaning of categories that is none", () => [card, "--categories", "names"], "cli.usage", /codes, values/],
  ["a calibration of another name", () => [card, "--calibrate", "platt"], "cli.usage", /platt is not one of/],
  ["no rounds", () => [card, "--rounds", "0"], "cli.usage", /--rounds 0/],
  ["a missing value that is none", () => [card, "--missing", "none"], "cli.usage", /--missing none is no number/],
  ["columns that are no features", () => [algebra], "lifecycle.columns-unknown", /takes a, b, c, d, e and 1 more/],
  ["columns without names", () => [nameless], "lifecycle.columns-unknown", /does not name its 6 columns/],
  [
    "too few features",
    () => [nameless, "--features", "amount,hour"],
    "lifecycle.columns-unknown",
    /names 2 and the model takes 6/,
  ],
  [
    "features and renamed columns",
    () => [card, "--features", "amount", "--columns", file("map.json", "{}")],
    "cli.usage",
    /--features .* --columns/,
  ],
  [
    "a feature twice",
    () => [nameless, "--features", "amount,hour,night,weekend,amount,hour"],
    "lifecycle.columns-unknown",
    /take the feature amount/,
  ],
  [
    "a map that is no JSON",
    () => [card, "--columns", file("map.json", "amount: a")],
    "cli.usage",
    /--columns map\.json/,
  ],
  [
    "a map of numbers",
    () => [card, "--columns", file("map.json", '{"amount": 1}')],
    "cli.usage",
    /amount has no feature's name/,
  ],
  [
    "a map of a stray column",
    () => [card, "--columns", file("map.json", '{"money": "amount"}')],
    "lifecycle.columns-unknown",
    /names money/,
  ],
  [
    "a map to no feature",
    () => [card, "--columns", file("map.json", '{"amount": "amuont"}')],
    "lifecycle.columns-unknown",
    /takes amuont/,
  ],
  ["an output that is not there", () => [graph, "--output", "label"], "ml.model-unsupported", /no output label/],
  ["rounds of a graph", () => [graph, "--rounds", "3"], "cli.usage", /--rounds cannot go with .* onnx/],
  ["an output of trees", () => [card, "--output", "p"], "cli.usage", /--output cannot go with .* xgboost/],
  ["log-odds of trees", () => [lightgbm, "--margin"], "cli.usage", /--margin cannot go with .* lightgbm/],
  ["both", () => [card, "--output", "p", "--margin"], "cli.usage", /--output and --margin cannot go with/],
  ["too few days", () => [card], "lifecycle.not-enough-data", /the data spans 3d/],
];

test.each(cases)("%s", async (_, args, code, says) => {
  const ran = await run(args());
  expect(ran.json.error).toMatchObject({ code, message: expect.stringMatching(says) });
  expect(ran.json.error.hint.length).toBeGreaterThan(10);
  expect(ran.code).toBe(2);
  const { json } = await sentinelJson(["registry", "list"], { cwd: dir });
  expect(json.versions ?? []).toEqual([]);
});

test("a graph without onnxruntime-node says how to install it", async () => {
  const hook = path.join(dir, "without.cjs");
  writeFileSync(
    hook,
    `const Module = require("node:module");
const resolve = Module._resolveFilename;
Module._resolveFilename = (name, ...rest) => {
  if (name.startsWith("onnxruntime-node")) throw Object.assign(new Error("Cannot find module " + name), { code: "MODULE_NOT_FOUND" });
  return resolve(name, ...rest);
};
`,
  );
  const ran = await run([graph], ["--require", hook]);
  expect(ran).toMatchObject({
    code: 2,
    json: { error: { code: "ml.runtime-missing", hint: expect.stringMatching(/npm install onnxruntime-node/) } },
  });
  // Trees need no runtime: this one comes as far as the data.
  const trees = await run(
    [
      path.join(FOREIGN, "onnx-xgboost.onnx"),
      "--features",
      "amount,hour,night,weekend,customer_transactions_1d,customer_spend_7d_mean",
    ],
    ["--require", hook],
  );
  expect(trees.json.error.code).toBe("lifecycle.not-enough-data");
});

test("every note of an import is printed, before the data is looked at", async () => {
  const ran = await sentinel(["import", table("xgboost-stale.json"), "--features", FIVE], { cwd: dir });
  expect(ran.stdout + ran.stderr).toMatch(/note: The file's best_iteration is \d+, .*--rounds all/);
  const all = await sentinel(["import", table("xgboost-stale.json"), "--features", FIVE, "--rounds", "all"], {
    cwd: dir,
  });
  expect(all.stdout + all.stderr).toMatch(/note: All \d+ rounds\./);
  expect(all.stderr).toMatch(/the data spans/);
});
