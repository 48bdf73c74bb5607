// A spec with a feature of every kind, for tests of how features are spoken of.
import { declareColumns } from "../../../src/features/builder.ts";

const f = declareColumns({ amount: "number", card_id: "key", shop_id: "key", channel: "text" });
const card = { key: "card_id" } as const;
const amount = f.column("amount");
const mean7 = f.window("mean_7d", { ...card, over: "amount", aggregate: "mean", window: "7d", current: false });
const mean1 = f.window("mean_1d", { ...card, over: "amount", aggregate: "mean", window: "1d" });
const spread = f.window("std_7d", { ...card, over: "amount", aggregate: "std", window: "7d" });
const over = f.difference("over_mean", amount, mean7);

export const EVERY_KIND = f.spec({
  name: "every-kind",
  version: 1,
  features: [
    amount,
    f.time("hour", "hour"),
    f.time("weekday", "dayOfWeek"),
    f.time("weekend", "weekend"),
    f.time("night", "night"),
    mean7,
    mean1,
    spread,
    over,
    f.window("count_1h", { ...card, over: "transactions", window: "1h" }),
    f.window("frauds_7d", { key: "shop_id", over: "frauds", window: "7d", delay: "7d" }),
    f.window("genuine_2d", { key: "shop_id", over: "genuine", window: "2d" }),
    f.window("rate_30d", { key: "shop_id", over: "fraud-rate", window: "30d", delay: "12h", empty: 0 }),
    f.window("total_1d", { ...card, over: "amount", aggregate: "sum", window: "1d" }),
    f.window("least_1d", { ...card, over: "amount", aggregate: "min", window: "1d" }),
    f.window("most_1d", { ...card, over: "amount", aggregate: "max", window: "1d" }),
    f.window("amounts_1d", { ...card, over: "amount", aggregate: "count", window: "90s" }),
    f.window("shops", { ...card, over: "shop_id", aggregate: "distinct", window: "1d" }),
    f.window("pair_count", { key: ["card_id", "shop_id"], over: "transactions", window: "30d" }),
    f.elapsed("since_last", { ...card, since: "last-transaction", within: "30d", unit: "seconds" }),
    f.elapsed("since_first_fraud", { key: "shop_id", since: "first-fraud", within: "35d", unit: "days" }),
    f.sinceFraud("after_fraud", { key: "shop_id", within: "35d", delay: "7d" }),
    f.multiple("bursts", { ...card, over: "amount", times: 3, window: "3d", usual: "30d" }),
    f.neighbours("others", { key: "shop_id", column: "card_id", measure: "count", window: "30d" }),
    f.neighbours("others_frauds", { key: "shop_id", column: "card_id", measure: "frauds", window: "30d", delay: "7d" }),
    f.neighbours("others_share", { key: "shop_id", column: "card_id", measure: "share", window: "30d" }),
    f.twoHops("frauds_of_visitors", {
      key: "shop_id",
      through: "card_id",
      aggregate: "mean",
      within: "30d",
      window: "7d",
    }),
    f.fraudValue("least_fraud", { key: "shop_id", over: "amount", aggregate: "min", within: "35d" }),
    f.fraudRun("fraud_run", { key: "shop_id", measure: "count", within: "35d", delay: "7d" }),
    f.fraudRun("fraud_run_days", { key: "shop_id", measure: "days", within: "35d", delay: "7d" }),
    f.ratio("times_mean", amount, mean7),
    f.ratio("zscore", over, spread),
    f.ratio("mean_of_means", mean1, mean7),
    f.expression("isRound", "amount = floor(amount)"),
  ],
});
