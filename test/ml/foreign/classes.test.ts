// Which class is fraud: recognised labels, questions about all others, and what --fraud-class may say.
import { expect, test } from "vitest";
import { fraudClassOf } from "../../../src/ml/foreign/classes.ts";
import { errorOf } from "../../reference/tables.ts";

test.each([
  [["fraud", "genuine"], 0],
  [["genuine", "fraud"], 1],
  [["Fraudulent", "Legitimate"], 0],
  [["not_fraud", "is_fraud"], 1],
  [["fraud", "non-fraud"], 0],
  [["fraud", "anything"], 0],
  [["0", "1"], 1],
  [["1", "0"], 0],
  [["False", "True"], 1],
  [["no", "yes"], 1],
  [["illicit", "licit"], 0],
  [["bad", "good"], 0],
] as const)("%j: the class %i", (labels, place) => {
  const told = fraudClassOf(labels, undefined);
  expect(told.place).toBe(place);
  expect(told.note).toContain(`"${labels[place]}"`);
});

test.each([
  [["A", "B"]],
  [["1", "2"]],
  [["-1", "1"]],
  [["genuine", "other"]],
  [["yes", "true"]],
  [["fraud", "fraud2"]],
])("%j are a question", (labels) => {
  const error = errorOf(() => fraudClassOf(labels, undefined));
  expect(error).toMatchObject({ code: "ml.model-unsupported", message: expect.stringMatching(/cannot be told/) });
  expect(error.hint).toContain(`--fraud-class ${JSON.stringify(labels[1])}`);
  expect(fraudClassOf(labels, labels[0]).place).toBe(0);
  expect(fraudClassOf(labels, labels[1]).place).toBe(1);
});

test("without labels the second class counts, or the one that is named", () => {
  expect(fraudClassOf(null, undefined)).toEqual({ place: 1, note: null });
  expect(fraudClassOf(null, "0").place).toBe(0);
  expect(errorOf(() => fraudClassOf(null, "fraud")).message).toMatch(/"fraud" is no class of the model/);
  expect(errorOf(() => fraudClassOf(["a", "b", "c"], undefined)).message).toMatch(/3 classes/);
});
