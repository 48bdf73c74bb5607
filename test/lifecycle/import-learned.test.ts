// Imports of models that read a learned category: by its values they are translated, by its number they are refused.
import { expect, test } from "vitest";
import { checkOpenSpec } from "../../src/features/open.ts";
import { checkLearned } from "../../src/lifecycle/import/learned.ts";
import type { EncodedValue, ForeignTrees } from "../../src/ml/foreign/flatten.ts";

const spec = checkOpenSpec({
  name: "s",
  version: 1,
  features: [
    { kind: "column", name: "amount", column: "amount" },
    { kind: "category", name: "shop", column: "shop", values: "learned" },
    { kind: "category", name: "channel", column: "channel", values: ["web", "shop"] },
  ],
});
const read = ["amount", "shop", "channel"];

function modelOf(encoders: readonly (readonly [number, readonly EncodedValue[]])[]): ForeignTrees {
  return {
    names: null,
    width: 3,
    trees: [],
    baseMargin: 0,
    title: "",
    notes: [],
    encoders: new Map(encoders),
    classes: null,
    knowsMissing: true,
  };
}

test("numbers of a learned category are refused: the table of the import may number them otherwise", () => {
  const check =
    (model: ForeignTrees, meaning: "codes" | "values" | null = null) =>
    () =>
      checkLearned(model, { spec, features: read, meaning });
  const refused = expect.objectContaining({
    code: "lifecycle.columns-unknown",
    hint: expect.stringContaining("spec.json"),
  });
  expect(check(modelOf([]))).toThrow(refused);
  expect(check(modelOf([[1, [0, 1, 2]]]))).toThrow(refused);
  expect(check(modelOf([[1, [5411, 7]]]), "values")).not.toThrow();
  expect(check(modelOf([[1, ["a", "b"]]]))).not.toThrow();
});

test("a model that takes none is not asked, nor is one whose values the feature file lists", () => {
  expect(() => checkLearned(modelOf([]), { spec, features: ["amount", "channel"], meaning: null })).not.toThrow();
});
