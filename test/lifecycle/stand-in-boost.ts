// Boosting inside the test, in the place of XGBoost on a cluster: our own trees, learned from the feature table's files and written as XGBoost writes its own.
import type { Column } from "../../src/core/table.ts";
import type { GbdtModel } from "../../src/ml/gbdt/model.ts";
import { scoreMatrix, sigmoid } from "../../src/ml/gbdt/score.ts";
import { defaultGbdtParams } from "../../src/ml/gbdt/train/params.ts";
import { trainGbdtThreads } from "../../src/ml/gbdt/train/threads.ts";
import type { Matrix } from "../../src/ml/matrix.ts";
import type { Boosted, BoostJob } from "../../src/ports/engine.ts";
import type { Ports } from "../../src/ports/ports.ts";

/** As the port says. Only numbers are learned from: categories are codes like any other. */
export async function standInBoost(ports: Ports, job: BoostJob): Promise<Boosted> {
  const dataset = await ports.dataset();
  const { features } = job.columns;
  const rows: { readonly y: number; readonly vector: readonly number[]; readonly time: number }[] = [];
  const table = await dataset.read(job.files.join(","));
  const column = (name: string): Float64Array => numbers(table.columns.get(name));
  const [times, labels] = [column(job.columns.time), column(job.columns.label)];
  const columns = features.map(column);
  for (let row = 0; row < table.rows; row++) {
    const y = Number.isNaN(labels[row]) && job.isGenuine ? 0 : labels[row];
    if (!Number.isNaN(y)) rows.push({ y, time: times[row], vector: columns.map((values) => values[row]) });
  }
  const slice = ({ from, to }: BoostJob["train"]): { readonly x: Matrix; readonly y: Uint8Array } => {
    const own = rows.filter(({ time }) => time >= from && time < to);
    const values = new Float32Array(own.length * features.length);
    own.forEach(({ vector }, row) => {
      vector.forEach((value, c) => {
        values[c * own.length + row] = value;
      });
    });
    return { x: { rows: own.length, names: features, values }, y: Uint8Array.from(own, ({ y }) => y) };
  };
  const [train, validation] = [slice(job.train), slice(job.validation)];
  const asked = job.parameters as Readonly<Record<string, number>>;
  const { model, curve, bestRound } = await trainGbdtThreads(
    {
      ...train,
      validation,
      kinds: features.map(() => "number"),
      params: {
        ...defaultGbdtParams,
        trees: asked.n_estimators,
        learningRate: asked.learning_rate,
        depthMax: asked.max_depth,
        rowSample: asked.subsample,
        columnSample: asked.colsample_bytree,
        startRate: asked.base_score,
        earlyStoppingRounds: asked.early_stopping_rounds ?? 0,
      },
      seed: asked.random_state,
    },
    { threads: 1 },
  );
  const probe = matrixOf(job.probe.columns, { names: features, rows: job.probe.rows });
  const document = xgboostDocument(model, { best: bestRound });
  return {
    model: new TextEncoder().encode(JSON.stringify(document)),
    engine: "stand-in",
    library: "our own trees",
    workers: 1,
    rows: train.y.length,
    frauds: train.y.reduce((sum, y) => sum + y, 0),
    curve,
    scores: Array.from(scoreMatrix(model, probe), sigmoid),
  };
}

function numbers(column: Column | undefined): Float64Array {
  if (column === undefined || column.kind === "text") throw new Error("a feature table holds numbers");
  return column.values;
}

function matrixOf(
  columns: ReadonlyMap<string, Column>,
  { names, rows }: { readonly names: readonly string[]; readonly rows: number },
): Matrix {
  const values = new Float32Array(rows * names.length);
  names.forEach((name, c) => {
    values.set(numbers(columns.get(name)), c * rows);
  });
  return { rows, names, values };
}

/** What XGBoost 3.2 keeps of a model and a reader asks for. */
function xgboostDocument(model: GbdtModel, { best }: { readonly best: number }): unknown {
  const trees = Array.from(model.roots, (root, t) => {
    const end = model.roots[t + 1] ?? model.feature.length;
    const nodes = Array.from({ length: end - root }, (_, node) => root + node);
    const isLeaf = (node: number): boolean => model.feature[node] < 0;
    return {
      left_children: nodes.map((node) => (isLeaf(node) ? -1 : model.left[node] - root)),
      right_children: nodes.map((node) => (isLeaf(node) ? -1 : model.right[node] - root)),
      split_indices: nodes.map((node) => Math.max(0, model.feature[node])),
      split_conditions: nodes.map((node) => (isLeaf(node) ? model.value[node] : model.threshold[node])),
      default_left: nodes.map((node) => model.missingLeft[node]),
      loss_changes: nodes.map((node) => model.gain[node]),
      sum_hessian: nodes.map((node) => model.cover[node]),
    };
  });
  return {
    version: [3, 2, 0],
    learner: {
      objective: { name: "binary:logistic" },
      attributes: { best_iteration: String(Math.min(best, trees.length) - 1) },
      feature_names: model.names,
      learner_model_param: {
        num_feature: String(model.names.length),
        num_class: "0",
        base_score: String(sigmoid(model.baseMargin)),
      },
      gradient_booster: {
        name: "gbtree",
        model: { gbtree_model_param: { num_parallel_tree: "1" }, trees },
      },
    },
  };
}
