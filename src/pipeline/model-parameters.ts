// Section `model_parameters`: the numbers that steer learning; the learners take names, limits and defaults from here.
import { either, number, oneOf, record, share, whole } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";

const penalty = number({ from: 0, to: 1e6 });
const someRows = number({ above: 0, to: 1 });

/** Names and meaning of the trees' follow XGBoost (Chen & Guestrin 2016), spelled out. */
export const MODEL_PARAMETERS = section(
  {
    trees: key(whole({ from: 1, to: 10_000 }), {
      default: 300,
      means: "Trees at most; early stopping usually ends before.",
    }),
    learning_rate: key(number({ above: 0, to: 1 }), {
      default: 0.1,
      means: "How much of each tree's answer is used.",
    }),
    depth_max: key(whole({ from: 1, to: 16 }), { default: 5, means: "Splits from root to leaf." }),
    // 2^16 is a full tree of the deepest kind.
    leaves_max: key(whole({ from: 2, to: 65_536 }), {
      means:
        "When given, the leaf with the largest gain is split first, until a tree has so many leaves; `depth_max` still holds.",
    }),
    lambda: key(penalty, { default: 1, means: "L2 penalty on leaf values." }),
    alpha: key(penalty, { default: 0, means: "L1 penalty on leaf values." }),
    gamma: key(penalty, { default: 0, means: "A split must gain more than this." }),
    min_child_weight: key(number({ from: 0, to: 1e9 }), {
      default: 1,
      means: "Sum of hessians that each side of a split needs.",
    }),
    row_sample: key(someRows, { default: 0.8, means: "Share of the rows each tree sees." }),
    // Ke et al. 2017: the first 1 / learning_rate trees see all rows.
    goss_top: key(share, {
      means:
        "Instead of `row_sample`, which has to go: the share of the rows, those with the largest gradients, that each tree sees whole (GOSS, Ke et al. 2017). Given with `goss_rest`.",
    }),
    goss_rest: key(someRows, {
      means:
        "The share of the rows that each tree sees of the others, counted for all of them. `0.2` and `0.1` save time on large tables and cost little quality.",
    }),
    column_sample: key(someRows, { default: 0.5, means: "Share of the features each tree sees." }),
    bins_max: key(whole({ from: 3, to: 256 }), {
      default: 256,
      means: "Histogram bins per feature, the one for missing values included.",
    }),
    category_rows_min: key(whole({ from: 1, to: 1e9 }), {
      default: 20,
      means: "Training rows a category needs to be told apart; rarer ones count as missing.",
    }),
    category_lambda: key(penalty, { default: 10, means: "Added to `lambda` in splits over categories." }),
    category_smoothing: key(penalty, {
      default: 10,
      means:
        "Hessian without gradient that each category gets before categories are put in order, so that small ones stay in the middle.",
    }),
    scale_positive: key(number({ above: 0, to: 1e6 }), { default: 1, means: "Weight of a fraud in the loss." }),
    // Where frauds are rare, their share gives the first trees tiny hessians, hence leaves so extreme that later trees only
    // repair them; a start nearer to one half ranks better.
    start_rate: key(either(number({ from: 1e-6, to: 1 - 1e-6 }), oneOf("observed")), {
      default: 0.2,
      means: "Probability of fraud that every row starts from; `observed` is the weighted share of frauds in training.",
    }),
    monotone: key(record(oneOf("increasing", "decreasing")), {
      means:
        "Feature: `increasing` or `decreasing`. The trees' answer never goes the other way while that feature grows and all else stays; missing values are free.",
    }),
    early_stopping_rounds: key(whole({ from: 0, to: 10_000 }), {
      default: 30,
      means: "Rounds without progress before training ends; 0 never stops early.",
    }),
    anomaly_trees: key(whole({ from: 1, to: 10_000 }), { default: 100, means: "Trees of the Isolation Forest." }),
    anomaly_sample: key(whole({ from: 2, to: 65_536 }), { default: 256, means: "Rows each of its trees sees." }),
    anomaly_feature: key(oneOf("never", "choose"), {
      default: "never",
      means:
        "Whether the trees may read the anomaly score. `choose` trains them twice, and keeps it where that gains average precision on the calibration days beyond noise, by card.",
    }),
    calibration: key(oneOf("choose", "isotonic", "beta", "none"), {
      default: "choose",
      means: "From raw score to probability: `isotonic`, `beta`, `none`, or `choose` the best of them.",
    }),
    seed: key(whole({ from: 0, to: 4_294_967_295 }), {
      default: 1,
      means: "Seed of every random draw. The same data, parameters and seed make the same bundle.",
    }),
  },
  {
    /** Rows are drawn evenly, or by the size of their gradients when both shares for that are given; then `rowSample` is 1. */
    settle(model, { isWritten, refuse }) {
      const { gossTop, gossRest, rowSample } = model;
      if (gossTop === undefined && gossRest === undefined) return model;
      if (gossTop === undefined || gossRest === undefined) {
        const [given, absent] =
          gossTop === undefined ? (["goss_rest", "goss_top"] as const) : (["goss_top", "goss_rest"] as const);
        const hint = "give both, for example goss_top: 0.2 and goss_rest: 0.1, or neither";
        return refuse(given, `${given} is given without ${absent}`, hint);
      }
      if (gossTop + gossRest > 1) {
        const what = `goss_top ${gossTop} and goss_rest ${gossRest} are more than all rows`;
        return refuse("goss_top", what, "lower one of them; together they are the share of the rows each tree sees");
      }
      if (isWritten("row_sample") && rowSample < 1) {
        const what = `row_sample ${rowSample} is given beside goss_top and goss_rest`;
        const hint = "rows are sampled in one way only: leave out row_sample, or goss_top and goss_rest";
        return refuse("row_sample", what, hint);
      }
      return { ...model, rowSample: 1 };
    },
  },
);

export type ModelParameters = ValueOf<typeof MODEL_PARAMETERS.fields>;
