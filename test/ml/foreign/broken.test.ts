// Broken and hostile model files: each is refused with what is wrong, before anything of its claimed size is made.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SentinelError } from "../../../src/core/errors.ts";
import { type ForeignTrees, flattenForeign } from "../../../src/ml/foreign/flatten.ts";
import { readLightgbm } from "../../../src/ml/foreign/lightgbm.ts";
import { endsOf } from "../../../src/ml/foreign/onnx/ends.ts";
import { readOnnx } from "../../../src/ml/foreign/onnx/model.ts";
import { treesOfOnnx } from "../../../src/ml/foreign/onnx/trees.ts";
import { parseUbjson } from "../../../src/ml/foreign/ubjson.ts";
import { readXgboost } from "../../../src/ml/foreign/xgboost.ts";
import { treeFault } from "../../../src/ml/trees.ts";
import "../../seed.ts";

const bytesOf = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(fileURLToPath(new URL(`../../reference/foreign/${name}`, import.meta.url))));
const textOf = (name: string): string => new TextDecoder().decode(bytesOf(name));

// biome-ignore lint/suspicious/noExplicitAny: a document to be damaged anywhere
type Document = any;
const xgboost = (): Document => JSON.parse(textOf("xgboost-logistic.json"));
const treesOf = (document: Document): Document[] => document.learner.gradient_booster.model.trees;

/** The whole way of a model but its data. */
function flat(model: ForeignTrees): void {
  const names = Array.from({ length: model.width }, (_, c) => `f${c}`);
  const trees = flattenForeign(model, { names, columns: names.map((_, c) => c) });
  expect(treeFault(trees)).toBeNull();
}

function refusal(run: () => unknown): SentinelError {
  try {
    run();
  } catch (error) {
    if (error instanceof SentinelError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("XGBoost documents", () => {
  const cases: readonly (readonly [name: string, damage: (document: Document) => unknown, says: RegExp])[] = [
    ["a list", () => [], /is no object/],
    ["null", () => null, /is no object/],
    ["nothing in it", () => ({}), /has no learner/],
    ["a prototype for a learner", () => JSON.parse('{"__proto__": {"learner": {}}}'), /has no learner/],
    [
      "an objective that is a prototype's",
      (d) => set(d.learner.objective, "name", "constructor"),
      /objective is "constructor"/,
    ],
    ["a booster of another kind", (d) => set(d.learner.gradient_booster, "name", "gblinear"), /booster is "gblinear"/],
    ["a base_score of 1", (d) => set(d.learner.learner_model_param, "base_score", "1"), /base_score is 1/],
    ["two base_scores", (d) => set(d.learner.learner_model_param, "base_score", "[1E-1,2E-1]"), /base_score is/],
    ["no columns", (d) => set(d.learner.learner_model_param, "num_feature", "0"), /num_feature is 0/],
    ["a billion columns", (d) => set(d.learner.learner_model_param, "num_feature", "1000000000"), /num_feature/],
    ["too few names", (d) => set(d.learner, "feature_names", ["a"]), /names 1 columns and takes 6/],
    ["several targets", (d) => set(d.learner.learner_model_param, "num_target", "3"), /several targets/],
    ["a ring", (d) => set(treesOf(d)[0].left_children, 1, 0), /node 0 is reached twice/],
    ["two parents", (d) => set(treesOf(d)[0].left_children, 0, 2), /node 2 is reached twice/],
    ["a child outside", (d) => set(treesOf(d)[0].right_children, 0, 99), /node 0 has the child 99/],
    ["a child below 0", (d) => set(treesOf(d)[0].right_children, 0, -7), /node 0 has the child -7/],
    ["a column outside", (d) => set(treesOf(d)[0].split_indices, 0, 6), /column 6 of 6/],
    ["half a column", (d) => set(treesOf(d)[0].split_indices, 0, 0.5), /0.5, which is no column/],
    [
      "a threshold that is no number",
      (d) => set(treesOf(d)[0].split_conditions, 0, "NaN"),
      /split_conditions\[0\] is no number/,
    ],
    ["a leaf beyond Float32", (d) => set(treesOf(d)[0].split_conditions, leafOf(d), 1e300), /has the value Infinity/],
    ["a short column", (d) => treesOf(d)[0].default_left.pop(), /default_left has \d+ entries, not one for each of/],
    ["no trees' list", (d) => set(d.learner.gradient_booster.model, "trees", 5), /trees is no list/],
    [
      "a huge list of trees",
      (d) => set(d.learner.gradient_booster.model, "trees", Array(20_001).fill(0)),
      /20001 entries/,
    ],
    [
      "a best round that is none",
      (d) => set(d.learner, "attributes", { best_iteration: "77" }),
      /best_iteration is 77/,
    ],
  ];

  test.each(cases)("%s", (_, damage, says) => {
    const document = xgboost();
    const damaged = damage(document);
    const given = damaged !== null && typeof damaged === "object" && !("learner" in damaged) ? damaged : document;
    const error = refusal(() => flat(readXgboost(damaged === null ? null : given)));
    expect(error.code).toMatch(/^ml\.model-(invalid|unsupported)$/);
    expect(error.message).toMatch(says);
    expect(error.kind.exit).toBe(2);
  });

  test("rounds beyond the model's are refused, fewer are taken", () => {
    expect(readXgboost(xgboost(), { rounds: 2 }).trees).toHaveLength(2);
    expect(refusal(() => readXgboost(xgboost(), { rounds: 7 })).message).toMatch(
      /7 rounds are wanted and the model has 6/,
    );
  });

  test("a tree deeper than the limit is refused by its name", () => {
    const chain = 300;
    const document = xgboost();
    const inner = Array.from({ length: chain }, (_, i) => 2 * i);
    const column = (at: (node: number) => number): number[] =>
      Array.from({ length: 2 * chain + 1 }, (_, node) => at(node));
    const isInner = (node: number): boolean => node % 2 === 0 && node < 2 * chain;
    expect(inner.length).toBe(chain);
    Object.assign(treesOf(document)[0], {
      left_children: column((node) => (isInner(node) ? node + 1 : -1)),
      right_children: column((node) => (isInner(node) ? node + 2 : -1)),
      split_indices: column(() => 0),
      split_conditions: column(() => 0.5),
      default_left: column(() => 0),
      split_type: column(() => 0),
      loss_changes: column(() => 0),
      sum_hessian: column(() => 0),
    });
    expect(refusal(() => flat(readXgboost(document))).message).toMatch(/tree 0 is deeper than 256/);
  });
});

describe("UBJSON", () => {
  const whole = bytesOf("xgboost-binary.ubj");

  test("says what the JSON of the same model says", () => {
    const given = { names: ["a", "b", "c", "d", "e", "g"], columns: [0, 1, 2, 3, 4, 5] };
    expect(flattenForeign(readXgboost(parseUbjson(whole)), given)).toEqual(
      flattenForeign(readXgboost(xgboost()), given),
    );
  });

  test.each([
    ["a list of a billion numbers", [..."[$d#l"].map(code).concat(0x3b, 0x9a, 0xca, 0), /a length of 1000000000/],
    ["a list of a billion nulls", [..."[$Z#l"].map(code).concat(0x3b, 0x9a, 0xca, 0), /a length of 1000000000/],
    ["a negative length", [..."Si"].map(code).concat(0xff), /a length of -1/],
    ["deep nesting", Array(100).fill(code("[")), /nested deeper/],
    ["an unknown type", [code("?")], /"\?" is no type/],
    ["a type without a count", [..."[$dd"].map(code), /without a count/],
    ["something after the end", [..."TT"].map(code), /ends before the file does/],
  ])("%s", (_, bytes, says) => {
    expect(refusal(() => parseUbjson(Uint8Array.from(bytes))).message).toMatch(says);
  });

  test("a prototype's key is a key like any other", () => {
    const bytes = [..."{i"].map(code).concat(9, ...[..."__proto__"].map(code), code("T"), code("}"));
    const parsed = parseUbjson(Uint8Array.from(bytes)) as object;
    expect(Object.keys(parsed)).toEqual(["__proto__"]);
    expect(({} as Record<string, unknown>).learner).toBeUndefined();
  });

  test("cut off anywhere, it is refused", () => {
    for (let length = 0; length < whole.length; length += 37) {
      expect(refusal(() => parseUbjson(whole.subarray(0, length))).code).toBe("ml.model-invalid");
    }
  });
});

describe("LightGBM texts", () => {
  const good = textOf("lightgbm-binary.txt");
  const cases: readonly (readonly [name: string, text: string, says: RegExp])[] = [
    ["nothing", "", /does not begin with the line "tree"/],
    ["cut off", good.slice(0, 2000), /the file is cut off/],
    ["no trees", good.replace(/Tree=0[\s\S]*end of trees/, "end of trees"), /it has no trees/],
    ["another format", good.replace("version=v4", "version=v9"), /format version is v9/],
    ["a sigmoid of 0", good.replace("sigmoid:1", "sigmoid:0"), /sigmoid is "0"/],
    [
      "another objective",
      good.replace("objective=binary sigmoid:1", "objective=lambdarank"),
      /objective is "lambdarank"/,
    ],
    ["no objective", good.replace("objective=binary sigmoid:1\n", ""), /objective is "none"/],
    ["a name too few", good.replace("feature_names=a b", "feature_names=a"), /names 5 columns and takes 6/],
    ["a billion leaves", good.replace("num_leaves=8", "num_leaves=1000000000"), /num_leaves is 1000000000/],
    [
      "millions of leaves that are not there",
      good.replace("num_leaves=8", "num_leaves=3999999"),
      /leaf_value has 8 entries/,
    ],
    ["a ring", good.replace(/left_child=\S+/, "left_child=0"), /node 0 is reached twice/],
    ["a threshold that is no number", good.replace(/threshold=\S+/, "threshold=nan"), /the threshold is NaN/],
    ["a child outside", good.replace(/right_child=\S+/, "right_child=77"), /has the child 77/],
    ["a leaf that is no number", good.replace(/leaf_value=\S+/, "leaf_value=x"), /has the value NaN/],
    ["a column outside", good.replace(/split_feature=\S+/, "split_feature=6"), /column 6 of 6/],
    ["a decision of an unknown kind", good.replace(/decision_type=\S+/, "decision_type=14"), /unknown kind of missing/],
    ["a set that is not there", good.replace(/decision_type=\S+/, "decision_type=1"), /there is no set/],
  ];

  test.each(cases)("%s", (_, text, says) => {
    const error = refusal(() => flat(readLightgbm(text)));
    expect(error.code).toMatch(/^ml\.model-(invalid|unsupported)$/);
    expect(error.message).toMatch(says);
  });
});

describe("ONNX files", () => {
  const good = bytesOf("onnx-xgboost.onnx");

  test.each([
    ["nothing", new Uint8Array(0), /there is no graph in it/],
    ["something else", new TextEncoder().encode("#!/bin/sh\nexit 0\n"), /it is no ONNX file/],
    ["cut off", good.subarray(0, 1000), /it is no ONNX file/],
  ])("%s", (_, bytes, says) => {
    const error = refusal(() => readOnnx(bytes));
    expect(error.code).toBe("ml.model-invalid");
    expect(error.message).toMatch(says);
  });

  test("an output that is not there is refused with those that are", () => {
    const model = readOnnx(good);
    expect(refusal(() => endsOf(model, { output: "label" }))).toMatchObject({
      code: "ml.model-unsupported",
      hint: expect.stringMatching(/probabilities/),
    });
  });
});

describe("any damage ends in a SentinelError or in sound trees", () => {
  const survives = (run: () => ForeignTrees | null): void => {
    try {
      const model = run();
      if (model !== null) flat(model);
    } catch (error) {
      if (!(error instanceof SentinelError)) throw error;
      expect(error.code).toMatch(/^ml\.model-(invalid|unsupported)$/);
    }
  };
  const damaged = (bytes: Uint8Array, changes: readonly (readonly [number, number])[]): Uint8Array => {
    const copy = bytes.slice();
    for (const [at, value] of changes) copy[at % copy.length] = value;
    return copy;
  };
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });

  test("UBJSON", () => {
    const bytes = bytesOf("xgboost-binary.ubj");
    fc.assert(fc.property(changes, (made) => survives(() => readXgboost(parseUbjson(damaged(bytes, made))))));
  });

  test("LightGBM's text", () => {
    const bytes = bytesOf("lightgbm-categories.txt");
    fc.assert(
      fc.property(changes, (made) => survives(() => readLightgbm(new TextDecoder().decode(damaged(bytes, made))))),
    );
  });

  test("ONNX", () => {
    const bytes = bytesOf("onnx-xgboost.onnx");
    const read = (given: Uint8Array): ForeignTrees | null => {
      const model = readOnnx(given);
      const ends = endsOf(model, {});
      const found = treesOfOnnx(model, ends, { isMargin: false });
      return found === null || ends.width === null
        ? null
        : {
            ...found,
            names: null,
            width: ends.width,
            title: "",
            notes: [],
            encoders: new Map(),
            classes: null,
            knowsMissing: false,
          };
    };
    expect(read(bytes)).not.toBeNull();
    fc.assert(fc.property(changes, (made) => survives(() => read(damaged(bytes, made)))));
  });
});

function code(letter: string): number {
  return letter.charCodeAt(0);
}

function set(on: Document, key: string | number, value: unknown): void {
  on[key] = value;
}

/** A leaf of the first tree. */
function leafOf(document: Document): number {
  return treesOf(document)[0].left_children.indexOf(-1);
}

test("categories that XGBoost cut amid their letters are refused, and whole ones are read, beyond ASCII too", () => {
  // As XGBoost 3.2 writes the pandas categories é0, é1 and é10: lengths in characters, and as many bytes in all.
  const withCategories = (text: string, offsets: readonly number[], bytes: number): ForeignTrees => {
    const document = xgboost();
    const values = [...new TextEncoder().encode(text).subarray(0, bytes)].map((byte) => (byte << 24) >> 24);
    document.learner.gradient_booster.model.cats = { enc: [{ offsets, values }] };
    return readXgboost(document);
  };
  const error = refusal(() => withCategories("é0é1é10", [0, 2, 4, 7], 7));
  expect(error.code).toBe("ml.model-unsupported");
  expect(error.message).toMatch(/enc\[0\] is a list of categories that is cut amid its letters/);
  expect(withCategories("é0é1é10", [0, 3, 6, 10], 10).encoders.get(0)).toEqual(["é0", "é1", "é10"]);
});
