// CatBoost models: the document that save_model(…, format="json") writes, as trees that add up to the log-odds.
import {
  COLUMNS_MAX,
  DEPTH_MAX,
  emptyTree,
  type ForeignTree,
  type ForeignTrees,
  invalidModel,
  NODES_MAX,
  TREES_MAX,
  unsupportedModel,
} from "./flatten.ts";
import { atMost } from "./float32.ts";
import { field, items, number, numbers, optionalField, type Place, placeOf, text } from "./json.ts";

/** Loss functions whose sum of leaves is the log-odds of class 1. */
const LOSSES = ["Logloss", "CrossEntropy"];

/** A symmetric tree of 16 levels has 65,536 leaves; CatBoost itself grows no deeper. */
const LEVELS_MAX = 16;

/** Where a missing value goes: below every border, or above (CatBoost's nan_value_treatment). */
const NAN_SIDES: Readonly<Record<string, "left" | "right">> = { AsIs: "left", AsFalse: "left", AsTrue: "right" };

/**
 * A model from the parsed document. `rounds` takes the first so many trees; save_model itself writes the best ones only. Errors:
 * `ml.model-invalid`, `ml.model-unsupported`.
 */
export function readCatboost(document: unknown, options: { readonly rounds?: number } = {}): ForeignTrees {
  const model = placeOf(document, "the document");
  const info = optionalField(model, "model_info");
  checkLoss(info);
  const columns = columnsOf(field(model, "features_info"));
  const { scale, bias } = scaleOf(model);
  const symmetric = optionalField(model, "oblivious_trees");
  const places = items(symmetric ?? field(model, "trees"), TREES_MAX);
  const wanted = options.rounds ?? places.length;
  if (wanted > places.length) {
    throw unsupportedModel(
      `${wanted} rounds are wanted and the model has ${places.length}`,
      `give --rounds 1 to ${places.length}`,
    );
  }
  const chosen = places.slice(0, wanted);
  let nodes = 0;
  const read = (place: Place): ForeignTree => {
    const tree = symmetric === null ? grownTree(place, { columns, scale }) : symmetricTree(place, { columns, scale });
    nodes += tree.feature.length;
    if (nodes > NODES_MAX) {
      throw unsupportedModel(
        `the model has more than ${NODES_MAX} nodes`,
        "train fewer iterations, or of a lower depth",
      );
    }
    return tree;
  };
  return {
    names: columns.names,
    width: columns.width,
    trees: chosen.map(read),
    baseMargin: bias,
    title: `CatBoost ${versionOf(info)}`.trim(),
    notes: wanted === places.length ? [] : [`The first ${wanted} of ${places.length} rounds.`],
    encoders: new Map(),
    classes: classesOf(info),
    knowsMissing: columns.knowsMissing,
  };
}

/** Only where the document tells the loss: some converters leave the parameters out. */
function checkLoss(info: Place | null): void {
  const parameters = info === null ? null : optionalField(info, "params");
  const loss = parameters === null ? null : optionalField(parameters, "loss_function");
  const name = loss === null ? null : text(field(loss, "type"));
  if (name === null) {
    throw unsupportedModel(
      "the file does not say which loss the model was trained with, so its sum of leaves may be no log-odds",
      'save it again with CatBoost itself: model.save_model("model.json", format="json")',
    );
  }
  if (LOSSES.includes(name)) return;
  throw unsupportedModel(
    `the loss function is ${JSON.stringify(name)}; its sum of leaves is no log-odds of fraud`,
    `train a CatBoostClassifier of two classes with loss_function ${LOSSES.join(" or ")}`,
  );
}

interface Columns {
  readonly names: readonly string[] | null;
  readonly width: number;
  /** By the number of a float feature: its column, and where its missing values go. */
  readonly features: ReadonlyMap<number, { readonly column: number; readonly nanLeft: boolean }>;
  readonly knowsMissing: boolean;
}

function columnsOf(info: Place): Columns {
  for (const [key, what] of [
    ["categorical_features", "categories"],
    ["text_features", "texts"],
    ["embedding_features", "embeddings"],
  ]) {
    const others = optionalField(info, key);
    if (others === null || items(others, COLUMNS_MAX).length === 0) continue;
    throw unsupportedModel(
      `the model takes columns of ${what}, which CatBoost turns into statistics of its training data`,
      what === "categories"
        ? "encode the categories as numbers first, as `sentinel featurise` writes them, and train without cat_features"
        : "train on numbers only",
    );
  }
  const seen = items(field(info, "float_features"), COLUMNS_MAX);
  if (seen.length === 0) throw invalidModel("it takes no columns");
  const features = seen.map((place, at) => {
    const treatment = optionalField(place, "nan_value_treatment");
    const side = treatment === null ? "AsIs" : text(treatment);
    if (!Object.hasOwn(NAN_SIDES, side)) throw invalidModel(`${place.path}.nan_value_treatment is ${side}`);
    const column = number(field(place, "flat_feature_index"));
    if (!(Number.isInteger(column) && column >= 0 && column < COLUMNS_MAX)) {
      throw invalidModel(`${place.path}.flat_feature_index is ${column}`);
    }
    const name = optionalField(place, "feature_id");
    const index = optionalField(place, "feature_index");
    return {
      index: index === null ? at : number(index),
      column,
      side,
      nanLeft: NAN_SIDES[side] === "left",
      name: name === null ? "" : text(name),
    };
  });
  if (new Set(features.map(({ column }) => column)).size !== features.length) {
    throw invalidModel("two of its features are the same column");
  }
  // A name that is a column's number is what CatBoost calls a column without one.
  const named = features.every(({ name, column }) => name !== "" && name !== String(column));
  return {
    names: named ? features.map(({ name }) => name) : null,
    width: named ? features.length : Math.max(...features.map(({ column }) => column)) + 1,
    // By their names columns are found in the file's order; columns that the training ignored may be missing in it.
    features: new Map(
      features.map(({ index, column, nanLeft }, at) => [index, { column: named ? at : column, nanLeft }]),
    ),
    knowsMissing: features.some(({ side }) => side !== "AsIs"),
  };
}

/** The log-odds are scale × sum of leaves + bias. */
function scaleOf(model: Place): { readonly scale: number; readonly bias: number } {
  const place = field(model, "scale_and_bias");
  const [scale, bias] = items(place, 2);
  const biases = bias === undefined ? [] : Array.isArray(bias.value) ? Array.from(numbers(bias)) : [number(bias)];
  if (biases.length !== 1) {
    throw unsupportedModel(
      `the model answers ${biases.length} numbers a row`,
      "Sentinel scores fraud or not: train with two classes, loss_function Logloss",
    );
  }
  const factor = number(scale);
  if (!Number.isFinite(factor)) throw invalidModel(`${place.path} has the scale ${factor}`);
  return { scale: factor, bias: biases[0] };
}

interface TreeContext {
  readonly columns: Columns;
  readonly scale: number;
}

/** All nodes of one level ask the same; level i is bit i of a leaf's number, the last level being the root here. */
function symmetricTree(place: Place, { columns, scale }: TreeContext): ForeignTree {
  const splits = items(field(place, "splits"), LEVELS_MAX);
  const leaves = 2 ** splits.length;
  const values = numbers(field(place, "leaf_values"));
  if (values.length !== leaves) {
    throw unsupportedModel(
      `${place.path} has ${values.length} values for ${leaves} leaves`,
      "Sentinel scores fraud or not: train with two classes, loss_function Logloss",
    );
  }
  const weighted = optionalField(place, "leaf_weights");
  const weights = weighted === null ? null : numbers(weighted);
  const inner = leaves - 1;
  const tree = emptyTree(inner + leaves);
  // Heap order: node n has the children 2n + 1 (bit 0) and 2n + 2 (bit 1), so the highest bit is asked first.
  for (let node = 0, level = splits.length - 1; level >= 0; level--) {
    const question = splitOf(splits[level], columns);
    for (const end = 2 * node + 1; node < end; node++) ask(tree, node, { ...question, left: 2 * node + 1 });
  }
  for (let leaf = 0; leaf < leaves; leaf++) {
    tree.value[inner + leaf] = values[leaf] * scale;
    tree.cover[inner + leaf] = weights?.length === leaves ? weights[leaf] : 0;
  }
  for (let node = inner - 1; node >= 0; node--) {
    tree.cover[node] = tree.cover[2 * node + 1] + tree.cover[2 * node + 2];
  }
  return tree;
}

/** A tree of grow_policy Depthwise or Lossguide: nested nodes. */
function grownTree(root: Place, { columns, scale }: TreeContext): ForeignTree {
  const found: { readonly place: Place; left: number; right: number; depth: number }[] = [
    { place: root, left: -1, right: -1, depth: 0 },
  ];
  for (let node = 0; node < found.length; node++) {
    const { place, depth } = found[node];
    if (optionalField(place, "split") === null) continue;
    if (depth >= DEPTH_MAX || found.length + 2 > NODES_MAX) {
      throw unsupportedModel(`${root.path} is deeper than ${DEPTH_MAX} or too large`, "train with a lower depth");
    }
    found[node].left = found.length;
    found.push({ place: field(place, "left"), left: -1, right: -1, depth: depth + 1 });
    found[node].right = found.length;
    found.push({ place: field(place, "right"), left: -1, right: -1, depth: depth + 1 });
  }
  const tree = emptyTree(found.length);
  for (let node = found.length - 1; node >= 0; node--) {
    const { place, left, right } = found[node];
    if (left >= 0) {
      ask(tree, node, { ...splitOf(field(place, "split"), columns), left });
      tree.cover[node] = tree.cover[left] + tree.cover[right];
      continue;
    }
    const value = field(place, "value");
    if (Array.isArray(value.value)) {
      throw unsupportedModel(`${place.path} has several values`, "train with two classes, loss_function Logloss");
    }
    tree.value[node] = number(value) * scale;
    const weight = optionalField(place, "weight");
    tree.cover[node] = weight === null ? 0 : number(weight);
  }
  return tree;
}

interface Question {
  readonly column: number;
  readonly border: number;
  readonly nanLeft: boolean;
}

function splitOf(place: Place, { features }: Columns): Question {
  const kind = optionalField(place, "split_type");
  if (kind !== null && text(kind) !== "FloatFeature") {
    throw unsupportedModel(
      `${place.path} is a split of the kind ${text(kind)}`,
      "train on numbers only, without cat_features: encode categories as `sentinel featurise` writes them",
    );
  }
  const index = number(field(place, "float_feature_index"));
  const feature = features.get(index);
  if (feature === undefined) throw invalidModel(`${place.path}.float_feature_index is ${index}, which is no feature`);
  return { column: feature.column, nanLeft: feature.nanLeft, border: number(field(place, "border")) };
}

/** CatBoost goes right where a Float32 is above the border; ours goes left below a threshold. The children are neighbours. */
function ask(tree: ForeignTree, node: number, question: Question & { readonly left: number }): void {
  tree.feature[node] = question.column;
  tree.threshold[node] = atMost(question.border);
  tree.missingLeft[node] = question.nanLeft ? 1 : 0;
  tree.left[node] = question.left;
  tree.right[node] = question.left + 1;
}

/** Labels of the two classes, where the file has them. */
function classesOf(info: Place | null): readonly string[] | null {
  const parameters = info === null ? null : optionalField(info, "class_params");
  if (parameters === null) return null;
  for (const key of ["class_names", "class_to_label"]) {
    const place = optionalField(parameters, key);
    const labels = place === null ? [] : items(place, COLUMNS_MAX).map(({ value }) => String(value));
    if (labels.length > 0) return labels;
  }
  return null;
}

/** "1.2.10", from the text about the build. */
function versionOf(info: Place | null): string {
  const place = info === null ? null : optionalField(info, "catboost_version_info");
  const found = place === null ? null : /tags\/v(\d[\w.]*)|release (\d[\w.]*\d)/.exec(text(place));
  return found?.[1] ?? found?.[2] ?? "";
}
