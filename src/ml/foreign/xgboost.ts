// XGBoost models: the document that save_model writes, as trees that add up to the log-odds.
import { SentinelError } from "../../core/errors.ts";
import {
  askForSet,
  COLUMNS_MAX,
  type EncodedValue,
  emptyTree,
  type ForeignTree,
  type ForeignTrees,
  invalidModel,
  TREES_MAX,
  unsupportedModel,
} from "./flatten.ts";
import {
  field,
  items,
  names,
  number,
  numbers,
  optionalField,
  type Place,
  parseModelJson,
  parseNumber,
  placeOf,
  text,
} from "./json.ts";

/** Objectives whose sum of leaves is the log-odds of class 1, and whether base_score is a probability or that margin. */
const OBJECTIVES: Readonly<Record<string, "probability" | "margin">> = {
  "binary:logistic": "probability",
  "reg:logistic": "probability",
  "binary:logitraw": "margin",
};

/** A categorical split of XGBoost ≥ 1.5. */
const CATEGORICAL = 1;

/**
 * A model from the parsed document. `rounds` takes the first so many, or all; absent, the best round where training stopped
 * early, as `XGBClassifier.predict` does, else all. Errors: `ml.model-invalid`, `ml.model-unsupported`.
 */
export function readXgboost(document: unknown, options: { readonly rounds?: number | "all" } = {}): ForeignTrees {
  const model = placeOf(document, "the document");
  const learner = field(model, "learner");
  const objective = objectiveOf(learner);
  const booster = field(learner, "gradient_booster");
  const kind = text(field(booster, "name"));
  if (kind !== "gbtree" && kind !== "dart") {
    throw unsupportedModel(
      `the booster is ${JSON.stringify(kind)}, not trees`,
      "train with booster gbtree or dart, or export the model to ONNX",
    );
  }
  const parameters = field(learner, "learner_model_param");
  checkOneOutput(parameters);
  const trunk = kind === "dart" ? field(field(booster, "gbtree"), "model") : field(booster, "model");
  const width = number(field(parameters, "num_feature"));
  if (!(Number.isInteger(width) && width >= 1 && width <= COLUMNS_MAX)) {
    throw invalidModel(`num_feature is ${width}, not 1 to ${COLUMNS_MAX}`);
  }
  const named = optionalField(learner, "feature_names");
  const columns = named === null ? [] : names(named);
  if (columns.length > 0 && columns.length !== width) {
    throw invalidModel(`it names ${columns.length} columns and takes ${width}`);
  }
  const all = items(field(trunk, "trees"), TREES_MAX);
  const chosen = roundsOf(learner, { trunk, trees: all.length, wanted: options.rounds });
  const encoders = encodersOf(trunk);
  const wrapper = wrapperOf(learner);
  const weights = kind === "dart" ? numbers(field(booster, "weight_drop"), all.length) : null;
  const trees = all.slice(0, chosen.trees).map((tree, t) => treeOf(tree, { weight: weights?.[t] ?? 1 }));
  return {
    names: columns.length === 0 ? null : columns,
    width,
    trees,
    baseMargin: baseMarginOf(parameters, OBJECTIVES[objective]),
    title: `XGBoost ${versionOf(model)}`,
    notes: chosen.notes,
    encoders,
    classes: classesOf(wrapper),
    knowsMissing: sendsBothWays(trees) || typeof wrapper?.missing === "number",
  };
}

/**
 * Whether missing values go left at some nodes and right at others. Where training met none, XGBoost gives all nodes the same
 * side: right by hist and approx, left by exact.
 */
export function sendsBothWays(trees: readonly ForeignTree[]): boolean {
  const sides = new Set<number>();
  for (const { feature, missingLeft, sets } of trees) {
    for (let node = 0; node < feature.length; node++) {
      if (feature[node] >= 0 && !sets.has(node)) sides.add(missingLeft[node]);
    }
  }
  return sides.size === 2;
}

/** What XGBClassifier kept of itself beside the booster; a text that is no such document says nothing about the model. */
function wrapperOf(learner: Place): Readonly<Record<string, unknown>> | null {
  const attributes = optionalField(learner, "attributes");
  const kept = attributes === null ? null : optionalField(attributes, "scikit_learn");
  if (kept === null || typeof kept.value !== "string") return null;
  try {
    return objectIn(parseModelJson(kept.value));
  } catch {
    return null;
  }
}

/** Labels of the classes, until 1.5 those of the wrapper's own label encoder. */
function classesOf(wrapper: Readonly<Record<string, unknown>> | null): readonly string[] | null {
  const labels = objectIn(wrapper?._le)?.classes_ ?? wrapper?.classes_;
  return Array.isArray(labels) && labels.length > 0 ? labels.map(String) : null;
}

function objectIn(value: unknown): Readonly<Record<string, unknown>> | null {
  return value !== null && typeof value === "object" && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : null;
}

function objectiveOf(learner: Place): string {
  const objective = text(field(field(learner, "objective"), "name"));
  if (Object.hasOwn(OBJECTIVES, objective)) return objective;
  throw unsupportedModel(
    `the objective is ${JSON.stringify(objective)}; its sum of leaves is no log-odds of fraud`,
    `train with one of ${Object.keys(OBJECTIVES).join(", ")}`,
  );
}

function checkOneOutput(parameters: Place): void {
  const classes = number(field(parameters, "num_class"));
  const targets = optionalField(parameters, "num_target");
  if (classes <= 1 && (targets === null || number(targets) <= 1)) return;
  throw unsupportedModel(
    `the model has ${classes > 1 ? `${classes} classes` : "several targets"}`,
    "Sentinel scores fraud or not: train with two classes, objective binary:logistic",
  );
}

/** base_score is a text: a number, or from 3.1 on a list of one. */
function baseMarginOf(parameters: Place, meaning: "probability" | "margin"): number {
  const place = field(parameters, "base_score");
  const spelled = typeof place.value === "string" ? place.value.trim().replace(/^\[(.*)\]$/, "$1") : place.value;
  const score = typeof spelled === "number" ? spelled : typeof spelled === "string" ? parseNumber(spelled) : Number.NaN;
  if (!Number.isFinite(score)) throw invalidModel(`base_score is ${JSON.stringify(place.value)}, not one number`);
  if (meaning === "margin") return score;
  if (!(score > 0 && score < 1)) throw invalidModel(`base_score is ${score}, which is no probability`);
  return Math.log(score / (1 - score));
}

function roundsOf(
  learner: Place,
  given: { readonly trunk: Place; readonly trees: number; readonly wanted: number | "all" | undefined },
): { readonly trees: number; readonly notes: readonly string[] } {
  const { trunk, trees, wanted } = given;
  const parallel = optionalField(field(trunk, "gbtree_model_param"), "num_parallel_tree");
  const perRound = Math.max(1, parallel === null ? 1 : number(parallel));
  const rounds = Math.ceil(trees / perRound);
  if (wanted === "all") return { trees, notes: [`All ${rounds} rounds.`] };
  if (wanted !== undefined) {
    if (wanted > rounds) {
      throw unsupportedModel(`${wanted} rounds are wanted and the model has ${rounds}`, `give --rounds 1 to ${rounds}`);
    }
    return { trees: wanted * perRound, notes: [`The first ${wanted} of ${rounds} rounds.`] };
  }
  const attributes = optionalField(learner, "attributes");
  const best = attributes === null ? null : optionalField(attributes, "best_iteration");
  if (best === null) return { trees, notes: [] };
  const kept = number(best) + 1;
  if (!(Number.isInteger(kept) && kept >= 1 && kept <= rounds)) {
    throw new SentinelError("ml.model-invalid", `best_iteration is ${kept - 1}, and there are ${rounds} rounds`, {
      hint: "the attribute is of another training or of the whole model that this is a part of: take all with --rounds all",
    });
  }
  const notes =
    kept === rounds
      ? []
      : [
          `The file's best_iteration is ${kept - 1}, so the first ${kept} of ${rounds} rounds count, as XGBClassifier predicts; a Booster predicts by all ${rounds}, and training on after an early stop leaves the old number. --rounds all takes all.`,
        ];
  return { trees: Math.min(trees, kept * perRound), notes };
}

function treeOf(place: Place, given: { readonly weight: number }): ForeignTree {
  checkScalarLeaves(place);
  const left = numbers(field(place, "left_children"));
  const nodes = left.length;
  const column = (name: string): ArrayLike<number> => numbers(field(place, name), nodes);
  const right = column("right_children");
  const indices = column("split_indices");
  const conditions = column("split_conditions");
  const defaultLeft = column("default_left");
  const types = optionalField(place, "split_type");
  const splitType = types === null ? null : numbers(types, nodes);
  const gains = optionalField(place, "loss_changes");
  const covers = optionalField(place, "sum_hessian");
  const gain = gains === null ? null : numbers(gains, nodes);
  const cover = covers === null ? null : numbers(covers, nodes);
  let known: ReadonlyMap<number, readonly number[]> | null = null;
  const sets = (): ReadonlyMap<number, readonly number[]> => {
    known ??= setsOfNodes(place);
    return known;
  };
  const tree = emptyTree(nodes);
  for (let node = 0; node < nodes; node++) {
    tree.gain[node] = gain?.[node] ?? 0;
    tree.cover[node] = cover?.[node] ?? 0;
    if (left[node] === -1) {
      // A leaf keeps its value where a split has its threshold.
      tree.value[node] = Math.fround(conditions[node]) * given.weight;
      continue;
    }
    tree.feature[node] = columnIndex(indices[node], `${place.path}.split_indices[${node}]`);
    // XGBoost compares `x < threshold`, both Float32, as we do.
    tree.threshold[node] = conditions[node];
    tree.left[node] = left[node];
    tree.right[node] = right[node];
    tree.missingLeft[node] = defaultLeft[node] === 0 ? 0 : 1;
    if (splitType?.[node] !== CATEGORICAL) continue;
    // XGBoost's set goes right and all others left; ours goes left.
    tree.left[node] = right[node];
    tree.right[node] = left[node];
    tree.missingLeft[node] = 1 - tree.missingLeft[node];
    askForSet(tree, node, sets().get(node) ?? []);
  }
  return tree;
}

/** Node → the categories of its set. */
function setsOfNodes(place: Place): ReadonlyMap<number, readonly number[]> {
  const nodes = numbers(field(place, "categories_nodes"));
  const starts = numbers(field(place, "categories_segments"), nodes.length);
  const sizes = numbers(field(place, "categories_sizes"), nodes.length);
  const all = numbers(field(place, "categories"));
  const sets = new Map<number, readonly number[]>();
  for (let i = 0; i < nodes.length; i++) {
    if (!(starts[i] >= 0 && sizes[i] >= 0 && starts[i] + sizes[i] <= all.length)) {
      throw invalidModel(`${place.path}.categories_segments[${i}] is outside of the categories`);
    }
    const set = Array.from({ length: sizes[i] }, (_, k) => all[starts[i] + k]);
    const bad = set.find((category) => !(Number.isInteger(category) && category >= 0));
    if (bad !== undefined) throw invalidModel(`${place.path}.categories has the category ${bad}`);
    sets.set(nodes[i], set);
  }
  return sets;
}

function checkScalarLeaves(place: Place): void {
  const parameters = optionalField(place, "tree_param");
  const size = parameters === null ? null : optionalField(parameters, "size_leaf_vector");
  if (size === null || number(size) <= 1) return;
  throw unsupportedModel(
    `${place.path} has vectors for leaves`,
    "train with one output: multi_strategy one_output_per_tree",
  );
}

function columnIndex(index: number, path: string): number {
  if (Number.isInteger(index) && index >= 0) return index;
  throw invalidModel(`${path} is ${index}, which is no column`);
}

/** From 3.1 on a model trained on a data frame numbers the categories of its columns itself. */
function encodersOf(trunk: Place): ReadonlyMap<number, readonly EncodedValue[]> {
  const cats = optionalField(trunk, "cats");
  const enc = cats === null ? null : optionalField(cats, "enc");
  const encoders = new Map<number, readonly EncodedValue[]>();
  if (enc === null) return encoders;
  for (const [column, place] of items(enc, COLUMNS_MAX).entries()) {
    const values = encodedValues(place);
    if (values.length > 0) encoders.set(column, values);
  }
  return encoders;
}

/** Texts are the bytes of all one after another with the places where each begins; numbers stand as they are. */
function encodedValues(place: Place): readonly EncodedValue[] {
  const values = numbers(field(place, "values"));
  const cuts = optionalField(place, "offsets");
  if (cuts === null) return Array.from(values);
  const offsets = numbers(cuts);
  const bytes = Uint8Array.from(values, (byte) => byte & 255);
  return Array.from({ length: Math.max(0, offsets.length - 1) }, (_, i) => {
    const [from, to] = [offsets[i], offsets[i + 1]];
    if (!(from >= 0 && from <= to && to <= bytes.length))
      throw invalidModel(`${cuts.path}[${i}] is outside of the texts`);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(from, to));
    } catch {
      throw brokenTexts(place);
    }
  });
}

/** XGBoost 3.1 and 3.2 cut texts of a pandas data frame where their characters end, not their bytes, and keep too few of these. */
function brokenTexts(place: Place): SentinelError {
  return new SentinelError(
    "ml.model-unsupported",
    `${place.path} is a list of categories that is cut amid its letters: XGBoost wrote values beyond ASCII (é, 日) wrongly, and what they were cannot be told`,
    {
      hint: "train on values of plain letters or on numbers, such as the codes that `sentinel featurise` writes, and save the model again",
    },
  );
}

function versionOf(model: Place): string {
  const version = optionalField(model, "version");
  return version === null ? "of an unknown version" : Array.from(numbers(version)).join(".");
}
