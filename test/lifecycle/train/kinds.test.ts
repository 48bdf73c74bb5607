// Kinds of features for the trees: the pipeline's directions by name, and a clear word on a name that is none.
import { expect, test } from "vitest";
import { categoryNames, columnKinds } from "../../../src/lifecycle/train/kinds.ts";
import { parsePipeline } from "../../../src/pipeline/pipeline.ts";

const REQUIRED =
  "name: n\nmodel: m\nsource: s\nfeatures: f\nschema: c\nsuite: u\ncolumns: {id: i, time: t, amount: a, card: c, label: l}\n";
const pipelineOf = (more: string) => parsePipeline(REQUIRED + more, { file: "p.yaml", workspace: "/w" });
const spec = {
  name: "card",
  version: 1,
  features: [
    { kind: "column", name: "amount", column: "amount" },
    { kind: "time", name: "hour", part: "hour" },
    { kind: "category", name: "shop", column: "shop", values: ["a", "b"] },
  ],
} as const;

test("a feature is a number unless the spec says category or the pipeline gives it a direction", () => {
  expect(categoryNames(spec)).toEqual(["shop"]);
  expect(columnKinds(spec, pipelineOf(""))).toEqual(["number", "number", "category"]);
  expect(columnKinds(spec, pipelineOf("model_parameters: { monotone: { amount: increasing } }\n"))).toEqual([
    "increasing",
    "number",
    "category",
  ]);
});

test("a direction for no feature of the spec is refused, with the nearest name", () => {
  const refused = (name: string): unknown => {
    try {
      columnKinds(spec, pipelineOf(`model_parameters: { monotone: { ${name}: decreasing } }\n`));
    } catch (error) {
      return error;
    }
  };
  expect(refused("amuont")).toMatchObject({
    code: "pipeline.invalid",
    message: "p.yaml: model_parameters.monotone: spec card has no feature amuont",
    hint: "did you mean amount?",
  });
  expect(refused("toString")).toMatchObject({ hint: "its features are amount, hour, shop" });
  expect(refused("shop")).toMatchObject({
    message: "p.yaml: model_parameters.monotone: feature shop is a category, which has no order",
  });
});
