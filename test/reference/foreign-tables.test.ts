// Models of the newest and the oldest libraries on a table with categories, missing and unseen values, against their stored answers.
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { bound, compare, errorOf, readTables } from "./tables.ts";

const TOLERANCE = 1e-6;
const folderOf = (age: string): string => fileURLToPath(new URL(`./foreign/tables-${age}`, import.meta.url));

describe.each(["newest", "oldest"])("%s", (age) => {
  const folder = folderOf(age);
  const { models, refused } = readTables(folder);

  test.each(Object.keys(models))("%s scores as its own library does", (name) => {
    const { largest, distinct } = compare(folder, name);
    expect(distinct).toBeGreaterThan(20);
    expect(largest).toBeLessThanOrEqual(TOLERANCE);
  });

  test.each(Object.entries(refused))("%s is refused with what it is and what to do", (file, says) => {
    const error = errorOf(() => bound(folder, file));
    expect(error.message).toContain(says);
    expect(error.code).toMatch(/^ml\.model-(?:invalid|unsupported)$/);
    expect(error.hint).toMatch(/save|train|export|add|name|convert/);
  });
});

const newest = folderOf("newest");

test("what a file's own lists of categories are is said for each column", () => {
  const { notes } = bound(newest, "lightgbm-frame.txt");
  expect(notes.join(" ")).toMatch(/categories of channel itself \("atm", "phone", "shop", "web"\).* values/);
  expect(bound(newest, "xgboost-frame.json").notes.join(" ")).toMatch(/categories of channel itself/);
  expect(bound(newest, "xgboost-native.json").notes.join(" ")).toMatch(/keeps no list of their values/);
});

test("numbers that are values of the feature and places too are asked about", () => {
  const error = errorOf(() => bound(newest, "lightgbm-codes.txt"));
  expect(error.message).toMatch(/column code .* 0, 1, 2, 3.* places too/);
  expect(error.hint).toMatch(/--categories values .* --categories codes/);
});

test("a best round that is not the last is said, with how to take all", () => {
  const { notes } = bound(newest, "xgboost-stale.json");
  expect(notes.join(" ")).toMatch(/best_iteration is \d+, so the first \d+ of \d+ rounds count.*--rounds all/);
  expect(bound(newest, "xgboost-stale.json", { rounds: "all" }).notes.join(" ")).toMatch(/All \d+ rounds/);
});

test.each([
  "xgboost-missing-code.json",
  "xgboost-nan.json",
  "lightgbm-nan.txt",
  "catboost-nan.json",
  "sklearn-hist.onnx",
])("a value for missing ones is refused where the file knows of them: %s", (file) => {
  const error = errorOf(() => bound(newest, file, { missing: -999 }));
  expect(error).toMatchObject({
    code: "ml.model-unsupported",
    message: expect.stringMatching(/--missing -999 contradicts/),
  });
  expect(error.hint).toMatch(/leave --missing out/);
});

test("labels tell which class is fraud, and one that is none is refused", () => {
  for (const file of ["sklearn-forest-words.onnx", "sklearn-hist-words.onnx", "catboost-labels.json"]) {
    expect(bound(newest, file, file.endsWith("json") ? {} : options(file)).notes.join(" ")).toMatch(
      /The class "fraud" of "fraud", "genuine" counts as fraud/,
    );
    expect(errorOf(() => bound(newest, file, { ...options(file), fraudClass: "yes" }))).toMatchObject({
      message: expect.stringMatching(/"yes" is no class of the model/),
    });
  }
  const asked = bound(newest, "catboost-unknown-labels.json", { fraudClass: "A" });
  expect(asked.notes.join(" ")).toMatch(/The class "A" of "A", "B" counts as fraud, as --fraud-class says/);
});

function options(file: string) {
  return readTables(newest).models[path.parse(file).name].options;
}
