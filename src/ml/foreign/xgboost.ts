// XGBoost models: the document that save_model writes, as trees that add up to the log-odds.
import {
  askForSet,
  COLUMNS_MAX,
  emptyTree,
  type ForeignTree,
  type ForeignTrees,
  invalidModel,
  TREES_MAX,
  unsupportedModel,
} from "./flatten.ts";
import { field, items, names, number, numbers, optionalField, type Place, parseNumber, placeOf, text } from "./json.ts";

/** Objectives whose sum of leaves is the log-odds of class 1, and whether base_score is a probability or that margin. */
const OBJECTIVES: Readonly<Record<string, "probability" | "margin">> = {
  "binary:logistic": "probability",
  "reg:logistic": "probability",
  "binary:logitraw": "margin",
};

/** A categorical split of XGBoost ≥ 1.5. */
const CATEGORICAL = 1;

/**
 * A model from the parsed document. `rounds` takes the first so many; otherwise the best round where training stopped
 * early, as `XGBClassifier.predict` does, or all. Errors: `ml.model-invalid`, `ml.model-unsupported`.
 */
export function readXgboost(document: unknown, options: { readonly rounds?: number } = {}): ForeignTrees {
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
  const numbersItself = hasOwnCodes(trunk);
  const weights = kind === "dart" ? numbers(field(booster, "weight_drop"), all.length) : null;
  return {
    names: columns.length === 0 ? null : columns,
    width,
    trees: all
      .slice(0, chosen.trees)
      .map((tree, t) => treeOf(tree, { weight: weights?.[t] ?? 1, ownCodes: numbersItself })),
    baseMargin: baseMarginOf(parameters, OBJECTIVES[objective]),
    title: `XGBoost ${versionOf(model)}`,
    notes: chosen.notes,
  };
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
  given: { readonly trunk: Place; readonly trees: number; readonly wanted: number | undefined },
): { readonly trees: number; readonly notes: readonly string[] } {
  const { trunk, trees, wanted } = given;
  const parallel = optionalField(field(trunk, "gbtree_model_param"), "num_parallel_tree");
  const perRound = Math.max(1, parallel === null ? 1 : number(parallel));
  const rounds = Math.ceil(trees / perRound);
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
    throw invalidModel(`best_iteration is ${kept - 1}, and there are ${rounds} rounds`);
  }
  const notes = kept === rounds ? [] : [`Training stopped early: the best ${kept} of ${rounds} rounds.`];
  return { trees: Math.min(trees, kept * perRound), notes };
}

function treeOf(place: Place, given: { readonly weight: number; readonly ownCodes: boolean }): ForeignTree {
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
    if (given.ownCodes) throw ownCodes();
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

/** From 3.1 on a model trained on a data frame numbers its categories itself. */
function hasOwnCodes(trunk: Place): boolean {
  const cats = optionalField(trunk, "cats");
  const codes = cats === null ? null : optionalField(cats, "enc");
  return codes !== null && items(codes, COLUMNS_MAX).length > 0;
}

function ownCodes(): Error {
  return unsupportedModel(
    "the model splits categories that it numbers itself, after a data frame's category columns",
    'number them yourself, as the pipeline\'s features do, and train with feature_types "c"',
  );
}

function versionOf(model: Place): string {
  const version = optionalField(model, "version");
  return version === null ? "of an unknown version" : Array.from(numbers(version)).join(".");
}
