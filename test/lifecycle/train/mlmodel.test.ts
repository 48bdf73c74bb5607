// The files that make a bundle a model of MLflow: readable as YAML and JSON, and pinned to what the tests install.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { mlmodelFiles } from "../../../src/lifecycle/train/mlmodel.ts";

const row = (vector: (number | null)[]) => ({ vector, score: 0, anomalyScore: 0, decision: "approve" as const });
const COLUMNS = ["amount", "it's: odd"];
const files = new Map(mlmodelFiles(COLUMNS, [row([null, 1]), row([2, 3]), row([null, null]), row([4, null])]));
const text = (name: string) => new TextDecoder().decode(files.get(name));

test("the signature names every column as a double, in order", () => {
  const { signature } = parse(text("MLmodel")) as { signature: { inputs: string; outputs: string } };
  expect(JSON.parse(signature.inputs)).toEqual(COLUMNS.map((name) => ({ type: "double", name, required: true })));
  expect(JSON.parse(signature.outputs)).toEqual([{ type: "double", name: "score", required: true }]);
});

test("the example prefers rows without missing values", () => {
  expect(JSON.parse(text("input_example.json"))).toEqual({
    columns: COLUMNS,
    data: [
      [2, 3],
      [null, 1],
      [4, null],
    ],
  });
});

test("requirements are the versions that the reference tests install", () => {
  const setup = readFileSync(new URL("../../../scripts/setup-python", import.meta.url), "utf8");
  // There MLflow comes with its login: mlflow[auth].
  const installed = setup.replaceAll("[auth]", "");
  for (const requirement of text("requirements.txt").trim().split("\n")) expect(installed).toContain(requirement);
});
