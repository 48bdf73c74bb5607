// Section `gates`: what data, a training and a promotion must show, and what a promoted version must keep to.
import { flag, number, oneOf, pair, share, whole } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";

const DATA = section({
  label_rate: key(pair(share), {
    default: [0.0001, 0.2],
    means: "The share of frauds in a training table must lie in this range.",
  }),
});

export const TRAINING = section({
  frauds_min: key(whole({ from: 1, to: 1_000_000 }), {
    default: 10,
    means: "Check `test frauds`: frauds on the evaluation days, below which nothing is compared.",
  }),
  margin: key(share, {
    default: 0.05,
    means:
      "Check `average precision against champion`: how much of it a new model may lose to the champion on the same later rows. `F1 against champion` and the one on recall use it too, unless they have a margin of their own.",
  }),
  f1_margin: key(share, { means: "The same for the check `F1 against champion`." }),
  recall_margin: key(share, { means: "The same for the check of the recall within the review budget." }),
});

const LOGIC = section({
  latency_ms_max: key(number({ from: 0.001, to: 10_000, unit: "milliseconds" }), {
    default: 5,
    means:
      "Check `latency p99`: scoring one vector may take this long in 99 of 100 cases; a server has about 25 ms for a whole answer.",
  }),
  onnx_difference_max: key(number({ from: 0, to: 1 }), {
    default: 0.000001,
    means:
      "Check `ONNX equality`: by how much a score of `model.onnx` may differ, whose answer is a 32-bit float of sums in another order.",
  }),
  parity_rows: key(whole({ from: 1, to: 1_000_000 }), {
    default: 3000,
    means:
      "Check `feature parity`: rows whose vectors are computed once more, one by one as a server does. Equal bits are wanted, whatever the number.",
  }),
});

/**
 * With 200 frauds the standard error of a difference in average precision between two similar models is about 0.014, with
 * 500 about 0.009: a margin of 0.02 is decided from about 600 frauds on. Until then the gate says HOLD, and how many more.
 */
export const PROMOTION = section({
  mode: key(oneOf("non-inferiority", "superiority"), {
    default: "non-inferiority",
    means: "The candidate must not be worse by more than the margin; with `superiority` it must be better.",
  }),
  metric: key(oneOf("average-precision", "recall-at-fpr", "card-precision", "savings"), {
    default: "average-precision",
    means:
      "What decides: average precision; recall at 1 % false positives; the share of compromised cards among those the review budget pays for each day; or the share of the fraud's cost that is saved, reviews paid for.",
  }),
  margin: key(share, {
    default: 0.02,
    means:
      "That margin, in the metric. A candidate is judged by the margin that was written here when it was registered: nobody moves it after a look.",
  }),
  coverage_min: key(share, {
    default: 0.95,
    means: "Share of the traffic the candidate must really have scored.",
  }),
  frauds_min: key(whole({ from: 1, to: 1_000_000 }), {
    default: 50,
    means: "Matured frauds among the shadow records, at least.",
  }),
  days_min: key(number({ from: 0, to: 365, unit: "days" }), { default: 3, means: "Days of shadow, at least." }),
  blocked_unknown_max: key(share, {
    default: 1,
    means:
      "Share of what the champion blocks that may have no outcome, and nothing that was let through by chance to stand for it; beyond it the gate says HOLD. 1 only tells.",
  }),
  resamples: key(whole({ from: 100, to: 100_000 }), {
    default: 1000,
    means: "Resamples of the paired bootstrap. More make the interval's ends steadier and the verdict slower.",
  }),
});

const ROLLBACK = section({
  automatic: key(flag, {
    default: false,
    means:
      "Whether `sentinel rollback --if-broken` puts the champion before back when the present one breaks a guard rail; else it only tells.",
  }),
  pairs_min: key(whole({ from: 1, to: 1_000_000 }), {
    default: 1000,
    means:
      "Transactions that both scored, below which no guard rail counts as broken: an alert rate has no labels to wait for.",
  }),
});

const RULE = section({
  precision_min: key(share, {
    default: 0.1,
    means: "What share of a review rule's hits must be frauds; a block rule must reach `decisions.block_precision`.",
  }),
  hits_min: key(whole({ from: 1, to: 1_000_000 }), {
    default: 30,
    means: "Matured hits of a rule, below which its backtest says HOLD.",
  }),
});

export const GATES = section({
  data: DATA,
  training: TRAINING,
  logic: LOGIC,
  promotion: PROMOTION,
  rollback: ROLLBACK,
  rule: RULE,
});

export type PromotionKeys = ValueOf<typeof PROMOTION.fields>;
