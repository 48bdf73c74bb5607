// LightGBM's `pandas_categorical`: lists of values that stand after the trees, and the columns that they number.
import { messageOf } from "../../core/errors.ts";
import { type EncodedValue, type ForeignTree, invalidModel, unsupportedModel } from "./flatten.ts";
import { parseModelJson } from "./json.ts";

/** Columns × lists that are looked at to find whose list is whose. */
const PAIRS_MAX = 10_000_000;

/**
 * Column → values of its list. LightGBM keeps one list for each category column of the data frame, in the order of the columns,
 * and says nowhere which columns these were. Those that it took for categories it writes so in `feature_infos`; ordered
 * categories, and all of them under `categorical_feature=[]`, are numbers to it, from 0 up. Errors: `ml.model-invalid` where
 * the lists are none, `ml.model-unsupported` where a column that the trees ask about may have one list or another.
 */
export function pandasColumns(given: {
  /** The text behind the trees. */
  readonly tail: string;
  /** One word a column: `none`, `[low:high]` of a number, `-1:3:0` of a category. */
  readonly infos: readonly string[];
  readonly trees: readonly ForeignTree[];
}): ReadonlyMap<number, readonly EncodedValue[]> {
  const lists = listsIn(given.tail);
  const found = new Map<number, readonly EncodedValue[]>();
  if (lists.length === 0) return found;
  const { infos, trees } = given;
  const sets = new Set<number>();
  const asked = new Set<number>();
  for (const { feature, sets: own } of trees) {
    for (let node = 0; node < feature.length; node++) {
      if (feature[node] < 0) continue;
      asked.add(feature[node]);
      if (own.has(node)) sets.add(feature[node]);
    }
  }
  const columns = infos.map((info, column) => sets.has(column) || isCategory(info));
  const certain = columns.flatMap((isOne, column) => (isOne ? [column] : []));
  if (certain.length === lists.length) {
    certain.forEach((column, i) => {
      found.set(column, lists[i]);
    });
    return found;
  }
  const choices = possibleLists({ infos, columns, lists });
  for (const column of asked) {
    const own = choices(column);
    if (own.length === 1 && own[0] === null) continue;
    if (own.length !== 1 || own[0] === null) throw unclear(lists.length, certain.length);
    found.set(column, own[0]);
  }
  return found;
}

/** The lists of the last such line; none where it is null or not there. */
function listsIn(tail: string): readonly (readonly EncodedValue[])[] {
  const line = tail.split("\n").findLast((one) => one.startsWith("pandas_categorical:"));
  const spelled = line?.slice("pandas_categorical:".length).trim() ?? "null";
  let parsed: unknown;
  try {
    parsed = parseModelJson(spelled);
  } catch (error) {
    throw invalidModel(`pandas_categorical is no JSON: ${messageOf(error)}`, error);
  }
  if (parsed === null) return [];
  const isValue = (value: unknown): value is EncodedValue => ["string", "number", "boolean"].includes(typeof value);
  if (Array.isArray(parsed) && parsed.every((list) => Array.isArray(list) && list.every(isValue))) {
    return parsed as (readonly EncodedValue[])[];
  }
  throw invalidModel("pandas_categorical is no list of lists of texts and numbers");
}

function isCategory(info: string): boolean {
  return info !== "none" && info !== "" && !info.startsWith("[");
}

/** Whether a column with this info can be numbered by a list of so many values. */
function fits(info: string, length: number): boolean {
  if (info === "none" || info === "") return true;
  const codes = isCategory(info)
    ? info.split(":").map(Number)
    : (/^\[(.+):(.+)\]$/.exec(info) ?? []).slice(1).map(Number);
  return codes.length > 0 && codes.every((code) => Number.isInteger(code) && code >= -1 && code < length);
}

/** For a column the lists it may have, null for none: those of any assignment that keeps the order of columns and of lists. */
function possibleLists(given: {
  readonly infos: readonly string[];
  /** Whether a column must have one. */
  readonly columns: readonly boolean[];
  readonly lists: readonly (readonly EncodedValue[])[];
}): (column: number) => readonly (readonly EncodedValue[] | null)[] {
  const { infos, columns, lists } = given;
  const width = lists.length + 1;
  if (infos.length * width > PAIRS_MAX) throw unclear(lists.length, columns.filter(Boolean).length);
  const may = (column: number, list: number): boolean => list < lists.length && fits(infos[column], lists[list].length);
  // ahead[c][l]: the first c columns can have the first l lists; behind: the others the others.
  const table = (): Uint8Array[] => Array.from({ length: infos.length + 1 }, () => new Uint8Array(width));
  const [ahead, behind] = [table(), table()];
  ahead[0][0] = 1;
  behind[infos.length][lists.length] = 1;
  for (let column = 0; column < infos.length; column++) {
    for (let list = 0; list < width; list++) {
      if (ahead[column][list] === 0) continue;
      if (!columns[column]) ahead[column + 1][list] = 1;
      if (may(column, list)) ahead[column + 1][list + 1] = 1;
    }
  }
  for (let column = infos.length - 1; column >= 0; column--) {
    for (let list = 0; list < width; list++) {
      const without = !columns[column] && behind[column + 1][list] === 1;
      if (without || (may(column, list) && behind[column + 1][list + 1] === 1)) behind[column][list] = 1;
    }
  }
  return (column) => {
    const own: (readonly EncodedValue[] | null)[] = [];
    for (let list = 0; list < width; list++) {
      if (ahead[column][list] === 0) continue;
      if (!columns[column] && behind[column + 1][list] === 1 && !own.includes(null)) own.push(null);
      if (may(column, list) && behind[column + 1][list + 1] === 1) own.push(lists[list]);
    }
    return own;
  };
}

function unclear(lists: number, columns: number): Error {
  return unsupportedModel(
    `the file has ${lists} lists of pandas categories for ${columns} columns of categories, and does not say whose they are`,
    "train on columns that are numbers, or categories without an order, such as the codes that `sentinel featurise` writes",
  );
}
