// LightGBM models: the text that save_model writes, as trees that add up to the log-odds.
import {
  askForSet,
  COLUMNS_MAX,
  emptyTree,
  type ForeignTree,
  type ForeignTrees,
  invalidModel,
  NODES_MAX,
  TREES_MAX,
  unsupportedModel,
} from "./flatten.ts";
import { atMost, below } from "./float32.ts";
import { parseNumber } from "./json.ts";
import { pandasColumns } from "./pandas.ts";

/** Bits of decision_type (LightGBM's include/LightGBM/tree.h). */
const CATEGORICAL = 1;
const DEFAULT_LEFT = 2;
const MISSING = { none: 0, zero: 1, nan: 2 } as const;
/** Values this near to 0 are 0 to LightGBM, in training and in prediction (kZeroThreshold, a Float32). */
const ZERO = Math.fround(1e-35);

const FORMATS = ["v3", "v4"];

/**
 * A model from its text. `rounds` takes the first so many trees; save_model itself writes the best ones only. Errors:
 * `ml.model-invalid`, `ml.model-unsupported`.
 */
export function readLightgbm(text: string, options: { readonly rounds?: number } = {}): ForeignTrees {
  const { head, trees: blocks, tail } = sectionsOf(text);
  checkHead(head);
  const slope = slopeOf(head);
  const names = (head.get("feature_names") ?? "").split(" ").filter((name) => name !== "");
  const width = wholeNumber(head, "max_feature_idx", { where: "the head", most: COLUMNS_MAX - 1 }) + 1;
  if (names.length !== width) throw invalidModel(`it names ${names.length} columns and takes ${width}`);
  const wanted = options.rounds ?? blocks.length;
  if (wanted > blocks.length) {
    throw unsupportedModel(
      `${wanted} rounds are wanted and the model has ${blocks.length}`,
      `give --rounds 1 to ${blocks.length}`,
    );
  }
  const trees = blocks.slice(0, wanted);
  const isMean = head.has("average_output");
  const scale = isMean ? slope / trees.length : slope;
  const read = trees.map((block, t) => treeOf(block, { title: `tree ${t}`, scale }));
  return {
    // Names that LightGBM made up itself say nothing.
    names: names.every((name, i) => name === `Column_${i}`) ? null : names,
    width,
    trees: read.map(({ tree }) => tree),
    baseMargin: 0,
    title: `LightGBM (format ${head.get("version")})`,
    notes: [
      ...(options.rounds === undefined ? [] : [`The first ${wanted} of ${blocks.length} rounds.`]),
      ...(isMean ? ["A random forest: each leaf counts by its share of the trees."] : []),
    ],
    encoders: pandasColumns({
      tail,
      infos: (head.get("feature_infos") ?? "").split(" "),
      trees: read.map(({ tree }) => tree),
    }),
    // LGBMClassifier numbers its labels itself, and its file does not keep them.
    classes: null,
    knowsMissing: read.some(({ knowsMissing }) => knowsMissing),
  };
}

type Lines = ReadonlyMap<string, string>;

/** `key=value` lines, the head's and each tree's, and the text that follows the trees. */
function sectionsOf(text: string): { readonly head: Lines; readonly trees: readonly Lines[]; readonly tail: string } {
  const head = new Map<string, string>();
  const trees: Map<string, string>[] = [];
  let current = head;
  const lines = text.split("\n");
  const end = lines.findIndex((line) => line.trim() === "end of trees");
  for (const line of end < 0 ? lines : lines.slice(0, end)) {
    const trimmed = line.trim();
    const at = trimmed.indexOf("=");
    const key = at < 0 ? trimmed : trimmed.slice(0, at);
    if (key === "Tree") {
      if (trees.length >= TREES_MAX) throw invalidModel(`it has more than ${TREES_MAX} trees`);
      current = new Map();
      trees.push(current);
    } else if (key !== "") current.set(key, at < 0 ? "" : trimmed.slice(at + 1));
  }
  if (!head.has("tree")) throw invalidModel('the text does not begin with the line "tree"');
  if (end < 0) throw invalidModel('the text has no line "end of trees": the file is cut off');
  if (trees.length === 0) throw invalidModel("it has no trees");
  return { head, trees, tail: lines.slice(end + 1).join("\n") };
}

function checkHead(head: Lines): void {
  const version = head.get("version") ?? "missing";
  if (!FORMATS.includes(version)) {
    throw unsupportedModel(
      `the format version is ${version}`,
      `save the model with a LightGBM that writes ${FORMATS.join(" or ")}`,
    );
  }
  const classes = head.get("num_class") ?? "1";
  const perRound = head.get("num_tree_per_iteration") ?? "1";
  if (classes !== "1" || perRound !== "1") {
    throw unsupportedModel(
      `the model has ${classes} classes and ${perRound} trees a round`,
      "Sentinel scores fraud or not: train with objective binary",
    );
  }
}

/** The probability is sigmoid(slope × sum of leaves). */
function slopeOf(head: Lines): number {
  const [objective = "none", ...parameters] = (head.get("objective") ?? "none").split(" ");
  if (objective === "cross_entropy") return 1;
  if (objective === "binary") {
    const spelled = parameters.find((parameter) => parameter.startsWith("sigmoid:"))?.slice("sigmoid:".length) ?? "1";
    const slope = parseNumber(spelled);
    if (Number.isFinite(slope) && slope > 0) return slope;
    throw invalidModel(`the objective's sigmoid is ${JSON.stringify(spelled)}, not above 0`);
  }
  throw unsupportedModel(
    `the objective is ${JSON.stringify(objective)}; its sum of leaves is no log-odds of fraud`,
    "train with objective binary or cross_entropy; a model of a custom objective can come as ONNX",
  );
}

interface ReadTree {
  readonly tree: ForeignTree;
  /** One of its columns had missing values in training. */
  readonly knowsMissing: boolean;
}

function treeOf(lines: Lines, given: { readonly title: string; readonly scale: number }): ReadTree {
  const { title, scale } = given;
  if ((lines.get("is_linear") ?? "0") !== "0") {
    throw unsupportedModel(`${title} has linear models for leaves`, "train with linear_tree off");
  }
  const leaves = wholeNumber(lines, "num_leaves", { where: title, most: NODES_MAX });
  if (leaves < 1) throw invalidModel(`${title} has ${leaves} leaves`);
  const inner = leaves - 1;
  const at = (child: number): number => (child >= 0 ? child : inner + ~child);
  const list = (key: string, count: number): Float64Array => listOf(lines, key, { title, count });
  // Read first: a number of leaves that the text does not hold must not take memory.
  const value = list("leaf_value", leaves);
  const tree = emptyTree(inner + leaves);
  const weight = listOf(lines, "leaf_weight", { title, count: leaves, optional: true });
  for (let leaf = 0; leaf < leaves; leaf++) {
    tree.value[inner + leaf] = value[leaf] * scale;
    tree.cover[inner + leaf] = weight[leaf];
  }
  if (inner === 0) return { tree, knowsMissing: false };
  const feature = list("split_feature", inner);
  const threshold = list("threshold", inner);
  const decision = list("decision_type", inner);
  const strange = decision.find((bits) => !Number.isInteger(bits));
  if (strange !== undefined) throw invalidModel(`${title}: decision_type has the entry ${strange}`);
  const left = list("left_child", inner);
  const right = list("right_child", inner);
  const gain = listOf(lines, "split_gain", { title, count: inner, optional: true });
  const cover = listOf(lines, "internal_weight", { title, count: inner, optional: true });
  let knowsMissing = false;
  for (let node = 0; node < inner; node++) {
    if (!(Number.isInteger(feature[node]) && feature[node] >= 0)) {
      throw invalidModel(`${title}: node ${node} asks about column ${feature[node]}`);
    }
    tree.feature[node] = feature[node];
    tree.left[node] = at(left[node]);
    tree.right[node] = at(right[node]);
    tree.gain[node] = gain[node];
    tree.cover[node] = cover[node];
    if ((decision[node] & CATEGORICAL) !== 0) {
      // The set goes left, all others right, missing ones too (Tree::CategoricalDecision).
      askForSet(tree, node, categoriesAt(lines, threshold[node], title));
      continue;
    }
    const question = questionOf({
      threshold: threshold[node],
      decision: decision[node],
      where: `${title}, node ${node}`,
    });
    tree.threshold[node] = question.threshold;
    tree.missingLeft[node] = question.missingLeft ? 1 : 0;
    knowsMissing ||= ((decision[node] >> 2) & 3) !== MISSING.none;
  }
  return { tree, knowsMissing };
}

/** The categories of a tree's set number `index`: bits of 32-bit words. */
function categoriesAt(lines: Lines, index: number, title: string): number[] {
  const spelled = (key: string): number[] => (lines.get(key) ?? "").split(" ").map(parseNumber);
  const [from, to] = spelled("cat_boundaries").slice(index, index + 2);
  const words = spelled("cat_threshold").slice(from, to);
  if (!(Number.isInteger(index) && from >= 0 && to >= from) || words.length !== to - from) {
    throw invalidModel(`${title}: there is no set ${index} of categories`);
  }
  const categories: number[] = [];
  words.forEach((word, w) => {
    for (let bit = 0; bit < 32; bit++) if ((word >>> bit) & 1) categories.push(32 * w + bit);
  });
  return categories;
}

/**
 * LightGBM asks x ≤ threshold in doubles (Tree::NumericalDecision). A missing value takes the default side where the
 * column has missing ones; where it has none, it is a 0. With zero_as_missing values next to 0 take the default side too,
 * which one comparison can say only where the threshold is near 0 or the side is theirs anyway.
 */
function questionOf(node: { readonly threshold: number; readonly decision: number; readonly where: string }): {
  readonly threshold: number;
  readonly missingLeft: boolean;
} {
  const { threshold, decision, where } = node;
  if (Number.isNaN(threshold)) throw invalidModel(`${where}: the threshold is NaN`);
  const defaultLeft = (decision & DEFAULT_LEFT) !== 0;
  const missing = (decision >> 2) & 3;
  const zeroLeft = threshold >= 0;
  if (missing === MISSING.nan) return { threshold: boundOf(threshold, zeroLeft), missingLeft: defaultLeft };
  if (missing === MISSING.none) return { threshold: boundOf(threshold, zeroLeft), missingLeft: zeroLeft };
  if (missing !== MISSING.zero)
    throw invalidModel(`${where}: decision_type ${decision} has an unknown kind of missing`);
  const isNearZero = Math.abs(threshold) <= ZERO;
  if (isNearZero || zeroLeft === defaultLeft) {
    return { threshold: boundOf(threshold, defaultLeft), missingLeft: defaultLeft };
  }
  throw unsupportedModel(
    `${where} sends zeros to the other side than their value says, as missing ones`,
    "train with zero_as_missing off",
  );
}

/** Our threshold for x ≤ bound; beside 0 all that is 0 to LightGBM goes the same way. */
function boundOf(bound: number, zeroLeft: boolean): number {
  if (Math.abs(bound) > ZERO) return atMost(bound);
  return zeroLeft ? atMost(ZERO) : below(-ZERO);
}

function wholeNumber(lines: Lines, key: string, given: { readonly where: string; readonly most: number }): number {
  const spelled = lines.get(key);
  const value = spelled === undefined ? Number.NaN : parseNumber(spelled);
  if (Number.isInteger(value) && value >= 0 && value <= given.most) return value;
  throw invalidModel(`${given.where}: ${key} is ${spelled ?? "missing"}, not a whole number up to ${given.most}`);
}

/** Numbers of a line; zeros where an optional one is missing. */
function listOf(
  lines: Lines,
  key: string,
  given: { readonly title: string; readonly count: number; readonly optional?: true },
): Float64Array {
  const spelled = lines.get(key);
  if (spelled === undefined) {
    if (given.optional === true) return new Float64Array(given.count);
    throw invalidModel(`${given.title} has no ${key}`);
  }
  const words = spelled.split(" ");
  if (words.length !== given.count) {
    throw invalidModel(`${given.title}: ${key} has ${words.length} entries, not ${given.count}`);
  }
  return Float64Array.from(words, numberOf);
}

/** LightGBM splits missing values from all others at the threshold "inf". */
function numberOf(word: string): number {
  return word === "inf" ? Number.POSITIVE_INFINITY : word === "-inf" ? Number.NEGATIVE_INFINITY : parseNumber(word);
}
