// Whose lists LightGBM's pandas_categorical has: told where one way only is left, refused where two are.
import { expect, test } from "vitest";
import { emptyTree, type ForeignTree } from "../../../src/ml/foreign/flatten.ts";
import { parseModelJson } from "../../../src/ml/foreign/json.ts";
import { pandasColumns } from "../../../src/ml/foreign/pandas.ts";
import { recodeColumn } from "../../../src/ml/foreign/recode.ts";
import { errorOf } from "../../reference/tables.ts";

/** One tree that asks about each of these columns, of some by a set. */
function treeOf(columns: readonly number[], sets: readonly number[] = []): ForeignTree {
  const tree = emptyTree(2 * columns.length + 1);
  columns.forEach((column, node) => {
    tree.feature[node] = column;
    if (sets.includes(column)) tree.sets.set(node, [0]);
  });
  return tree;
}

const tail = (lists: unknown): string =>
  `\nparameters:\nend of parameters\n\npandas_categorical:${JSON.stringify(lists)}\n`;

test("as many lists as columns of categories: one each, in order", () => {
  const found = pandasColumns({
    tail: tail([
      ["a", "b"],
      [3, 5, 9],
    ]),
    infos: ["[0:9.5]", "1:0", "[-1:4]", "-1:0:1:2"],
    trees: [treeOf([1, 3], [1, 3])],
  });
  expect([...found]).toEqual([
    [1, ["a", "b"]],
    [3, [3, 5, 9]],
  ]);
});

test("an ordered category is a number to LightGBM: found where no other column can be it", () => {
  const given = {
    tail: tail([
      ["lo", "mid", "hi"],
      ["a", "b"],
    ]),
    trees: [treeOf([0, 1, 2], [2])],
  };
  const found = pandasColumns({ ...given, infos: ["[0:9.5]", "[0:2]", "-1:0:1"] });
  expect(found.get(1)).toEqual(["lo", "mid", "hi"]);
  expect(found.get(2)).toEqual(["a", "b"]);
  expect(found.has(0)).toBe(false);
  // Column 0 might be it too.
  const unclear = errorOf(() => pandasColumns({ ...given, infos: ["[0:2]", "[0:2]", "-1:0:1"] }));
  expect(unclear).toMatchObject({
    code: "ml.model-unsupported",
    message: expect.stringMatching(/2 lists .* 1 columns/),
  });
});

test("none, null, and a line that is no list", () => {
  const given = { infos: ["[0:1]"], trees: [treeOf([0])] };
  expect(pandasColumns({ ...given, tail: "" }).size).toBe(0);
  expect(pandasColumns({ ...given, tail: tail(null) }).size).toBe(0);
  expect(pandasColumns({ ...given, tail: tail([]) }).size).toBe(0);
  expect(errorOf(() => pandasColumns({ ...given, tail: "pandas_categorical:[[1" })).message).toMatch(/no JSON/);
  expect(errorOf(() => pandasColumns({ ...given, tail: tail([[null]]) })).message).toMatch(/no list of lists/);
});

test("numbers of a list become ours; what is in no list goes where a missing value goes", () => {
  const tree = emptyTree(3);
  tree.feature[0] = 0;
  tree.threshold[0] = 2;
  tree.left[0] = 1;
  tree.right[0] = 2;
  tree.missingLeft[0] = 1;
  const ours = [7, 5, 6];
  const made = recodeColumn(tree, { column: 0, count: 3, numberOf: (code) => ours[code] });
  // Codes 0 and 1 went left with missing values: now the set is of code 2 alone, and goes to what was right.
  expect(made.sets.get(0)).toEqual([6]);
  expect([made.left[0], made.right[0], made.missingLeft[0]]).toEqual([2, 1, 0]);
  expect(tree.sets.size).toBe(0);
  tree.missingLeft[0] = 0;
  expect(recodeColumn(tree, { column: 0, count: 3, numberOf: (code) => ours[code] }).sets.get(0)).toEqual([7, 5]);
});

test("numbers that JSON does not know are read where numbers stand, and texts are left alone", () => {
  expect(parseModelJson('{"a": [NaN, 1, -Infinity, Infinity], "b": "NaN \\" NaN"}')).toEqual({
    a: [null, 1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
    b: 'NaN " NaN',
  });
  expect(() => parseModelJson('{"a": NaNN}')).toThrow(SyntaxError);
});
