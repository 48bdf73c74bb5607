// Ablation: the interval against a printed table, and specs that lose a group but nothing that the rest is made of.
import { expect, test } from "vitest";
import { pairedDifference, specWithout } from "../../bench/ablation.ts";
import { card } from "../../features/card.ts";
import { declareColumns } from "../../src/features/builder.ts";
import { compileSpec } from "../../src/features/plan.ts";

test("the interval is Student's: four folds reach 3.182 standard errors to each side", () => {
  const { mean, low, high } = pairedDifference([1, 2, 3, 4]);
  expect(mean).toBe(2.5);
  // Standard deviation √(5/3), and t for 97.5 % and three degrees of freedom.
  const reach = 3.18245 * Math.sqrt(5 / 3 / 4);
  expect(low).toBeCloseTo(2.5 - reach, 4);
  expect(high).toBeCloseTo(2.5 + reach, 4);
});

test("a spec without a group keeps what other features are computed of, and compiles", () => {
  const f = declareColumns({ amount: "number", card: "key" });
  const amount = f.column("amount");
  const usual = f.window("usual", { key: "card", over: "amount", aggregate: "mean", window: "7d" });
  const alone = f.window("alone", { key: "card", over: "amount", aggregate: "max", window: "7d" });
  const ratio = f.ratio("ratio", amount, usual);
  const far = f.expression("far", "ratio > 3");
  const spec = f.spec({ name: "s", version: 1, features: [amount, usual, alone, ratio, far] });
  const names = (group: readonly string[]) => specWithout(spec, new Set(group)).features.map(({ name }) => name);
  expect(names(["usual", "alone"])).toEqual(["amount", "usual", "ratio", "far"]);
  expect(names(["ratio"])).toEqual(["amount", "usual", "alone", "ratio", "far"]);
  expect(names(["usual", "ratio", "far"])).toEqual(["amount", "alone"]);
  const windows = card.features.filter(({ kind }) => kind === "window").map(({ name }) => name);
  expect(() => compileSpec(specWithout(card, new Set(windows)))).not.toThrow();
});
