// Our trees as XGBoost's JSON model, so that both sides of a comparison walk and explain the same trees.
import type { GbdtModel } from "../src/ml/gbdt/model.ts";

/** XGBoost's mark of a root's missing parent. */
const NO_PARENT = 2 ** 31 - 1;

/**
 * The model as XGBoost (2.1 and later) loads it: "Introduction to Model IO" of its documentation, and its doc/model.schema.
 * Only for trees whose nodes all compare; its start must be even odds, where the margin is 0.
 */
export function xgboostJson(model: GbdtModel): string {
  const columns = String(model.names.length);
  const trees = Array.from(model.roots, (_, t) => treeOf(model, t));
  const text = JSON.stringify({
    learner: {
      attributes: {},
      feature_names: [],
      feature_types: [],
      gradient_booster: {
        model: {
          gbtree_model_param: { num_parallel_tree: "1", num_trees: String(trees.length) },
          iteration_indptr: Array.from({ length: trees.length + 1 }, (_, t) => t),
          tree_info: trees.map(() => 0),
          trees,
        },
        name: "gbtree",
      },
      learner_model_param: {
        base_score: "5E-1",
        boost_from_average: "0",
        num_class: "0",
        num_feature: columns,
        num_target: "1",
      },
      objective: { name: "binary:logistic", reg_loss_param: { scale_pos_weight: "1" } },
    },
    version: [2, 1, 0],
  });
  return text.replace(/"floats (\[[^"]*\])"/g, "$1");
}

/** XGBoost's reader takes 1 for an integer and refuses it where it wants a float: 1e+0 is one. */
function floats(values: readonly number[]): string {
  return `floats [${values.map((value) => value.toExponential()).join()}]`;
}

function treeOf(model: GbdtModel, t: number): object {
  const from = model.roots[t];
  const to = t + 1 < model.roots.length ? model.roots[t + 1] : model.feature.length;
  const nodes = Array.from({ length: to - from }, (_, i) => from + i);
  const inner = (node: number): boolean => model.feature[node] >= 0;
  const child = (children: Int32Array) => nodes.map((node) => (inner(node) ? children[node] - from : -1));
  const [left, right] = [child(model.left), child(model.right)];
  const parents = nodes.map(() => NO_PARENT);
  for (const children of [left, right]) {
    children.forEach((to, i) => {
      if (to >= 0) parents[to] = i;
    });
  }
  return {
    id: t,
    base_weights: floats(nodes.map((node) => model.value[node])),
    categories: [],
    categories_nodes: [],
    categories_segments: [],
    categories_sizes: [],
    default_left: nodes.map((node) => (inner(node) ? model.missingLeft[node] : 0)),
    left_children: left,
    right_children: right,
    parents,
    loss_changes: floats(nodes.map((node) => model.gain[node])),
    split_conditions: floats(nodes.map((node) => (inner(node) ? model.threshold[node] : model.value[node]))),
    split_indices: nodes.map((node) => Math.max(0, model.feature[node])),
    split_type: nodes.map(() => 0),
    sum_hessian: floats(nodes.map((node) => model.cover[node])),
    tree_param: {
      num_deleted: "0",
      num_feature: String(model.names.length),
      num_nodes: String(nodes.length),
      size_leaf_vector: "1",
    },
  };
}
